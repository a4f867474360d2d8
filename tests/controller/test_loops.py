"""Loops and the sweep: what goes wrong is survived, told once, and nothing waits longer than it must."""

from __future__ import annotations

import threading

import pytest
from structlog.testing import capture_logs

from adapters.memory_queue import MemoryQueue
from controller.loops import Loop
from controller.metrics import Metrics
from controller.sweep import RESEND_SECONDS, Sweep
from domain.errors import Transient
from tests.controller.office import Failing, Office, alert


class Worn(MemoryQueue):
    """A queue that fails for a while."""

    failures = 0

    def send(self, run: str) -> None:
        if self.failures:
            self.failures -= 1
            raise Transient("no broker")
        super().send(run)


def run_loop(answers: list[object], patience: float = 30.0) -> tuple[Loop, Metrics]:
    """A loop that works through the answers (True, False or an error), then ends."""
    metrics, done = Metrics(), threading.Event()

    def one() -> bool:
        if not answers:
            done.set()
            return False
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    loop = Loop("test", one, 0.001, metrics, patience=patience, troubles=(0.001,))
    loop.start()
    assert done.wait(5)
    loop.stop()
    loop.join(5)
    return loop, metrics


def test_an_outage_is_told_once_and_its_end_too() -> None:
    """However often the call fails; the counter has every failure."""
    with capture_logs() as lines:
        _, metrics = run_loop([True, Transient("a"), Transient("b"), Transient("c"), False])
    assert [line["event"] for line in lines] == ["trouble", "well again"]
    assert metrics.registry.get_sample_value("trimtab_troubles_total", {"loop": "test"}) == 3


def test_different_mistakes_are_told_each_and_survived() -> None:
    """A bug in one call does not end the loop, and does not fill the log."""
    with capture_logs() as lines:
        run_loop([ValueError("x"), ValueError("x"), KeyError("y"), True])
    assert [line.get("error") for line in lines] == ["ValueError", "KeyError", None]


def test_a_loop_that_ended_is_not_alive() -> None:
    """Nor one that hangs in a call for longer than its patience."""
    loop, _ = run_loop([False])
    assert not loop.alive
    hang = threading.Event()
    hung = Loop("hung", lambda: not hang.wait(5), 0.0, Metrics(), patience=0.0)
    hung.start()
    try:
        assert not hung.alive
    finally:
        hang.set()
        hung.stop()
        hung.join(5)


def test_what_the_queue_did_not_take_goes_out_as_soon_as_it_can() -> None:
    """The ledger counts it as sent and would wait for the lease period."""
    office, queue = Office(), Worn()
    office.ledger.submit(alert())
    office.work()
    run = office.ledger.open_run("shop-front")
    sweep = Sweep(office.ledger, queue, office.clock, office.metrics)
    queue.failures = 1
    with pytest.raises(Transient):
        sweep.one()
    office.clock.time += 0.5
    sweep.one()
    assert list(queue.sent) == [run]
    sweep.one()
    assert len(queue.sent) == 1
    office.clock.time += RESEND_SECONDS
    sweep.one()
    assert list(queue.sent) == [run, run]
    assert office.count("trimtab_steps_sent_total") == 2


def test_the_lag_grows_while_no_sweep_succeeds() -> None:
    """A number to alert on."""
    office = Office()
    failing = Failing(office.ledger, lambda: Transient("gone"))
    sweep = Sweep(failing, MemoryQueue(), office.clock, office.metrics)  # type: ignore[arg-type]
    sweep.one()
    office.clock.time += 12.0
    failing.at = 1
    with pytest.raises(Transient):
        sweep.one()
    assert office.count("trimtab_sweep_lag_seconds") == 12.0
    sweep.one()
    assert office.count("trimtab_sweep_lag_seconds") == 0.0
