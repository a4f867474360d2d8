"""Open-loop load on the Ready pods of a headless Service, told by pod and configuration.

Each request goes to an address that is picked at random when it is due, on a connection of its own. It is counted for
who was there when it was sent, also if no answer ever comes: a timeout belongs to a pod, too. Timeouts and errors are
observed with the full timeout, so that a pod that refuses at once does not look fast.

HTTP on `listen`: GET /metrics; GET and PUT /rate {"rate": 40}, up to `most_rate`.
"""

from __future__ import annotations

import asyncio
import random
import resource
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult

from adapters.load.address import http_parts, owned
from adapters.load.book import Book, Row
from adapters.load.control import listen_on, rate_answer
from adapters.load.endpoints import Endpoints, Identity, Resolve, addresses
from adapters.load.exchange import Answer, get, request
from adapters.load.open_loop import MOST_LAG, Rate
from domain.errors import Misconfigured

MOST_RATE = 1000.0  # requests a second; each costs a connection
MOST_SECONDS = 3600.0
SPARE_FILES = 100  # open files beside the connections
NOBODY = Identity("")  # no pod was Ready
PLAIN = "text/plain; version=0.0.4"


@dataclass(frozen=True, slots=True)
class ServiceLoad:
    """GET `url` of a headless Service, `rate` requests a second in total for `seconds`; while it runs the rate may be
    raised up to `most_rate` (0: not above `rate`). A request without an answer after `timeout` seconds has failed.
    Every `every` seconds the name is resolved, and each pod is asked at the path `who` who it is (empty: only its
    answers to the load tell). `confirmed`: addresses that are neither loopback nor private may be loaded, too. Raises
    Misconfigured for numbers that make no sense."""

    url: str
    rate: float
    seconds: float
    timeout: float = 2.0
    who: str = ""
    most_rate: float = 0.0
    every: float = 0.3
    poisson: bool = True
    seed: int = 1
    confirmed: bool = False

    def __post_init__(self) -> None:
        http_parts(self.url)
        for field, value, most in (
            ("rate", self.rate, MOST_RATE),
            ("most_rate", self.most_rate or self.rate, MOST_RATE),
            ("seconds", self.seconds, MOST_SECONDS),
            ("timeout", self.timeout, 60.0),
            ("every", self.every, 10.0),
        ):
            if not 0 < value <= most:
                raise Misconfigured(f"{field} {value:g} is not above 0 and at most {most:g}")
        if self.rate > self.highest:
            raise Misconfigured(f"most_rate {self.most_rate:g} is below rate {self.rate:g}; raise it, or leave it out")
        if self.who and not (self.who.startswith("/") and self.who.isascii() and self.who.isprintable()):
            raise Misconfigured(f"who {self.who!r} is no path; write it as /who")

    @property
    def highest(self) -> float:
        return self.most_rate or self.rate

    @property
    def files(self) -> int:
        """Connections that may be open at a time: those of one timeout, with room for arrivals in clumps."""
        return int(1.5 * self.highest * self.timeout) + SPARE_FILES

    @property
    def parts(self) -> SplitResult:
        return http_parts(self.url)


