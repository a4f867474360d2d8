"""What every ledger must do with inboxes and due times."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import Stale
from domain.events import Heard
from domain.journal import seal
from domain.ports import Ledger
from tests.contracts.ledgers import LONG, Store, T, more, opened, start, take

# --- inbox -----------------------------------------------------------------------------------------------------------


def test_each_message_is_taken_up_once(ledger: Ledger) -> None:
    """Taken-up messages go with the append that journals them; later ones stay, in order."""
    start(ledger)
    for n in range(3):
        assert ledger.hear("r1", {"kind": "signal", "text": str(n)}, T)
    lease = take(ledger)
    ledger.append(lease, 1, more(ledger, "0", "1"), heard=2, due=T)
    assert [message["text"] for message in ledger.read("r1").inbox] == ["2"]
    with pytest.raises(Stale):
        ledger.append(lease, 1, more(ledger, "2")[:0], heard=1, due=T)
    with pytest.raises(Stale, match="inbox"):
        ledger.append(lease, 3, (), heard=2, due=T)
    assert [message["text"] for message in ledger.read("r1").inbox] == ["2"]


def test_no_message_is_lost_between_racing_hearers_and_a_stepping_worker(ledger: Ledger) -> None:
    """Every message of many senders reaches the journal exactly once."""
    start(ledger)
    lease, total, sent = take(ledger), 40, threading.Event()

    def send() -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: ledger.hear("r1", {"kind": "signal", "text": str(n)}, T), range(total)))
        sent.set()

    sender = threading.Thread(target=send)
    sender.start()
    while True:
        last = sent.is_set()
        journal = ledger.read("r1")
        events = [Heard("signal", message["text"]) for message in journal.inbox]
        ledger.append(lease, len(journal.records), seal(events, T, journal.records), heard=len(events), due=T)
        if last and not ledger.read("r1").inbox:
            break
    sender.join()
    texts = [record.data["text"] for record in ledger.read("r1").records[1:]]
    assert sorted(texts, key=int) == [str(n) for n in range(total)]


def test_a_message_makes_the_run_due(ledger: Ledger) -> None:
    """A run that waits for later is looked at when a message says so, and never later than before."""
    start(ledger)
    ledger.release(take(ledger), T + 100)
    ledger.hear("r1", {"kind": "stop"}, T + 5)
    assert ledger.due(T + 4, LONG) == ()
    assert ledger.due(T + 5, LONG) == ("r1",)
    ledger.hear("r1", {"kind": "signal"}, T + 500)
    assert ledger.due(T + 5, LONG) == ("r1",)


def test_a_message_during_a_step_keeps_the_run_due(ledger: Ledger) -> None:
    """The step that did not see the message cannot put it off; once taken up, the run waits as it likes."""
    start(ledger)
    lease = take(ledger)
    ledger.hear("r1", {"kind": "stop", "text": "now"}, T + 1)
    ledger.append(lease, 1, more(ledger, "x"), due=T + 100)
    ledger.release(lease, T + 100)
    assert ledger.due(T + 1, LONG) == ("r1",)
    lease = take(ledger, now=T + 1)
    ledger.append(lease, 2, more(ledger, "now"), heard=1, due=T + 100)
    ledger.release(lease, T + 100)
    assert ledger.due(T + 99, LONG) == ()


def test_a_message_that_nobody_can_take_up_does_not_spin(ledger: Ledger) -> None:
    """A step that failed before it could read puts the run off in spite of a waiting message."""
    start(ledger)
    ledger.hear("r1", {"kind": "stop"}, T)
    ledger.release(take(ledger), T + 30)
    assert ledger.due(T + 29, LONG) == ()


# --- due -------------------------------------------------------------------------------------------------------------


def test_due_names_the_earliest_first(ledger: Ledger) -> None:
    """Only runs whose time has come, in the order of their times."""
    for n, at in enumerate((T + 2, T, T + 1, T + 50)):
        assert ledger.open(f"r{n}", f"shop{n}", (), opened(f"r{n}"), at)
    assert ledger.due(T + 2, LONG) == ("r1", "r2", "r0")


def test_a_sent_name_comes_again_only_after_resend(ledger: Ledger) -> None:
    """A lost message is sent again, but not at every look."""
    start(ledger)
    assert ledger.due(T, 10) == ("r1",)
    assert ledger.due(T + 9.9, 10) == ()
    assert ledger.due(T + 10, 10) == ("r1",)


def test_a_new_due_time_forgets_what_was_sent(ledger: Ledger) -> None:
    """An append, a release or a message makes the name fresh."""
    start(ledger)
    assert ledger.due(T, LONG) == ("r1",)
    lease = take(ledger)
    ledger.append(lease, 1, more(ledger, "x"), due=T + 1)
    ledger.release(lease)
    assert ledger.due(T + 1, LONG) == ("r1",)
    ledger.hear("r1", {"kind": "stop"}, T + 1)
    assert ledger.due(T + 1, LONG) == ("r1",)
    ledger.release(take(ledger, now=T + 1), T + 2)
    assert ledger.due(T + 2, LONG) == ("r1",)


def test_a_name_whose_lease_was_taken_comes_again_when_it_is_free(store: Store) -> None:
    """While a worker holds the lease the name stays quiet; if that worker dies it comes again without waiting."""
    ledger = store.ledger
    start(ledger)
    assert ledger.due(T, LONG) == ("r1",)
    assert ledger.lease("r1", T, 0.04) is not None
    assert ledger.due(T, LONG) == ()
    store.pass_time(0.08)
    assert ledger.due(T, LONG) == ("r1",)


def test_release_without_due_leaves_the_time(ledger: Ledger) -> None:
    """Giving a lease back is no decision about when."""
    start(ledger)
    ledger.release(take(ledger))
    assert ledger.due(T, LONG) == ("r1",)
