"""The demo's processes: each in a group of its own, with a log file, and none left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.errors import Transient

_PR_SET_PDEATHSIG = 1
STOP_SECONDS = 8.0


def free_port() -> int:
    """A loopback port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """In the child: even if the demo is killed, the kernel ends what it started (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Process:
    """One program. `ready` says whether it answers."""

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    handle: subprocess.Popen[bytes]


class Processes:
    """Starts and ends programs by their pid; the last one started is ended first."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._environment = {**os.environ, **environment}
        self._running: dict[str, Process] = {}

    def start(self, name: str, command: Sequence[str], ready: Callable[[], bool], patience: float = 30.0) -> Process:
        """Start and wait until ready. Raises Transient with the log's last lines."""
        with (self._directory / f"{name}.log").open("ab") as log:
            handle = subprocess.Popen(
                list(command),
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demo, which ends them in order
                preexec_fn=_die_with_parent,
            )
        process = Process(name, command, ready, handle)
        self._running[name] = process
        deadline = time.monotonic() + patience
        while not ready():
            if handle.poll() is not None or time.monotonic() > deadline:
                raise Transient(f"{name} did not start; its last words:\n{self.last_words(name)}")
            time.sleep(0.05)
        return process

    def kill(self, name: str) -> None:
        """SIGKILL to the process and all its children, as an outage would."""
        process = self._running[name]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.handle.pid, signal.SIGKILL)
        process.handle.wait(STOP_SECONDS)

    def again(self, name: str) -> None:
        """Start a program that was killed, as it was started before."""
        process = self._running.pop(name)
        self.start(name, process.command, process.ready)

    def pid(self, name: str) -> int:
        return self._running[name].handle.pid

    def send(self, name: str, number: signal.Signals) -> None:
        self._running[name].handle.send_signal(number)

    def stop_all(self) -> None:
        """In the opposite order of starting."""
        self.stop(*reversed(self._running))

    def stop(self, *names: str) -> None:
        """SIGTERM, a while, SIGKILL."""
        for name in names:
            process = self._running.pop(name, None)
            if process is None:
                continue
            if process.handle.poll() is None:
                process.handle.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.handle.wait(STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.handle.pid, signal.SIGKILL)
            process.handle.wait()

    def last_words(self, name: str) -> str:
        try:
            return "\n".join((self._directory / f"{name}.log").read_text(errors="replace").splitlines()[-8:])
        except OSError:
            return "(no log)"


def listens(port: int) -> Callable[[], bool]:
    """Whether somebody accepts connections on a loopback port."""

    def ready() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
        return False

    return ready
