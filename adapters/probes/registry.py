"""The probes by name, in the order in which they run: first those that look at an idle machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.probes import cpu, disk, memory, neighbours, network
from adapters.probes.cgroup import checked
from adapters.probes.probe import Probe, unmeasured
from domain.errors import Misconfigured, Transient


@dataclass(frozen=True, slots=True)
class Where:
    """What is probed: `path` on the volume that counts, `peer` at the other end of the network ("" for loopback),
    `groups` in which CPU and memory are probed as well."""

    path: Path = Path(".")
    peer: str = ""
    groups: tuple[Path, ...] = ()


PROBES: Mapping[str, Callable[[Where], list[Probe]]] = {
    "neighbours": lambda where: neighbours.probe(),
    "cpu": lambda where: cpu.probe(where.groups),
    "memory": lambda where: memory.probe(where.groups),
    "disk": lambda where: disk.probe(where.path),
    "network": lambda where: network.probe(where.peer),
}


def run_all(names: Sequence[str], where: Where) -> Iterator[Probe]:
    """The probes of that name (all of them without names), each as soon as it is measured. A probe that fails is told
    as not measured. Raises Misconfigured for an unknown name, a path or group that is none."""
    unknown = [name for name in names if name not in PROBES]
    if unknown:
        raise Misconfigured(f"probe {unknown[0]!r} is unknown; known: {', '.join(PROBES)}")
    checked(where.groups)
    for name in PROBES:
        if names and name not in names:
            continue
        try:
            yield from PROBES[name](where)
        except Transient as error:
            yield unmeasured(name, "", str(error))
