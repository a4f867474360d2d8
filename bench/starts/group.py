"""The control group that one candidate is started in, new for each: its limits, what it holds, whom the kernel killed.

Control groups of version 1; needs root. Everything in the group is killed when it is left.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from adapters.actuators.layers import cgroup
from adapters.actuators.layers.cgroup_limits import GroupLimits
from bench.starts.draw import Candidate
from domain.errors import Misconfigured, Rejected, Transient

CONTROLLERS = ("cpu", "cpuacct", "memory")
PREFIX = "trimtab-starts"
PATIENCE = 180.0  # seconds until a candidate that does not serve counts as refused
LOOK = 0.02  # seconds between two looks
FORKED = 5.0  # seconds from the first answer until every worker is there
LEAVE = 10.0  # seconds that a group may take to become empty
_ENTER = 'for group in $GROUPS_OF_START; do echo $$ > "$group/cgroup.procs" || exit 125; done; exec "$@"'
_PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"}


class Refused(Transient):
    """A candidate that does not start, or does not serve. `fatal` in its own words."""


class Group:
    """One control group and what runs in it. Use as a context."""

    def __init__(self, name: str, candidate: Candidate, folder: Path) -> None:
        self.folder = folder
        self._paths = [cgroup.ROOT / each / name for each in CONTROLLERS]
        self._memory = cgroup.ROOT / "memory" / name
        self._name, self._candidate = name, candidate
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Group:
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        try:
            for path in self._paths:
                path.mkdir()
        except OSError as error:
            raise Misconfigured(
                f"{error}; candidates start in control groups of version 1: run as root where they are mounted"
            ) from error
        self.limits = GroupLimits(cgroup.Group({"cgroup": self._name}))
        given = {name: value for name, value in self._candidate.settings.items() if name.startswith("docker.")}
        self.wanted = {"docker.memory": self._candidate.memory, "docker.cpus": self._candidate.cpus, **given}
        try:
            self.limits.settle(self.wanted)
        except Rejected as error:
            self.__exit__()
            raise Refused(str(error)) from error
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._paths:
            empty(path)
        for process in self._started:
            process.wait()

    def problems(self) -> list[str]:
        """Limits that are not what was asked for."""
        seen = {name: self.limits.present(name) for name in self.wanted}
        return [
            f"{name}: {self.wanted[name]} was written, and {value} is in force"
            for name, value in seen.items()
            if not self.limits.fits(name, self.wanted[name], value)
        ]

    # --- what runs in it ---------------------------------------------------------------------------------------------

    def start(self, command: Sequence[str], variables: Mapping[str, str] | None = None, user: str = "") -> int:
        """Start a program in the group; its pid. What it says is in `said`."""
        entry = pwd.getpwnam(user) if user else None
        who = ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"] if entry else []
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _ENTER, "sh", *who, *command],
                cwd=self.folder,
                env={**_PLAIN, **(variables or {}), "GROUPS_OF_START": " ".join(map(str, self._paths))},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process.pid

    def until(self, ready: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Wait until the program started last serves. Raises Refused if it ends, or never does."""
        process, deadline = self._started[-1], time.monotonic() + patience
        while not ready():
            if process.poll() is not None:
                raise Refused(f"ended with {process.returncode}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise Refused(f"does not serve within {patience:g} s: {self.last_words()}")
            time.sleep(LOOK)

    @property
    def log(self) -> Path:
        return self.folder / "said"

    def last_words(self) -> str:
        """The last lines of what was said."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return " | ".join(line.strip() for line in lines[-6:])[-700:]

    def runs(self) -> bool:
        """Whether the program started last still runs."""
        return self._started[-1].poll() is None

    # --- memory ------------------------------------------------------------------------------------------------------

    def killed(self) -> int:
        """How many processes the kernel killed for want of memory."""
        return _number(self._memory / "memory.oom_control", "oom_kill")

    def held(self) -> int:
        """Bytes that cannot be dropped: anonymous memory and shared memory, file pages not counted."""
        stat = self._memory / "memory.stat"
        return _number(stat, "total_rss") + _number(stat, "total_shmem")


def children(pid: int, wanted: int) -> int:
    """How many children a process has, once it has as many as wanted or had the time to: the first one answers before
    the last one is there."""
    deadline = time.monotonic() + FORKED
    while True:
        found = len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        if found == wanted or time.monotonic() > deadline:
            return found
        time.sleep(LOOK)


def empty(path: Path) -> None:
    """Kill what is in a group of ours, and remove it. Raises Transient if it stays."""
    deadline = time.monotonic() + LEAVE
    while path.exists():
        with contextlib.suppress(OSError):
            for pid in (path / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        with contextlib.suppress(OSError):
            path.rmdir()
            return
        if time.monotonic() > deadline:
            raise Transient(f"{path} cannot be removed")
        time.sleep(LOOK)


def sweep(prefix: str) -> None:
    """Remove what a run that was stopped has left of its groups."""
    for controller in CONTROLLERS:
        for path in (cgroup.ROOT / controller).glob(f"{prefix}-*"):
            empty(path)


def _number(path: Path, word: str) -> int:
    for line in path.read_text().splitlines():
        key, _, number = line.partition(" ")
        if key == word:
            return int(number)
    raise Misconfigured(f"{path} has no {word}; this kernel does not say what is needed here")
