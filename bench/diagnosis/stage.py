"""What a situation stands on: a folder, a control group in every hierarchy, and processes that are ended by their pid.

Everything listens on 127.0.0.1 only. Needs root, control groups of version 1, PostgreSQL, nginx and a JDK.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from adapters.facts.cgroup import mounts
from adapters.facts.node import node_cpu
from console.demo.processes import Processes, listens
from domain.errors import Misconfigured, Transient

ROOT = Path(__file__).parents[2]
CONTROLLERS = ("cpu", "cpuacct", "memory", "blkio", "pids")
JOIN = 'for group in $TRIMTAB_GROUPS; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'
JOINED = ("/bin/sh", "-c", JOIN, "sh")
PATIENCE = 10.0


class Stage:
    """One run of one situation. Use as a context: what was started is ended at the end, whatever happens."""

    def __init__(self, folder: Path, group: str) -> None:
        self.folder, self.group = folder, group
        controllers, unified = mounts(Path("/proc/mounts").read_text())
        if not {"cpu", "cpuacct", "memory"} <= set(controllers):
            raise Misconfigured("no control groups of version 1 are mounted; the situations set their limits there")
        self.groups = {name: controllers[name] / group for name in CONTROLLERS if name in controllers}
        if unified is not None:
            self.groups["unified"] = unified / group
        self._around = controllers["cpuacct"] / f"{group}-around"  # limits nothing: it only counts
        self._inside = Processes(folder, {"TRIMTAB_GROUPS": " ".join(map(str, self.groups.values()))})
        self._outside = Processes(folder, {"TRIMTAB_GROUPS": str(self._around)})

    def __enter__(self) -> Stage:
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        for folder in (*self.groups.values(), self._around):
            folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            self._outside.stop_all()
        with contextlib.suppress(Exception):
            self._inside.stop_all()
        for folder in (*self.groups.values(), self._around):
            _empty(folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- limits ------------------------------------------------------------------------------------------------------

    def limit(self, controller: str, file: str, value: str) -> None:
        """Write one file of the group."""
        (self.groups[controller] / file).write_text(value)

    # --- processes ---------------------------------------------------------------------------------------------------

    def inside(self, name: str, command: Sequence[str], ready: Callable[[], bool], user: str = "") -> int:
        """Start a program in the group, as `user` if one is named; its pid."""
        return self._inside.start(name, [*JOINED, *_as(user), *command], ready, PATIENCE).handle.pid

    def outside(self, name: str, command: Sequence[str], ready: Callable[[], bool] = lambda: True) -> int:
        """Start a program outside of the group; its pid."""
        return self._outside.start(name, [*JOINED, *command], ready, PATIENCE).handle.pid

    def python(self, module: str, *options: object) -> list[str]:
        return ["/usr/bin/env", f"PYTHONPATH={ROOT}", sys.executable, "-m", module, *map(str, options)]

    def load(self, name: str, url: str, rate: float, paths: str = "/", seconds: float = 25.0) -> int:
        """Requests at Poisson times, outside of the group."""
        from console.demo.processes import free_port

        listen = free_port()
        command = self.python(
            "adapters.load.open_loop",
            *("--arm", f"x={url}", "--paths", paths if "," in paths else f"{paths},{paths}"),
            *("--rate", rate, "--seconds", seconds, "--listen", f"127.0.0.1:{listen}", "--seed", 1),
        )
        return self.outside(name, command, listens(listen))

    # --- who else is there -------------------------------------------------------------------------------------------

    def cpu(self) -> tuple[float, float]:
        """CPU seconds so far: of everything that this stage started and this program, and of the whole node without
        what runs at low priority: it gives way."""
        used = [float((folder / "cpuacct.usage").read_text()) for folder in (self.groups["cpuacct"], self._around)]
        return sum(used) / 1e9 + time.process_time(), _node()[0]


def run(command: Sequence[str], user: str = "", cwd: str = "/", seconds: float = 120.0) -> str:
    """A program to its end. Raises Transient with what it said last."""
    done = subprocess.run([*_as(user), *command], capture_output=True, text=True, check=False, cwd=cwd, timeout=seconds)
    if done.returncode != 0:
        raise Transient(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def until(ready: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait. Raises Transient naming what did not happen."""
    deadline = time.monotonic() + patience
    while not ready():
        if time.monotonic() > deadline:
            raise Transient(f"{what} within {patience:g} s")
        time.sleep(0.05)


def forget(path: Path) -> None:
    """Drop one file from the page cache: whoever reads it next is charged for it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def quiet(most: float = 0.35, patience: float = 120.0) -> bool:
    """Wait until the machine's CPUs are free: a neighbour that nobody staged would be a second bottleneck. False if
    they are not free in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        busy, total = _node()
        time.sleep(1.0)
        busy_after, total_after = _node()
        if busy_after - busy < most * (total_after - total):
            return True
    return False


def _node() -> tuple[float, float]:
    """CPU seconds of the node so far: used at normal priority, and all."""
    seconds = node_cpu(Path("/proc/stat").read_text())
    return seconds["cpu.busy_s"] - seconds["cpu.nice_s"], seconds["cpu.total_s"]


def _as(user: str) -> tuple[str, ...]:
    if not user:
        return ()
    entry = pwd.getpwnam(user)
    return ("setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups")


def _empty(folder: Path) -> None:
    """Kill what is still in a group of ours, and remove it."""
    deadline = time.monotonic() + 5.0
    while folder.exists() and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            for pid in (folder / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        with contextlib.suppress(OSError):
            folder.rmdir()
        time.sleep(0.05)
