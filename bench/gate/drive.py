"""Carry one run of the product through a simulated service: the rules are `domain.run.next_step`, the clock jumps.

The driver does what `workers/advance.py` does, without ledger and leases; `tests/bench/test_drive.py` holds the two
against each other event by event.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.gate.service import UNSAFE, Service
from domain.events import (
    Applied,
    Applying,
    Closed,
    Event,
    Imaged,
    Interval,
    Judged,
    Measured,
    Opened,
    Restored,
    Restoring,
    Watched,
)
from domain.evidence import Window, paired
from domain.phases import glanced
from domain.ports import Optimizer
from domain.profile import Profile
from domain.run import next_step
from domain.screening import calibrated
from domain.search import advised
from domain.signal import Signal, SignalKind
from domain.space import Settings
from domain.state import Run, apply
from domain.steps import Apply, Ask, Calibrate, Close, Decide, Done, Glance, Measure, Span, TakeBack, TakeImages, Wait
from domain.target import Arm, Limits, Objective, Target

RELOAD_SECONDS = 1.0  # an apply takes this long


@dataclass
class Claim:
    """An effect with its interval that the program told, and the truth (log differences)."""

    kind: str
    effect: float | None
    interval: Interval
    truth: float

    @property
    def closed(self) -> bool:
        return None not in self.interval

    @property
    def covers(self) -> bool:
        low, high = self.interval
        return low is not None and high is not None and low <= self.truth <= high


@dataclass
class Course:
    """What a run did, seen from outside. Times in seconds since it opened."""

    outcome: str = ""
    reason: str = ""
    kept: Settings | None = None
    truth: float = 0.0
    reported: float | None = None
    first_verified: float | None = None
    keeps: int = 0
    gates: int = 0
    false_gates: int = 0  # that kept what is no improvement in truth
    trials: int = 0
    aborted: int = 0
    searched: float = 0.0  # seconds until the search was over
    unsafe: float = 0.0  # seconds in which some arm was beyond the guardrail while searching
    harm: float = 0.0  # the same, weighted by the share of the users
    seconds: float = 0.0
    claims: list[Claim] = field(default_factory=list)


class Driver:
    """One run from its signal to its end."""

    def __init__(
        self,
        service: Service,
        strategy: Optimizer,
        profile: Profile,
        seed: int,
        *,
        signal: SignalKind = "person",
        trials: int | None = None,
    ) -> None:
        self.service, self.strategy = service, strategy
        target = Target(
            name="simulated",
            mode="act",
            actuator="memory",
            arms=(Arm("a"), Arm("b")),
            space=service.space,
            objective=Objective("p95", unit="s"),
            profile=profile,
            limits=Limits(cooldown=0.0, trials=trials),
        )
        heard = Signal("s", signal, "firing", 0.0, "slow", target="simulated")
        self.now = 0.0
        self.events: list[tuple[float, Event]] = []
        first = Opened("simulated-1", heard, target, seed)
        self.run = Run.begin(first, 0.0)
        self.events.append((0.0, first))
        self.course = Course()
        self._carried: Mapping[str, Settings] = {"a": service.original, "b": service.original}
        self._carried_since = 0.0

    def go(self) -> Course:
        """Everything until the run is closed."""
        while self.run.closed is None:
            self._step()
        return self.course

    def note(self, *events: Event) -> None:
        for event in events:
            self._see(event)
            apply(self.run, event, self.now)
            self.events.append((self.now, event))

    def _step(self) -> None:
        run, step = self.run, next_step(self.run, self.now)
        match step:
            case Decide(events):
                self.note(*events)
            case Wait(until):
                self.now = max(until, self.now + 0.001)
            case TakeImages():
                arms = {arm.label: dict(self.service.original) for arm in run.target.arms}
                self.note(Imaged(arms, dict.fromkeys(arms, "v0")))
            case Calibrate(pairs):
                read = [paired(self._window(first), self._window(second)) for first, second in pairs]
                self.note(calibrated(run, read))
            case Ask(request):
                self.note(advised(self.strategy.advise(request), self.run))
            case Apply(arms, purpose, renew):
                generation = run.generation + 1
                self.note(Applying(dict(arms), generation, purpose, renew))
                self._change(arms)
                if renew:
                    self.service.renew(self.now)
                self.note(Applied(dict(arms), generation))
            case Measure(spans):
                self.note(Measured(tuple(self._window(span) for span in spans)))
            case Glance(spans, until):
                events = glanced(run, tuple(self._window(span) for span in spans))
                self.note(*events)
                if not events:
                    self.now = until
            case TakeBack(outcome, why):
                self.note(Restoring(outcome, why, run.generation + 1))
                self._change({arm.label: self.service.original for arm in run.target.arms})
                self.note(Restored("worker", why, outcome))
            case Close(outcome, reason):
                self.note(Closed(outcome, reason))
            case Done():
                return

    def _window(self, span: Span) -> Window:
        return Window(span.arm, span.role, span.start, span.end, self.service.read(span.arm, span.start, span.end))

    def _change(self, arms: Mapping[str, Settings]) -> None:
        self.now += RELOAD_SECONDS
        self._charge()
        self.service.carry(arms, self.now)
        self._carried, self._carried_since = arms, self.now

    def _charge(self) -> None:
        """True harm of what was carried until now."""
        bad = [self.service.truth(settings) > UNSAFE for settings in self._carried.values()]
        seconds = self.now - self._carried_since
        if any(bad) and not self.run.final:
            self.course.unsafe += seconds
            self.course.harm += seconds * sum(bad) / len(bad)

    def _see(self, event: Event) -> None:
        course, run, truth = self.course, self.run, self.service.truth
        match event:
            case Judged():
                candidate = run.gates[-1].opened.settings
                true = truth(candidate) - truth(run.incumbent)
                course.claims.append(Claim("gate", event.effect, event.interval, true))
                course.gates += 1
                if event.verdict == "Keep":
                    course.keeps += 1
                    course.false_gates += true >= 0
                    if course.first_verified is None and truth(candidate) < 0:
                        course.first_verified = self.now
            case Applying(purpose="promote") if run.promoting is None:
                course.searched = self.now
            case Restoring() if not run.final:
                course.searched = self.now
            case Watched():
                course.claims.append(Claim("watch", event.effect, event.interval, truth(run.incumbent)))
            case Closed():
                course.outcome, course.reason, course.seconds = event.outcome, event.reason, self.now
                course.searched = course.searched or self.now
                course.trials = len(run.trials)
                course.aborted = sum(trial.status == "aborted" for trial in run.trials)
                if event.outcome == "kept":
                    course.kept, course.truth = run.incumbent, truth(run.incumbent)
                    course.reported = run.watched.effect if run.watched else None


def percent(effect: float) -> float:
    """A log difference as a gain in percent: what is saved of the objective."""
    return -100 * math.expm1(effect)
