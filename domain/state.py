"""The state of a run, folded from its events. Nothing here decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from domain.events import (
    Aborted,
    Advised,
    Applied,
    Applying,
    Calibrated,
    Closed,
    Conflicted,
    Event,
    GateOpened,
    Heard,
    Imaged,
    Judged,
    Measured,
    Opened,
    Promoted,
    Proposed,
    Refused,
    Restored,
    Restoring,
    Screened,
    Watched,
)
from domain.evidence import Pair, Window
from domain.profile import Profile
from domain.space import Settings
from domain.target import Target


def same(a: Settings, b: Settings) -> bool:
    """Equal settings; True and 1 are different values."""
    return a.keys() == b.keys() and all(type(a[key]) is type(b[key]) and a[key] == b[key] for key in a)


@dataclass(slots=True)
class Block:
    """Slots measured for one purpose: a trial, a gate, the watch."""

    began: float
    slots: list[tuple[Window, ...]] = field(default_factory=list)

    def pairs(self) -> list[Pair]:
        """A duet's slot is a pair; interleaved, two slots of one arm make a pair."""
        windows = [window for slot in self.slots for window in slot]
        return [
            Pair(*sorted(two, key=lambda window: window.role))
            for two in zip(windows[0::2], windows[1::2], strict=False)
            if two[0].role != two[1].role
        ]


@dataclass(slots=True)
class Trial:
    """One candidate. `effect` is against the run's original settings, `variance` its variance."""

    number: int
    settings: Settings
    block: Block
    status: Literal["open", "measured", "aborted", "refused"] = "open"
    effect: float | None = None
    variance: float | None = None
    gated: bool = False


@dataclass(slots=True)
class Gate:
    opened: GateOpened
    block: Block
    judged: Judged | None = None


@dataclass(slots=True)
class Run:
    """What the journal says so far. Times are Unix seconds, effects log differences against the original settings."""

    opened: Opened
    began: float
    before: Imaged | None = None
    calibrated: Calibrated | None = None
    trials: list[Trial] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    incumbent: Settings = field(default_factory=dict)
    off: float = 0.0
    kept: bool = False
    advice: Advised | None = None
    advised_on: int = -1  # number of trials and gates when the last advice came
    dull: int = 0  # advices in a row that promised next to nothing
    applying: Applying | None = None  # an intention without its outcome
    applying_since: float = 0.0  # first and last attempt of it
    applying_last: float = 0.0
    arms: Mapping[str, Settings] = field(default_factory=dict)  # as last proven
    applied_at: float = 0.0
    generation: int = 0
    touched: bool = False
    refusal: Applying | None = None  # the last intention that the target refused
    promoted: bool = False
    watching: Block | None = None
    watched: Watched | None = None
    last_end: float = 0.0  # end of the last measured window
    stop: str | None = None
    approved: bool = False
    resolved: bool = False
    restoring: Restoring | None = None
    restored: Restored | None = None
    conflict: Conflicted | None = None
    closed: Closed | None = None

    @classmethod
    def begin(cls, first: Event, time: float) -> Run:
        if not isinstance(first, Opened):
            raise ValueError(f"a journal begins with Opened, not with {type(first).__name__}")
        return cls(opened=first, began=time)

    @property
    def target(self) -> Target:
        return self.opened.target

    @property
    def profile(self) -> Profile:
        return self.opened.target.profile

    @property
    def original(self) -> Settings:
        """The settings at the time of the signal, which every arm carried."""
        if self.before is None:
            return {}
        return next(iter(self.before.settings.values()))

    @property
    def trial(self) -> Trial | None:
        """The open trial."""
        return self.trials[-1] if self.trials and self.trials[-1].status == "open" else None

    @property
    def gate(self) -> Gate | None:
        """The open gate."""
        return self.gates[-1] if self.gates and self.gates[-1].judged is None else None

    @property
    def final(self) -> bool:
        """Promotion or watch has begun: no more trials."""
        return self.watching is not None

    @property
    def max_trials(self) -> int:
        return self.target.limits.trials or self.profile.max_trials

    @property
    def max_seconds(self) -> float:
        return self.target.limits.seconds or self.profile.max_seconds

    @property
    def at_rest(self) -> bool:
        """Every arm is proven to carry the incumbent."""
        return (
            self.applying is None and bool(self.arms) and all(same(arm, self.incumbent) for arm in self.arms.values())
        )

    @property
    def may_act(self) -> bool:
        return self.target.mode == "act" or (self.target.mode == "approve" and self.approved)

    def refused(self) -> list[Settings]:
        return [trial.settings for trial in self.trials if trial.status == "refused"]


