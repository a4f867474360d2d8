"""Facts about a HotSpot JVM (11 to 25) from its performance data, the file that `jstat` reads.

Nothing attaches to the JVM and nothing runs in it. With -XX:-UsePerfData there is no such file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from adapters.facts.collector import Raw, delta, pid_of, ratio, read_text, readings, share
from adapters.facts.process import tree
from domain.errors import Transient
from domain.evidence import Seen

MAGIC = b"\xca\xfe\xc0\xc0"
HEADER = 32
PROC = Path("/proc")
BLIND = ("gc.share_of_time", "gc.full_per_min", "gc.heap_after_full_of_limit")
# Collectors by their number in the performance data: 0 the young one, 1 the full one, 2 pauses of a concurrent one.
_COLLECTORS = (0, 1, 2)


def performance_data(pid: int, proc: Path = PROC) -> Path | None:
    """The file of a JVM, as its own mount namespace sees it; None if it has none."""
    inner = next(
        (
            line.split()[-1]
            for line in (read_text(proc / str(pid) / "status") or "").splitlines()
            if line.startswith("NSpid:") and len(line.split()) > 1
        ),
        str(pid),
    )
    return next(iter(sorted((proc / str(pid) / "root/tmp").glob(f"hsperfdata_*/{inner}"))), None)


def parse(data: bytes) -> dict[str, float]:
    """Numeric entries by name. Raises Transient for a file that is not (yet) performance data of version 2."""
    if len(data) < HEADER or data[:4] != MAGIC or data[5] != 2:
        raise Transient("pid: the JVM's performance data is not readable yet, or not of version 2")
    order = "<" if data[4] == 1 else ">"
    offset, count = struct.unpack_from(f"{order}ii", data, 24)
    found: dict[str, float] = {}
    for _ in range(count):
        if offset + 20 > len(data):
            break
        length, name_at, vector = struct.unpack_from(f"{order}iii", data, offset)
        kind, value_at = data[offset + 12 : offset + 13], struct.unpack_from(f"{order}i", data, offset + 16)[0]
        if length <= 0:
            break
        if kind == b"J" and vector == 0:
            name = data[offset + name_at : data.index(b"\0", offset + name_at)].decode("ascii", "replace")
            found[name] = float(struct.unpack_from(f"{order}q", data, offset + value_at)[0])
        offset += length
    return found


class JvmCollector:
    """See `Collector`. `place`: `pid`, the JVM or a process above it. With `perhaps`, a tree of processes without a JVM
    has no facts; without, that is an error."""

    def __init__(self, place: Mapping[str, str], arm: str = "", *, perhaps: bool = False, proc: Path = PROC) -> None:
        self.name = f"{arm}/jvm"
        self._pid, self._perhaps, self._proc = place["pid"], perhaps, proc

    def sample(self) -> Raw:
        for pid in tree(pid_of(self._pid), self._proc):
            path = performance_data(pid, self._proc)
            if path is not None:
                try:
                    return _kept(parse(path.read_bytes()))
                except OSError as error:
                    raise Transient(f"pid: the JVM's performance data cannot be read: {error.strerror}") from error
        if self._perhaps:
            return {}
        raise Transient("pid: no JVM with performance data there; does it run with -XX:-UsePerfData?")

    @staticmethod
    def facts(first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        return facts(first, second, seconds)

    @staticmethod
    def blind() -> tuple[str, ...]:
        return BLIND


def facts(first: Raw, second: Raw, seconds: float) -> dict[str, Seen]:
    """Facts of one JVM. What the old generation holds after a full collection is its use at the second sample, if full
    collections happened between the two: the counter is set at the end of each collection."""
    spent = [delta(first, second, f"gc.{number}.time_s") for number in _COLLECTORS]
    known = [each for each in spent if each is not None]
    full = delta(first, second, "gc.1.count")
    return readings(
        {
            "gc.share_of_time": share(ratio(sum(known), seconds) if known else None),
            "gc.full_per_min": ratio(full, seconds / 60),
            "gc.heap_after_full_of_limit": share(second.get("old.of_limit")) if full else None,
            "gc.heap_of_limit": share(second.get("heap.of_limit")),
        }
    )


def _kept(entries: Mapping[str, float]) -> dict[str, float]:
    """The few entries that the facts rest on, in seconds and shares."""
    raw: dict[str, float] = {}
    frequency = entries.get("sun.os.hrt.frequency", 1e9)
    for number in _COLLECTORS:
        if f"sun.gc.collector.{number}.time" in entries:
            raw[f"gc.{number}.time_s"] = entries[f"sun.gc.collector.{number}.time"] / frequency
            raw[f"gc.{number}.count"] = entries[f"sun.gc.collector.{number}.invocations"]
    used = {
        generation: sum(
            number
            for name, number in entries.items()
            if name.startswith(f"sun.gc.generation.{generation}.space.") and name.endswith(".used")
        )
        for generation in (0, 1)
    }
    old = ratio(used[1], entries.get("sun.gc.generation.1.maxCapacity"))
    young, full = (entries.get(f"sun.gc.generation.{generation}.maxCapacity", 0.0) for generation in (0, 1))
    # Collectors with regions give the whole heap as the maximum of each generation.
    heap = ratio(used[0] + used[1], full if young == full else young + full)
    for name, used_share in (("old.of_limit", old), ("heap.of_limit", heap)):
        if used_share is not None:
            raw[name] = used_share
    return raw
