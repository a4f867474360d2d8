"""The ledger in memory: the same contract as on Redis, for simulated journeys and a first look without a server."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.ledger_text import (
    IGNORED_CAP,
    REMEMBER_SECONDS,
    chained,
    finite,
    ignored_of,
    lines_of,
    messages_of,
    records_of,
    signal_of,
    text_of,
)
from adapters.memory_lease import MemoryLeadership
from domain.codec import to_json
from domain.errors import Stale
from domain.ports import Clock, Journal, Json, Lead, Lease, Record, RunInfo
from domain.signal import Signal


@dataclass
class _Run:
    target: str
    locks: tuple[str, ...]
    opened: float
    due: float
    lines: list[str]
    inbox: list[str] = field(default_factory=list)
    closed: float | None = None
    outcome: str = ""
    token: int = 0
    held_until: float | None = None  # the clock's time at which the lease `token` ends
    sent_until: float | None = None
    woken: float | None = None  # a message came in since the lease was taken


class MemoryLedger:
    """See `domain.ports.Ledger`. Leases and the day of `submit` run on `clock`; the leads of `submit` are those of
    `leadership`. Safe for threads."""

    def __init__(self, clock: Clock, leadership: MemoryLeadership | None = None) -> None:
        self._clock = clock
        self.leadership = leadership or MemoryLeadership(clock)
        self._lock = threading.RLock()
        self._runs: dict[str, _Run] = {}
        self._open: dict[str, str] = {}  # "target <name>" or "lock <name>" -> run
        self._signals: dict[str, str] = {}
        self._seen: dict[str, float] = {}
        self._ignored: dict[str, list[str]] = {}

    # --- signals -----------------------------------------------------------------------------------------------------

    def submit(self, signal: Signal, lead: Lead | None = None) -> bool:
        name, text, now = f"{signal.id}|{signal.status}", text_of(to_json(signal)), self._clock.now()
        with self.leadership.lock, self._lock:
            if lead is not None and not self.leadership.newest(lead):
                raise Stale(f"{signal.id} was not queued: lead {lead.token} of {lead.job} is no longer the newest one")
            self._seen = {key: until for key, until in self._seen.items() if until > now}
            if name in self._seen:
                return False
            self._seen[name] = now + REMEMBER_SECONDS
            self._signals.setdefault(name, text)
            return True

    def submitted(self) -> Signal | None:
        with self._lock:
            oldest = next(iter(self._signals.values()), None)
        return None if oldest is None else signal_of(oldest)

    def settle(self, signal: Signal) -> None:
        with self._lock:
            self._signals.pop(f"{signal.id}|{signal.status}", None)

    def ignore(self, target: str, record: Json) -> None:
        with self._lock:
            noted = self._ignored.setdefault(target, [])
            noted.append(chained(noted[-1] if noted else None, record))
            del noted[:-IGNORED_CAP]

    def ignored(self, target: str) -> tuple[Json, ...]:
        with self._lock:
            lines = tuple(self._ignored.get(target, ()))
        return ignored_of(target, lines)

    # --- journals ----------------------------------------------------------------------------------------------------

    def open(self, run: str, target: str, locks: Sequence[str], first: Record, due: float) -> bool:
        lines, places = lines_of((first,), 0), _places(target, locks)
        due, opened = finite("due", due), finite("time of the first record", first.time)
        with self._lock:
            if any(place in self._open for place in places):
                return False
            if run in self._runs:
                raise Stale(f"run {run} exists already; open under a new name")
            self._runs[run] = _Run(target, tuple(locks), opened, due, lines)
            self._open.update(dict.fromkeys(places, run))
            return True

    def read(self, run: str) -> Journal:
        with self._lock:
            kept = self._runs.get(run)
            lines, inbox = (tuple(kept.lines), tuple(kept.inbox)) if kept else ((), ())
        return Journal(records_of(run, lines), messages_of(run, inbox))

    def append(
        self,
        lease: Lease,
        expected: int,
        records: Sequence[Record],
        *,
        heard: int = 0,
        due: float,
        outcome: str | None = None,
    ) -> None:
        lines, due = lines_of(records, expected), finite("due", due)
        if outcome == "":
            raise ValueError("outcome is empty; a closed run needs a word")
        with self._lock:
            kept = self._held(lease)
            if kept is None:
                raise Stale(f"run {lease.run} is closed, or lease {lease.token} is no longer held; replay")
            if len(kept.lines) != expected:
                raise Stale(f"journal of {lease.run} has {len(kept.lines)} records, not {expected}; replay")
            if len(kept.inbox) < heard:
                raise Stale(f"inbox of {lease.run} has {len(kept.inbox)} messages, not {heard}; replay")
            kept.lines.extend(lines)
            del kept.inbox[:heard]
            if not kept.inbox:
                kept.woken = None
            if outcome is None:
                self._set_due(kept, due)
                return
            kept.outcome, kept.closed, kept.held_until = outcome, records[-1].time if records else due, None
            for place in _places(kept.target, kept.locks):
                self._open.pop(place, None)

    def hear(self, run: str, message: Json, at: float) -> bool:
        text, at = text_of(message), finite("at", at)
        with self._lock:
            kept = self._open_run(run)
            if kept is None:
                return False
            kept.inbox.append(text)
            kept.woken = at if kept.woken is None else min(kept.woken, at)
            self._set_due(kept, min(kept.due, at))
            return True

    # --- who may step, and when --------------------------------------------------------------------------------------

    def lease(self, run: str, now: float, seconds: float) -> Lease | None:
        if finite("seconds", seconds) <= 0:
            raise ValueError(f"seconds is {seconds}; a lease must last longer than 0 s")
        clock = self._clock.now()
        with self._lock:
            kept = self._open_run(run)
            if kept is None or kept.due > now or self._is_held(kept, clock):
                return None
            kept.token += 1
            kept.held_until, kept.sent_until, kept.woken = clock + seconds, None, None
            return Lease(run, kept.target, kept.token)

    def release(self, lease: Lease, due: float | None = None) -> None:
        due = None if due is None else finite("due", due)
        with self._lock:
            kept = self._held(lease)
            if kept is None:
                return
            kept.held_until = None
            if due is not None:
                self._set_due(kept, due)

    def due(self, now: float, resend: float) -> tuple[str, ...]:
        until, clock = finite("now", now) + finite("resend", resend), self._clock.now()
        with self._lock:
            ready = sorted(
                (kept.due, run)
                for run in self._open.values()
                if (kept := self._runs[run]).due <= now
                and (kept.sent_until is None or kept.sent_until <= now)
                and not self._is_held(kept, clock)
            )
            names = tuple(dict.fromkeys(run for _, run in ready))
            for run in names:
                self._runs[run].sent_until = until
            return names

    # --- the index ---------------------------------------------------------------------------------------------------

    def open_run(self, target: str) -> str | None:
        with self._lock:
            return self._open.get(f"target {target}")

    def runs(
        self,
        *,
        target: str | None = None,
        outcome: str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> tuple[RunInfo, ...]:
        with self._lock:
            found = [
                RunInfo(run, kept.target, kept.opened, kept.closed, kept.outcome)
                for run, kept in self._runs.items()
                if target in (None, kept.target)
                and outcome in (None, kept.outcome)
                and (since is None or kept.opened >= since)
            ]
        found.sort(key=lambda info: (info.opened, info.run), reverse=True)
        return tuple(found[: max(limit, 0)])

    # --- inside the lock ---------------------------------------------------------------------------------------------

    def _open_run(self, run: str) -> _Run | None:
        kept = self._runs.get(run)
        return kept if kept is not None and kept.closed is None else None

    def _held(self, lease: Lease) -> _Run | None:
        kept = self._open_run(lease.run)
        held = kept is not None and kept.token == lease.token and self._is_held(kept, self._clock.now())
        return kept if held else None

    @staticmethod
    def _is_held(kept: _Run, clock: float) -> bool:
        return kept.held_until is not None and kept.held_until > clock

    @staticmethod
    def _set_due(kept: _Run, due: float) -> None:
        """A message that came during the step keeps the run due at the message's time."""
        kept.due = due if kept.woken is None else min(due, kept.woken)
        kept.sent_until = None


def _places(target: str, locks: Sequence[str]) -> tuple[str, ...]:
    return (f"target {target}", *(f"lock {name}" for name in locks))
