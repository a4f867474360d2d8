"""Records of a journal: how an event becomes a line, and how the lines vouch for each other.

Each record carries the hash of the one before it, so that a changed, removed or inserted line is found by anybody who
holds the journal (`verify`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from domain.codec import from_json, to_json
from domain.errors import Corrupt
from domain.events import Event
from domain.ports import Json, Record

SCHEMA = 1
GENESIS = "0" * 64
_KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}


def canonical(value: Any) -> str:
    """One text per JSON value: sorted keys, no spaces, no NaN (ValueError)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(prev: str, body: Json) -> str:
    """SHA-256, in hex, over the hash before and the canonical text of a record's other fields."""
    return hashlib.sha256((prev + canonical(body)).encode()).hexdigest()


def seal(events: Iterable[Event], time: float, after: Sequence[Record]) -> tuple[Record, ...]:
    """Records for `events`, to be appended to the journal `after`."""
    prev = after[-1].hash if after else GENESIS
    sealed: list[Record] = []
    for seq, event in enumerate(events, start=len(after)):
        kind, data = type(event).__name__, to_json(event)
        body = {"v": SCHEMA, "seq": seq, "time": time, "kind": kind, "data": data}
        record = Record(SCHEMA, seq, time, kind, data, prev, digest(prev, body))
        sealed.append(record)
        prev = record.hash
    return tuple(sealed)


def verify(run: str, records: Sequence[Record]) -> None:
    """Raise Corrupt at the first record that does not carry its own hash or its predecessor's."""
    prev = GENESIS
    for seq, record in enumerate(records):
        if record.seq != seq:
            raise Corrupt(run, seq, f"its number says {record.seq}")
        if record.prev != prev:
            raise Corrupt(run, seq, "it does not continue the record before it")
        body = {"v": record.v, "seq": seq, "time": record.time, "kind": record.kind, "data": record.data}
        if digest(prev, body) != record.hash:
            raise Corrupt(run, seq, "its content does not match its hash")
        prev = record.hash


def event_of(record: Record) -> Event:
    """The event that a record tells. ValueError if this version does not know it."""
    kind = _KINDS.get(record.kind)
    if record.v != SCHEMA or kind is None:
        raise ValueError(f"record {record.seq}: schema {record.v}, kind {record.kind!r} is not known to this version")
    event: Event = from_json(kind, record.data)
    return event


def dump(record: Record) -> str:
    """A record as one line of JSON."""
    return canonical(to_json(record))


def load(line: str) -> Record:
    """The record of a line. ValueError if it is none."""
    return from_json(Record, json.loads(line))
