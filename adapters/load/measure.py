"""One measured stretch of load on a URL: open loop, every request counted, over within its time and one timeout.

What a naive performance test gets wrong is right here: requests are sent when they are due and not when the former
came back; a request that never answers costs one timeout and no more; a dropped connection is a failed request; rates
are divided by measured time on a monotonic clock; connections are kept alive; warm-up requests are sent, not counted.
"""

from __future__ import annotations

import asyncio
import http.client
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from adapters.load.open_loop import MOST_LAG, SWEEP_SECONDS, Arm, Rate, _Request
from adapters.load.quantiles import percentiles
from adapters.load.result import Result
from domain.errors import Misconfigured, Rejected, Transient

MOST_RATE = 5000.0  # requests a second; the generator's own CPU ends earlier, and its lag tells
MOST_REQUESTS = 1_000_000  # held in memory until the percentiles are taken
MOST_BODY = 1 << 20  # bytes of an answer that are searched for the expected text
_DRAIN_LOOK = 0.01

MEANING = (
    "open loop: latency counts from the moment at which a request was due, so a slow answer does not hold back the"
    " next request and its queue is in the figures; failures rank above every answer"
)


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: GET `url`, `rate` requests a second for `seconds` (after `warm_up` seconds that are sent and not
    counted), Poisson arrivals or evenly spaced ones. A request without an answer after `timeout` seconds has failed.
    Raises Misconfigured for numbers that make no sense."""

    url: str
    rate: float
    seconds: float
    timeout: float = 2.0
    warm_up: float = 0.0
    poisson: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        for field, value, least, most in (
            ("rate", self.rate, 0.0, MOST_RATE),
            ("seconds", self.seconds, 0.0, 86400.0),
            ("timeout", self.timeout, 0.0, 600.0),
        ):
            if not least < value <= most:
                raise Misconfigured(f"{field} {value:g} is not above {least:g} and at most {most:g}")
        if not 0 <= self.warm_up <= 3600:
            raise Misconfigured(f"warm_up {self.warm_up:g} is not from 0 to 3600 s")
        if self.rate * self.seconds > MOST_REQUESTS:
            raise Misconfigured(
                f"rate {self.rate:g} for {self.seconds:g} s are more than {MOST_REQUESTS} requests; measure shorter, or"
                " use `trimtab load soak`, which works in slices"
            )


class _Counting(Arm):
    """An arm of the generator that keeps every request's end, and never sends one a second time: a connection that the
    server drops is what is to be counted here."""

    def __init__(self, load: Load) -> None:
        parts = urlsplit(load.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        super().__init__("load", load.url, [(1.0, path)], load.seed, load.timeout, load.poisson)
        self.rows: list[tuple[float, float, str]] = []  # (due on the loop's clock, seconds, code)
        self.lags = deque(maxlen=MOST_REQUESTS)  # of all requests, not the last ones only

    @property
    def flying(self) -> int:
        return len(self._flying)

    def close(self) -> None:
        for connection in list(self._idle):
            connection.abort()

    def _start(self, request: _Request) -> None:
        request.again = False
        super()._start(request)

    def _record(self, request: _Request, code: str, size: int, seconds: float) -> None:
        super()._record(request, code, size, seconds)
        self.raw.clear()  # kept here instead, on a clock that nobody sets
        self.rows.append((request.intended, seconds, code))


def measure(load: Load) -> Result:
    """Send the load and count what came of it. Ends within warm-up, seconds and one timeout (and the quarter of a
    second in which timeouts are noticed). Blocks; runs an event loop of its own. No answer is no error: it counts."""
    rows, begin, end, lag = asyncio.run(_send(load))
    return summary(rows, begin, end, load, lag)


def summary(rows: Sequence[tuple[float, float, str]], begin: float, end: float, load: Load, lag: float) -> Result:
    """The result of rows (due, seconds, code) whose requests were due from `begin` to `end`; pure."""
    counted = [row for row in rows if begin <= row[0] < end]
    kinds = Counter(_kind(code, seconds, load.timeout) for _, seconds, code in counted)
    good = [
        seconds for _, seconds, code in counted if _kind(code, seconds, load.timeout) == "good"
    ]  # seconds until a 2xx or 3xx answer
    answered = sum(1 for due, seconds, code in rows if code.isdigit() and begin <= due + seconds < end)
    timeouts = kinds.pop("timeout", 0)
    kinds.pop("good", None)
    elapsed = end - begin
    notes = []
    if lag > MOST_LAG:
        notes.append(
            f"requests were sent {1000 * lag:.1f} ms late (p95; at most {1000 * MOST_LAG:.0f}): the latencies are the"
            " generator's own; lower the rate or give it more CPU"
        )
    return Result(
        tool="trimtab",
        requests=len(counted),
        good=len(good),
        errors=dict(sorted(kinds.items())),
        timeouts=timeouts,
        elapsed=elapsed,
        throughput=answered / elapsed,
        offered=len(counted) / elapsed,
        percentiles=percentiles(good, len(counted) - len(good)),
        closed_loop=False,
        coordinated_omission=MEANING,
        lag=lag,
        notes=tuple(notes),
    )


def expect(url: str, text: str, timeout: float) -> None:
    """One GET whose answer must be 2xx or 3xx and hold `text`: load on an error page measures the error page. Raises
    Rejected with what came instead, Transient if nothing came."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        answer = connection.getresponse()
        body = answer.read(MOST_BODY).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise Transient(f"{url} does not answer ({error or type(error).__name__}); is it up?") from error
    finally:
        connection.close()
    if not 200 <= answer.status < 400:
        raise Rejected(f"{url} answers {answer.status}, not 2xx or 3xx; load on it would measure an error page")
    if text not in body:
        raise Rejected(
            f"the answer of {url} ({answer.status}, {len(body)} characters) does not hold {text!r}; is it the right"
            " page?"
        )


async def _send(load: Load) -> tuple[list[tuple[float, float, str]], float, float, float]:
    loop = asyncio.get_running_loop()
    arm = _Counting(load)
    sender = loop.create_task(arm.run(Rate(load.rate, MOST_RATE)))
    sweeper = loop.create_task(arm.sweep())
    begin = loop.time() + load.warm_up
    await asyncio.wait((sender,), timeout=load.warm_up + load.seconds)
    if sender.done():
        sender.result()  # a generator that died must not look like a load that is over
    sender.cancel()
    end = loop.time()
    while arm.flying and loop.time() < end + load.timeout + 2 * SWEEP_SECONDS:
        await asyncio.sleep(_DRAIN_LOOK)
    sweeper.cancel()
    lag = arm.lag()
    arm.close()
    await asyncio.gather(sender, sweeper, return_exceptions=True)
    for _ in range(3):  # the transports hear of it, and their connections of them
        await asyncio.sleep(0)
    return arm.rows, begin, end, lag


def _kind(code: str, seconds: float, timeout: float) -> str:
    """`good` is 2xx or 3xx in time; else why not. An answer after the timeout came to a caller who had gone."""
    if code == "timeout" or seconds >= timeout:
        return "timeout"
    if not code.isdigit():
        return "connection"
    return "good" if code[0] in "23" else f"{code[0]}xx"
