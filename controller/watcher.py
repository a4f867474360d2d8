"""Reads each target's objective from Prometheus by itself, compares it with its own recent past, and raises the same
signals as an alert does."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Literal

import structlog

from adapters.promql_window import render
from controller.metrics import Metrics
from domain.evidence import Reading
from domain.ports import Clock, Detector, Ledger, Point, Telemetry
from domain.signal import Signal
from domain.target import Target

log = structlog.get_logger("watcher")
STATES = ("learning", "normal", "suspect", "regressed", "missing")
MOST_BACKFILL = 2000  # points


class Watcher:
    """`interval` and `baseline` in seconds. A target with an open run is not judged: its trials are no regressions."""

    def __init__(
        self,
        targets: Mapping[str, Target],
        telemetry: Telemetry,
        detector: Detector,
        ledger: Ledger,
        clock: Clock,
        metrics: Metrics,
        *,
        interval: float,
        baseline: float,
    ) -> None:
        self._targets, self._telemetry, self._detector = targets, telemetry, detector
        self._ledger, self._clock, self._metrics = ledger, clock, metrics
        self._interval, self._baseline = interval, baseline
        self._raised: dict[str, Signal] = {}
        self._filled: set[str] = set()

    def one(self) -> bool:
        """Look at every target once. Raises Transient."""
        for target in self._targets.values():
            if self._ledger.open_run(target.name) is None:
                self._look(target)
        return False

    def _look(self, target: Target) -> None:
        now = self._clock.now()
        if target.name not in self._filled:
            self._backfill(target, now)
            self._filled.add(target.name)
        finding = self._detector.update(Point(target.name, now, self._value(target, now), self._interval, _way(target)))
        for state in STATES:
            self._metrics.series.labels(target.name, state).set(state == finding.state)
        raised = self._raised.get(target.name)
        if finding.state == "regressed" and raised is None and finding.since is not None:
            summary = f"objective regressed: {finding.score:.1f} times what is normal" if finding.score else "regressed"
            signal = Signal(
                f"watch/{target.name}/{finding.since:.0f}", "regression", "firing", now, summary, target=target.name
            )
            self._ledger.submit(signal)
            self._raised[target.name] = signal
            log.info("regression", target=target.name, since=finding.since, baseline=finding.baseline)
        elif finding.state == "normal" and raised is not None:
            self._ledger.submit(
                Signal(raised.id, "regression", "resolved", now, "objective is normal again", target=target.name)
            )
            del self._raised[target.name]

    def _value(self, target: Target, now: float) -> float | None:
        """Mean over the arms of the objective in the window that has just been scraped; None if an arm is missing."""
        profile = target.profile
        end = now - 2 * profile.scrape
        seen = [
            self._telemetry.read(
                target.objective.query, arm=arm.label, start=end - profile.window, end=end, scrape=profile.scrape
            )
            for arm in target.arms
        ]
        values = [each.value for each in seen if isinstance(each, Reading)]
        return fmean(values) if len(values) == len(target.arms) else None

    def _backfill(self, target: Target, now: float) -> None:
        """The recent past, so that a restart does not begin by learning."""
        step = max(self._interval, self._baseline / MOST_BACKFILL)
        start = now - self._baseline
        columns = [
            self._telemetry.series(
                render(target.objective.query, arm.label, target.profile.window), start=start, end=now - step, step=step
            )
            for arm in target.arms
        ]
        for row in zip(*columns, strict=False):
            values = [seen.value for _, seen in row if isinstance(seen, Reading)]
            value = fmean(values) if len(values) == len(row) else None
            self._detector.update(Point(target.name, row[0][0], value, step, _way(target)))


def _way(target: Target) -> Literal["up", "down"]:
    return "up" if target.objective.minimise else "down"
