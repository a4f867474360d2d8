"""The simple detector: level and noise of the last healthy period, a minimum effect, a hold time.

Level and noise are robust (median, and 1.4826 times the median absolute deviation). A value beyond the level by the
larger of the minimum effect and `noises` noises is suspect; when that has lasted `hold` seconds the series is
regressed. Only normal values enter the baseline, so that an incident never becomes its own norm.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median

from domain.errors import Misconfigured
from domain.ports import Finding, Point, State


@dataclass(frozen=True, slots=True)
class ThresholdSettings:
    """`baseline` and `hold` in seconds; `min_effect` relative (0.2 is 20 %); `noises` in robust sd; `least` points
    before anything is judged; `calm` points in a row that end a regression."""

    baseline: float = 1800.0
    hold: float = 120.0
    min_effect: float = 0.2
    noises: float = 4.0
    least: int = 10
    calm: int = 3


@dataclass(slots=True)
class _Series:
    healthy: deque[tuple[float, float]] = field(default_factory=deque)
    last: float = -math.inf
    since: float | None = None
    quiet: int = 0
    regressed: bool = False


class Threshold:
    """See `domain.ports.Detector`. Keeps the healthy points of each series, for `baseline` seconds."""

    def __init__(self, settings: ThresholdSettings) -> None:
        self._settings = settings
        self._series: dict[str, _Series] = {}

    def update(self, point: Point) -> Finding:
        """Raises Misconfigured for a point that is not later than the one before it."""
        series = self._series.setdefault(point.series, _Series())
        if not math.isfinite(point.t) or point.t <= series.last:
            raise Misconfigured(
                f"series {point.series!r}: t {point.t} is not after {series.last}; points come in order"
            )
        series.last = point.t
        if point.v is None or not math.isfinite(point.v):
            return self._found(point, series, "missing", None)
        value = point.v if point.direction == "up" else -point.v
        while series.healthy and not series.regressed and series.healthy[0][0] < point.t - self._settings.baseline:
            if len(series.healthy) <= self._settings.least:
                break
            series.healthy.popleft()
        if len(series.healthy) < self._settings.least:
            series.healthy.append((point.t, value))
            return self._found(point, series, "learning", None)
        level, reach = self._norm(series)
        score = (value - level) / reach
        if score <= 1.0:
            return self._calm(point, series, value, score)
        series.quiet = 0
        series.since = point.t if series.since is None else series.since
        if point.t - series.since >= self._settings.hold:
            series.regressed = True
        return self._found(point, series, "regressed" if series.regressed else "suspect", score)

    def _calm(self, point: Point, series: _Series, value: float, score: float) -> Finding:
        if series.regressed:
            series.quiet += 1
            if series.quiet < self._settings.calm:
                return self._found(point, series, "regressed", score)
        series.since, series.regressed, series.quiet = None, False, 0
        series.healthy.append((point.t, value))
        return self._found(point, series, "normal", score)

    def _norm(self, series: _Series) -> tuple[float, float]:
        """Level, and the distance from it that counts as 1."""
        values = [value for _, value in series.healthy]
        level = median(values)
        noise = 1.4826 * median(abs(value - level) for value in values)
        return level, max(self._settings.min_effect * abs(level), self._settings.noises * noise, 1e-12)

    def _found(self, point: Point, series: _Series, state: State, score: float | None) -> Finding:
        level = None
        if len(series.healthy) >= self._settings.least:
            level = self._norm(series)[0] * (1 if point.direction == "up" else -1)
        return Finding(point.series, point.t, state, level, score, series.since)
