"""The state of a run, folded from its events. Nothing here decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from domain import exposure
from domain.allowance import Allowance
from domain.block import Block, Gate, Noise, Trial
from domain.events import (
    Aborted,
    Adopted,
    Adopting,
    Advised,
    Applied,
    Applying,
    Calibrated,
    Closed,
    Conflicted,
    Diagnosed,
    Event,
    GateOpened,
    Heard,
    HeldBack,
    Imaged,
    Judged,
    Looked,
    Looking,
    Measured,
    Opened,
    Prepared,
    Preparing,
    Promoted,
    Proposed,
    Refused,
    Restored,
    Restoring,
    Sampled,
    Screened,
    Surveyed,
    Watched,
)
from domain.evidence import Pair, differences
from domain.profile import Profile
from domain.robust import winsorised
from domain.space import SearchSpace, Settings, bounded
from domain.space import equal as same
from domain.target import Target


@dataclass(slots=True)
class Run:
    """What the journal says so far. Times are Unix seconds, effects log differences against the original settings."""

    opened: Opened
    began: float
    before: Imaged | None = None
    surveyed: Allowance | None = None
    prepared: Prepared | None = None
    prepared_at: float = 0.0
    adopted: Adopted | None = None
    sampled: Sampled | None = None
    sampled_at: float = 0.0
    diagnosed: Diagnosed | None = None
    calibrated: Calibrated | None = None
    calibrations: int = 0
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
    restarted_at: float = 0.0  # the last change that restarted an arm
    generation: int = 0
    touched: bool = False
    refusal: Applying | None = None  # the last intention that the target refused
    promoted: bool = False
    promoting: Block | None = None  # the harm test of the last step that was not to every arm
    steps: int = 0  # steps of the promotion that were taken and tested
    watching: Block | None = None
    watched: Watched | None = None
    holding: Block | None = None
    held: list[HeldBack] = field(default_factory=list)
    look: Block | None = None  # the open look at the original settings
    looks: list[Block] = field(default_factory=list)
    looked_on: int = -1  # number of trials when the last look ended
    recovered: Looked | None = None
    noise: Noise = field(default_factory=lambda: Noise())
    exposing: Block | None = None  # whose challenger serves, since when, on what share of the arms
    exposed_since: float = 0.0
    exposed_share: float = 0.0
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
    def made(self) -> bool:
        """The arms are made for the run, and have no past."""
        return self.target.workload is not None

    @property
    def on_top(self) -> bool:
        """The arms are added to what serves: an alert may resolve because of that alone."""
        return self.surveyed is not None and self.surveyed.on_top

    @property
    def space(self) -> SearchSpace:
        """The target's space, within what its place allows."""
        if self.surveyed is None:
            return self.target.space
        bounds = {name: (each.low, each.high) for name, each in self.surveyed.bounds.items()}
        space = bounded(self.target.space, bounds)
        return replace(space, constraints=(*space.constraints, *self.surveyed.constraints))

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
        return self.promoting is not None

    @property
    def mei(self) -> float:
        """Minimum effect of interest: the profile's, or the least that a gate can show in this noise."""
        shown = self.calibrated.mei if self.calibrated is not None else None
        return self.profile.mei if shown is None else shown

    @property
    def bias(self) -> float:
        """What the first arm shows above the second under equal settings (log difference)."""
        return self.calibrated.bias if self.calibrated is not None else 0.0

    @property
    def levels(self) -> Mapping[str, float]:
        """The guardrails' values under the original settings."""
        return self.calibrated.levels if self.calibrated is not None else {}

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
        case Surveyed():
            run.surveyed = event.allowance
        case Preparing():
            run.generation = max(run.generation, event.generation)
        case Prepared():
            run.prepared, run.prepared_at, run.applied_at = event, time, time
        case Adopting():
            run.generation = max(run.generation, event.generation)
        case Adopted():
            run.adopted = event
        case Sampled():
            run.sampled, run.sampled_at = event, time
        case Diagnosed():
            run.diagnosed = event
        case Calibrated():
            run.calibrated, run.calibrations = event, run.calibrations + 1
            _pool(run, event.pairs)
        case Advised():
            run.advice, run.advised_on = event, len(run.trials) + len(run.gates)
            run.dull = run.dull + 1 if event.max_ei < run.profile.mei / 3 else 0
        case Proposed():
            mu = event.mu - run.off if event.mu is not None else None
            run.trials.append(Trial(event.trial, event.settings, Block(time), expected=(mu, event.sd)))
            run.refusal = None
        case Applying():
            run.applying_since, run.applying_last = (run.applying_since if run.applying else time), time
            run.applying = event
            run.generation, run.touched = max(run.generation, event.generation), True
            if exposure.strange(run, event.arms) > exposure.strange(run, run.arms):
                exposure.expose(run, event.arms, time)  # the write may come to pass although its outcome is never told
            if event.purpose == "promote" and run.promoting is None:
                run.promoting = Block(time)
        case Applied():
            exposure.expose(run, event.arms, time)
            exposure.restarted(run, event.arms, time)
            run.arms, run.applied_at, run.applying = event.arms, time, None
        case Refused():
            exposure.expose(run, {}, time)
            run.refusal, run.applying, run.arms = run.applying, None, {}
            if run.trial is not None:
                run.trial.status = "refused"
        case Measured():
            _measure(run, event, time)
            run.applying_since = time
        case Aborted():
            trial, gate = run.trial, run.gate
            if trial is not None:
                trial.status, trial.beyond = "aborted", event.beyond
            elif gate is not None:
                gate.beyond = event.beyond
        case Screened():
            _screened(run, event)
        case GateOpened():
            run.gates.append(Gate(event, Block(time)))
            _trial(run, event.trial).gated = True
        case Judged():
            _judged(run, event)
        case Promoted():
            run.incumbent, run.steps, run.promoting = event.settings, run.steps + 1, Block(time)
            if event.everywhere:
                run.promoted, run.watching = True, Block(time)
        case Watched():
            run.watched, run.holding = event, Block(time)
        case HeldBack():
            run.held.append(event)
        case Looking():
            run.look = Block(time)
        case Looked():
            if run.look is not None:
                run.looks.append(run.look)
            run.look, run.looked_on = None, len(run.trials)
            run.recovered = event if event.recovered else run.recovered
        case Restoring():
            run.restoring, run.touched = event, True
            run.generation = max(run.generation, event.generation)
        case Restored():
            exposure.expose(run, {}, time)
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


def _measure(run: Run, event: Measured, time: float) -> None:
    block = exposure.block(run)
    if block is not None:
        block.add(event.windows)
        exposure.expose(run, run.arms, time)
        block.exposed_before_last, block.exposed_at_last = block.exposed_at_last, block.exposed
    run.last_end = max(window.end for window in event.windows)


def _pool(run: Run, pairs: Sequence[Pair]) -> None:
    """Outliers are pulled in first: one of them would make every later abort late."""
    ds = winsorised(differences(pairs, run.bias))
    if len(ds) >= 2:
        mean = fmean(ds)
        run.noise.squares += sum((d - mean) ** 2 for d in ds)
        run.noise.freedom += len(ds) - 1


def _trial(run: Run, number: int) -> Trial:
    return next(trial for trial in run.trials if trial.number == number)


def _screened(run: Run, event: Screened) -> None:
    trial = _trial(run, event.trial)
    trial.effect, trial.variance = event.effect + run.off, event.variance
    _pool(run, trial.block.pairs())
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
