"""Journals vouch for themselves, and events survive their way through JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.errors import Corrupt
from domain.events import Closed, Heard, Judged, Measured
from domain.evidence import Missing, Reading, Window
from domain.journal import dump, event_of, load, seal, verify

EVENTS = [
    Heard("signal", "again — späť"),
    Measured((Window("a", "candidate", 1.0, 5.0, Reading(0.25), {"errors": Missing("empty")}),)),
    Judged(1, "Keep", -0.4, (None, None), 3.5, 6, "proven"),
    Closed("kept", "done"),
]


def test_events_survive_their_way_through_json() -> None:
    """What was written is what is read, to the last field."""
    lines = [dump(record) for record in seal(EVENTS, 12.5, ())]
    assert [event_of(load(line)) for line in lines] == EVENTS


def test_an_intact_journal_verifies_also_when_sealed_in_parts() -> None:
    """Two appends make the same chain as one."""
    first = seal(EVENTS[:2], 1.0, ())
    journal = first + seal(EVENTS[2:], 2.0, first)
    verify("r", journal)
    assert [record.seq for record in journal] == [0, 1, 2, 3]


@pytest.mark.parametrize("seq", [0, 2, 3])
def test_a_changed_record_is_named(seq: int) -> None:
    """One byte in the content: verify says which record."""
    journal = list(seal(EVENTS, 1.0, ()))
    journal[seq] = replace(journal[seq], data={**journal[seq].data, "text": "x"})
    with pytest.raises(Corrupt) as caught:
        verify("r", journal)
    assert caught.value.seq == seq


def test_a_removed_or_swapped_record_is_found() -> None:
    """The chain has no holes."""
    journal = seal(EVENTS, 1.0, ())
    for broken in (journal[1:], journal[:1] + journal[2:], (journal[1], journal[0], *journal[2:])):
        with pytest.raises(Corrupt):
            verify("r", broken)


def test_not_a_number_is_refused_at_the_door() -> None:
    """NaN has no place in a journal."""
    with pytest.raises(ValueError, match="JSON compliant"):
        seal([Judged(1, "Keep", float("nan"), (None, None), 0.0, 1, "")], 1.0, ())


def test_an_unknown_kind_or_field_is_said() -> None:
    """A journal of a later version is not misread."""
    record = seal(EVENTS, 1.0, ())[0]
    with pytest.raises(ValueError, match="not known"):
        event_of(replace(record, kind="Invented"))
    with pytest.raises(ValueError, match="unknown field 'extra'"):
        event_of(replace(record, data={**record.data, "extra": 1}))
