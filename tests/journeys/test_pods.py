"""Whole runs of a workload: arms come and go, the winner is in the template, and nothing else is left."""

from __future__ import annotations

from typing import Any

import pytest

from domain.events import Adopted, Calibrated, Prepared, Surveyed
from domain.run import replay
from tests.journeys.pods import BEFORE, WINNER, PodWorld, pod_world
from tests.pods import LEVEL


def left_alone(world: PodWorld, *, replicas: int = 4) -> None:
    """No arm, no way back and as many replicas as before."""
    owner = world.cluster.owner()
    assert world.cluster.pod("a") is None
    assert world.cluster.pod("b") is None
    assert "trimtab.dev/before" not in owner["metadata"]["annotations"]
    assert owner["spec"]["replicas"] == replicas


def events(world: PodWorld, kind: type) -> list[Any]:
    return [event for event in world.events() if isinstance(event, kind)]


def test_the_winner_goes_into_the_template() -> None:
    """Arms replace two of four replicas, the gain is proven on them, and all four carry it in the end."""
    with pod_world() as world:
        world.open()
        world.go()
        assert world.outcome() == "kept", world.events()[-3:]
        assert events(world, Prepared) == [Prepared()]
        assert events(world, Surveyed)[0].allowance.share == 0.25
        assert events(world, Adopted)[0].settings == WINNER
        assert world.cluster.in_template("limits", "cpu") == "400m"
        assert world.settings() == {"a": WINNER, "b": WINNER}
        left_alone(world)


def test_without_a_gain_the_workload_is_as_it_was() -> None:
    """A candidate that is slower is taken back, and the template was never written."""
    slow = {**BEFORE, LEVEL: 9}
    with pod_world(proposals=(slow,)) as world:
        generation = world.cluster.owner()["spec"]["template"]
        world.open()
        world.go()
        assert world.outcome() in ("nothing_to_gain", "inconclusive")
        assert world.cluster.owner()["spec"]["template"] == generation
        left_alone(world)


@pytest.mark.parametrize(("comparisons", "outcome"), [(1, "kept"), (2, "refused")])
def test_a_fault_in_the_comparison_of_equal_arms_must_show_twice(comparisons: int, outcome: str) -> None:
    """Arms that were just made may show something by chance, or nothing yet: they are compared again. If it shows
    again nothing is tuned, and the workload is as it was."""
    with pod_world() as world:
        world.blind = lambda arm, at: replay(world.records()).calibrations < comparisons
        world.open()
        world.go()
        assert world.outcome() == outcome
        assert len(events(world, Calibrated)) == 2
        left_alone(world)
