"""What others take from this machine before we do anything: steal of the hypervisor, pressure of the kernel (PSI)."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from adapters.probes.probe import Probe, unmeasured

SECONDS = 2.0
MOST_STEAL, MOST_PRESSURE = 0.01, 0.05  # shares that are still quiet
RESOURCES = ("cpu", "memory", "io")


def probe(proc: Path = Path("/proc"), pause: Callable[[float], None] = time.sleep) -> list[Probe]:
    """Two looks at the kernel's counters, `SECONDS` apart; loads nothing."""
    begun, ticks, stalled = time.monotonic(), steal(proc), {each: pressure(proc, each) for each in RESOURCES}
    pause(SECONDS)
    seconds = time.monotonic() - begun
    later = steal(proc)
    return [
        _steal(ticks, later),
        *(_pressure(each, stalled[each], pressure(proc, each), seconds) for each in RESOURCES),
    ]


def steal(proc: Path) -> tuple[int, int] | None:
    """(stolen, all) ticks of all cores since boot; None if they cannot be read. Field 8 of `cpu` in /proc/stat; guest
    time is part of user time there and not counted twice."""
    try:
        words = (proc / "stat").read_text().split("\n", 1)[0].split()
        numbers = [int(word) for word in words[1:9]]
    except (OSError, ValueError):
        return None
    return (numbers[7], sum(numbers)) if words[:1] == ["cpu"] and len(numbers) == 8 else None


def pressure(proc: Path, resource: str) -> int | None:
    """Microseconds since boot during which some task waited for the resource; None without PSI."""
    try:
        line = (proc / "pressure" / resource).read_text().splitlines()[0]
        return int(line.rsplit("total=", 1)[1]) if line.startswith("some") else None
    except (OSError, IndexError, ValueError):
        return None


def _steal(before: tuple[int, int] | None, after: tuple[int, int] | None) -> Probe:
    how = f"/proc/stat over {SECONDS:g} s"
    if before is None or after is None or after[1] <= before[1]:
        return unmeasured("steal", "%", "/proc/stat does not tell", how)
    share = (after[0] - before[0]) / (after[1] - before[1])
    verdict = (
        "the hypervisor takes nothing worth a word"
        if share <= MOST_STEAL
        else "other guests take CPU from this one: compare only what runs at the same time"
    )
    return Probe("steal", 100 * share, "%", None, verdict, how)


def _pressure(resource: str, before: int | None, after: int | None, seconds: float) -> Probe:
    name, how = f"pressure {resource}", f"/proc/pressure/{resource} over {SECONDS:g} s"
    if before is None or after is None:
        return unmeasured(name, "%", "the kernel has no pressure information (PSI) for it", how)
    share = (after - before) / 1e6 / seconds
    verdict = (
        "quiet"
        if share <= MOST_PRESSURE
        else f"before any load of ours, tasks wait for {resource}: something else is running here; find it first"
    )
    return Probe(name, 100 * share, "%", None, verdict, how)
