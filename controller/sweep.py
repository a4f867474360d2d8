"""The due index drives the runs: what is due is sent to the queue, by name. Any number of controllers may sweep."""

from __future__ import annotations

from collections import deque

from controller.metrics import Metrics
from domain.ports import Clock, Ledger, Queue

RESEND_SECONDS = 75.0  # a lease period: until then a worker may have the name and be at work


class Sweep:
    """`resend` in seconds: a name that was sent and not taken goes out again after it."""

    def __init__(
        self, ledger: Ledger, queue: Queue, clock: Clock, metrics: Metrics, *, resend: float = RESEND_SECONDS
    ) -> None:
        self._ledger, self._queue, self._clock, self._metrics = ledger, queue, clock, metrics
        self._resend = resend
        # Names that the ledger counts as sent and the queue did not take: they must not wait for `resend`.
        self._unsent: deque[str] = deque()
        self._last = clock.now()
        metrics.lag.set_function(lambda: max(0.0, clock.now() - self._last))

    def one(self) -> bool:
        """Send every due run; always done for now. Raises Transient."""
        due = self._ledger.due(self._clock.now(), self._resend)
        self._unsent.extend(run for run in due if run not in self._unsent)
        while self._unsent:
            self._queue.send(self._unsent[0])
            self._unsent.popleft()
            self._metrics.sent.inc()
        self._last = self._clock.now()
        return False
