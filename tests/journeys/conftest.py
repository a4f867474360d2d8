"""Thousands of journeys read the same records again and again."""

from __future__ import annotations

import pytest

from domain import run
from domain.events import Event
from domain.journal import event_of
from domain.ports import Record


@pytest.fixture(autouse=True)
def each_record_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are values, so a record with the same hash may give the same one. The journal is still verified."""
    read: dict[str, Event] = {}

    def remembered(record: Record) -> Event:
        if record.hash not in read:
            read[record.hash] = event_of(record)
        return read[record.hash]

    monkeypatch.setattr(run, "event_of", remembered)
