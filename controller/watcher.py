"""Reads each target's objective from Prometheus by itself, compares it with its own recent past, and raises the same
signals as an alert does. Of several controllers one does so: the leader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Literal, get_args

import structlog

from adapters.promql_window import render
from controller.metrics import Metrics
from domain.errors import Stale, Transient
from domain.evidence import Reading, Seen
from domain.ports import Clock, Detector, Finding, Lead, Leadership, Ledger, Point, State, Telemetry
from domain.signal import Signal, cause, occasion
from domain.target import Target

log = structlog.get_logger("watcher")
STATES: tuple[State, ...] = get_args(State)
MOST_BACKFILL = 2000  # points
MOST_RUNS = 50  # past runs whose time is left out of the backfill
JOB = "watcher"
SPARE_SECONDS = 15.0  # that a lead lasts beyond two intervals: a slow look must not cost it


class Watcher:
    """`interval` and `baseline` in seconds. A target with an open run is not judged, nor for two windows after it: its
    trials are no regressions. With a `leadership`, only its leader looks; `holder` is the name of this process there,
    which no other process has."""

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
        leadership: Leadership | None = None,
        holder: str = "",
    ) -> None:
        self._targets, self._telemetry, self._detector = targets, telemetry, detector
        self._ledger, self._clock, self._metrics = ledger, clock, metrics
        self._interval, self._baseline = interval, baseline
        self._raised: dict[str, Signal] = {}
        self._filled: set[str] = set()
        self._rest_until: dict[str, float] = {}
        self._leadership, self._holder = leadership, holder
        self._lead: Lead | None = None
        self._last: dict[str, float] = {}  # when the detector was told the last value of each target

    def one(self) -> bool:
        """Look at every target once, as long as we lead. Raises Transient."""
        try:
            for target in self._targets.values():
                if not self._leads():
                    break
                self._look(target)
        except Stale as error:  # we were away for so long that another controller took over
            log.warning("a signal of ours came too late", why=str(error))
            self._follow(None)
        return False

    def resign(self) -> None:
        """Let another controller watch at once. Raises Transient."""
        if self._leadership is not None and self._lead is not None:
            lead, self._lead = self._lead, None
            self._metrics.leads.set(0)
            self._leadership.resign(lead)

    def _leads(self) -> bool:
        """Whether this process watches; asked before each target, so that a long pass keeps the lead."""
        if self._leadership is None:
            self._metrics.leads.set(1)
            return True
        try:
            lead = self._leadership.lead(JOB, self._holder, 2 * self._interval + SPARE_SECONDS)
        except Transient:
            self._metrics.leads.set(0)
            raise
        if lead != self._lead:
            self._follow(lead)
        self._metrics.leads.set(0 if lead is None else 1)
        return lead is not None

    def _follow(self, lead: Lead | None) -> None:
        """Begin or end to lead. What another leader saw and raised is not known here: whoever begins reads the past."""
        log.info("watching" if lead is not None else "another controller watches", lead=lead and lead.token)
        self._lead = lead
        self._raised.clear()
        self._filled.clear()
        self._rest_until.clear()
        self._metrics.watched.clear()
        self._metrics.leads.set(0 if lead is None else 1)

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
        finding = self._told(target, now, value, self._interval)
        self._metrics.state(name, finding.state, STATES)
        self._tell(target, finding, value, now)

    def _tell(self, target: Target, finding: Finding, value: float | None, now: float) -> None:
        """A signal at the start of a regression, again each hour while it lasts, and one at its end."""
        name, raised = target.name, self._raised.get(target.name)
        if finding.state == "regressed" and finding.since is not None:
            why = cause(raised.id) if raised is not None else f"watch/{name}/{finding.since:.0f}"
            signal = Signal(occasion(why, now), "regression", "firing", now, _words(target, finding, value), name)
            if raised is None or raised.id != signal.id:
                self._ledger.submit(signal, self._lead)
                self._raised[name] = signal
                log.info("regression", target=name, signal=signal.id, why=signal.summary)
        elif finding.state == "normal" and raised is not None:
            end = Signal(occasion(cause(raised.id), now), "regression", "resolved", now, "it is normal again", name)
            self._ledger.submit(end, self._lead)
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
            if self._last.get(target.name, 0.0) < at < now:
                self._told(target, at, value, step)
        return True

    def _told(self, target: Target, at: float, value: float | None, step: float) -> Finding:
        self._last[target.name] = at
        return self._detector.update(Point(target.name, at, value, step, _way(target)))

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
