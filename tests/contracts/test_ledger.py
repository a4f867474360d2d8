"""What every ledger must do with journals, open runs and leases. Times are the caller's; leases run on the ledger's
own clock, which `pass_time` moves."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import Stale
from domain.events import Closed, Heard
from domain.journal import seal, verify
from domain.ports import Lease, Ledger, Record
from tests.contracts.ledgers import LONG, Store, T, close, more, opened, signal, start, take

# --- journals --------------------------------------------------------------------------------------------------------


def test_a_journal_comes_back_as_it_was_written(ledger: Ledger) -> None:
    """Records, floats to the last digit and text in any script survive the store, and the chain still verifies."""
    first = start(ledger)
    records = seal([Heard("stop", "halt ÄÖ — 停止 \u2028"), Heard("signal", "0.1+0.2")], T + 0.1 + 0.2, [first])
    ledger.append(take(ledger), 1, records, due=T)
    read = ledger.read("r1").records
    assert read == (first, *records)
    verify("r1", read)


def test_an_unknown_run_reads_as_empty(ledger: Ledger) -> None:
    """No journal, no inbox, no lease, no message for a run that nobody opened."""
    journal = ledger.read("nobody")
    assert (journal.records, journal.inbox) == ((), ())
    assert ledger.lease("nobody", T, LONG) is None
    assert ledger.open_run("nobody") is None
    assert not ledger.hear("nobody", {"kind": "stop"}, T)


def test_what_was_read_is_never_changed_by_a_later_call(ledger: Ledger) -> None:
    """Values cross the seam: neither a change of what was read nor of what was passed in reaches the store."""
    start(ledger)
    message = {"kind": "stop", "text": "a"}
    ledger.hear("r1", message, T)
    message["text"] = "changed"
    before = ledger.read("r1")
    before.records[0].data["run"] = "changed"
    before.inbox[0]["text"] = "changed"
    ledger.append(take(ledger), 1, more(ledger, "x"), due=T)
    after = ledger.read("r1")
    assert len(before.records) == 1
    assert after.records[0].data["run"] == "r1"
    assert after.inbox[0]["text"] == "a"


def test_an_append_with_the_wrong_length_is_stale(ledger: Ledger) -> None:
    """A worker that read an older journal cannot append, and nothing of its append is left."""
    start(ledger)
    lease, old = take(ledger), more(ledger, "late")
    ledger.append(lease, 1, more(ledger, "first"), due=T)
    with pytest.raises(Stale, match="2 records, not 1"):
        ledger.append(lease, 1, old, due=T + 50, outcome="kept")
    assert len(ledger.read("r1").records) == 2
    assert ledger.open_run("shop") == "r1"


def test_a_record_with_a_foreign_number_is_refused(ledger: Ledger) -> None:
    """A record that cannot follow what stands there would break the chain for ever."""
    first = start(ledger)
    with pytest.raises(ValueError, match="cannot be number 1"):
        ledger.append(take(ledger), 1, [first], due=T)
    assert len(ledger.read("r1").records) == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_is_refused_everywhere(ledger: Ledger, bad: float) -> None:
    """Neither a record, a message, a signal nor a time may hold what JSON cannot say."""
    start(ledger)
    lease = take(ledger)
    record = Record(1, 1, T, "Heard", {"kind": "stop", "text": bad}, "p", "h")
    for call in (
        lambda: ledger.append(lease, 1, [record], due=T),
        lambda: ledger.append(lease, 1, [], due=bad),
        lambda: ledger.hear("r1", {"kind": bad}, T),
        lambda: ledger.hear("r1", {"kind": "stop"}, bad),
        lambda: ledger.submit(signal("nan", at=bad)),
        lambda: ledger.ignore("shop", {"reason": bad}),
        lambda: ledger.release(lease, bad),
        lambda: ledger.due(T, bad),
        lambda: ledger.open("r2", "other", (), opened("r2"), bad),
    ):
        with pytest.raises(ValueError):
            call()
    assert len(ledger.read("r1").records) == 1
    assert ledger.read("r1").inbox == ()
    assert ledger.submitted() is None


# --- one open run ----------------------------------------------------------------------------------------------------


def test_one_open_run_per_target(ledger: Ledger) -> None:
    """The second run of a target is refused while the first is open, and leaves no trace."""
    start(ledger)
    assert not ledger.open("r2", "shop", (), opened("r2"), T)
    assert ledger.open_run("shop") == "r1"
    assert ledger.read("r2").records == ()
    assert [info.run for info in ledger.runs()] == ["r1"]


def test_one_open_run_per_lock(ledger: Ledger) -> None:
    """Targets that share a dependency lock never have open runs at the same time; others do."""
    start(ledger, "r1", "shop", ("db", "cache"))
    assert not ledger.open("r2", "front", ("cache",), opened("r2"), T)
    assert ledger.open("r3", "back", ("mail",), opened("r3"), T)
    assert ledger.open_run("front") is None


def test_a_target_and_a_lock_of_one_name_are_two_things(ledger: Ledger) -> None:
    """A lock named like another target does not block that target."""
    start(ledger, "r1", "shop", ("front",))
    assert ledger.open("r2", "front", (), opened("r2"), T)


def test_closing_frees_target_and_locks(ledger: Ledger) -> None:
    """After the last record another run may open."""
    start(ledger, "r1", "shop", ("db",))
    close(ledger)
    assert ledger.open_run("shop") is None
    assert ledger.open("r2", "shop", ("db",), opened("r2"), T)


def test_a_name_is_used_once(ledger: Ledger) -> None:
    """A closed run is history: opening under its name is refused and changes nothing."""
    start(ledger)
    close(ledger)
    with pytest.raises(Stale, match="exists already"):
        ledger.open("r1", "shop", (), opened(), T)
    assert len(ledger.read("r1").records) == 2
    assert ledger.open_run("shop") is None


def test_of_racing_opens_one_wins(ledger: Ledger) -> None:
    """Many controllers, one target: exactly one run opens."""
    names = [f"r{n}" for n in range(16)]
    barrier = threading.Barrier(8)

    def attempt(name: str) -> bool:
        barrier.wait()
        return ledger.open(name, "shop", ("db",), opened(name), T)

    with ThreadPoolExecutor(8) as pool:
        won = [name for name, yes in zip(names, pool.map(attempt, names), strict=True) if yes]
    assert len(won) == 1
    assert ledger.open_run("shop") == won[0]
    assert ledger.due(T, LONG) == (won[0],)


# --- leases ----------------------------------------------------------------------------------------------------------


def test_a_lease_is_held_by_one(ledger: Ledger) -> None:
    """Nobody else gets a lease that is held; given back, it can be taken again with a larger token."""
    start(ledger)
    first = take(ledger)
    assert (first.run, first.target) == ("r1", "shop")
    assert ledger.lease("r1", T, LONG) is None
    ledger.release(first)
    assert take(ledger).token > first.token


def test_of_racing_leases_one_wins(ledger: Ledger) -> None:
    """A message that was delivered to many workers at once gives one lease."""
    start(ledger)
    barrier = threading.Barrier(8)

    def attempt(_: int) -> Lease | None:
        barrier.wait()
        return ledger.lease("r1", T, LONG)

    with ThreadPoolExecutor(8) as pool:
        assert sum(lease is not None for lease in pool.map(attempt, range(8))) == 1


def test_no_lease_before_the_run_is_due(ledger: Ledger) -> None:
    """A message that comes early finds nothing to do."""
    start(ledger)
    ledger.release(take(ledger), T + 10)
    assert ledger.lease("r1", T + 9.99, LONG) is None
    assert ledger.lease("r1", T + 10, LONG) is not None


def test_an_expired_lease_passes_on_with_a_larger_token(store: Store) -> None:
    """A dead worker's lease ends by itself; its late append and release change nothing for the next holder."""
    ledger = store.ledger
    start(ledger)
    dead = ledger.lease("r1", T, 0.04)
    assert dead is not None
    store.pass_time(0.08)
    with pytest.raises(Stale):
        ledger.append(dead, 1, more(ledger, "late"), due=T)
    alive = take(ledger)
    assert alive.token > dead.token
    with pytest.raises(Stale):
        ledger.append(dead, 1, more(ledger, "late"), due=T)
    ledger.release(dead, T + 1000)
    assert ledger.lease("r1", T, LONG) is None
    ledger.append(alive, 1, more(ledger, "mine"), due=T)
    assert [record.data.get("text") for record in ledger.read("r1").records[1:]] == ["mine"]


def test_a_lease_of_no_time_is_refused(ledger: Ledger) -> None:
    """Zero seconds would expire before the first use."""
    start(ledger)
    with pytest.raises(ValueError, match="longer than 0"):
        ledger.lease("r1", T, 0)


def test_a_closed_run_takes_nothing_more(ledger: Ledger) -> None:
    """No append, no message, no lease, no due time after the end, not even for who closed it."""
    start(ledger)
    lease = take(ledger)
    ledger.append(lease, 1, seal([Closed("kept", "done")], T, ledger.read("r1").records), due=T, outcome="kept")
    with pytest.raises(Stale):
        ledger.append(lease, 2, more(ledger, "after"), due=T)
    assert not ledger.hear("r1", {"kind": "stop"}, T)
    ledger.release(lease, T)
    assert ledger.lease("r1", T + 99, LONG) is None
    assert ledger.due(T + 99, LONG) == ()
    assert len(ledger.read("r1").records) == 2


def test_a_run_cannot_close_without_a_word(ledger: Ledger) -> None:
    """An empty outcome means open, so it cannot close."""
    start(ledger)
    with pytest.raises(ValueError, match="outcome is empty"):
        ledger.append(take(ledger), 1, more(ledger, "end"), due=T, outcome="")
