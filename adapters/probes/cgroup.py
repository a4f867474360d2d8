"""Where a probe runs: anywhere, or inside control groups that the person names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.load.program import need
from domain.errors import Misconfigured

_ENTER = Path(__file__).with_name("enter.py")


def checked(groups: Sequence[Path]) -> tuple[Path, ...]:
    """Directories of control groups (cgroup v2: one; v1: one for each controller). Raises Misconfigured for one that
    is none, or whose path would be misread."""
    for group in groups:
        if not (group / "cgroup.procs").is_file():
            raise Misconfigured(
                f"{group} is no control group: it has no file cgroup.procs; name one below /sys/fs/cgroup"
            )
        if ":" in str(group):
            raise Misconfigured(f"{group}: a colon in the path of a control group is not supported; rename the group")
    return tuple(groups)


def inside(groups: Sequence[Path], argv: Sequence[str]) -> list[str]:
    """`argv`, started inside the groups if there are any."""
    if not groups:
        return list(argv)
    return [sys.executable, "-I", str(_ENTER), ":".join(map(str, groups)), need(argv[0]), *argv[1:]]


def where(groups: Sequence[Path]) -> str:
    return f" in {', '.join(map(str, groups))}" if groups else ""
