"""Collectors of a target, their contract, and the way from two rounds of samples to facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from adapters.facts import cgroup, golang, jvm, nginx, node, nodejs, postgresql, process, surroundings
from adapters.facts.collector import Collector, Raw, Sample
from adapters.facts.registry import collectors_for, facts_of, take
from diagnosis.facts import KNOWN
from domain.codec import from_json, to_json
from domain.errors import Misconfigured, Transient
from domain.evidence import Missing, Reading, Seen
from domain.target import Arm, Restart, Target
from tests import journal_factory as factory
from tests.console.desk import HandClock

EVERYTHING = {
    "pid": "1",
    "cgroup": "shop",
    "dsn": "host=x",
    "metrics": "http://x/metrics",
    "dependency": "db:1",
    "deployed": "/x",
}


def target(*arms: Arm, kind: str = "container") -> Target:
    return replace(factory.target(), actuator=kind, arms=arms)


@dataclass
class Scripted:
    """A collector whose samples are given, in order; an error is raised."""

    name: str
    samples: list[Raw | Exception] = field(default_factory=list)

    def sample(self) -> Raw:
        given = self.samples.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    def facts(self, first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        return {name: Reading((second[name] - first[name]) / seconds) for name in second if name in first}

    def blind(self) -> tuple[str, ...]:
        return ("gc.share_of_time",)


ALL: list[Collector] = [
    cgroup.CgroupCollector(EVERYTHING),
    process.ProcessCollector(EVERYTHING),
    node.NodeCollector(["1"]),
    postgresql.PostgresqlCollector(EVERYTHING),
    jvm.JvmCollector(EVERYTHING),
    golang.GoCollector(EVERYTHING),
    nodejs.NodeJsCollector(EVERYTHING),
    nginx.NginxCollector(EVERYTHING),
    surroundings.DependencyCollector(EVERYTHING),
    surroundings.DeployCollector(EVERYTHING),
]


@pytest.mark.parametrize("collector", ALL, ids=lambda each: each.name)
def test_the_contract_of_collectors(collector: Collector) -> None:
    """Facts are those of the vocabulary, also when blind; two empty samples make no reading out of nothing."""
    assert set(collector.blind()) <= set(KNOWN)
    assert collector.blind()
    counted = {"process": {"process.run_queue_share", "process.cpu_cores"}, "node": set[str]()}
    for facts in (collector.facts({}, {}, 5.0), collector.facts({"x": 1.0}, {"x": 2.0}, 5.0)):
        assert set(facts) <= set(KNOWN)
        if collector.name.partition("/")[2] not in counted:
            assert not any(isinstance(seen, Reading) for seen in facts.values())


@pytest.mark.parametrize(
    ("kind", "place", "names"),
    [
        ("nginx", {"pid": "1", "config": "/x"}, ["cgroup", "process", "nginx"]),
        ("container", {"pid": "1"}, ["cgroup", "process", "jvm"]),
        ("container", {"cgroup": "shop"}, ["cgroup"]),
        ("postgresql", {"dsn": "host=x", "data": "/pg"}, ["cgroup", "process", "postgresql"]),
        ("container", {"metrics": "http://x", "deployed": "/x"}, ["golang", "nodejs", "deploy"]),
        ("container", {"error_log": "/x", "dependency": "db:1"}, ["nginx", "dependency"]),
        ("docker", {"container": "shop", "state": "/x"}, ["cgroup", "process", "jvm"]),
        ("container", {}, []),
    ],
)
def test_collectors_follow_the_keys_of_an_arm(kind: str, place: dict[str, str], names: list[str]) -> None:
    """What an arm names can be read; the node is read once for all arms."""
    found = [collector.name for collector in collectors_for(target(Arm("a", place), Arm("b", place), kind=kind))]
    assert found == [*(f"{arm}/{name}" for arm in "ab" for name in names), "/node"]


def test_the_pid_file_of_a_restart(tmp_path: Path) -> None:
    """An arm that is restarted by us has its pid file there."""
    arm = Arm("a", {}, Restart(("run",), str(tmp_path / "x.pid")))
    assert [each.name for each in collectors_for(target(arm))] == ["a/cgroup", "a/process", "a/jvm", "/node"]


def test_two_rounds_make_facts() -> None:
    """Each collector's own times count, and the worst arm; samples survive being written down."""
    clock = HandClock(100.0)
    collectors = [
        Scripted("a/x", [{"cpu.throttled_share": 0.0}, {"cpu.throttled_share": 1.0}]),
        Scripted("b/x", [{"cpu.throttled_share": 0.0}, {"cpu.throttled_share": 4.0}]),
    ]
    first = take(collectors, clock)
    written = json.loads(json.dumps({name: to_json(sample) for name, sample in first.items()}))
    clock.at += 5.0
    second = take(collectors, clock)
    again = {name: from_json(Sample, sample) for name, sample in written.items()}
    assert facts_of(collectors, again, second) == {"cpu.throttled_share": Reading(0.8)}


def test_within_an_arm_the_first_reading_counts() -> None:
    """The container's own counter goes before that of its processes, and a reading before what is missing."""
    collectors = [
        Scripted("a/x", [Transient("not now"), {"io.pressure_some": 1.0}]),
        Scripted("a/y", [{"gc.share_of_time": 0.0}, {"gc.share_of_time": 1.0}]),
        Scripted("a/z", [{"gc.share_of_time": 0.0}, {"gc.share_of_time": 5.0}]),
    ]
    clock = HandClock(0.0)
    first = take(collectors, clock)
    clock.at = 10.0
    assert facts_of(collectors, first, take(collectors, clock)) == {"gc.share_of_time": Reading(0.1)}


def test_what_cannot_be_read_is_missing_with_its_reason() -> None:
    """Either round may fail; without a second one nothing is said, and times that do not advance are no interval."""
    clock = HandClock(5.0)
    collectors = [Scripted("a/x", [{"x": 1.0}, Transient("pid: gone"), {"x": 2.0}])]
    first = take(collectors, clock)
    failed = take(collectors, clock)
    assert facts_of(collectors, first, failed) == {"gc.share_of_time": Missing("pid: gone")}
    assert facts_of(collectors, first, {}) == {}
    (seen,) = facts_of(collectors, first, take(collectors, clock)).values()
    assert isinstance(seen, Missing)
    assert "not later" in seen.reason


def test_a_wrong_key_is_told_at_once() -> None:
    """What can never be read is a mistake of the policy, not a missing fact."""
    with pytest.raises(Misconfigured, match="no such log"):
        take([Scripted("a/x", [Misconfigured("error_log: no such log")])], HandClock(0.0))
