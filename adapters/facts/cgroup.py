"""Facts about a container from its cgroup: version 2, version 1, or both at once.

Where the controllers are those of version 1 and the unified hierarchy is mounted beside them, the pressure files of the
unified one are used if the target's processes are in a group there: they count what those tasks waited for, whichever
hierarchy the limit came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.facts.collector import (
    Raw,
    delta,
    fields,
    number_of,
    pid_of,
    pressure,
    rate,
    ratio,
    read_text,
    readings,
    share,
)
from domain.errors import Misconfigured, Transient
from domain.evidence import Missing, Seen

UNLIMITED = 1 << 60  # bytes: what version 1 shows for no limit is larger
LEAST_PERIODS = 5
BLIND = ("cpu.throttled_share", "memory.oom_kills", "memory.used_of_limit", "io.pressure_some")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where one group is found: by controller of version 1, and in the unified hierarchy (None: not there)."""

    v1: Mapping[str, Path]
    unified: Path | None

    @property
    def controlled(self) -> bool:
        """Whether the unified hierarchy holds the controllers, too."""
        return self.unified is not None and (self.unified / "memory.current").exists()


def mounts(text: str) -> tuple[dict[str, Path], Path | None]:
    """Mount points by controller of version 1, and that of the unified hierarchy, from /proc/mounts."""
    controllers: dict[str, Path] = {}
    unified: Path | None = None
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4:
            continue
        if words[2] == "cgroup2":
            unified = Path(words[1])
        elif words[2] == "cgroup":
            for option in words[3].split(","):
                controllers.setdefault(option, Path(words[1]))
    return controllers, unified


