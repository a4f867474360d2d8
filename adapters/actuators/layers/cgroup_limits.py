"""Limits of a control group in the terms of `docker update`: read from its files, and written in an order that the
kernel accepts and that never takes more away than what was asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping

from adapters.actuators.layers.cgroup import Group, amount
from adapters.actuators.layers.container import UNLIMITED
from domain.errors import Misconfigured, Rejected
from domain.space import Value

CPU = ("docker.cpus", "docker.cpu_period", "docker.cpu_burst")
MEMORY = ("docker.memory", "docker.memory_swap")
PAGE = os.sysconf("SC_PAGE_SIZE")
_WEIGHTS = (("blkio.bfq.weight", "blkio.weight"), ("io.bfq.weight", "io.weight"))  # v1, v2


class GroupLimits:
    """See `container.py: Keeper`. No CPU limit counts as all CPUs of the machine, no memory limit as UNLIMITED."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self.known = frozenset(_READERS)

    def present(self, name: str) -> Value:
        return _READERS[name](self._group)

    def without(self, name: str) -> Value:
        return _all_cpus() if name == "docker.cpus" else UNLIMITED

    def settle(self, wanted: Mapping[str, Value]) -> None:
        """What is there already is not written. Raises Rejected or Misconfigured."""
        if any(name in wanted for name in CPU):
            _settle_cpu(self._group, wanted)
        if any(name in wanted for name in MEMORY):
            _settle_memory(self._group, wanted)
        for name, write in _WRITERS.items():
            if name in wanted and not self.fits(name, wanted[name], self.present(name)):
                write(self._group, wanted[name])

    def fits(self, name: str, wanted: Value, seen: Value) -> bool:
        """Whole microseconds, pages, steps of a weight."""
        return _fits(self._group, name, wanted, seen)


def _fits(group: Group, name: str, wanted: Value, seen: Value) -> bool:
    if isinstance(wanted, str) or isinstance(seen, str):
        return wanted == seen
    if name == "docker.cpus":
        quota, period = _quota(group)
        return quota == (-1 if wanted >= UNLIMITED else round(wanted * period)) or wanted == seen
    if name in MEMORY or name == "docker.memory_reservation":
        return abs(wanted - seen) < PAGE
    if name == "docker.cpu_shares" and group.unified:
        return weight_of(int(wanted)) == int(group.read("cpu", "cpu.weight"))
    if name == "docker.blkio_weight" and _weight_file(group)[1] == "io.weight":
        return _io_weight(int(wanted)) == int(group.read(*_weight_file(group)).split()[-1])
    return wanted == seen


def weight_of(shares: int) -> int:
    """cpu.weight for shares, as container runtimes convert since 2025: 2 → 1, 1024 → 100, 262144 → 10000
    (opencontainers/cgroups, ConvertCPUSharesToCgroupV2Value)."""
    logarithm = math.log2(min(max(shares, 2), 262144))
    return min(10000, math.ceil(10 ** ((logarithm**2 + 125 * logarithm) / 612 - 7 / 34)))


# --- CPU time --------------------------------------------------------------------------------------------------------


def _quota(group: Group) -> tuple[int, int]:
    """Microseconds of CPU in each period of so many; -1 without a limit."""
    if group.unified:
        quota, period = group.read("cpu", "cpu.max").split()
        return (-1 if quota == "max" else int(quota)), int(period)
    return int(group.read("cpu", "cpu.cfs_quota_us")), int(group.read("cpu", "cpu.cfs_period_us"))


def _burst_file(group: Group) -> str:
    return "cpu.max.burst" if group.unified else "cpu.cfs_burst_us"


def _burst(group: Group) -> int:
    return int(group.read("cpu", _burst_file(group)))


def _cpus(group: Group) -> float:
    quota, period = _quota(group)
    return quota / period if quota >= 0 else _all_cpus()


def _all_cpus() -> float:
    return float(os.cpu_count() or 1)


def _settle_cpu(group: Group, wanted: Mapping[str, Value]) -> None:
    quota, period = _quota(group)
    new_period = int(wanted.get("docker.cpu_period", period))
    cpus = wanted.get("docker.cpus", UNLIMITED if quota < 0 else quota / period)
    new_quota = -1 if isinstance(cpus, str) or cpus >= UNLIMITED else round(cpus * new_period)
    burst = _burst(group) if group.has("cpu", _burst_file(group)) else 0
    new_burst = int(wanted.get("docker.cpu_burst", burst))
    if "docker.cpu_burst" in wanted:
        group.file("cpu", _burst_file(group))  # a kernel without it is told apart from a refused value
    if (quota, period, burst) == (new_quota, new_period, new_burst):
        return
    if (burst and burst != new_burst) or burst > new_quota >= 0:
        group.write("cpu", _burst_file(group), "0")  # a burst above the quota is refused
    if group.unified:
        group.write("cpu", "cpu.max", f"{'max' if new_quota < 0 else new_quota} {new_period}")
    else:
        # Between the two writes the share may only be smaller than either: a parent refuses more than its own.
        steps = [("cpu.cfs_period_us", new_period), ("cpu.cfs_quota_us", new_quota)]
        for name, number in steps if new_period > period else reversed(steps):
            group.write("cpu", name, str(number))
    if group.has("cpu", _burst_file(group)) and _burst(group) != new_burst:
        group.write("cpu", _burst_file(group), str(new_burst))


# --- memory ----------------------------------------------------------------------------------------------------------


def _memory(group: Group) -> int:
    return amount(group.read("memory", "memory.max" if group.unified else "memory.limit_in_bytes"))


