"""The due index drives the runs: what is due is sent to the queue, by name. Any number of controllers may sweep."""

from __future__ import annotations

from controller.metrics import Metrics
from domain.ports import Clock, Ledger, Queue

RESEND_SECONDS = 75.0  # a name that was sent and not taken goes out again after a lease period


class Sweep:
    def __init__(self, ledger: Ledger, queue: Queue, clock: Clock, metrics: Metrics) -> None:
        self._ledger, self._queue, self._clock, self._metrics = ledger, queue, clock, metrics

    def one(self) -> bool:
        """Send every due run; always done for now. Raises Transient."""
        for run in self._ledger.due(self._clock.now(), RESEND_SECONDS):
            self._queue.send(run)
            self._metrics.sent.inc()
        return False