class Generator:
    """The load while it runs: whom it may go to, what came of it, and how late it is itself."""

    def __init__(self, load: ServiceLoad, resolve: Resolve = addresses) -> None:
        parts = load.parts
        self._load, self._host, self._port = load, parts.hostname or "", parts.port or 80
        name = self._host.rstrip(".") + (
            f":{parts.port}" if parts.port else ""
        )  # the last dot is for name servers only
        self._raw = request((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), name)
        self._who = request(load.who, name)
        self._random = random.Random(f"{load.seed}/service")
        self._lags: deque[float] = deque(maxlen=2000)
        self._flying: set[asyncio.Task[None]] = set()
        self.book, self.rate = Book(), Rate(load.rate, load.highest)
        self.endpoints = Endpoints(
            self._host,
            resolve,
            self._probe if load.who else None,
            lambda address: owned(address, confirmed=load.confirmed),
        )

    def lag(self) -> float:
        """p95 in seconds of how much later than due the last requests were sent; 0 before the first."""
        lags = sorted(self._lags)
        return lags[int(0.95 * (len(lags) - 1))] if lags else 0.0

    async def send(self) -> None:
        """Send for ever; a request is due whether or not the one before came back."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += (self._random.expovariate(1.0) if self._load.poisson else 1.0) / self.rate.value
            delay = due - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            elif delay < -self._load.timeout:
                due = loop.time()  # asleep for so long (a paused machine) that the backlog means nothing
            self._lags.append(max(0.0, loop.time() - due))
            task = loop.create_task(self._one(due))
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)

    async def drain(self) -> None:
        """Wait for what was sent: at most one timeout."""
        while self._flying:
            await asyncio.wait(self._flying)

    def metrics(self) -> str:
        """Text of the exposition format."""
        lines = self.book.lines()
        for name, kind, value in (
            ("trimtab_load_addresses", "gauge", f"{len(self.endpoints.ready)}"),
            ("trimtab_load_resolve_failures_total", "counter", f"{self.endpoints.failures}"),
            ("trimtab_load_lag_seconds", "gauge", f"{self.lag():.6f}"),
            ("trimtab_load_rate", "gauge", f"{self.rate.value:g}"),
        ):
            lines += [f"# TYPE {name} {kind}", f"{name} {value}"]
        return "\n".join(lines) + "\n"

    def answer(self, method: str, target: str, body: bytes) -> tuple[str, str, str]:
        """What the generator says over HTTP: status, type, text."""
        path = target.partition("?")[0]
        if path == "/metrics":
            return "200 OK", PLAIN, self.metrics()
        if path == "/rate":
            return rate_answer(method, body, self.rate)
        if path == "/healthz":
            return "200 OK", PLAIN, "ok\n"
        return "404 Not Found", PLAIN, "known: /metrics /rate /healthz\n"

    async def _one(self, due: float) -> None:
        loop, timeout = asyncio.get_running_loop(), self._load.timeout
        picked = self.endpoints.pick(self._random)
        if picked is None:
            self.book.observe(NOBODY, "error", timeout)
            return
        address, identity = picked
        self.book.meet(identity)
        sent = loop.time()
        try:
            async with asyncio.timeout_at(due + timeout):
                answer = await get(address, self._port, self._raw)
        except TimeoutError:
            self.book.observe(identity, "timeout", timeout)
        except (OSError, EOFError, ValueError):
            self.book.observe(identity, "error", timeout)
        else:
            self.book.observe(identity, answer.code, loop.time() - due)
            self.endpoints.learn(address, answer.headers, sent)

    async def _probe(self, address: str) -> Answer:
        return await get(address, self._port, self._who)


def run(load: ServiceLoad, listen: str, tell: Callable[[str], None], resolve: Resolve = addresses) -> tuple[Row, ...]:
    """Send the load until its seconds are over or SIGTERM comes; what came of it, by pod, configuration and code. The
    seconds begin when the first pod is Ready; that is waited for as long as the load would last. Raises Misconfigured
    (an address that must not be loaded, too few open files, `listen` in use)."""
    _allow_files(load.files)
    return asyncio.run(_run(Generator(load, resolve), load, listen, tell))


async def _run(generator: Generator, load: ServiceLoad, listen: str, tell: Callable[[str], None]) -> tuple[Row, ...]:
    host, _, port = listen.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise Misconfigured(f"--listen {listen!r} is not HOST:PORT")
    try:
        server = await listen_on(host or "127.0.0.1", int(port), generator.answer)
    except OSError as error:
        raise Misconfigured(f"--listen {listen}: {error}; take another address") from error
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    jobs = {loop.create_task(stop.wait()), loop.create_task(generator.endpoints.run(load.every))}
    async with server:
        tell(f"metrics on http://{host or '127.0.0.1'}:{port}/metrics; waiting for pods of {load.parts.hostname}")
        known = loop.create_task(generator.endpoints.known.wait())
        await _first(jobs | {known}, load.seconds)
        if known.done() and not stop.is_set():
            tell(f"{len(generator.endpoints.ready)} pods are Ready: sending for {load.seconds:g} s")
            sender = loop.create_task(generator.send())
            await _first(jobs | {sender}, load.seconds)
            sender.cancel()
            await generator.drain()
        for job in (*jobs, known):
            job.cancel()
        await asyncio.gather(*jobs, known, return_exceptions=True)
        await generator.endpoints.close()
    if generator.lag() > MOST_LAG:
        tell(
            f"requests were sent {1000 * generator.lag():.1f} ms late (p95; at most {1000 * MOST_LAG:.0f}): latencies"
            " are the generator's own; lower the rate or give it more CPU"
        )
    return generator.book.rows()


async def _first(jobs: set[asyncio.Task[Any]], seconds: float) -> None:
    """Wait for the first job to end. A job that died must not look like one that is over: its error is raised."""
    over, _ = await asyncio.wait(jobs, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for job in over:
        job.result()


def _allow_files(needed: int) -> None:
    """So many files may be open. Raises Misconfigured if the limit of this process forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise Misconfigured(
                f"rate times timeout may need {needed} open files and {hard} are allowed; lower one of them, or raise"
                " the limit (ulimit -n)"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
