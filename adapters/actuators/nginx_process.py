"""The running nginx: its master, its workers, their ages. All from /proc; Linux only."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.actuators.processes import TICKS, birth
from domain.errors import Misconfigured, Rejected, Transient

TEST_SECONDS = 10.0
RELOAD_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process. `born` in clock ticks since boot; `leaving` while it drains its last connections."""

    pid: int
    born: int
    leaving: bool


class Nginx:
    """One master, found by its pid file. `main` is the configuration that `-t` tests; without it the master's own
    command line says which."""

    def __init__(self, place: Mapping[str, str]) -> None:
        for key in ("config", "pid"):
            if not place.get(key):
                raise Misconfigured(f"an arm of nginx needs {key!r}: the path of the {_MEANING[key]}")
        self._pid_file = Path(place["pid"])
        self._binary = place.get("binary", "nginx")
        self._main = place.get("main", "")
        self._prefix = place.get("prefix", "")

    def master(self) -> int:
        """Raises Transient while nginx is not running."""
        try:
            pid = int(self._pid_file.read_text())
        except FileNotFoundError as error:
            raise Transient(f"nginx is not running: {self._pid_file} does not exist") from error
        except ValueError as error:
            raise Transient(f"{self._pid_file} holds no pid yet") from error
        if b"nginx: master" not in _command(pid):
            raise Transient(f"process {pid} of {self._pid_file} is no nginx master")
        return pid

    def workers(self) -> tuple[Worker, ...]:
        """The master's workers, oldest first."""
        master = self.master()
        try:
            children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        except OSError as error:
            raise Transient(f"the workers of nginx master {master} cannot be seen: {error}") from error
        seen = []
        for child in map(int, children):
            command, born = _command(child), birth(child)
            if b"nginx: worker process" in command and born is not None:
                seen.append(Worker(child, born, b"shutting down" in command))
        return tuple(sorted(seen, key=lambda worker: (worker.born, worker.pid)))

    def test(self) -> None:
        """`nginx -t`. Raises Rejected with what nginx says."""
        arguments = [self._binary, "-t", "-q"]
        if self._main:
            arguments += ["-c", self._main]
        if self._prefix:
            arguments += ["-p", self._prefix]
        try:
            done = subprocess.run(arguments, capture_output=True, text=True, timeout=TEST_SECONDS, check=False)
        except FileNotFoundError as error:
            raise Misconfigured(f"{self._binary!r} cannot be run; name nginx's path as `binary` of the arm") from error
        except subprocess.TimeoutExpired as error:
            raise Transient(f"nginx -t took longer than {TEST_SECONDS:.0f} s (does it resolve names?)") from error
        if done.returncode != 0:
            raise Rejected(f"nginx -t: {done.stderr.strip()[:300]}")

    def reload(self) -> None:
        """HUP, then wait until new workers serve and every older one is leaving. Raises Rejected if nginx keeps its
        old workers, which is how it answers to a configuration that it cannot activate."""
        before = {worker.pid for worker in self.workers()}
        os.kill(self.master(), signal.SIGHUP)
        patience = time.monotonic() + RELOAD_SECONDS
        while time.monotonic() < patience:
            serving = [worker for worker in self.workers() if not worker.leaving]
            if serving and not before & {worker.pid for worker in serving}:
                return
            time.sleep(0.02)
        raise Rejected(f"nginx kept its old workers for {RELOAD_SECONDS:.0f} s after the reload; see its error log")

    def draining(self) -> int:
        """How many generations of workers still drain."""
        return len({worker.born // TICKS for worker in self.workers() if worker.leaving})


_MEANING = {"config": "include file that Trimtab may own", "pid": "pid file of its master"}


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