def _with_swap(group: Group) -> int:
    """Memory plus swap, as v1 and Docker count; UNLIMITED where the kernel does not limit swap."""
    if group.unified:
        swap = amount(group.read("memory", "memory.swap.max"))
        return UNLIMITED if swap == UNLIMITED else min(UNLIMITED, _memory(group) + swap)
    return amount(group.read("memory", "memory.memsw.limit_in_bytes"))


def used(group: Group) -> int:
    """Bytes that the kernel cannot take back by dropping file pages: usage without the page cache's two lists."""
    usage = int(group.read("memory", "memory.current" if group.unified else "memory.usage_in_bytes"))
    lists = [f"{'' if group.unified else 'total_'}{each}_file" for each in ("inactive", "active")]
    return max(0, usage - sum(group.stat("memory", "memory.stat", each) for each in lists))


def _settle_memory(group: Group, wanted: Mapping[str, Value]) -> None:
    limit = int(wanted.get("docker.memory", _memory(group)))
    if limit < used(group):
        raise Rejected(f"docker.memory: {limit} bytes is below the {used(group)} in use, which would end in a kill")
    both = wanted.get("docker.memory_swap")
    if both is not None and 0 <= int(both) < limit:
        raise Rejected(f"docker.memory_swap: {both} bytes is below docker.memory, {limit}; it counts memory and swap")

    def settle_limit() -> None:
        name = "memory.max" if group.unified else "memory.limit_in_bytes"
        if abs(limit - _memory(group)) >= PAGE:
            _write_amount(group, "memory", name, limit)

    # v1 refuses a limit above memory and swap together, whichever of them moves first.
    swap_first = both is not None and limit > _memory(group) and not group.unified
    if not swap_first:
        settle_limit()
    if both is not None:
        _settle_swap(group, int(both), limit)
    if swap_first:
        settle_limit()


def _settle_swap(group: Group, both: int, limit: int) -> None:
    number = UNLIMITED if both < 0 else both
    if abs(number - _with_swap(group)) < PAGE:
        return
    if group.unified:
        _write_amount(group, "memory", "memory.swap.max", UNLIMITED if both < 0 else both - limit)
    else:
        _write_amount(group, "memory", "memory.memsw.limit_in_bytes", number)


def _write_amount(group: Group, controller: str, name: str, number: int) -> None:
    unlimited = "max" if group.unified or controller == "pids" else "-1"
    group.write(controller, name, unlimited if number < 0 or number >= UNLIMITED else str(number))


def _reservation(group: Group) -> int:
    number = amount(group.read("memory", "memory.low" if group.unified else "memory.soft_limit_in_bytes"))
    return 0 if number == UNLIMITED else number


def _write_reservation(group: Group, value: Value) -> None:
    if group.unified:
        group.write("memory", "memory.low", str(value))
    else:
        _write_amount(group, "memory", "memory.soft_limit_in_bytes", int(value) or UNLIMITED)


# --- the rest --------------------------------------------------------------------------------------------------------


def _shares(group: Group) -> int:
    """v2 keeps a weight: the least shares that it stands for."""
    if not group.unified:
        return int(group.read("cpu", "cpu.shares"))
    weight = int(group.read("cpu", "cpu.weight"))
    low, high = 2, 262144
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if weight_of(middle) >= weight else (middle + 1, high)
    return low


def _write_shares(group: Group, value: Value) -> None:
    name = "cpu.weight" if group.unified else "cpu.shares"
    group.write("cpu", name, str(weight_of(int(value)) if group.unified else value))


def _pids(group: Group) -> int:
    number = amount(group.read("pids", "pids.max"))
    return -1 if number == UNLIMITED else number


def _cpuset(group: Group) -> str:
    return group.read("cpuset", "cpuset.cpus") or "all"


def _write_cpuset(group: Group, value: Value) -> None:
    if value == "all" and not group.unified:
        raise Misconfigured("docker.cpuset_cpus: cgroup v1 has no word for all CPUs; write their range, such as 0-3")
    group.write("cpuset", "cpuset.cpus", "\n" if value == "all" else str(value))


def _weight_file(group: Group) -> tuple[str, str]:
    controller, names = ("io", _WEIGHTS[1]) if group.unified else ("blkio", _WEIGHTS[0])
    return controller, next((name for name in names if group.has(controller, name)), names[1])


def _blkio(group: Group) -> int:
    """10 to 1000, as Docker counts; io.weight goes from 1 to 10000."""
    number = int(group.read(*_weight_file(group)).split()[-1])
    return round(10 + (number - 1) * 990 / 9999) if _weight_file(group)[1] == "io.weight" else number


def _io_weight(weight: int) -> int:
    return 1 + (weight - 10) * 9999 // 990


def _write_blkio(group: Group, value: Value) -> None:
    controller, name = _weight_file(group)
    group.write(controller, name, str(_io_weight(int(value)) if name == "io.weight" else value))


_READERS: Mapping[str, Callable[[Group], Value]] = {
    "docker.cpus": _cpus,
    "docker.cpu_period": lambda group: _quota(group)[1],
    "docker.cpu_burst": _burst,
    "docker.cpu_shares": _shares,
    "docker.cpuset_cpus": _cpuset,
    "docker.memory": _memory,
    "docker.memory_swap": lambda group: -1 if _with_swap(group) == UNLIMITED else _with_swap(group),
    "docker.memory_reservation": _reservation,
    "docker.pids_limit": _pids,
    "docker.blkio_weight": _blkio,
}
_WRITERS: Mapping[str, Callable[[Group, Value], None]] = {
    "docker.cpu_shares": _write_shares,
    "docker.cpuset_cpus": _write_cpuset,
    "docker.memory_reservation": _write_reservation,
    "docker.pids_limit": lambda group, value: _write_amount(group, "pids", "pids.max", int(value)),
    "docker.blkio_weight": _write_blkio,
}
