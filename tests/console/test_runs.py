"""Starting, stopping and following runs."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from console.watch import phase, told, view
from domain import budget
from domain.events import Opened
from domain.journal import event_of, seal
from domain.run import replay
from domain.signal import Signal
from tests import journal_factory as factory
from tests.console.desk import Desk, Screen


def admit(desk: Desk) -> None:
    """What the controller does with the oldest signal: open a run."""
    signal = desk.ledger.submitted()
    if signal is None:
        return
    first = seal([Opened("shop-front-new", signal, factory.target(), 1)], desk.hand.now(), ())
    desk.ledger.open("shop-front-new", "shop-front", (), first[0], desk.hand.now())
    desk.ledger.settle(signal)


def test_start_prints_the_run_that_the_controller_opened(desk: Desk, screen: Screen) -> None:
    """`runs start` submits a person's signal and prints only the run's id."""
    desk.meanwhile = lambda: admit(desk)
    assert screen("runs", "start", "shop-front", "--reason", "black friday") == 0
    assert screen.out == "shop-front-new\n"
    opened = desk.ledger.read("shop-front-new").records[0].data["signal"]
    assert opened["kind"] == "person"
    assert opened["summary"].startswith("black friday (")


def test_start_says_that_no_controller_listens(desk: Desk, screen: Screen) -> None:
    """Without a controller the command gives up after its wait, exit code 3; the signal stays queued."""
    assert screen("runs", "start", "shop-front", "--wait", "1") == 3
    assert "stays queued" in screen.err
    assert isinstance(desk.ledger.submitted(), Signal)


def test_start_tells_why_it_was_ignored(desk: Desk, screen: Screen) -> None:
    """An ignored signal ends with exit code 1 and the controller's reason."""

    def ignore() -> None:
        signal = desk.ledger.submitted()
        if signal is not None:
            desk.ledger.ignore("shop-front", {"id": signal.id, "reason": "cool-down until 15:00"})
            desk.ledger.settle(signal)

    desk.meanwhile = ignore
    assert screen("runs", "start", "shop-front") == 1
    assert "cool-down until 15:00" in screen.err


def test_stop_reaches_the_inbox_of_an_open_run_only(desk: Desk, screen: Screen) -> None:
    """`runs stop` leaves a message for the worker; a closed run cannot be stopped."""
    desk.store(factory.kept(), keep_open=True)
    assert screen("runs", "stop", "last", "--reason", "deploy") == 0
    (message,) = desk.ledger.read(factory.RUN).inbox
    assert message["kind"] == "stop"
    assert message["text"].startswith("deploy (")
    assert screen("runs", "stop", "nobody") == 1


def test_closed_run_cannot_be_stopped(desk: Desk, screen: Screen) -> None:
    """Stopping a closed run is a finding that names how it ended."""
    desk.store(factory.null())
    assert screen("runs", "stop", "last") == 1
    assert "it closed with nothing_to_gain" in screen.err


def test_watch_without_a_terminal_prints_plain_lines_until_the_end(desk: Desk, screen: Screen) -> None:
    """`runs watch` follows a run to its close; lines carry the time and no colour."""
    journal = factory.kept()
    desk.store(journal, keep_open=True)
    lease = desk.ledger.lease(journal.run, desk.hand.now(), 60)
    assert lease is not None

    def close() -> None:
        if desk.ledger.open_run("shop-front"):
            length = len(journal.records) - 1
            desk.ledger.append(lease, length, journal.records[-1:], due=0.0, outcome="kept")

    desk.meanwhile = close
    assert screen("runs", "watch", "last") == 0
    assert "gate 1: Keep" in screen.out
    assert "looked: the objective is" in screen.out
    assert "of 60 user-weighted s" in screen.out
    assert "promoted to 1 arm" in screen.out
    assert "watch: pair 10 of about 40" in screen.out
    assert "closed: kept, -37.5 % against the original settings" in screen.out.splitlines()[-1]
    assert "\x1b" not in screen.out


def test_watch_of_a_failed_run_is_a_finding(desk: Desk, screen: Screen) -> None:
    """A run that closed as failed or conflict ends `runs watch` with exit code 1."""
    desk.store(factory.conflict())
    assert screen("runs", "watch", "last") == 1
    assert "changed by somebody else" in screen.out


@pytest.mark.parametrize("make", factory.EVERY, ids=lambda make: make.__name__)
def test_every_moment_of_a_run_can_be_shown(make: Callable[[], factory.Journalist]) -> None:
    """Any prefix of a journal has a phase in words and a live picture, and every event a line or nothing."""
    records = make().records
    for prefix in factory.prefixes(records):
        if prefix:
            run = replay(prefix)
            assert phase(run)
            view(run, prefix, prefix[-1].time)
    whole = replay(records)
    assert all(isinstance(told(event_of(record), whole), str) for record in records)


def test_live_view_shows_trials_and_evidence() -> None:
    """The live picture of an open gate has the trials so far, the pairs and the e-value with what is needed."""
    records = factory.kept().records
    kinds = [record.kind for record in records]
    middle = tuple(records[: kinds.index("Judged")])
    paper = io.StringIO()
    Console(file=paper, width=140).print(view(replay(middle), middle, middle[-1].time))
    text = paper.getvalue()
    assert "gate 1: proving trial 5" in text
    assert "gzip_comp_level 6 → 1" in text
    assert "of 16.4 needed" in text
    assert "refused" in text
    assert f"harm so far: {budget.spent(replay(middle)):.1f} of 60 user-weighted s" in text
    assert "the original was looked at 2 times: not recovered by itself" in text


def test_live_view_shows_how_far_watch_and_hold_back_are() -> None:
    """After the gate the phase counts arms, the pairs of the watch and those of the hold-back."""
    records = factory.held().records
    shown = []
    for prefix in factory.prefixes(records):
        if prefix and prefix[-1].kind in ("Applied", "Measured"):
            run = replay(prefix)
            paper = io.StringIO()
            Console(file=paper, width=160).print(view(run, prefix, prefix[-1].time))
            shown.append(phase(run) + paper.getvalue())
    assert any("bringing the winner to 2 of 4 arms: step 2 of 3" in text for text in shown)
    assert any("watching original against kept: pair 7 of about 14" in text for text in shown)
    assert any("watch: 6 of about 14 pairs" in text for text in shown)
    assert any("hold-back for 0.2 h" in text and "hold-back: 3 pairs" in text for text in shown)
