"""One control group of this machine, under cgroup v1 (a directory under each controller) or v2 (one directory)."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from adapters.actuators.layers.container import UNLIMITED
from domain.errors import Misconfigured, Rejected, Transient

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "pids", "blkio")


class Group:
    """`place`: `cgroup`, the group's path below each hierarchy (`shop/front`), or the absolute path of its directory in
    the unified hierarchy; optional `cgroup_root`, where the hierarchies are mounted (/sys/fs/cgroup)."""

    def __init__(self, place: Mapping[str, str]) -> None:
        path = place.get("cgroup", "")
        if not path.strip("/") or ".." in Path(path).parts:
            raise Misconfigured(f"'cgroup' is {path!r}; write the path of a control group, such as shop/front")
        root = Path(place.get("cgroup_root") or ROOT)
        below = root / path.lstrip("/")
        absolute = Path(path) if path.startswith("/") and Path(path, "cgroup.procs").exists() else None
        self.unified = absolute is not None or (root / "cgroup.controllers").exists()
        self._root, self._path = root, path.lstrip("/")
        self._one = absolute or below

    def directories(self) -> tuple[Path, ...]:
        """Where a process has to be entered to belong to the group. Raises Misconfigured if there is none."""
        found = [self._one] if self.unified else [self._root / each / self._path for each in CONTROLLERS]
        there = tuple(each for each in found if (each / "cgroup.procs").exists())
        if not there:
            raise Misconfigured(f"control group {self._path!r} is in no hierarchy below {self._root}; make it first")
        return there

    def file(self, controller: str, name: str) -> Path:
        """Raises Misconfigured if the group lacks it: a controller that is not enabled, or a kernel without it."""
        path = (self._one if self.unified else self._root / controller / self._path) / name
        if not path.exists():
            why = f"is controller {controller} enabled for the group, and does the kernel have {name}?"
            raise Misconfigured(f"{path} does not exist; {why}")
        return path

    def has(self, controller: str, name: str) -> bool:
        return ((self._one if self.unified else self._root / controller / self._path) / name).exists()

    def read(self, controller: str, name: str) -> str:
        path = self.file(controller, name)
        try:
            return path.read_text().strip()
        except OSError as error:
            raise Transient(f"{path} cannot be read: {error}") from error

    def write(self, controller: str, name: str, text: str) -> None:
        """Raises Rejected if the kernel refuses the value, Misconfigured if we may not write."""
        path = self.file(controller, name)
        try:
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        except PermissionError as error:
            raise Misconfigured(f"{path} cannot be written: {error}; run as root, or delegate the group") from error
        except OSError as error:
            if error.errno == errno.EROFS:
                raise Misconfigured(f"{path} cannot be written: {error}; the hierarchy is mounted read-only") from error
            raise Rejected(f"{path} refuses {text!r}: {error.strerror}") from error

    def stat(self, controller: str, name: str, key: str) -> int:
        """One number of a file of `key number` lines; 0 if it has no such line."""
        for line in self.read(controller, name).splitlines():
            word, _, number = line.partition(" ")
            if word == key:
                return int(number)
        return 0


def begins_in(place: Mapping[str, str]) -> tuple[Path, ...]:
    """The directories in which an arm's program has to begin; none where its place names no control group."""
    return Group(place).directories() if place.get("cgroup") else ()


def amount(text: str) -> int:
    """A limit as bytes or a count; what v1 writes as almost 2^63 and v2 as `max` is UNLIMITED."""
    number = UNLIMITED if text == "max" else int(text)
    return UNLIMITED if number < 0 or number >= UNLIMITED - 2**20 else number
