"""The rules about Python sources: services, load tests, metrics."""

from __future__ import annotations

from linting.finding import ERROR, NOTE, WARNING, Rule

_ASYNCIO = "Python documentation, asyncio"
_PROMETHEUS = "prometheus_client documentation"
_LANGUAGE = "Python language reference"

SYNC_REDIS = Rule(
    "python-sync-redis",
    WARNING,
    "The synchronous Redis client in a coroutine",
    "Each call stops the event loop, and with it all other requests, until Redis has answered.",
    "import redis.asyncio as redis, and await the calls.",
    "redis-py documentation, asyncio examples",
    ("S6.2-09",),
)
BLOCKING = Rule(
    "python-blocking-call",
    WARNING,
    "A blocking call in a coroutine",
    "It stops the event loop, and with it all other requests.",
    "Use the asynchronous counterpart, or asyncio.to_thread.",
    _ASYNCIO,
)
POOL_DEFAULT = Rule(
    "python-pool-default",
    NOTE,
    "A pool's argument is set to its default",
    "asyncpg does this without the argument.",
    "Remove the argument, or size the pool from measured concurrency.",
    "asyncpg documentation, create_pool",
    guide_by_name={"min_size": ("S6.2-05",)},
)
POOL_RANGE = Rule(
    "python-pool-range",
    ERROR,
    "A pool's minimum above its maximum",
    "asyncpg raises ValueError.",
    "Keep min_size at or below max_size.",
    "asyncpg documentation, create_pool",
)
CREDENTIALS = Rule(
    "python-credentials",
    NOTE,
    "A password in the source",
    "Whoever reads the repository or an image can log in, and the password cannot be changed without a release.",
    "Read the address from the environment or a mounted secret.",
    "OWASP, secrets management",
    ("S6.2-08",),
)
UNRELEASED = Rule(
    "python-response-unreleased",
    WARNING,
    "A response of aiohttp that is never released",
    "The connection does not go back into the pool until the session ends. And a request to /health opens no "
    "connection to the database.",
    "async with session.get(url) as response: await response.read()",
    "aiohttp documentation, client quickstart",
    ("S6.1-05",),
)
WARMUP_RACE = Rule(
    "python-warmup-race",
    ERROR,
    "The warm-up calls the server while that is still starting",
    "gather starts both at once: the port is not open yet, the request raises ClientConnectorError, and that ends "
    "main() (measured).",
    "Start the server, wait until the port is open, warm up with retries, and only then report ready.",
    _ASYNCIO + ", gather",
    ("S6.1-07",),
)
UNDEFINED = Rule(
    "python-undefined",
    ERROR,
    "A function or method that exists nowhere",
    "The call raises NameError or AttributeError when it is reached.",
    "Define it, or remove the call.",
    _LANGUAGE,
    guide_by_name={
        "start_web_server": ("S6.1-07",),
        "start_background_tasks": ("S6.1-07",),
        "get_current_metrics": ("S10.3-11",),
        "compare_with_baseline": ("S10.3-11",),
        "measure_performance_impact": ("S10.3-16",),
    },
)
EMPTY = Rule(
    "python-empty-method",
    ERROR,
    "A method that does nothing is called",
    "It returns None, so what depends on its result never happens.",
    "Write it, or raise NotImplementedError.",
    _LANGUAGE,
    guide_by_name={"suggest_optimization": ("S10.3-14",), "apply_optimization": ("S10.3-15",)},
)
NEVER_SET = Rule(
    "python-never-set",
    WARNING,
    "A condition on something that is never set",
    "The attribute stays None, so the branch is never taken.",
    "Set it where it becomes known.",
    _LANGUAGE,
    guide_by_name={"performance_baseline": ("S10.3-11",)},
)
METRIC_IN_INIT = Rule(
    "python-metric-in-method",
    ERROR,
    "A metric is registered in a method",
    "The second instance of the class raises Duplicated timeseries in CollectorRegistry (measured).",
    "Make metrics at module level, or pass a registry in.",
    _PROMETHEUS,
    ("S10.3-06",),
)
METRIC_UNUSED = Rule(
    "python-metric-never-set",
    WARNING,
    "A metric that nobody sets",
    "It is exported as 0 for ever, which looks like a measurement.",
    "Set it, or remove it.",
    _PROMETHEUS,
    ("S10.3-09",),
)
PROFILE = Rule(
    "python-profile-unsafe",
    WARNING,
    "A profiler that an exception leaves running",
    "If the function raises, nothing is reported and the profile stays on; a function that calls itself raises "
    "ValueError on 3.12 (measured). The cost of tracing every call distorts what is measured.",
    "Use a sampling profiler (py-spy), or try and finally.",
    "Python documentation, profile",
    ("S8.2-05",),
)
WRAPS = Rule(
    "python-wraps",
    NOTE,
    "A decorator that loses the function's name",
    "Without functools.wraps every decorated function is called wrapper, in tracebacks and profiles too.",
    "Put @functools.wraps(func) on the inner function.",
    "Python documentation, functools.wraps",
    ("S8.2-05",),
)
WALL_CLOCK = Rule(
    "python-wall-clock",
    WARNING,
    "A duration is measured with the wall clock",
    "time.time() jumps when the clock is set, and is coarse on some systems.",
    "Use time.perf_counter() or time.monotonic().",
    "PEP 418",
    ("S8.3-04", "S10.2-06"),
)
NO_TIMEOUT = Rule(
    "python-no-timeout",
    WARNING,
    "A request without a timeout",
    "requests waits for ever: one server that does not answer holds the thread.",
    "Pass timeout=(connect, read); use one Session for many requests.",
    "requests documentation, timeouts",
    ("S10.2-06",),
)
WAVES = Rule(
    "python-load-in-waves",
    WARNING,
    "Load in waves that wait for the slowest",
    "The next requests are sent when all of the last wave have been answered: while the service is slow nothing is "
    "sent, and what users would have seen is not measured (coordinated omission).",
    "Send on a schedule, whatever the answers do, and count latency from the scheduled time.",
    "Gil Tene, How NOT to Measure Latency",
    ("S10.2-05",),
)
FUTURE_TIMEOUT = Rule(
    "python-future-timeout",
    WARNING,
    "A timeout that cancels nothing",
    "future.result(timeout=...) leaves the call running, and the end of the executor waits for it (measured: a test of "
    "3 s still ran after 30).",
    "Put the timeout into the call itself.",
    "Python documentation, concurrent.futures",
    ("S10.2-05",),
)
SWALLOWED = Rule(
    "python-errors-dropped",
    WARNING,
    "Failures are printed and forgotten",
    "They miss in every number that is reported (measured: one request in ten fails, and the test reports 100 % "
    "success).",
    "Count them, keep them in the latencies, and report their rate.",
    "measured",
    ("S10.2-05",),
)
PERCENTILE = Rule(
    "python-percentile-index",
    WARNING,
    "A percentile by a wrong index",
    "sorted(x)[int(len(x) * q)] is one too high where len(x) * q is whole, and for small samples it is the maximum.",
    "sorted(x)[math.ceil(len(x) * q) - 1], and no 99th percentile of fewer than 1000 samples.",
    "nearest-rank definition; measured",
    guide_by_name={"0.95": ("S10.2-08",), "0.99": ("S10.2-09",)},
)
RATE = Rule(
    "python-rate-by-asked-duration",
    WARNING,
    "A rate over the time that was asked for",
    "The test ends later than asked for, so the rate is too high (measured: 47.25 reported, 46.2 true).",
    "Divide by the time that passed.",
    "measured",
    ("S10.2-10",),
)

RULES = (
    SYNC_REDIS,
    BLOCKING,
    POOL_DEFAULT,
    POOL_RANGE,
    CREDENTIALS,
    UNRELEASED,
    WARMUP_RACE,
    UNDEFINED,
    EMPTY,
    NEVER_SET,
    METRIC_IN_INIT,
    METRIC_UNUSED,
    PROFILE,
    WRAPS,
    WALL_CLOCK,
    NO_TIMEOUT,
    WAVES,
    FUTURE_TIMEOUT,
    SWALLOWED,
    PERCENTILE,
    RATE,
)
