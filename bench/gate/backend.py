"""The service behind the nginx of a live lane: it sleeps, and a known part less for the candidate's HTTP version.

    python -m bench.gate.backend --listen 127.0.0.1:8090 --seed 1

The delay of a request is drawn from one distribution for all; a request that nginx sent with the candidate's
`proxy_http_version` then waits (1 - effect) times as long. So the size of the effect is known exactly, and yet it is a
real parameter of the running workers that carries it.

GET /-/effect/0.05 sets the effect and starts the counts anew; GET /-/seen tells requests and seconds of planned delay
by HTTP version. Any other path is work.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
from dataclasses import dataclass, field

BASE = 0.030  # seconds: mean of the delay
JITTER = 0.3  # the delay is uniform in BASE * (1 - JITTER) to BASE * (1 + JITTER)
CONTROL, CANDIDATE = "1.0", "1.1"
MOST_HEAD = 8192
BODY = b"x" * 1024


@dataclass
class Delays:
    """Draws delays and counts what was drawn, by HTTP version."""

    random: random.Random
    base: float = BASE
    effect: float = 0.0
    seen: dict[str, list[float]] = field(default_factory=dict)

    def set(self, effect: float) -> None:
        """Negative: the candidate is slower. ValueError where no delay would be left, or more than twice of it."""
        if not -1.0 <= effect <= 0.9:
            raise ValueError(f"effect {effect:g} is not within -1 and 0.9")
        self.effect, self.seen = effect, {}

    def next(self, version: str) -> float:
        """Seconds that the next request waits."""
        delay = self.base * self.random.uniform(1 - JITTER, 1 + JITTER) * factor(version, self.effect)
        counted = self.seen.setdefault(version, [0, 0.0])
        counted[0] += 1
        counted[1] += delay
        return delay


def factor(version: str, effect: float) -> float:
    """How long a request of this HTTP version waits, relative to the control's."""
    return 1.0 - effect if version == CANDIDATE else 1.0


class _Client(asyncio.Protocol):
    """One connection, one request at a time, closed when the other side asked for it."""

    def __init__(self, delays: Delays) -> None:
        self._delays = delays
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport if isinstance(transport, asyncio.Transport) else None

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" not in self._head:
            if len(self._head) > MOST_HEAD and self._transport is not None:
                self._transport.abort()
            return
        head, _, self._head = self._head.partition(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        path, version = (words[1], words[2].removeprefix("HTTP/")) if len(words) == 3 else ("", "")
        lowered = head.lower()
        close = b"connection: close" in lowered or (version != "1.1" and b"connection: keep-alive" not in lowered)
        if path.startswith("/-/"):
            self._answer(*self._control(path), close)
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._delays.next(version), self._answer, "200 OK", BODY, close)

    def _control(self, path: str) -> tuple[str, bytes]:
        if path == "/-/seen":
            return "200 OK", json.dumps(self._delays.seen).encode()
        try:
            self._delays.set(float(path.removeprefix("/-/effect/")))
        except ValueError as error:
            return "400 Bad Request", str(error).encode()
        return "200 OK", b"{}"

    def _answer(self, status: str, body: bytes, close: bool) -> None:
        if self._transport is None:
            return
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        head += "Connection: close\r\n\r\n" if close else "\r\n"
        self._transport.write(head.encode() + body)
        if close:
            self._transport.close()


async def serve(host: str, port: int, delays: Delays) -> asyncio.Server:
    """Answers on host:port until closed."""
    return await asyncio.get_running_loop().create_server(lambda: _Client(delays), host, port, backlog=1024)


async def _run(host: str, port: int, seed: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with await serve(host, port, Delays(random.Random(seed))):
        await stop.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gate.backend", description=__doc__)
    parser.add_argument("--listen", required=True, metavar="127.0.0.1:PORT")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    if host != "127.0.0.1":
        parser.error("--listen: 127.0.0.1 only")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(host, int(port), options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