def apply(run: Run, event: Event, time: float) -> None:
    """Fold one event into the state."""
    match event:
        case Heard():
            _hear(run, event)
        case Imaged():
            run.before = event
            # The before-images lie on the target: from here on every end writes, so that the version moves on and a
            # worker that froze before then finds it so.
            run.touched = run.may_act
            run.incumbent = next(iter(event.settings.values()))
            run.arms = dict(event.settings)
        case Calibrated():
            run.calibrated = event
        case Advised():
            run.advice, run.advised_on = event, len(run.trials) + len(run.gates)
            run.dull = run.dull + 1 if event.max_ei < run.profile.mei / 3 else 0
        case Proposed():
            run.trials.append(Trial(event.trial, event.settings, Block(time)))
            run.refusal = None
        case Applying():
            run.applying_since, run.applying_last = (run.applying_since if run.applying else time), time
            run.applying = event
            run.generation, run.touched = max(run.generation, event.generation), True
            if event.purpose == "promote" and run.watching is None:
                run.watching = Block(time)
        case Applied():
            run.arms, run.applied_at, run.applying = event.arms, time, None
        case Refused():
            run.refusal, run.applying, run.arms = run.applying, None, {}
            if run.trial is not None:
                run.trial.status = "refused"
        case Measured():
            _measure(run, event)
            run.applying_since = time
        case Aborted():
            if run.trial is not None:
                run.trial.status = "aborted"
        case Screened():
            _screened(run, event)
        case GateOpened():
            run.gates.append(Gate(event, Block(time)))
            _trial(run, event.trial).gated = True
        case Judged():
            _judged(run, event)
        case Promoted():
            run.incumbent, run.promoted = event.settings, True
        case Watched():
            run.watched = event
        case Restoring():
            run.restoring, run.touched = event, True
            run.generation = max(run.generation, event.generation)
        case Restored():
            run.restored, run.applying = event, None
        case Conflicted():
            run.conflict = event
        case Closed():
            run.closed = event
        case Opened():
            raise ValueError("a journal has one Opened only")


def _hear(run: Run, event: Heard) -> None:
    match event.kind:
        case "stop":
            run.stop = run.stop or event.text
        case "approve":
            run.approved = True
        case "resolved":
            run.resolved = True
        case "signal":
            run.resolved = False


def _block(run: Run) -> Block | None:
    if run.watching is not None:
        return run.watching
    if run.gate is not None:
        return run.gate.block
    return run.trial.block if run.trial is not None else None


def _measure(run: Run, event: Measured) -> None:
    block = _block(run)
    if block is not None:
        block.slots.append(event.windows)
    run.last_end = max(window.end for window in event.windows)


def _trial(run: Run, number: int) -> Trial:
    return next(trial for trial in run.trials if trial.number == number)


def _screened(run: Run, event: Screened) -> None:
    trial = _trial(run, event.trial)
    trial.effect, trial.variance = event.effect + run.off, event.variance
    if trial.status == "open":
        trial.status = "measured"


def _judged(run: Run, event: Judged) -> None:
    gate = run.gates[-1]
    gate.judged, run.refusal = event, None
    trial = _trial(run, gate.opened.trial)
    if event.effect is not None:
        trial.effect = run.off + event.effect
    if event.verdict == "Keep" and event.effect is not None:
        run.incumbent, run.off, run.kept = trial.settings, run.off + event.effect, True
