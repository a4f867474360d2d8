"""Control groups of the demo's own, for services that are tuned inside a limit."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from domain.errors import Misconfigured

ROOT = Path("/sys/fs/cgroup")


class Groups:
    """One group an arm, below one of the demo's own; version 1 hierarchies or the unified one, whatever is there."""

    def __init__(self) -> None:
        self._name = f"trimtab-demo-{secrets.token_hex(3)}"
        self._made: list[Path] = []

    def make(self, arm: str, limits: Mapping[str, str]) -> str:
        """A group with these limits (files of version 1, by name); returns the value of `cgroup` of an arm. Raises
        Misconfigured where none may be made."""
        try:
            if (ROOT / "cgroup.controllers").exists():
                return self._unified(arm, limits)
            for controller in ("cpu", "memory"):
                group = self._directory(ROOT / controller / self._name, arm)
                for name, value in limits.items():
                    if name.startswith(f"{controller}."):
                        (group / name).write_text(value)
            return f"{self._name}/{arm}"
        except OSError as error:
            raise Misconfigured(f"this scenario needs control groups of its own, as root: {error}") from error

    def pids(self, arm: str) -> list[int]:
        """Every process in the group of an arm."""
        found: set[int] = set()
        for group in self._made:
            if group.name == arm:
                with contextlib.suppress(OSError):
                    found |= set(map(int, (group / "cgroup.procs").read_text().split()))
        return sorted(found)

    def remove(self) -> None:
        for group in reversed(self._made):
            with contextlib.suppress(OSError):
                group.rmdir()

    def _unified(self, arm: str, limits: Mapping[str, str]) -> str:
        parent = ROOT / self._name
        self._directory(ROOT, self._name)
        (parent / "cgroup.subtree_control").write_text("+cpu +memory")
        group = self._directory(parent, arm)
        period = limits.get("cpu.cfs_period_us", "100000")
        if "cpu.cfs_quota_us" in limits:
            (group / "cpu.max").write_text(f"{limits['cpu.cfs_quota_us']} {period}")
        if "memory.limit_in_bytes" in limits:
            (group / "memory.max").write_text(limits["memory.limit_in_bytes"])
        return str(group)

    def _directory(self, parent: Path, name: str) -> Path:
        for group in (parent, parent / name):
            if not group.exists():
                os.mkdir(group)
                self._made.append(group)
        return parent / name
