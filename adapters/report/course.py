"""The course of a run, event by event: what each trial came to, and when which phase lasted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.report import words
from adapters.report.charts import Shade
from domain import search
from domain.events import (
    Aborted,
    Applying,
    Closed,
    Conflicted,
    Event,
    GateOpened,
    Heard,
    Judged,
    Looked,
    Looking,
    Promoted,
    Proposed,
    Refused,
    Restoring,
    Screened,
    Watched,
)
from domain.journal import event_of
from domain.ports import Record
from domain.state import Run, apply


@dataclass
class TrialRow:
    """One trial of the table. `effect` and `sd` are log differences against the original."""

    number: int
    at: float
    until: float
    changed: str
    why: str
    seed: int
    result: str = "open"
    note: str = ""
    effect: float | None = None
    sd: float | None = None
    gate: str = ""


@dataclass
class Course:
    """`steps` are (time, effect) of the settings in force. `searched` is when the last trial or gate was over, None
    while the search goes on; `over` is why a run that kept something ended its search, where that can be told."""

    trials: list[TrialRow] = field(default_factory=list)
    steps: list[tuple[float, float]] = field(default_factory=list)
    shades: list[Shade] = field(default_factory=list)
    looks: list[tuple[float, Looked]] = field(default_factory=list)
    heard: list[tuple[float, Heard]] = field(default_factory=list)
    searched: float | None = None
    over: str | None = None
    end: float = 0.0  # of the timeline; a hold-back of a day would leave no room for the rest


def follow(records: Sequence[Record]) -> Course:
    """The course that these records tell. ValueError if they cannot be read."""
    run = Run.begin(event_of(records[0]), records[0].time)
    told = _Follower(run, Course(steps=[(records[0].time, 0.0)]))
    for record in records[1:]:
        told.take(event_of(record), record.time)
    return told.finish(records[-1].time)


class _Follower:
    def __init__(self, run: Run, course: Course) -> None:
        self.run, self.course = run, course
        self.began: dict[str, float] = {}  # phase → since when

    def take(self, event: Event, time: float) -> None:
        run, course = self.run, self.course
        if isinstance(event, Applying) and event.purpose == "promote" and not run.final:
            # The journal of a run that keeps something does not say why the search ended, but it follows from it.
            course.searched, course.over = time, search.over(run, time)
            self.began["promotion"] = time
        apply(run, event, time)
        match event:
            case Proposed():
                changed = words.difference(run.incumbent, event.settings)
                course.trials.append(TrialRow(event.trial, time, time, changed, event.why, event.seed))
            case Screened() | Aborted() | Refused():
                self._trial(event, time)
            case Looking():
                self.began["look"] = time
            case Looked():
                course.looks.append((time, event))
                self._shade("look", time, "")
            case GateOpened():
                self.began["gate"] = time
            case Judged():
                self._shade("gate", time, f"gate {event.gate}: {event.verdict}")
                if event.verdict == "Keep":
                    course.steps.append((time, run.off))
            case Promoted() if event.everywhere:
                self._shade("promotion", time, "")
                self.began["watch"] = time
            case Watched():
                kind = "watch" if "watch" in self.began else "promotion"
                self._shade(kind, time, kind)
                course.end = time
            case Heard():
                course.heard.append((time, event))
            case Restoring() if course.searched is None:
                course.searched = time
            case Conflicted():
                course.shades.append(Shade(time, time, "foreign change", "bad"))
                course.searched = course.searched or time
            case Closed():
                course.searched = course.searched or time
                if run.restored is not None:
                    course.steps.append((time, 0.0))

    def finish(self, last: float) -> Course:
        run, course = self.run, self.course
        for kind in list(self.began):
            name = f"gate {run.gate.opened.gate}: open" if kind == "gate" and run.gate is not None else kind
            self._shade(kind, last, name if kind in ("gate", "watch") else "")
        if not (run.held or (run.holding is not None and run.holding.slots)):
            course.end = last
        course.end = max(course.end, *(time for time, _ in course.steps))
        return course

    def _shade(self, kind: str, until: float, name: str) -> None:
        since = self.began.pop(kind, None)
        if since is not None:
            self.course.shades.append(Shade(since, until, name, kind))

    def _trial(self, event: Screened | Aborted | Refused, time: float) -> None:
        run, trials = self.run, self.course.trials
        if not trials or run.gate is not None or run.final:
            return
        row = trials[-1]
        match event:
            case Screened():
                trial = run.trials[event.trial - 1]
                row.effect, row.sd, row.until = trial.effect, math.sqrt(event.variance), time
                row.result = row.result if row.result == "aborted" else "measured"
                if row.result == "measured" and event.pairs < run.profile.screening_pairs:
                    pairs = "pair" if event.pairs == 1 else "pairs"
                    row.note = f"ended after {event.pairs} {pairs}: an improvement worth keeping was improbable by then"
            case Aborted():
                row.result, row.until = "aborted", time
                row.note = f"{event.rule}: {event.seen} (limit {event.limit})"
            case Refused():
                row.result, row.until, row.note = "refused", time, event.reason
