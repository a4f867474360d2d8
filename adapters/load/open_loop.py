"""An open-loop load generator: requests are sent when they are due, whatever the server does.

    python -m adapters.load.open_loop --arm a=http://127.0.0.1:8081 --arm b=http://127.0.0.1:8082 \\
        --paths paths.txt --rate 100 --listen 127.0.0.1:9100
    python -m adapters.load.open_loop --arm a=postgresql://app@127.0.0.1:5432/shop --paths statements.txt --rate 50

Arrivals are Poisson (`--arrivals fixed`: evenly spaced) at `rate` requests a second and arm. Latency counts from the
*intended* send time, so that a slow server cannot hide its queue; errors and timeouts stay in the population, timeouts
with their full time. Its own lag (sent later than intended) is exported, and a warning written: above 5 ms at the p95
the figures are the generator's, not the server's.

HTTP on `--listen`: GET /metrics; GET and PUT /rate {"rate": 120}; GET /latencies?arm=a&start=..&end=.. (raw, by
intended send time, the last ten minutes).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import math
import random
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from adapters.load.control import serve
from adapters.load.histogram import Histogram
from adapters.load.http_client import Connection, HttpClient

if TYPE_CHECKING:
    from adapters.load.sql_client import Session, SqlClient

KEEP_SECONDS = 600.0
SWEEP_SECONDS = 0.25
MOST_LAG = 0.005  # seconds at the p95 of the last requests
WARN_SECONDS = 10.0
_PATHS = "file with lines of `weight /path`, or /path,/path,...; for SQL, lines of `weight statement`"
_LABEL = re.compile(r"[\w.:/-]+", re.ASCII)


@dataclass(slots=True)
class _Request:
    intended: float  # on the loop's clock
    raw: bytes
    connection: Connection | Session | None = None
    again: bool = True  # may be sent once more if a kept-alive connection turns out to be closed
    over: bool = False


class Arm:
    """The load on one arm: its schedule, its connections, what was seen."""

    def __init__(
        self,
        label: str,
        url: str,
        paths: Sequence[tuple[float, str]],
        seed: int,
        timeout: float,
        poisson: bool = True,
    ) -> None:
        self.label = label
        self._client = _client(url)
        self._timeout, self._poisson = timeout, poisson
        self._random = random.Random(f"{seed}/{label}")
        self._weights = [weight for weight, _ in paths]
        self._requests = [self._client.encode(text) for _, text in paths]
        self._idle: list[Any] = []  # connections of the client
        self._open = 0
        self._waiting: deque[_Request] = deque()
        self._flying: dict[int, _Request] = {}
        self.names = self._client.names
        self.latency = Histogram()
        # Series that exist before their first event: `rate()` never sees the first sample of a series, and would miss a
        # burst of errors that is over by the second one.
        self.codes: dict[str, int] = dict.fromkeys((*self._client.codes, "error", "timeout"), 0)
        self.bytes = 0
        self.raw: deque[tuple[float, float, str]] = deque()  # (Unix seconds, seconds, code)
        self.lags: deque[float] = deque(maxlen=2000)

    async def run(self, rate: Rate) -> None:
        """Send for ever; a request is due whether or not the one before came back."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += (self._random.expovariate(1.0) if self._poisson else 1.0) / rate.value
            delay = due - loop.time()
            if delay > 0:
                await asyncio.sleep(delay)
            elif delay < -self._timeout:
                due = loop.time()  # asleep for so long (a paused machine) that the backlog means nothing
            raw = self._random.choices(self._requests, self._weights)[0]
            self.lags.append(max(0.0, loop.time() - due))
            self._start(_Request(due, raw))

    def lag(self) -> float:
        """p95 in seconds of how much later than intended the last requests were sent; 0 before the first."""
        lags = sorted(self.lags)
        return lags[int(0.95 * (len(lags) - 1))] if lags else 0.0

    async def sweep(self) -> None:
        """Timeouts, and forgetting what is too old to be asked for."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            limit = loop.time() - self._timeout
            for key, request in list(self._flying.items()):
                if request.intended > limit:
                    break
                self._flying.pop(key, None)
                if request.connection is not None:
                    request.connection.forget()
                    request.connection.abort()
                self._record(request, "timeout", 0, self._timeout)
            oldest = time.time() - KEEP_SECONDS
            while self.raw and self.raw[0][0] < oldest:
                self.raw.popleft()

    def _start(self, request: _Request) -> None:
        self._flying[id(request)] = request
        if self._idle:
            self._send(self._idle.pop(), request)
        elif self._open < self._client.most:
            self._open += 1
            _spawn(self._connect(request))
        else:
            self._waiting.append(request)

    async def _connect(self, request: _Request) -> None:
        try:
            connection = await self._client.dial(self._on_idle, self._on_lost)
        except OSError:
            self._open -= 1
            self._finish(request, "error", 0)
            return
        if request.over:
            self._on_idle(connection)
        else:
            self._send(connection, request)

    def _send(self, connection: Any, request: _Request) -> None:
        request.connection = connection

        def done(code: str, size: int, unanswered: bool) -> None:
            if not code and unanswered and request.again:
                # The server closed a kept-alive connection while we sent. Clients open a new one then; another idle one
                # may be just as dead.
                request.again, request.connection = False, None
                self._open += 1
                _spawn(self._connect(request))
            else:
                self._finish(request, code or "error", size)

        connection.send(request.raw, done)

    def _on_idle(self, connection: Any) -> None:
        while self._waiting:
            request = self._waiting.popleft()
            if not request.over:
                self._send(connection, request)
                return
        self._idle.append(connection)

    def _on_lost(self, connection: Any) -> None:
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        while self._waiting and self._open < self._client.most:  # the place is free for one that waits
            request = self._waiting.popleft()
            if not request.over:
                self._open += 1
                _spawn(self._connect(request))

    def _finish(self, request: _Request, code: str, size: int) -> None:
        if self._flying.pop(id(request), None) is not None:
            self._record(request, code, size, asyncio.get_running_loop().time() - request.intended)

    def _record(self, request: _Request, code: str, size: int, seconds: float) -> None:
        request.over = True
        self.latency.observe(seconds)
        self.codes[code] = self.codes.get(code, 0) + 1
        self.bytes += size
        intended = time.time() - asyncio.get_running_loop().time() + request.intended
        self.raw.append((intended, seconds, code))


_tasks: set[asyncio.Task[None]] = set()  # the loop keeps weak references only


def _spawn(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.get_running_loop().create_task(coroutine)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


async def _warn(arms: Sequence[Arm]) -> None:
    while True:
        await asyncio.sleep(WARN_SECONDS)
        for arm in arms:
            lag = arm.lag()
            if lag > MOST_LAG:
                print(
                    f"load: arm {arm.label}: sent {1000 * lag:.1f} ms late (p95; at most {1000 * MOST_LAG:.0f}):"
                    " latencies are the generator's own; lower the rate or give it more CPU",
                    file=sys.stderr,
                )


@dataclass
class Rate:
    """Requests a second on each arm; may be changed while the load runs, up to `most`."""

    value: float
    most: float

    def set(self, value: float) -> None:
        if not 0 < value <= self.most:
            raise ValueError(f"rate {value:g} is not above 0 and at most {self.most:g}")
        self.value = value


def _client(url: str) -> HttpClient | SqlClient:
    if not is_sql(url):
        return HttpClient(url)
    from adapters.load.sql_client import SqlClient

    return SqlClient(url)


def is_sql(url: str) -> bool:
    return urlsplit(url).scheme == "postgresql"


def read_statements(text: str) -> list[tuple[float, str]]:
    """Lines of `weight statement`; a line that begins with `#` is a comment. ValueError names the line."""
    statements = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split(None, 1)
        if not words or line.startswith("#"):
            continue
        try:
            weight = float(words[0])
        except ValueError:
            weight = math.nan
        if len(words) != 2 or not 0 <= weight < math.inf:
            raise ValueError(f"line {number}: {line[:80]!r} is not `weight statement` with a weight of 0 or more")
        statements.append((weight, words[1]))
    if not statements or sum(weight for weight, _ in statements) <= 0:
        raise ValueError("no statement with a weight above 0")
    return statements


def read_paths(text: str) -> list[tuple[float, str]]:
    """Lines of `weight path`; `#` begins a comment. ValueError names the line."""
    paths = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        try:
            weight, path = float(words[0]), "".join(words[1:2])
        except ValueError:
            weight, path = math.nan, ""
        if len(words) != 2 or not path.startswith("/") or not path.isascii() or not 0 <= weight < math.inf:
            raise ValueError(f"line {number}: {line!r} is not `weight /path` with a weight of 0 or more")
        paths.append((weight, path))
    if not paths or sum(weight for weight, _ in paths) <= 0:
        raise ValueError("no path with a weight above 0")
    return paths


def only_local(url: str, allowed: Sequence[str]) -> None:
    """Load goes to this machine, unless its owner names another host. ValueError otherwise."""
    host = urlsplit(url).hostname or ""
    plain = urlsplit(url)
    if is_sql(url):
        if not host or plain.password:
            raise ValueError(f"{host!r}: write postgresql://USER@HOST:PORT/DATABASE, the password elsewhere")
    elif plain.scheme != "http" or not host or plain.path not in ("", "/") or "@" in plain.netloc:
        raise ValueError(f"{url!r} is not http://HOST:PORT")
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local and host not in allowed:
        raise ValueError(f"{url}: load goes to loopback addresses only; --allow-host {host} if that host is yours")


def _arms(options: argparse.Namespace) -> list[Arm]:
    """The arms of the command line. ValueError says which is refused, and why."""
    arms: dict[str, Arm] = {}
    sql = {is_sql(each.partition("=")[2]) for each in options.arm}
    if len(sql) > 1:
        raise ValueError("--arm: either all arms are http:// or all are postgresql://")
    paths = (read_statements if sql == {True} else read_paths)(_lines(options.paths))
    for each in options.arm:
        label, _, url = each.partition("=")
        if not _LABEL.fullmatch(label) or label in arms:
            raise ValueError(f"--arm {each}: LABEL=URL needs a label of its own, of letters, digits and _.:/-")
        only_local(url, options.allow_host)
        arms[label] = Arm(label, url, paths, options.seed, options.timeout, options.arrivals == "poisson")
    return list(arms.values())


def _lines(paths: str) -> str:
    if paths.startswith("/") and "," in paths:
        return "\n".join(f"1 {path}" for path in paths.split(","))
    return Path(paths).read_text()


async def generate(options: argparse.Namespace) -> None:
    """The load until `options.seconds` are over or SIGTERM comes. Raises ValueError for options that make no sense."""
    if not _LABEL.fullmatch(options.service):
        raise ValueError(f"--service {options.service}: letters, digits and _.:/- only")
    if not 0 < options.timeout < math.inf:
        raise ValueError(f"--timeout {options.timeout:g}: seconds above 0")
    rate = Rate(options.rate, options.max_rate)
    rate.set(options.rate)
    arms = _arms(options)
    host, _, port = options.listen.rpartition(":")
    server = await serve(host, int(port), options.service, arms, rate)
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with server:
        jobs = [job for arm in arms for job in (_spawn(arm.run(rate)), _spawn(arm.sweep()))]
        jobs += [_spawn(_warn(arms)), _spawn(_wait(stop))]
        over, _ = await asyncio.wait(jobs, timeout=options.seconds, return_when=asyncio.FIRST_COMPLETED)
    for job in over:
        job.result()  # a load that died must not look like one that is over


async def _wait(stop: asyncio.Event) -> None:
    await stop.wait()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m adapters.load.open_loop", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--arm", action="append", required=True, metavar="LABEL=URL")
    parser.add_argument("--paths", required=True, help=_PATHS)
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second on each arm")
    parser.add_argument("--max-rate", type=float, default=2000.0, help="above it PUT /rate is refused")
    parser.add_argument("--arrivals", choices=("poisson", "fixed"), default="poisson")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop by itself after this time")
    parser.add_argument("--timeout", type=float, default=5.0)
    parser.add_argument("--listen", default="127.0.0.1:9100", metavar="HOST:PORT")
    parser.add_argument("--service", default="load", help="value of the label `service`")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--allow-host", action="append", default=[], help="a host of yours that may be loaded too")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(generate(options))
    except (ValueError, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
