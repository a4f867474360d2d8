"""Reads each target's objective from Prometheus by itself, compares it with its own recent past, and raises the same
signals as an alert does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Literal, get_args

import structlog

from adapters.promql_window import render
from controller.metrics import Metrics
from domain.evidence import Reading, Seen
from domain.ports import Clock, Detector, Finding, Ledger, Point, State, Telemetry
from domain.signal import Signal, cause, occasion
from domain.target import Target

log = structlog.get_logger("watcher")
STATES: tuple[State, ...] = get_args(State)
MOST_BACKFILL = 2000  # points
MOST_RUNS = 50  # past runs whose time is left out of the backfill


class Watcher:
    """`interval` and `baseline` in seconds. A target with an open run is not judged, nor for two windows after it: its
    trials are no regressions."""

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
        self._rest_until: dict[str, float] = {}

    def one(self) -> bool:
        """Look at every target once. Raises Transient."""
        for target in self._targets.values():
            self._look(target)
        return False

    def _look(self, target: Target) -> None:
        name, now = target.name, self._clock.now()
        if self._ledger.open_run(name) is not None:
            self._rest_until[name] = now + _rest(target)
            return
        if name not in self._filled:
            busy = self._busy(target, now)
            self._rest_until.setdefault(name, max((end for _, end in busy), default=now))
            if not self._backfill(target, now, busy):
                self._metrics.state(name, "missing", STATES)
                return
            self._filled.add(name)
        if now < self._rest_until.get(name, now):
            return
        value = self._value(target, now)
        finding = self._detector.update(Point(name, now, value, self._interval, _way(target)))
        self._metrics.state(name, finding.state, STATES)
        self._tell(target, finding, value, now)

    def _tell(self, target: Target, finding: Finding, value: float | None, now: float) -> None:
        """A signal at the start of a regression, again each hour while it lasts, and one at its end."""
        name, raised = target.name, self._raised.get(target.name)
        if finding.state == "regressed" and finding.since is not None:
            why = cause(raised.id) if raised is not None else f"watch/{name}/{finding.since:.0f}"
            signal = Signal(occasion(why, now), "regression", "firing", now, _words(target, finding, value), name)
            if raised is None or raised.id != signal.id:
                self._ledger.submit(signal)
                self._raised[name] = signal
                log.info("regression", target=name, signal=signal.id, why=signal.summary)
        elif finding.state == "normal" and raised is not None:
            end = Signal(occasion(cause(raised.id), now), "regression", "resolved", now, "it is normal again", name)
            self._ledger.submit(end)
            del self._raised[name]
            log.info("normal again", target=name, signal=end.id)

    def _value(self, target: Target, now: float) -> float | None:
        """Mean over the arms of the objective in the window that has just been scraped; None if an arm is missing."""
        profile = target.profile
        end = now - 2 * profile.scrape
        return _mean(
            [
                self._telemetry.read(
                    target.objective.query, arm=arm.label, start=end - profile.window, end=end, scrape=profile.scrape
                )
                for arm in target.arms
            ]
        )

    def _backfill(self, target: Target, now: float, busy: Sequence[tuple[float, float]]) -> bool:
        """Tell the detector the recent past, so that a restart does not begin by learning. False while Prometheus has
        nothing to tell: then it is asked again, because a detector takes points in their order only."""
        step = max(self._interval, self._baseline / MOST_BACKFILL)
        query, window = target.objective.query, target.profile.window
        start, end = now - self._baseline, now - 2 * target.profile.scrape
        columns = [
            self._telemetry.series(render(query, arm.label, window), start=start, end=end, step=step)
            for arm in target.arms
        ]
        points = [
            (row[0][0], _mean([seen for _, seen in row]))
            for row in zip(*columns, strict=False)
            if not any(first <= row[0][0] < last for first, last in busy)
        ]
        if all(value is None for _, value in points) and self._value(target, now) is None:
            return False
        for at, value in points:
            if at < now:
                self._detector.update(Point(target.name, at, value, step, _way(target)))
        return True

    def _busy(self, target: Target, now: float) -> list[tuple[float, float]]:
        """When runs disturbed the target, the rest after each included."""
        runs = self._ledger.runs(target=target.name, limit=MOST_RUNS)
        return [(info.opened, (now if info.closed is None else info.closed) + _rest(target)) for info in runs]


def _rest(target: Target) -> float:
    """Seconds until a window holds nothing of a change any more, with one window to spare."""
    return target.profile.settle + 2 * target.profile.window


def _mean(seen: Sequence[Seen]) -> float | None:
    values = [each.value for each in seen if isinstance(each, Reading)]
    return fmean(values) if values and len(values) == len(seen) else None


def _way(target: Target) -> Literal["up", "down"]:
    return "up" if target.objective.minimise else "down"


def _words(target: Target, finding: Finding, value: float | None) -> str:
    unit = f" {target.objective.unit}" if target.objective.unit else ""
    now = "unknown" if value is None else f"{value:.4g}{unit}"
    usual = "unknown" if finding.baseline is None else f"{finding.baseline:.4g}{unit}"
    since = datetime.fromtimestamp(finding.since or finding.t, UTC).strftime("%H:%M:%S")
    return f"the objective is {now} where {usual} is normal, since {since} UTC"
