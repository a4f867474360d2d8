"""Runs of a workload whose worker dies at a write to the cluster, or for ever, or whose ledger forgets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from tests.journeys.pod_stories import (
    FEW,
    STORIES,
    Death,
    as_it_says,
    check,
    clean,
    closed,
    deaths,
    in_template,
    told,
    until_reaped,
)
from tests.journeys.pods import BEFORE, WINNER, PodWorld
from tests.kubernetes_api import Died

NAMES = sorted(STORIES)


def from_each(world: PodWorld, left: list[Death], goes_on: Callable[[PodWorld], None]) -> None:
    """Carry each of the worlds to its end; a failure says from where."""
    for death in left:
        world.back(death.photo)
        try:
            goes_on(world)
        except Exception as failure:
            raise AssertionError(f"death {death.words}: {failure!r}") from failure


@pytest.mark.parametrize("name", NAMES)
def test_a_death_at_a_write_to_the_cluster_ends_as_if_nobody_had_died(name: str) -> None:
    """Before and after each kind of write the next worker goes on: outcome, template, replicas, and nothing left."""
    with told(name) as world:
        left = deaths(world, name)
        check(world, name)
        assert len(left) >= 10

        def on(world: PodWorld) -> None:
            world.go()
            check(world, name)

        from_each(world, left, on)


@pytest.mark.parametrize("name", NAMES)
def test_without_any_worker_the_watchdog_brings_all_of_it_back(name: str) -> None:
    """From each death on nobody but the watchdog works: the original is back, unless the run had let go of it."""
    with told(name) as world:

        def on(world: PodWorld) -> None:
            let_go = "trimtab.dev/before" not in (world.cluster.owner()["metadata"].get("annotations") or {})
            carried = in_template(world)
            until_reaped(world)
            clean(world)
            assert in_template(world) == (carried if let_go else BEFORE)
            world.go()  # a worker at last: it has only to say so
            as_it_says(world)

        from_each(world, deaths(world, name, seed=2), on)


@pytest.mark.parametrize("lost", [1, 2, 4])
def test_a_ledger_that_lost_its_last_records_leaves_nothing_behind(lost: int) -> None:
    """Redis comes back from an older save, behind the workload: the run ends, and the workload is as its end says."""
    with told("kept") as world:
        seen = set()

        def on(world: PodWorld) -> None:
            world.forget(max(1, len(world.records()) - lost))
            world.go()
            as_it_says(world)
            seen.add(closed(world))

        from_each(world, deaths(world, "kept", seed=lost)[lost % 3 :: 3], on)
        assert seen >= {"kept", "restored"}
        assert in_template(world) in (BEFORE, WINNER)


def test_a_watchdog_that_dies_half_way_and_a_worker_that_comes_back() -> None:
    """The watchdog is on its way back from the kept template and dies before or after a call; then a worker comes
    first, or another watchdog: what the run's end says is so."""
    with told("kept") as world:
        left = [each for each in deaths(world, "kept") if "template" in each.kind and "after" in each.kind]
        assert left
        for first, each in (("worker", 3), ("watchdog", 7)):
            for call in range(1, 200, each):
                world.back(left[0].photo)
                world.clock.time += FEW.patience + 60.0
                api = world.cluster.api
                api.die_at, api.after = api.count + (call + 1) // 2, call % 2 == 0
                with contextlib.suppress(Died):
                    next(iter(world.cluster.arms().values())).reap(world.clock.time)
                if api.count < api.die_at:
                    break
                if first == "watchdog":
                    until_reaped(world)
                    assert in_template(world) == BEFORE
                world.go()
                as_it_says(world)
            assert call > 40
