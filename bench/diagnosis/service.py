"""A small HTTP service whose troubles can be chosen: computing, memory, file reads, a dependency, a delay.

    python -m bench.diagnosis.service --port N [--workers 2] [--cpu-ms 4] [--delay-ms 0] [--dependency URL]
        [--hold-mb 0] [--burst-mb 0 --burst-every 20] [--file PATH --reads 8] [--pid-file PATH]

A master holds the socket and starts a worker anew when one dies. `GET /set?delay_ms=200` changes the delay of a service
with one worker while it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import random
import signal
import socket
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

CHUNK = 1 << 16
PAGE = 4096


class Worker:
    """One process that answers requests."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._delay = options.delay_ms / 1000
        self._held = bytearray(os.urandom(PAGE)) * (options.hold_mb * 256)
        self._count = 0
        self._file = os.open(options.file, os.O_RDONLY) if options.file else -1
        self._chunks = os.path.getsize(options.file) // CHUNK if options.file else 0

    async def serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._connected, sock=listener)
        async with server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ", 2)[1].decode("latin-1")
                body = await self._answer(target)
                keep = b"connection: close" not in head.lower() and not head.split(b"\r\n", 1)[0].endswith(b"1.0")
                ending = b"keep-alive" if keep else b"close"
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n%s" % (len(body), ending, body)
                )
                await writer.drain()
                if not keep:
                    break
        writer.close()

    async def _answer(self, target: str) -> bytes:
        parts = urlsplit(target)
        if parts.path == "/set":
            self._delay = float(parse_qs(parts.query)["delay_ms"][0]) / 1000
            return b"set\n"
        options, self._count = self._options, self._count + 1
        if self._delay:
            await asyncio.sleep(self._delay)
        if options.dependency:
            await _fetch(options.dependency)
        for _ in range(options.reads if self._chunks else 0):
            os.pread(self._file, CHUNK, CHUNK * random.randrange(self._chunks))
        if options.burst_mb and self._count % options.burst_every == 0:
            burst = bytearray(b"\1" * PAGE) * (options.burst_mb * 256)
            await asyncio.sleep(0.05)  # others are served while it is held
            del burst
        _compute(options.cpu_ms / 1000)
        return b"done\n"


def _compute(seconds: float) -> None:
    """Use this much CPU time; a process that is stopped or waits for a CPU takes longer."""
    until, digest = time.process_time() + seconds, b""
    while time.process_time() < until:
        for _ in range(20):
            digest = hashlib.sha256(digest).digest()


async def _fetch(url: str) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {parts.path or '/'} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    await reader.read()
    writer.close()


def _work(options: argparse.Namespace, listener: socket.socket) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(Worker(options).serve(listener))


def main() -> int:
    parser = argparse.ArgumentParser()
    for name, default in (("port", 0), ("workers", 2), ("hold-mb", 0), ("burst-mb", 0), ("burst-every", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--reads", type=int, default=8)
    parser.add_argument("--cpu-ms", type=float, default=4.0)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--dependency", default="")
    parser.add_argument("--file", default="")
    parser.add_argument("--pid-file", default="")
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", options.port), backlog=256)
    if options.pid_file:
        Path(options.pid_file).write_text(f"{os.getpid()}\n")
    workers: set[int] = set()

    def end(*_: object) -> None:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        while len(workers) < options.workers:
            pid = os.fork()
            if pid == 0:
                _work(options, listener)
                return 0
            workers.add(pid)
        pid, _ = os.wait()
        workers.discard(pid)
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
