"""Each journey again, with the worker dying before and after every single call that it makes."""

from __future__ import annotations

import pytest

from domain.events import Closed
from domain.journal import event_of
from tests.journeys.stories import JOURNEYS
from tests.journeys.world import Crash, Mortal, Photographer, World
from workers.advance import advance


def check(world: World, name: str) -> None:
    """The end that this journey must have."""
    _, outcome, settings, word, kinds = JOURNEYS[name]
    world.check_end(outcome, settings)
    events = world.events()
    assert isinstance(events[-1], Closed)
    assert word in events[-1].reason
    assert set(kinds) <= {type(event).__name__ for event in events}
    assert sum(isinstance(event, Closed) for event in events) == 1


@pytest.mark.parametrize("name", sorted(JOURNEYS))
@pytest.mark.timeout(300)
def test_a_crash_at_every_call_ends_on_the_right_settings(name: str) -> None:
    """Wherever the worker dies, the next one finishes: right settings, whole journal, no way back left lying about.

    The undisturbed journey is copied before and after each of its calls; deaths that leave equal worlds behind have
    equal ends, so each world is carried to its end once."""
    world = JOURNEYS[name][0]()
    camera = Photographer(world)
    world.go(world.ports(camera.wrap))
    check(world, name)
    assert camera.calls >= 8
    for place, left in camera.worlds.values():
        left.note_settings()
        left.go()  # another worker; the lease of the dead one has to expire first
        try:
            check(left, name)
        except AssertionError as failure:
            raise AssertionError(f"death {place} of {camera.calls} calls: {failure}") from failure


@pytest.mark.parametrize("name", sorted(JOURNEYS))
def test_what_a_dying_worker_leaves_is_what_was_there(name: str) -> None:
    """No handler between the call and the worker's last breath changes the world: the copies above are what a real
    death leaves. Every 29th call dies here, before and after it."""
    world = JOURNEYS[name][0]()
    camera = Photographer(world)
    world.go(world.ports(camera.wrap))
    for n in range(1, camera.calls + 1, 29):
        for late, when in enumerate(("before", "after")):
            left = JOURNEYS[name][0]()
            with pytest.raises(Crash):
                left.go(left.ports(Mortal(n, when).wrap))
            assert left.fingerprint() == camera.prints[2 * (n - 1) + late], f"{when} call {n}"


@pytest.mark.parametrize("name", sorted(JOURNEYS))
def test_messages_doubled_late_and_to_two_workers_change_nothing(name: str) -> None:
    """Every message comes twice, to two workers, and once more late: same end, same settings, one Closed."""
    world = JOURNEYS[name][0]()
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
    check(world, name)
    assert sum(isinstance(event_of(record), Closed) for record in world.records()) == 1
