"""Facts about the node around the target: its CPUs and who uses them, its block devices, its tables.

The node's own counters include the target; what others use is the rest. Accept queues are counted per network
namespace, so they are read through a process of the target.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.facts.collector import (
    Raw,
    delta,
    number_of,
    pid_of,
    pressure,
    rate,
    ratio,
    read_text,
    readings,
    share,
)
from adapters.facts.process import cpu_seconds, tree
from domain.errors import Misconfigured, Transient
from domain.evidence import Seen

TICKS = os.sysconf("SC_CLK_TCK")
BLIND = ("node.cpu_busy", "node.cpu_outside_target", "node.steal")
LEAST_REQUESTS = 5  # of a device, before a mean time is told
# Columns of /proc/diskstats behind the device's name (kernel, admin-guide/iostats.rst).
_DISK = {"reads": 0, "read_ms": 3, "writes": 4, "write_ms": 7, "busy_ms": 9, "flushes": 15, "flush_ms": 16}
_NOT_DISKS = ("loop", "ram", "zram", "sr", "fd", "dm-", "md")


class NodeCollector:
    """See `Collector`. `pids` are those of all arms on this node (numbers or pid files): what they use is the
    target's."""

    def __init__(self, pids: Sequence[str], arm: str = "", root: Path = Path("/")) -> None:
        self.name = f"{arm}/node"
        self._pids, self._proc = tuple(pids), root / "proc"

    def sample(self) -> Raw:
        stat = read_text(self._proc / "stat")
        if stat is None:
            raise Misconfigured(f"{self._proc / 'stat'} cannot be read; facts about the node need Linux' /proc")
        roots: list[int] = []
        for pid in self._pids:
            with contextlib.suppress(Transient):
                roots.append(pid_of(pid))
        raw = {**node_cpu(stat), **_disks(read_text(self._proc / "diskstats") or ""), **self._tables(roots)}
        for root in roots:
            raw[f"target.{root}"] = cpu_seconds(tree(root, self._proc), self._proc)
        for resource in ("io", "memory"):
            total = pressure(read_text(self._proc / "pressure" / resource)).get("some")
            if total is not None:
                raw[f"pressure.{resource}_us"] = total
        return raw

    def _tables(self, roots: Sequence[int]) -> dict[str, float]:
        folder = self._proc / str(roots[0]) if roots else self._proc
        raw = {}
        overflows = _netstat(read_text(folder / "net/netstat") or "", "ListenOverflows")
        if overflows is not None:
            raw["listen.overflows"] = overflows
        tracked = number_of(read_text(self._proc / "sys/net/netfilter/nf_conntrack_count"))
        most = number_of(read_text(self._proc / "sys/net/netfilter/nf_conntrack_max"))
        files = (read_text(self._proc / "sys/fs/file-nr") or "").split()
        tables = {"conntrack.of_limit": ratio(tracked, most)}
        if len(files) == 3:
            tables["files.of_limit"] = ratio(number_of(files[0]), number_of(files[2]))
        raw |= {name: used for name, used in tables.items() if used is not None}
        return raw

    @staticmethod
    def facts(first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        return facts(first, second, seconds)

    @staticmethod
    def blind() -> tuple[str, ...]:
        return BLIND


def facts(first: Raw, second: Raw, seconds: float) -> dict[str, Seen]:
    """Facts of the node from two samples. Shares are of the CPU time that the kernel counted, not of the clock."""
    counted = delta(first, second, "cpu.total_s")
    busy = delta(first, second, "cpu.busy_s")
    used = sum(max(0.0, number - first.get(name, 0.0)) for name, number in second.items() if name.startswith("target."))
    # What runs at low priority (nice above 0, SCHED_IDLE) gives way to the target, so it takes nothing from it.
    nice = delta(first, second, "cpu.nice_s") or 0.0
    outside = None if busy is None else max(0.0, busy - nice - used)
    return readings(
        {
            "node.cpu_busy": share(ratio(busy, counted)),
            "node.cpu_outside_target": share(ratio(outside, counted)),
            "node.steal": share(ratio(delta(first, second, "cpu.steal_s"), counted)),
            "node.pressure_io": share(rate(first, second, "pressure.io_us", 1e6 * seconds)),
            "node.pressure_memory": share(rate(first, second, "pressure.memory_us", 1e6 * seconds)),
            "listen.overflows_per_s": rate(first, second, "listen.overflows", seconds),
            "conntrack.used_of_limit": second.get("conntrack.of_limit"),
            "files.used_of_limit": second.get("files.of_limit"),
            **_busiest(first, second, seconds),
        }
    )


def _busiest(first: Raw, second: Raw, seconds: float) -> dict[str, float | None]:
    """Times of the block device that had work for longest."""
    names = sorted({name.split(".")[1] for name in second if name.startswith("disk.")})
    work = {name: delta(first, second, f"disk.{name}.busy_ms") or 0.0 for name in names}
    if not work:
        return {}
    disk = max(work, key=lambda name: work[name])

    def mean(time: str, count: str) -> float | None:
        requests = delta(first, second, f"disk.{disk}.{count}")
        if requests is None or requests < LEAST_REQUESTS:
            return None
        return ratio(delta(first, second, f"disk.{disk}.{time}"), requests)

    return {
        "disk.busy": share(work[disk] / (1000.0 * seconds)),
        "disk.read_wait_ms": mean("read_ms", "reads"),
        "disk.write_wait_ms": mean("write_ms", "writes"),
        "disk.flush_wait_ms": mean("flush_ms", "flushes"),
    }


def node_cpu(stat: str) -> dict[str, float]:
    """Seconds of all CPUs from the first line of /proc/stat; guests are counted in user and nice already."""
    words = [int(word) / TICKS for word in stat.splitlines()[0].split()[1:9]]
    user, nice, system, idle, waiting, hard, soft, steal = [*words, *[0.0] * (8 - len(words))]
    busy = user + nice + system + hard + soft
    return {"cpu.busy_s": busy, "cpu.nice_s": nice, "cpu.steal_s": steal, "cpu.total_s": busy + idle + waiting + steal}


def _disks(text: str) -> dict[str, float]:
    raw: dict[str, float] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) < 14 or words[2].startswith(_NOT_DISKS) or _is_partition(words[2]):
            continue
        for name, column in _DISK.items():
            if 3 + column < len(words):
                raw[f"disk.{words[2]}.{name}"] = float(words[3 + column])
    return raw


def _is_partition(name: str) -> bool:
    """`sda1`, `nvme0n1p2`: their whole device is counted already."""
    stem = name.rstrip("0123456789")
    if name.startswith(("nvme", "mmcblk")):
        return stem.endswith("p")
    return stem != name and name.startswith(("sd", "vd", "xvd", "hd"))


def _netstat(text: str, name: str) -> float | None:
    """One counter of /proc/net/netstat, whose lines come in pairs of names and numbers."""
    lines = text.splitlines()
    for names, numbers in zip(lines[::2], lines[1::2], strict=False):
        columns = names.split()
        if name in columns:
            return number_of(numbers.split()[columns.index(name)])
    return None
