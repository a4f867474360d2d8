"""From a signal to a run: admission, one signal at a time, idempotent under a crash at any line.

A signal stays queued until it is settled, and the run's name is made from the signal, so doing it twice opens one run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import structlog

from controller.metrics import Metrics
from domain.errors import Corrupt, Stale
from domain.events import Opened
from domain.journal import seal
from domain.ports import Clock, Ledger
from domain.signal import Facts, Ignore, Join, Open, Signal, admit, cause, meant
from domain.target import Target

log = structlog.get_logger("intake")
UNKNOWN = "(unknown)"  # signals that mean no target are noted under this name
MOST_OPEN = 1000  # open runs that are looked at; far more than any limit
MOST_TEXT = 500  # characters of an inbox message


class Intake:
    """`seed` fixes the seed of every run (for demonstrations); otherwise it comes from the run's name."""

    def __init__(
        self,
        ledger: Ledger,
        targets: Mapping[str, Target],
        clock: Clock,
        metrics: Metrics,
        *,
        most_open: int = 1,
        freeze: Sequence[tuple[float, float]] = (),
        seed: int | None = None,
    ) -> None:
        self._ledger, self._targets, self._clock, self._metrics = ledger, targets, clock, metrics
        self._most_open, self._freeze, self._seed = most_open, tuple(freeze), seed
        # Whether the oldest signal may be half done: after a start, and after a call that failed.
        self._doubt = True

    def one(self) -> bool:
        """Take up the oldest signal; False if there is none. Raises Transient."""
        doubt, self._doubt = self._doubt, True
        signal = self._ledger.submitted()
        if signal is not None:
            outcome = self._take(signal, doubt)
            self._ledger.settle(signal)
            self._metrics.admitted.labels(signal.kind, outcome).inc()
        self._doubt = False
        return signal is not None

    def _take(self, signal: Signal, doubt: bool) -> str:
        now, name = self._clock.now(), meant(signal, self._targets)
        try:
            if doubt and isinstance(name, str) and self._opened_before(signal, name):
                return "opened"
            match admit(signal, self._targets, self._facts(name), now):
                case Open(target):
                    return self._open(signal, self._targets[target], now, doubt)
                case Join(target, run):
                    return self._join(signal, target, run, now, doubt)
                case Ignore(target, reason):
                    return self._ignore(signal, target, reason, now, doubt)
        except Corrupt as broken:  # one damaged journal must not stop the signals of all other targets
            return self._ignore(signal, name if isinstance(name, str) else "", str(broken), now, doubt)

    def _facts(self, name: str | Ignore) -> Facts:
        open_runs = {info.target: info.run for info in self._ledger.runs(outcome="", limit=MOST_OPEN)}
        past = self._ledger.runs(target=name, limit=2) if isinstance(name, str) else ()
        closed = [info.closed for info in past if info.closed is not None]
        last_closed = {name: max(closed)} if isinstance(name, str) and closed else {}
        return Facts(open_runs, last_closed, self._most_open, self._freeze)

    def _opened_before(self, signal: Signal, target: str) -> bool:
        """Whether this very signal opened its run before a crash; the run may be over by now."""
        return signal.status == "firing" and bool(self._ledger.read(run_name(signal, target)).records)

    def _open(self, signal: Signal, target: Target, now: float, doubt: bool) -> str:
        run = run_name(signal, target.name)
        seed = self._seed if self._seed is not None else int(hashlib.sha256(run.encode()).hexdigest()[:8], 16)
        first = seal([Opened(run, signal, target, seed)], now, ())[0]
        try:
            opened = self._ledger.open(run, target.name, [target.lock] if target.lock else [], first, now)
        except Stale:
            return "opened"  # this signal's run has been and gone
        if not opened:  # another controller was faster: with this signal, with another one, or with the same lock
            current = self._ledger.open_run(target.name)
            if current is not None:
                return self._join(signal, target.name, current, now, doubt)
            return self._ignore(signal, target.name, f"another run holds the lock {target.lock!r}", now, doubt)
        log.info("run opened", run=run, target=target.name, signal=signal.id, why=signal.summary)
        return "opened"

    def _join(self, signal: Signal, target: str, run: str, now: float, doubt: bool) -> str:
        resolved = signal.status == "resolved"
        if not resolved and run == run_name(signal, target):
            return "opened"
        if resolved and not self._opened_by(run, signal):
            # Only the end of its own cause may end a run: others may resolve while that one lasts.
            return self._ignore(signal, target, f"it resolved, but another signal opened {run}", now, doubt)
        text = f"{signal.kind} {signal.id}: {signal.summary}"[:MOST_TEXT]
        message = {"kind": "resolved" if resolved else "signal", "text": text}
        if doubt and self._heard_before(run, message):
            return "joined"
        if not self._ledger.hear(run, message, now):
            return self._ignore(signal, target, f"{run} closed at the same moment", now, doubt)
        log.info("signal joined a run", signal=signal.id, status=signal.status, run=run)
        return "joined"

    def _opened_by(self, run: str, signal: Signal) -> bool:
        records = self._ledger.read(run).records
        opener = records[0].data.get("signal", {}) if records else {}
        return cause(str(opener.get("id", ""))) == cause(signal.id)

    def _heard_before(self, run: str, message: Mapping[str, str]) -> bool:
        journal = self._ledger.read(run)
        heard = [record.data for record in journal.records if record.kind == "Heard"]
        return any(dict(each) == dict(message) for each in (*heard, *journal.inbox))

    def _ignore(self, signal: Signal, target: str, reason: str, now: float, doubt: bool) -> str:
        name = target or UNKNOWN
        note = {"time": now, "signal": signal.id, "kind": signal.kind, "status": signal.status, "reason": reason}
        try:
            noted = self._ledger.ignored(name) if doubt else ()
            if not any((each.get("signal"), each.get("status")) == (signal.id, signal.status) for each in noted):
                self._ledger.ignore(name, {**note, "summary": signal.summary, "labels": dict(signal.labels)})
        except Corrupt as broken:
            log.error("an ignored signal cannot be noted", signal=signal.id, target=name, why=str(broken))
        log.info("signal ignored", signal=signal.id, status=signal.status, target=name, why=reason)
        return "ignored"


def run_name(signal: Signal, target: str) -> str:
    """`shop-front-20261124T141500-1a2b3c`: the same for the same signal."""
    moment = datetime.fromtimestamp(signal.at, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{target}-{moment}-{hashlib.sha256(f'{signal.id}/{target}'.encode()).hexdigest()[:6]}"
