"""Whole runs of a workload: arms come and go, the winner is in the template, and nothing else is left."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.report import render
from domain.events import Adopted, Calibrated, Prepared, Surveyed
from domain.run import replay
from tests.console.desk import Desk, Screen
from tests.journeys.pods import BEFORE, TUNED, WINNER, PodWorld, pod_world
from tests.pods import LEVEL, WORKLOAD


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


def test_what_is_not_ours_is_proven_and_proposed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of the workload is written; history, report and timeline show the patch, and why."""
    target = replace(TUNED, workload=replace(WORKLOAD, take_over=()))
    with pod_world(target=target) as world:
        template = world.cluster.owner()["spec"]["template"]
        world.open()
        world.go()
        assert world.outcome() == "recommended", world.events()[-3:]
        assert world.cluster.owner()["spec"]["template"] == template
        left_alone(world)
        assert "trimtab.dev/kept" not in world.cluster.owner()["metadata"]["annotations"]
        why = "belongs to kubectl-client-side-apply; add take_over: [kubectl-client-side-apply] to overrule that"
        advised = events(world, Surveyed)[0].allowance.advised
        assert set(advised) == set(WINNER)
        assert all(why in each for each in advised.values())
        (adopted,) = events(world, Adopted)

        screen = Screen(Desk(tmp_path, world.ledger, (target,)), capsys)
        assert screen("history", "-o", "json") == 0
        (row,) = json.loads(screen.out)
        assert (row["outcome"], row["proposed"], row["changed"]) == ("recommended", WINNER, {})
        assert row["patch"] == adopted.patch
        assert "cpu: 400m" in row["patch"]
        assert row["allowance"]["advised"] == advised
        assert row["effect_percent"] < -10
        assert screen("runs", "watch", world.run) == 0
        assert "will only be proposed" in screen.out
        page = " ".join(html.unescape(render(world.records())).split())
        for words in (why, "proven and proposed", "gzip_comp_level 1;", "kubectl -n default patch deployment shop"):
            assert words in page
