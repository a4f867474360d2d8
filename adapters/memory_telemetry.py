"""Telemetry without Prometheus: a function gives the numbers, switches give the faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from domain.evidence import Missing, Seen
from domain.ports import Clock

# (query, arm, start, end) -> the value over that window; arm is "" for a series
Script = Callable[[str, str, float, float], Seen]


@dataclass
class MemoryTelemetry:
    """See `domain.ports.Telemetry`. A read of a window that is not over yet is Missing: its samples do not exist.

    `silent`: nothing answers, `now` included. `blind`: arms without data. `warning`: each answer comes with it.
    `not_before`: no data is older (Unix seconds), as after a Prometheus that lost its disk. `calls` records each call
    as (method, query, arm, start, end).
    """

    clock: Clock
    script: Script
    silent: bool = False
    blind: set[str] = field(default_factory=set)
    warning: str = ""
    not_before: float = -math.inf
    calls: list[tuple[str, str, str, float, float]] = field(default_factory=list)

    def read(self, query: str, *, arm: str, start: float, end: float, scrape: float) -> Seen:
        self.calls.append(("read", query, arm, start, end))
        return self._seen(query, arm, start, end)

    def series(self, query: str, *, start: float, end: float, step: float) -> tuple[tuple[float, Seen], ...]:
        self.calls.append(("series", query, "", start, end))
        count = math.floor((end - start) / step + 1e-6) + 1
        times = [start + i * step for i in range(count)]
        return tuple((at, self._seen(query, "", at - step, at)) for at in times)

    def now(self) -> float | None:
        self.calls.append(("now", "", "", math.nan, math.nan))
        return None if self.silent else self.clock.now()

    def _seen(self, query: str, arm: str, start: float, end: float) -> Seen:
        if self.silent:
            return Missing("Prometheus cannot be reached")
        if self.warning:
            return Missing(f"answered with a warning: {self.warning}")
        if arm in self.blind or start < self.not_before or end > self.clock.now():
            return Missing("empty result")
        return self.script(query, arm, start, end)
