"""Control groups of our own for tests: real ones of cgroup v1, or a directory that looks like one of v2."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class ControlGroup:
    """`path` is below each hierarchy; `controllers` are those that it exists in."""

    path: str
    controllers: tuple[str, ...]

    def file(self, name: str) -> Path:
        controller = name.partition(".")[0]
        return ROOT / controller / self.path / name

    def read(self, name: str) -> str:
        return self.file(name).read_text().strip()

    def write(self, name: str, text: str) -> None:
        self.file(name).write_text(text)


@contextlib.contextmanager
def control_group(*controllers: str) -> Iterator[ControlGroup]:
    """A new group of cgroup v1 in each of these hierarchies; skips the test where there are none or they are not ours
    (fails it under CI=true)."""
    missing = [each for each in controllers if not os.access(ROOT / each / "cgroup.procs", os.W_OK)]
    if missing:
        message = f"no writable cgroup v1 hierarchy {', '.join(missing)} below {ROOT}; run as root"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    group = ControlGroup(f"trimtab-test-{uuid.uuid4().hex[:12]}", controllers)
    folders = [ROOT / each / group.path for each in controllers]
    for folder in folders:
        folder.mkdir()
    try:
        if "cpuset" in controllers:
            for name in ("cpuset.cpus", "cpuset.mems"):
                group.write(name, (ROOT / "cpuset" / name).read_text())
        yield group
    finally:
        limit = time.monotonic() + 5.0
        for folder in folders:
            while folder.exists():
                with contextlib.suppress(OSError):  # the kernel has not let go of its last process yet
                    folder.rmdir()
                    break
                if time.monotonic() > limit:
                    raise RuntimeError(f"{folder} cannot be removed: {(folder / 'cgroup.procs').read_text()!r}")
                time.sleep(0.02)


def unified(root: Path, **files: str) -> Path:
    """A directory with the files of a group of cgroup v2 (dots written as double underscores), to be read and written
    like one. The kernel's own checks are not in it."""
    group = root / "shop"
    group.mkdir(parents=True)
    (root / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    known = {
        "cgroup__procs": "",
        "cpu__max": "max 100000",
        "cpu__max__burst": "0",
        "cpu__weight": "100",
        "cpuset__cpus": "",
        "memory__max": "max",
        "memory__swap__max": "max",
        "memory__low": "0",
        "memory__current": "1048576",
        "memory__stat": "anon 1048576\ninactive_file 0\n",
        "pids__max": "max",
        "io__weight": "default 100",
    }
    for name, text in {**known, **files}.items():
        (group / name.replace("__", ".")).write_text(text + "\n")
    return group
