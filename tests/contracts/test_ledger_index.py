"""What every ledger must do with signals and with the index of runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from adapters.ledger_text import IGNORED_CAP
from domain.ports import Ledger
from tests.contracts.ledgers import T, close, signal, start

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

    def names(**filters: Any) -> list[str]:
        return [info.run for info in ledger.runs(**filters)]

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
