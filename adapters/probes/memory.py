"""How fast and how steady is memory, and does the kernel have to reclaim while it is used?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from adapters.probes.cgroup import where
from adapters.probes.cpu import spin
from adapters.probes.probe import Probe, noise_text, spread, unmeasured

SLICES = 8
SLICE_SECONDS = 0.3
_STALLS = ("allocstall_", "pgscan_direct")


def probe(groups: Sequence[Path] = (), vmstat: Path = Path("/proc/vmstat")) -> list[Probe]:
    """Speed of copying blocks that no cache holds, and direct reclaim meanwhile. Raises Transient if the loop fails."""
    before = stalls(vmstat)
    rates = spin("memory", SLICE_SECONDS, SLICES, groups)
    after = stalls(vmstat)
    share = spread(rates)
    how = f"own copy of 32 MiB blocks, {SLICES} slices of {SLICE_SECONDS:g} s{where(groups)}"
    found = [Probe("memory", median(rates) / 1e9, "GB/s", share, noise_text("memory bandwidth", share), how)]
    if before is None or after is None:
        return [*found, unmeasured("reclaim", "pages", f"{vmstat} cannot be read")]
    scanned = sum(after.values()) - sum(before.values())
    verdict = (
        "nobody had to wait for free memory"
        if scanned == 0
        else "processes had to free memory themselves while this ran: memory is short, latencies will have a tail"
    )
    return [*found, Probe("reclaim", float(scanned), "pages", None, verdict, "allocation stalls of /proc/vmstat")]


def stalls(vmstat: Path) -> Mapping[str, int] | None:
    """Counters of direct reclaim since boot; None if they cannot be read."""
    try:
        words = (line.split() for line in vmstat.read_text().splitlines())
        return {word[0]: int(word[1]) for word in words if word[0].startswith(_STALLS)}
    except (OSError, ValueError, IndexError):
        return None
