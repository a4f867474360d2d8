"""From a signal to a run: admission, one signal at a time, idempotent under a crash at any line.

A signal stays queued until it is settled, and the run's name is made from the signal, so doing it twice opens one run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import structlog

from controller.metrics import Metrics
from domain.errors import Stale
from domain.events import Opened
from domain.journal import seal
from domain.ports import Clock, Ledger
from domain.signal import Admission, Facts, Ignore, Join, Open, Signal, admit
from domain.target import Target

log = structlog.get_logger("intake")
UNKNOWN = "(unknown)"  # signals that mean no target are noted under this name


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

    def one(self) -> bool:
        """Take up the oldest signal; False if there is none. Raises Transient."""
        signal = self._ledger.submitted()
        if signal is None:
            return False
        now = self._clock.now()
        admission = admit(signal, self._targets, self._facts(), now)
        outcome = self._carry_out(signal, admission, now)
        self._ledger.settle(signal)
        self._metrics.admitted.labels(outcome).inc()
        return True

    def _facts(self) -> Facts:
        open_runs = {name: run for name in self._targets if (run := self._ledger.open_run(name)) is not None}
        last_closed = {}
        for name in self._targets:
            closed = [info.closed for info in self._ledger.runs(target=name, limit=2) if info.closed is not None]
            if closed:
                last_closed[name] = max(closed)
        return Facts(open_runs, last_closed, self._most_open, self._freeze)

    def _carry_out(self, signal: Signal, admission: Admission, now: float) -> str:
        match admission:
            case Open(target):
                return self._open(signal, self._targets[target], now)
            case Join(target, run):
                if signal.status == "firing" and run == run_name(signal, target):
                    return "opened"  # by this very signal, before a crash
                kind = "resolved" if signal.status == "resolved" else "signal"
                self._ledger.hear(run, {"kind": kind, "text": f"{signal.kind} {signal.id}: {signal.summary}"}, now)
                log.info("signal joined a run", signal=signal.id, status=signal.status, run=run)
                return "joined"
            case Ignore(target, reason):
                self._ignore(signal, target, reason, now)
                return "ignored"

    def _open(self, signal: Signal, target: Target, now: float) -> str:
        run = run_name(signal, target.name)
        seed = self._seed if self._seed is not None else int(hashlib.sha256(run.encode()).hexdigest()[:8], 16)
        first = seal([Opened(run, signal, target, seed)], now, ())[0]
        try:
            opened = self._ledger.open(run, target.name, [target.lock] if target.lock else [], first, now)
        except Stale:
            return "opened"  # this signal's run has been and gone
        if not opened:
            self._ignore(signal, target.name, "another run was opened at the same moment", now)
            return "ignored"
        log.info("run opened", run=run, target=target.name, signal=signal.id, why=signal.summary)
        return "opened"

    def _ignore(self, signal: Signal, target: str, reason: str, now: float) -> None:
        note = {"time": now, "signal": signal.id, "kind": signal.kind, "status": signal.status, "reason": reason}
        self._ledger.ignore(target or UNKNOWN, {**note, "summary": signal.summary, "labels": dict(signal.labels)})
        log.info("signal ignored", signal=signal.id, target=target or UNKNOWN, why=reason)


def run_name(signal: Signal, target: str) -> str:
    """`shop-front-20261124T141500-1a2b3c`: the same for the same signal."""
    moment = datetime.fromtimestamp(signal.at, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{target}-{moment}-{hashlib.sha256(f'{signal.id}/{target}'.encode()).hexdigest()[:6]}"
