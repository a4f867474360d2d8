"""What both ledgers store: exact lines of text, and the checks on the way in and out.

A ledger keeps the text of a record, never an object: what was read shares nothing with what is stored, and the hash
chain is checked over the bytes that lie in the store.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from domain.codec import from_json
from domain.errors import Corrupt
from domain.journal import GENESIS, canonical, digest, dump, load
from domain.ports import Json, Record
from domain.signal import Signal

IGNORED_CAP = 500  # ignored signals kept per target: weeks of a flapping alert, and below a megabyte
REMEMBER_SECONDS = 86400  # a signal submitted twice within a day is the same signal
_CHAIN = ("n", "dropped", "prev", "hash")


def finite(name: str, value: float) -> float:
    """`value` itself. Raises ValueError for NaN and infinities, which no index can order."""
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}; it must be a finite number of seconds")
    return float(value)


def lines_of(records: Sequence[Record], expected: int) -> list[str]:
    """The lines of records that continue a journal of `expected` records. Raises ValueError if their numbers do not
    continue it, or for NaN."""
    for seq, record in enumerate(records, start=expected):
        if record.seq != seq:
            raise ValueError(f"record {record.seq} cannot be number {seq} of its journal; seal it after what was read")
    return [dump(record) for record in records]


def records_of(run: str, lines: Sequence[str]) -> tuple[Record, ...]:
    """The records of a journal's lines. Raises Corrupt at the first line that is not the exact text of a record: a
    changed last digit of a number may mean the same number and still is a changed line."""
    records: list[Record] = []
    for seq, line in enumerate(lines):
        try:
            record = load(line)
            exact = dump(record) == line
        except (ValueError, RecursionError) as error:
            raise Corrupt(run, seq, f"its line cannot be read ({str(error)[:200]})") from error
        if not exact:
            raise Corrupt(run, seq, "its line is not the text that was written")
        records.append(record)
    return tuple(records)


def messages_of(run: str, lines: Sequence[str]) -> tuple[Json, ...]:
    """The messages of an inbox. Raises Corrupt for a line that is not JSON."""
    messages: list[Json] = []
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError as error:
            raise Corrupt(run, len(messages), f"this message of its inbox cannot be read ({error})") from error
        messages.append(message)
    return tuple(messages)


def signal_of(text: str) -> Signal:
    """The signal that `text_of(to_json(signal))` wrote. Raises Corrupt if it is none."""
    try:
        return from_json(Signal, json.loads(text))
    except ValueError as error:
        raise Corrupt("signals", 0, f"the oldest queued signal cannot be read ({error})") from error


def text_of(message: Json) -> str:
    """One line of ASCII for an inbox message or a signal. Raises ValueError for NaN."""
    return json.dumps(message, sort_keys=True, separators=(",", ":"), allow_nan=False)


def chained(last: str | None, record: Json) -> str:
    """The line that notes `record` after the line `last` (None: the first) in a list of ignored signals: numbered from
    0 with `n`, and carrying the hash of the line before. Raises ValueError if `record` uses a name of the chain,
    Corrupt if `last` was changed since it was written."""
    taken = sorted(set(record) & set(_CHAIN))
    if taken:
        raise ValueError(f"field {taken[0]!r} of an ignored signal is the chain's own; rename it")
    number, prev = 0, GENESIS
    if last is not None:
        before = ignored_of("", (last,))[0]
        number, prev = before["n"] + 1, before["hash"]
    body = {**record, "n": number}
    return canonical({**body, "prev": prev, "hash": digest(prev, body)})


def ignored_of(target: str, lines: Sequence[str]) -> tuple[Json, ...]:
    """Ignored signals of a target, oldest first; `dropped` in the first one counts those that fell out before it.
    Raises Corrupt if a line was changed, removed or inserted."""
    entries: list[Json] = []
    for line in lines:
        try:
            entry = json.loads(line)
            body = {key: value for key, value in entry.items() if key not in ("prev", "hash")}
            sound = canonical(entry) == line and digest(entry["prev"], body) == entry["hash"]
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise Corrupt(f"ignored:{target}", len(entries), "its line cannot be read") from error
        if not sound:
            raise Corrupt(f"ignored:{target}", len(entries), "its content does not match its hash")
        if entries and (entry["prev"], entry["n"]) != (entries[-1]["hash"], entries[-1]["n"] + 1):
            raise Corrupt(f"ignored:{target}", len(entries), "it does not continue the line before it")
        entries.append(entry)
    return tuple({**entry, "dropped": entry["n"]} if i == 0 else entry for i, entry in enumerate(entries))
