"""Admission: once per signal, whatever happens in between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intake import Intake
from controller.metrics import Metrics
from controller.sweep import Sweep
from domain.target import Limits
from tests.controller.stage import Door, shop, signal
from tests.journeys.world import Crash, Mortal


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("n", range(1, 9))
def test_a_crash_at_any_call_opens_exactly_one_run(n: int, when: str) -> None:
    """Death between any two calls: taking the signal up again opens no second run and loses none."""
    door = Door()
    door.ledger.submit(signal())
    mortal = Mortal(n, when)
    dying = Intake(mortal.wrap("ledger", door.ledger), door.targets, door.clock, Metrics())
    try:
        while dying.one():
            pass
    except Crash:
        pass
    door.drain()
    assert len(door.ledger.runs()) == 1
    assert door.ledger.submitted() is None
    assert door.ledger.read(door.ledger.runs()[0].run).inbox == ()
    assert door.ledger.ignored("shop-front") == ()


def test_a_second_signal_joins_the_open_run() -> None:
    """One run a target: whoever comes later is heard by it."""
    door = Door()
    door.ledger.submit(signal())
    door.ledger.submit(signal(id="g/2/1", summary="slower"))
    door.drain()
    (info,) = door.ledger.runs()
    assert "slower" in door.ledger.read(info.run).inbox[0]["text"]


def test_two_targets_that_share_a_lock_never_run_together() -> None:
    """The second is ignored with the reason."""
    one = replace(shop(), lock="db")
    two = replace(shop(), name="cart", when={"service": "cart"}, lock="db")
    door = Door(targets={"shop-front": one, "cart": two})
    door.intake = Intake(door.ledger, door.targets, door.clock, door.metrics, most_open=5)
    door.ledger.submit(signal())
    door.ledger.submit(signal(id="c/1/1", labels={"service": "cart"}))
    door.drain()
    assert len(door.ledger.runs()) == 1
    assert "shares the lock" in door.ledger.ignored("cart")[0]["reason"]


def test_cool_down_freeze_and_the_number_of_open_runs_are_respected() -> None:
    """Each refusal is a note with its reason; a person's wish passes the cool-down."""
    target = replace(shop(), limits=Limits(cooldown=600.0))
    other = replace(shop(), name="cart", when={"service": "cart"})
    door = Door(targets={"shop-front": target, "cart": other})
    door.ledger.submit(signal())
    door.drain()
    door.ledger.submit(signal(id="c/1/1", labels={"service": "cart"}))
    door.drain()
    assert "1 may be" in door.ledger.ignored("cart")[0]["reason"]
    run = door.ledger.open_run("shop-front") or ""
    lease = door.ledger.lease(run, door.clock.now(), 75.0)
    assert lease is not None
    door.ledger.append(lease, 1, (), due=door.clock.now(), outcome="failed")
    door.ledger.submit(signal(id="h/1/1"))
    door.drain()
    assert "cooling down" in door.ledger.ignored("shop-front")[0]["reason"]
    frozen = Intake(door.ledger, door.targets, door.clock, door.metrics, freeze=[(0.0, 2_000_000.0)])
    door.ledger.submit(signal(id="i/1/1", labels={"service": "cart"}))
    frozen.one()
    assert "frozen" in door.ledger.ignored("cart")[1]["reason"]
    door.ledger.submit(signal(id="p/1", kind="person", target="shop-front", labels={}))
    door.drain()
    assert door.ledger.open_run("shop-front") is not None


def test_the_narrowest_when_wins_and_a_tie_is_ignored() -> None:
    """Labels that fit two targets mean the one that asks for more of them."""
    wide = replace(shop(), name="wide", when={"service": "shop-front"})
    twin = replace(shop(), name="twin", when={"alertname": "HighLatency", "service": "shop-front"})
    door = Door(targets={"wide": wide, "shop-front": shop()})
    door.ledger.submit(signal())
    door.drain()
    assert door.ledger.runs()[0].target == "shop-front"
    tied = Door(targets={"twin": twin, "shop-front": shop()})
    tied.ledger.submit(signal())
    tied.drain()
    assert "equally" in tied.ledger.ignored("(unknown)")[0]["reason"]


def test_the_sweep_sends_what_is_due_once() -> None:
    """A name goes to the queue when its run is due, and not again right away."""
    from adapters.memory_queue import MemoryQueue

    door, queue = Door(), MemoryQueue()
    door.ledger.submit(signal())
    door.drain()
    sweep = Sweep(door.ledger, queue, door.clock, door.metrics)
    sweep.one()
    sweep.one()
    assert list(queue.sent) == [door.ledger.open_run("shop-front")]
    door.clock.time += 80.0
    sweep.one()
    assert len(queue.sent) == 2
