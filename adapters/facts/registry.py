"""Which collectors a target has, by its actuator and the keys of its arms; and the way from two rounds of samples to
its facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from adapters.facts.cgroup import CgroupCollector
from adapters.facts.collector import Collector, Sample, missing
from adapters.facts.docker_process import address
from adapters.facts.golang import GoCollector
from adapters.facts.jvm import JvmCollector
from adapters.facts.nginx import NginxCollector
from adapters.facts.node import NodeCollector
from adapters.facts.nodejs import NodeJsCollector
from adapters.facts.postgresql import PostgresqlCollector
from adapters.facts.process import ProcessCollector
from adapters.facts.surroundings import DependencyCollector, DeployCollector
from diagnosis.facts import worst_of
from domain.errors import Transient
from domain.evidence import Reading, Seen
from domain.ports import Clock
from domain.target import Arm, Target

PLACE_KEYS = (
    "pid",
    "container",
    "cgroup",
    "dsn",
    "stub_status",
    "error_log",
    "access_log",
    "main",
    "metrics",
    "dependency",
    "dependency_usual_ms",
    "probe",
    "probe_usual_ms",
    "deployed",
    "series",
    "node_series",
)
_NGINX_KEYS = ("stub_status", "error_log", "access_log")
Samples = Mapping[str, Sample]


def collectors_for(target: Target) -> tuple[Collector, ...]:
    """Everything that can be read of a target, arm by arm, and the node once. Reads nothing yet."""
    if target.workload is not None:
        return ()  # its pods run on other machines, and do not exist yet: Prometheus is asked alone
    found: list[Collector] = []
    for arm in target.arms:
        found += _of_arm(arm, target.actuator)
    return (*found, NodeCollector([pid for arm in target.arms if (pid := _pid(arm))]))


def take(collectors: Iterable[Collector], clock: Clock) -> dict[str, Sample]:
    """One round of samples by the collectors' names. What cannot be read now is a sample that says why. Raises
    Misconfigured for a key of an arm that can never be read."""
    samples = {}
    for collector in collectors:
        at = clock.now()
        try:
            samples[collector.name] = Sample(at, dict(collector.sample()))
        except Transient as error:
            samples[collector.name] = Sample(at, missing=str(error))
    return samples


def facts_of(collectors: Sequence[Collector], first: Samples, second: Samples) -> dict[str, Seen]:
    """The target's facts from two rounds: of each fact the worst over the arms. Within an arm the collector that comes
    first counts, as long as it has a reading. A collector without both samples is left out."""
    arms: dict[str, dict[str, Seen]] = {}
    for collector in collectors:
        name = collector.name
        if name not in first or name not in second:
            continue
        arm = arms.setdefault(name.partition("/")[0], {})
        for fact, seen in _facts(collector, first[name], second[name]).items():
            if not isinstance(arm.get(fact), Reading):
                arm[fact] = seen
    return worst_of(arms.values())


def _facts(collector: Collector, first: Sample, second: Sample) -> Mapping[str, Seen]:
    reason = first.missing or second.missing
    if reason:
        return missing(collector.blind(), reason)
    if second.at <= first.at:
        return missing(collector.blind(), f"the second sample is not later than the first ({second.at:.3f})")
    return collector.facts(first.values, second.values, second.at - first.at)


def _of_arm(arm: Arm, kind: str) -> list[Collector]:
    place, label, pid, parts = dict(arm.place), arm.label, _pid(arm), kind.split("+")
    found: list[Collector] = []
    if pid:
        place["pid"] = pid
    if pid or place.get("cgroup"):
        found.append(CgroupCollector(place, label))
    if pid:
        found.append(ProcessCollector(place, label))
    if "nginx" in parts or any(place.get(key) for key in _NGINX_KEYS):
        found.append(NginxCollector(place, label))
    elif place.get("dsn"):
        found.append(PostgresqlCollector(place, label))
    elif pid:
        found.append(JvmCollector(place, label, perhaps="jvm" not in parts))
    if place.get("metrics"):
        found += [GoCollector(place, label), NodeJsCollector(place, label)]
    if place.get("dependency") or place.get("probe"):
        found.append(DependencyCollector(place, label))
    if place.get("deployed"):
        found.append(DeployCollector(place, label))
    return found


def _pid(arm: Arm) -> str:
    """The pid or pid file of an arm; without one, that of its restart, its Docker container or its database's data
    directory."""
    if arm.place.get("pid"):
        return arm.place["pid"]
    if arm.restart is not None:
        return arm.restart.pid_file
    if arm.place.get("container"):
        return address(arm.place["container"], arm.place.get("engine", ""))
    return str(Path(arm.place["data"]) / "postmaster.pid") if arm.place.get("data") else ""
