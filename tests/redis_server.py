"""A real Redis server for tests: a free loopback port, an append-only file in a directory of its own, and a SIGKILL."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.real import need


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """One redis-server process that can die and come back with its data. `options` are arguments of redis-server."""

    def __init__(self, directory: Path, *options: str, fsync: str = "everysec") -> None:
        self.program = need("redis-server")
        self.directory, self.fsync, self.options = directory, fsync, options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> None:
        """Return once the server answers; RuntimeError with its log otherwise."""
        log = self.directory / "redis.log"
        command = [
            self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory),
            "--appendonly", "yes", "--appendfsync", self.fsync, "--save", "", "--maxmemory-policy", "noeviction",
            "--logfile", str(log), *self.options,
        ]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with redis.Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
                    client.ping()
                return
            except redis.AuthenticationError:
                return
            except redis.RedisError:
                time.sleep(0.02)
        text = log.read_text() if log.exists() else "no log"
        self.kill()
        raise RuntimeError(f"redis-server did not start: {text[-500:]}")

    def kill(self) -> None:
        """SIGKILL, as a power cut would; nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """SIGKILL and start again on the same port and data."""
        self.kill()
        self.start()

    def client(self) -> Any:
        """A plain client, to look at keys or to damage them."""
        return redis.Redis.from_url(self.url, decode_responses=True)


@contextmanager
def redis_server(directory: Path, *options: str, fsync: str = "everysec") -> Iterator[RedisServer]:
    """A running server for the length of a block; skips (or fails under CI=true) where redis-server is missing."""
    server = RedisServer(directory, *options, fsync=fsync)
    server.start()
    try:
        yield server
    finally:
        server.kill()
