"""Whole runs of a StatefulSet: candidates on the highest ordinal alone, the winner on all of them, nothing left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

from adapters.actuators.kubernetes import arm, config, ordinals, stateful, workload
from adapters.actuators.kubernetes.quantity import cores
from domain.events import Adopted, Adopting, Refused, Surveyed
from domain.space import Settings
from tests.journeys.pods import BEFORE, TUNED, WINNER, PodWorld, SimTime
from tests.ordinals import ORDINAL, Sets, sets
from tests.pods import CPU_LIMIT, LEVEL

ORIGINAL, WON = ("150m", "gzip_comp_level 6;"), ("400m", "gzip_comp_level 1;")


class SetWorld(PodWorld):
    """`below` is what the pods under the highest one carried before anything was adopted."""

    cluster: Sets

    def __init__(self, cluster: Sets, proposals: tuple[Settings, ...] = (WINNER,), **changes: Any) -> None:
        self.below: set[tuple[str, str]] = set()
        super().__init__(cluster, proposals, **changes)

    def in_pod(self, label: str) -> Settings:
        """What the highest pod was made with; that of the template while there is none."""
        owner = self.cluster.owner()
        with contextlib.suppress(KeyError):
            owner = {"spec": {"template": self.cluster.at(owner["spec"]["replicas"] - 1)}}
        pod = owner["spec"]["template"]
        return {CPU_LIMIT: cores(self.cluster.cpu(pod)), LEVEL: int(self.cluster.level(pod).split()[1].rstrip(";"))}

    def note_settings(self) -> None:
        super().note_settings()
        if not any(isinstance(event, Adopting) for event in self.events()):
            self.below |= {*self.cluster.carried()[:-1]}


@contextlib.contextmanager
def set_world(proposals: tuple[Settings, ...] = (WINNER,), **spec: Any) -> Iterator[SetWorld]:
    target = replace(ORDINAL, profile=TUNED.profile, strategy="scripted")
    with sets(target=target, http=False, **spec) as cluster, contextlib.ExitStack() as patches:
        world = SetWorld(cluster, proposals)
        for module in (arm, config, ordinals, stateful, workload):
            patches.enter_context(mock.patch.object(module, "time", SimTime(world.clock)))
        patches.enter_context(mock.patch.object(workload, "LOOK", 0.4))
        yield world


def left_alone(world: SetWorld, carried: tuple[str, str], partition: int = 0) -> None:
    """All pods carry this, they are updated as before, and no way back is left."""
    owner = world.cluster.owner()
    assert world.cluster.carried() == [carried] * 3
    assert world.cluster.partition == partition
    assert "trimtab.dev/before" not in owner["metadata"]["annotations"]
    assert owner["status"]["currentRevision"] == owner["status"]["updateRevision"]


def events(world: SetWorld, kind: type) -> list[Any]:
    return [event for event in world.events() if isinstance(event, kind)]


def test_the_winner_takes_all_ordinals() -> None:
    """It is tried and proven on the highest one, then goes down one by one; nobody else carried it before."""
    with set_world() as world:
        world.open()
        world.go()
        assert world.outcome() == "kept", world.events()[-3:]
        assert world.below == {ORIGINAL}
        assert events(world, Surveyed)[0].allowance.share == 1 / 3
        assert events(world, Adopted)[0].settings == WINNER
        left_alone(world, WON)
        assert "trimtab.dev/kept" in world.cluster.owner()["metadata"]["annotations"]


def test_without_a_gain_the_set_is_as_it_was() -> None:
    """The template is the original to the letter, and so is the partition that somebody had set."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    with set_world(proposals=({**BEFORE, LEVEL: 9},), updateStrategy=strategy) as world:
        template = world.cluster.owner()["spec"]["template"]
        world.open()
        world.go()
        assert world.outcome() in ("nothing_to_gain", "inconclusive")
        assert world.cluster.owner()["spec"]["template"] == template
        assert world.below == {ORIGINAL}
        left_alone(world, ORIGINAL, partition=1)


def test_a_candidate_that_does_not_start_is_refused() -> None:
    """Its pod is deleted, so that the former template gets through, and the run goes on to the winner."""
    with set_world(proposals=({**BEFORE, LEVEL: 9}, WINNER)) as world:
        world.cluster.server.break_pods(lambda pod: world.cluster.level(pod) == "gzip_comp_level 9;")
        world.open()
        world.go()
        (refused,) = events(world, Refused)
        assert "CrashLoopBackOff" in refused.reason
        assert world.outcome() == "kept"
        left_alone(world, WON)


def test_a_winner_that_does_not_start_on_every_ordinal_is_taken_back() -> None:
    """Proven on the highest pod, broken on the next one: all of them are as before."""
    with set_world() as world:
        lower = ("shop-0", "shop-1")
        world.cluster.server.break_pods(
            lambda pod: pod["metadata"]["name"] in lower and world.cluster.level(pod) == WON[1]
        )
        world.open()
        world.go()
        assert world.outcome() == "failed"
        assert "shop-1 does not become Ready" in events(world, Adopted)[0].fault
        left_alone(world, ORIGINAL)


def test_the_watchdog_alone_brings_it_back() -> None:
    """Every worker is gone while a pod cannot start: past the deadline the annotation suffices."""
    with set_world() as world:
        world.open()
        world.go(until=lambda: world.cluster.carried()[-1] == WON)
        world.cluster.server.break_pods(lambda pod: world.cluster.level(pod) == WON[1])
        pod = world.cluster.at(2)
        world.cluster.api.delete(f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}")
        for _ in range(20):
            world.tick(30.0)
        assert world.cluster.carried() == [ORIGINAL] * 3
        assert world.cluster.partition == 0
        world.go()
        assert world.outcome() == "restored"
        left_alone(world, ORIGINAL)
