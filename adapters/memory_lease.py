"""Leadership in memory: the same contract as on Redis, for tests and for processes that are alone."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from adapters.ledger_text import finite
from domain.ports import Clock, Lead


@dataclass
class _Held:
    token: int = 0
    holder: str = ""
    until: float | None = None  # None: nobody leads


class MemoryLeadership:
    """See `domain.ports.Leadership`. A lead lasts on `clock`. Safe for threads: `lock` is held while anything
    changes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: dict[str, _Held] = {}
        self.lock = threading.RLock()

    def lead(self, job: str, holder: str, seconds: float) -> Lead | None:
        if finite("seconds", seconds) <= 0:
            raise ValueError(f"seconds is {seconds}; a lead must last longer than 0 s")
        now = self._clock.now()
        with self.lock:
            held = self._jobs.setdefault(job, _Held())
            over = held.until is None or held.until <= now
            if not over and held.holder != holder:
                return None
            if over:
                held.token, held.holder = held.token + 1, holder
            held.until = now + seconds
            return Lead(job, held.token)

    def resign(self, lead: Lead) -> None:
        with self.lock:
            if self.newest(lead):
                self._jobs[lead.job].until = None

    def newest(self, lead: Lead) -> bool:
        """Whether nobody took the lead since."""
        held = self._jobs.get(lead.job)
        return held is not None and held.token == lead.token
