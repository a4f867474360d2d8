"""What every ledger must do. Times are the caller's; leases run on the ledger's own clock, which `pass_time` moves."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from adapters.ledger_text import IGNORED_CAP
from adapters.memory_ledger import MemoryLedger
from adapters.redis_ledger import RedisLedger
from domain.errors import Stale
from domain.events import Closed, Heard, Opened
from domain.journal import seal, verify
from domain.ports import Lease, Ledger, Record
from domain.signal import Signal
from tests.journal_factory import target as factory_target
from tests.redis_server import RedisServer, redis_server

T = 1_795_529_700.25  # the caller's clock
LONG = 30.0  # seconds of a lease that no test outlives


@dataclass
class Store:
    ledger: Ledger
    pass_time: Callable[[float], None]


class HandClock:
    def __init__(self) -> None:
        self.time = 1_000.0

    def now(self) -> float:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        clock = HandClock()
        return Store(MemoryLedger(clock), clock.move)
    server: RedisServer = request.getfixturevalue("server")
    return Store(RedisLedger(server.url, f"{uuid.uuid4().hex}:"), time.sleep)


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return store.ledger


def signal(id: str = "fp-1", **changes: object) -> Signal:
    fields = {"kind": "alert", "status": "firing", "at": T, "summary": "p95 is high", "labels": {"service": "shop"}}
    return Signal(id, **{**fields, **changes})  # type: ignore[arg-type]


def opened(run: str = "r1", at: float = T) -> Record:
    return seal([Opened(run, signal(), factory_target(), 7)], at, ())[0]


def start(ledger: Ledger, run: str = "r1", target: str = "shop", locks: tuple[str, ...] = (), at: float = T) -> Record:
    first = opened(run, at)
    assert ledger.open(run, target, locks, first, at)
    return first


def take(ledger: Ledger, run: str = "r1", now: float = T) -> Lease:
    lease = ledger.lease(run, now, LONG)
    assert lease is not None
    return lease


def more(ledger: Ledger, *texts: str, run: str = "r1", at: float = T + 1) -> tuple[Record, ...]:
    return seal([Heard("signal", text) for text in texts], at, ledger.read(run).records)


def close(ledger: Ledger, run: str = "r1", outcome: str = "kept", at: float = T + 9, now: float = T) -> None:
    lease = take(ledger, run, now)
    records = ledger.read(run).records
    end = seal([Closed("kept", "done")], at, records)
    ledger.append(lease, len(records), end, due=at, outcome=outcome)


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


# --- signals ---------------------------------------------------------------------------------------------------------


def test_a_signal_counts_once(ledger: Ledger) -> None:
    """The same id and status within a day is the same signal, also after it was settled; `resolved` is another."""
    assert ledger.submit(signal())
    assert not ledger.submit(signal(summary="again", at=T + 60))
    ledger.settle(signal())
    assert not ledger.submit(signal())
    assert ledger.submit(signal(status="resolved"))


def test_signals_are_settled_in_order(ledger: Ledger) -> None:
    """The oldest stays until it is settled, whole and equal; settling twice harms nobody."""
    sent = [signal(f"fp-{n}", at=T + n, summary="grün", labels={"a": "'\"\\"}) for n in range(3)]
    assert all(ledger.submit(each) for each in sent)
    for each in sent:
        assert ledger.submitted() == each
        assert ledger.submitted() == each
        ledger.settle(each)
        ledger.settle(each)
    assert ledger.submitted() is None


def test_of_racing_submits_one_wins(ledger: Ledger) -> None:
    """Two Alertmanagers deliver the same alert at the same moment: it is queued once."""
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: ledger.submit(signal()), range(16))) == 1
    ledger.settle(signal())
    assert ledger.submitted() is None


# --- ignored signals -------------------------------------------------------------------------------------------------


def test_ignored_signals_are_kept_with_their_chain(ledger: Ledger) -> None:
    """Oldest first, numbered, each with the hash of the one before; targets do not mix."""
    assert ledger.ignored("shop") == ()
    ledger.ignore("shop", {"signal": "a", "reason": "cool-down", "time": T})
    ledger.ignore("shop", {"signal": "b", "reason": "freeze", "time": T + 1})
    ledger.ignore("", {"signal": "c", "reason": "no such target", "time": T})
    first, second = ledger.ignored("shop")
    assert (first["signal"], first["reason"], first["n"], first["dropped"]) == ("a", "cool-down", 0, 0)
    assert (second["signal"], second["n"], second["prev"]) == ("b", 1, first["hash"])
    assert [each["signal"] for each in ledger.ignored("")] == ["c"]


def test_the_list_of_ignored_signals_is_capped_and_counts_what_it_dropped(ledger: Ledger) -> None:
    """A flapping alert cannot fill the store, and nothing vanishes uncounted."""
    for n in range(IGNORED_CAP + 3):
        ledger.ignore("shop", {"signal": n})
    kept = ledger.ignored("shop")
    assert len(kept) == IGNORED_CAP
    assert (kept[0]["signal"], kept[0]["dropped"], kept[-1]["signal"]) == (3, 3, IGNORED_CAP + 2)


def test_racing_ignores_make_one_chain(ledger: Ledger) -> None:
    """Several controllers note at once: none is lost and the chain holds."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: ledger.ignore("shop", {"signal": n}), range(24)))
    kept = ledger.ignored("shop")
    assert sorted(each["signal"] for each in kept) == list(range(24))
    assert [each["n"] for each in kept] == list(range(24))


def test_an_ignored_signal_cannot_pretend_to_be_the_chain(ledger: Ledger) -> None:
    """The chain's own fields are refused in what is noted."""
    with pytest.raises(ValueError, match="'hash'"):
        ledger.ignore("shop", {"hash": "0"})


# --- the index -------------------------------------------------------------------------------------------------------


def test_runs_are_listed_newest_first_by_target_outcome_and_time(ledger: Ledger) -> None:
    """Every filter alone and all together; an open run has no end and an empty outcome."""
    for n in range(6):
        at = T + 100 * n
        start(ledger, f"r{n}", f"shop{n % 2}", at=at)
        if n < 5:
            close(ledger, f"r{n}", "kept" if n % 3 else "restored", at=at + 10, now=at)
    names = lambda **filters: [info.run for info in ledger.runs(**filters)]  # noqa: E731
    assert names() == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert names(limit=2) == ["r5", "r4"]
    assert names(limit=0) == []
    assert names(target="shop1") == ["r5", "r3", "r1"]
    assert names(outcome="restored") == ["r3", "r0"]
    assert names(outcome="") == ["r5"]
    assert names(since=T + 300) == ["r5", "r4", "r3"]
    assert names(target="shop0", outcome="kept", since=T + 1, limit=1) == ["r4"]
    assert names(target="nobody") == []
    newest, before = ledger.runs(limit=2)
    assert (newest.target, newest.opened, newest.closed, newest.outcome) == ("shop1", T + 500, None, "")
    assert (before.opened, before.closed, before.outcome) == (T + 400, T + 410, "kept")


def test_a_filter_looks_beyond_the_first_page(ledger: Ledger) -> None:
    """An old run of a rare outcome is found behind many others."""
    start(ledger, "old", "shop", at=T)
    close(ledger, "old", "failed", now=T)
    for n in range(120):
        start(ledger, f"r{n:03}", "shop", at=T + n + 1)
        close(ledger, f"r{n:03}", "kept", now=T + n + 1)
    assert [info.run for info in ledger.runs(target="shop", outcome="failed")] == ["old"]
    assert len(ledger.runs()) == 100
    assert len(ledger.runs(limit=1000)) == 121
