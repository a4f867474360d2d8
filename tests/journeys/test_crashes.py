"""Each journey again, with the worker dying before and after every single call that it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.events import Closed
from domain.journal import event_of
from tests.journeys.world import ORIGINAL, Crash, Mortal, World, make_target
from workers.advance import advance


def count_calls(journey: Callable[[], World]) -> int:
    """How many port calls the undisturbed journey makes."""
    mortal = Mortal(10**9, "never")
    world = journey()
    world.go(world.ports(mortal.wrap))
    return 10**9 - mortal.left


def good() -> World:
    world = World()
    world.open()
    return world


def bad() -> World:
    world = World(proposals=({"level": 9},), speed=lambda s: 0.05 if s["level"] == 6 else 0.3)
    world.open()
    return world


def refused() -> World:
    world = World(proposals=({"level": 9},))
    for arm in world.arms.values():
        arm.refuse({"level": 9})
    world.open()
    return world


def stopped() -> World:
    world = World(proposals=({"level": 9}, {"level": 8}), speed=lambda s: 0.1)
    world.open()
    world.go(until=lambda: any(s != ORIGINAL for s in world.settings().values()))
    world.ledger.hear(world.run, {"kind": "stop", "text": "enough"}, world.clock.time)
    return world


def blind() -> World:
    world = World()
    world.blind = lambda arm, at: at > 1_000_000.0
    world.open()
    return world


def interleaved() -> World:
    world = World(target=make_target(design="interleave"))
    world.open()
    return world


def foreign() -> World:
    world = World()
    world.open()
    world.go(until=lambda: any(s != ORIGINAL for s in world.settings().values()))
    for _ in range(4):
        world.tick()
    for arm in world.arms.values():
        arm.edit({"level": 3})
    return world


def resolved() -> World:
    world = World()
    world.open()
    world.ledger.hear(world.run, {"kind": "resolved", "text": "gone"}, world.clock.time)
    return world


JOURNEYS: dict[str, tuple[Callable[[], World], str, dict[str, Any]]] = {
    "good": (good, "kept", {"level": 1}),
    "bad": (bad, "nothing_to_gain", dict(ORIGINAL)),
    "refused": (refused, "failed", dict(ORIGINAL)),
    "stopped": (stopped, "restored", dict(ORIGINAL)),
    "blind": (blind, "failed", dict(ORIGINAL)),
    "interleaved": (interleaved, "kept", {"level": 1}),
    "foreign": (foreign, "conflict", {"level": 3}),
    "resolved": (resolved, "recovered", dict(ORIGINAL)),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", sorted(JOURNEYS))
@pytest.mark.timeout(300)
def test_a_crash_at_every_call_ends_on_the_right_settings(name: str, when: str) -> None:
    """Wherever the worker dies, the next one finishes: right settings, whole journal, no way back left lying about."""
    journey, outcome, settings = JOURNEYS[name]
    calls = count_calls(journey)
    assert calls >= 8
    for n in range(1, calls + 1):
        world = journey()
        with pytest.raises(Crash):
            world.go(world.ports(Mortal(n, when).wrap))
        world.note_settings()
        world.go()  # another worker; the lease of the dead one has to expire first
        try:
            world.check_end(outcome, settings)
        except AssertionError as failure:
            raise AssertionError(f"death {when} call {n} of {calls}: {failure}") from failure


@pytest.mark.parametrize("name", sorted(JOURNEYS))
def test_messages_doubled_late_and_to_two_workers_change_nothing(name: str) -> None:
    """Every message comes twice, to two workers, and once more late: same end, same settings, one Closed."""
    journey, outcome, settings = JOURNEYS[name]
    world = journey()
    first, second = world.ports(), world.ports()
    for _ in range(4000):
        for run in world.ledger.due(world.clock.time, 30.0):
            advance(run, first)
            advance(run, second)
            world.note_settings()
        advance(world.run, second)
        world.note_settings()
        if world.ledger.open_run(world.target.name) is None:
            break
        world.tick()
    advance(world.run, first)
    world.check_end(outcome, settings)
    assert sum(isinstance(event_of(record), Closed) for record in world.records()) == 1
