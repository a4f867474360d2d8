"""The summary of a run."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from domain.codec import from_json, to_json
from domain.ports import Record, RunInfo
from domain.summary import Change, Summary, interval_text, percent, percent_text, summarise
from tests import journal_factory as factory


def test_kept_run_tells_effect_settings_and_hashes() -> None:
    """A kept run has signal, reported effect, changed settings and the hash of every record."""
    journal = factory.kept()
    summary = summarise(journal.info(), journal.records)
    assert summary.outcome == "kept"
    assert summary.signal is not None
    assert summary.signal.kind == "alert"
    assert summary.trials == 5
    assert [gate.verdict for gate in summary.gates] == ["Keep"]
    assert summary.gates[0].pairs == len(journal.state.gates[0].block.pairs())
    assert summary.effect is not None
    assert summary.effect == pytest.approx(-0.47, abs=0.1)
    assert summary.settings_before == factory.BEFORE
    assert summary.changed == {
        "gzip_comp_level": Change(6, 1),
        "open_file_cache": Change("off", "max=1000"),
    }
    assert summary.hashes == tuple(record.hash for record in journal.records)
    assert (summary.first_hash, summary.last_hash) == (summary.hashes[0], summary.hashes[-1])
    assert (summary.seed, summary.strategy, summary.profile) == (7, "bayesian", "demo")
    assert summary.windows == 2 * sum(record.kind == "Measured" for record in journal.records)


def test_run_without_gain_ends_on_the_settings_before() -> None:
    """A run that kept nothing reports no effect and no changed parameter."""
    journal = factory.null()
    summary = summarise(journal.info(), journal.records)
    assert summary.outcome == "nothing_to_gain"
    assert summary.effect is None
    assert summary.settings_after == factory.BEFORE
    assert summary.changed == {}


@pytest.mark.parametrize("make", [factory.unconfirmed, factory.harmful, factory.null, factory.recovered])
def test_what_was_not_kept_claims_no_effect(make: Callable[[], factory.Journalist]) -> None:
    """Whatever a gate or a watch saw, a run that kept nothing reports no effect."""
    journal = make()
    summary = summarise(journal.info(), journal.records)
    assert (summary.effect, summary.interval) == (None, (None, None))
    assert summary.settings_after == factory.BEFORE


def test_gain_that_the_hold_back_does_not_show_is_not_claimed() -> None:
    """An effect is claimed while the hold-back agrees; what the watch saw stays to be read."""
    lasting, fading = factory.held(), factory.held(later=0.0)
    agreed = summarise(lasting.info(), lasting.records)
    gone = summarise(fading.info(), fading.records)
    assert agreed.effect == pytest.approx(-0.47, abs=0.1)
    assert (agreed.outcome, gone.outcome) == ("kept", "kept")
    assert gone.effect is None
    assert gone.watched is not None
    assert gone.watched.effect == pytest.approx(-0.47, abs=0.1)


def test_conflict_claims_nothing_about_the_settings_after() -> None:
    """After a conflict nobody of ours knows what the target carries."""
    journal = factory.conflict()
    assert summarise(journal.info(), journal.records).settings_after == {}


@pytest.mark.parametrize("make", factory.EVERY, ids=lambda make: make.__name__)
def test_every_prefix_has_a_summary_that_travels_as_json(make: Callable[[], factory.Journalist]) -> None:
    """Any prefix of a journal, the empty one too, gives a summary that survives JSON; open runs have no end."""
    journal = make()
    info = RunInfo(journal.run, "shop-front", factory.START, None, "")
    for prefix in factory.prefixes(journal.records):
        summary = summarise(info, prefix)
        assert from_json(Summary, to_json(summary)) == summary
        assert (summary.closed is not None) == (bool(prefix) and prefix[-1].kind == "Closed")
        assert summary.records == len(prefix)


def test_records_of_a_newer_version_are_counted() -> None:
    """A record that this version cannot read does not hide the run from its history."""
    journal = factory.refused()
    last = journal.records[-1]
    newer = Record(2, last.seq, last.time, last.kind, {"what": 1}, last.prev, last.hash)
    summary = summarise(journal.info(), [*journal.records[:-1], newer])
    assert summary.unread == 1
    assert summary.outcome == "refused"


def test_percent_follows_the_direction_of_the_objective() -> None:
    """A log difference below 0 is less of a minimised objective and more of a maximised one."""
    half = math.log(0.5)
    assert percent(half) == pytest.approx(-50)
    assert percent(half, minimise=False) == pytest.approx(100)
    assert percent_text(half) == "50.0 % lower"
    assert percent_text(half, minimise=False) == "100.0 % higher"
    assert percent_text(None) == "not measured"
    assert interval_text((half, None)) == "-50.0 % to open"
    assert interval_text((None, None)) == "interval still open"
    assert interval_text((half, 0.0), minimise=False) == "+0.0 % to +100.0 %"