def memberships(text: str) -> dict[str, str]:
    """Path of the group by controller ("" for the unified hierarchy), from /proc/PID/cgroup."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(",") if controllers else [""]:
            found[controller] = path
    return found


def folders_of(place: Mapping[str, str], proc: Path = Path("/proc")) -> Folders:
    """The group named by `cgroup` (its path below the mount points, or one full path), else that of `pid`. A process
    in the root group has none. Raises Transient if the process is gone, Misconfigured if the group does not exist."""
    controllers, unified = mounts(read_text(proc / "mounts") or "")
    named = place.get("cgroup", "")
    if named:
        return _named(named, controllers, unified)
    pid = pid_of(place["pid"])
    text = read_text(proc / str(pid) / "cgroup")
    if text is None:
        raise Transient(f"pid: there is no process {pid}; is the program running?")
    groups = memberships(text)
    v1 = {name: mount / groups[name].lstrip("/") for name, mount in controllers.items() if groups.get(name, "/") != "/"}
    own = groups.get("", "/")
    return Folders(v1, unified / own.lstrip("/") if unified is not None and own != "/" else None)


def _named(name: str, controllers: Mapping[str, Path], unified: Path | None) -> Folders:
    for mount in sorted({*controllers.values(), *([unified] if unified else [])}, reverse=True):
        if name.startswith(f"{mount}/"):
            name = name.removeprefix(f"{mount}/")
            break
    inner = name.strip("/")
    v1 = {each: mount / inner for each, mount in controllers.items() if (mount / inner).is_dir()}
    own = unified / inner if unified is not None and (unified / inner).is_dir() else None
    if not inner or not (v1 or own):
        raise Misconfigured(
            f"cgroup: {name!r} is no group below {', '.join(map(str, controllers.values())) or unified}"
        )
    return Folders(v1, own)


class CgroupCollector:
    """See `Collector`. `place`: `cgroup` (the group), or `pid` (any process in it)."""

    def __init__(self, place: Mapping[str, str], arm: str = "", proc: Path = Path("/proc")) -> None:
        self.name = f"{arm}/cgroup"
        self._place, self._proc = place, proc

    def sample(self) -> Raw:
        folders = folders_of(self._place, self._proc)
        raw = _unified(folders.unified) if folders.controlled and folders.unified else _v1(folders.v1)
        if folders.unified is not None:
            for resource in ("cpu", "memory", "io"):
                for kind, total in pressure(read_text(folders.unified / f"{resource}.pressure")).items():
                    raw[f"pressure.{resource}.{kind}_us"] = total
        return raw

    @staticmethod
    def facts(first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        return facts(first, second, seconds)

    @staticmethod
    def blind() -> tuple[str, ...]:
        return BLIND


def facts(first: Raw, second: Raw, seconds: float) -> dict[str, Seen]:
    """Facts of one group from two samples."""
    used = rate(first, second, "cpu.usage_us", 1e6 * seconds)
    limit = second.get("memory.limit")
    current, inactive = second.get("memory.current"), second.get("memory.inactive_file", 0.0)
    found = readings(
        {
            "cpu.used_of_quota": ratio(used, second.get("cpu.quota_cores")),
            "memory.used_of_limit": share(ratio(current, limit)),
            "memory.working_set_of_limit": share(ratio(None if current is None else current - inactive, limit)),
            "memory.limit_hits_per_s": rate(first, second, "memory.limit_hits", seconds) if limit else None,
            "memory.oom_kills": delta(first, second, "memory.oom_kills"),
            "memory.refaults_per_s": rate(first, second, "memory.refaults", seconds) if limit else None,
            "memory.reclaim_stall_share": share(rate(first, second, "pressure.memory.some_us", 1e6 * seconds)),
            "cpu.pressure_some": share(rate(first, second, "pressure.cpu.some_us", 1e6 * seconds)),
            "io.pressure_some": share(rate(first, second, "pressure.io.some_us", 1e6 * seconds)),
            "io.pressure_full": share(rate(first, second, "pressure.io.full_us", 1e6 * seconds)),
            "io.read_bytes_per_s": rate(first, second, "io.read_bytes", seconds),
            "io.write_bytes_per_s": rate(first, second, "io.write_bytes", seconds),
            "pids.used_of_limit": ratio(second.get("pids.current"), second.get("pids.limit")),
        }
    )
    return {**found, **_throttled(first, second)}


def _throttled(first: Raw, second: Raw) -> dict[str, Seen]:
    """No fact without a quota; Missing if too few periods passed to speak of a share."""
    if "cpu.quota_cores" not in second:
        return {}
    periods, throttled = delta(first, second, "cpu.periods"), delta(first, second, "cpu.throttled")
    if periods is None or throttled is None:
        return {"cpu.throttled_share": Missing("cpu.stat of the group was not there twice, or was set back")}
    if periods < LEAST_PERIODS:
        # Periods pass only while tasks of the group run: an idle one is not throttled.
        return readings({"cpu.throttled_share": 0.0 if throttled == 0 else None})
    return readings({"cpu.throttled_share": share(throttled / periods)})


def _unified(folder: Path) -> dict[str, float]:
    stat = fields(read_text(folder / "cpu.stat"))
    memory, events = fields(read_text(folder / "memory.stat")), fields(read_text(folder / "memory.events"))
    quota, _, period = (read_text(folder / "cpu.max") or "").strip().partition(" ")
    return _known(
        {
            "cpu.usage_us": stat.get("usage_usec"),
            "cpu.periods": stat.get("nr_periods"),
            "cpu.throttled": stat.get("nr_throttled"),
            "cpu.quota_cores": ratio(number_of(quota), number_of(period)),
            "memory.current": number_of(read_text(folder / "memory.current")),
            "memory.limit": number_of(read_text(folder / "memory.max")),
            "memory.inactive_file": memory.get("inactive_file"),
            "memory.refaults": memory.get("workingset_refault_file"),
            "memory.limit_hits": events.get("max"),
            "memory.oom_kills": events.get("oom_kill"),
            "io.read_bytes": _io(folder / "io.stat", "rbytes="),
            "io.write_bytes": _io(folder / "io.stat", "wbytes="),
            "pids.current": number_of(read_text(folder / "pids.current")),
            "pids.limit": number_of(read_text(folder / "pids.max")),
        }
    )


def _v1(groups: Mapping[str, Path]) -> dict[str, float]:
    nowhere = Path("/nonexistent")
    cpu, usage = groups.get("cpu", nowhere), groups.get("cpuacct", nowhere)
    # No bytes of blkio: its counters stay at 0 for devices on which nothing is throttled. The processes tell theirs.
    memory, pids = (groups.get(name, nowhere) for name in ("memory", "pids"))
    stat, held = fields(read_text(cpu / "cpu.stat")), fields(read_text(memory / "memory.stat"))
    used = number_of(read_text(usage / "cpuacct.usage"))
    quota = number_of(read_text(cpu / "cpu.cfs_quota_us"))
    limit = number_of(read_text(memory / "memory.limit_in_bytes"))
    return _known(
        {
            "cpu.usage_us": None if used is None else used / 1e3,
            "cpu.periods": stat.get("nr_periods"),
            "cpu.throttled": stat.get("nr_throttled"),
            "cpu.quota_cores": ratio(
                quota if quota and quota > 0 else None, number_of(read_text(cpu / "cpu.cfs_period_us"))
            ),
            "memory.current": number_of(read_text(memory / "memory.usage_in_bytes")),
            "memory.limit": limit if limit and limit < UNLIMITED else None,
            "memory.inactive_file": held.get("total_inactive_file"),
            "memory.refaults": held.get("total_workingset_refault_file"),
            "memory.limit_hits": number_of(read_text(memory / "memory.failcnt")),
            "memory.oom_kills": fields(read_text(memory / "memory.oom_control")).get("oom_kill"),
            "pids.current": number_of(read_text(pids / "pids.current")),
            "pids.limit": number_of(read_text(pids / "pids.max")),
        }
    )


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: number for name, number in values.items() if number is not None}


def _io(path: Path, key: str) -> float | None:
    text = read_text(path)
    if text is None:
        return None
    words = [word.removeprefix(key) for line in text.splitlines() for word in line.split() if word.startswith(key)]
    return sum(number_of(word) or 0.0 for word in words)
