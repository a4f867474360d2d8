"""Carry one run one step forward.

The order is a rule (docs/decisions/order-of-a-step.md): lease, then the version of the target, then the ledger,
then the decision, then the conditional write. A worker that froze before its write finds the target's version moved on
and can do no harm, whatever it still believes. Every act is written down before and after: death between any two
lines is normal, and the next worker goes on from the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from domain.errors import Conflict, Misconfigured, Rejected, Transient
from domain.events import (
    Adopted,
    Adopting,
    Applied,
    Applying,
    Closed,
    Conflicted,
    Diagnosed,
    Event,
    Imaged,
    Measured,
    Outcome,
    Prepared,
    Preparing,
    Refused,
    Restored,
    Restoring,
    Sampled,
    Surveyed,
)
from domain.evidence import Window, paired
from domain.journal import seal, verify
from domain.phases import glanced
from domain.ports import (
    Actuator,
    Clock,
    Examiner,
    Image,
    Journal,
    Json,
    Lease,
    Ledger,
    Optimizer,
    Record,
    Stage,
    Stamp,
    Telemetry,
)
from domain.run import next_step, replay
from domain.screening import calibrated
from domain.search import advised
from domain.space import Settings
from domain.state import Run, apply
from domain.steps import (
    Adopt,
    Apply,
    Ask,
    Calibrate,
    Close,
    Decide,
    Done,
    Examine,
    Glance,
    Measure,
    Prepare,
    Span,
    Survey,
    TakeBack,
    TakeImages,
    Wait,
)
from domain.target import Target
from workers.reading import heard_of, window

LEASE_SECONDS = 75.0  # longer than a task may live (60 s), shorter than the broker's visibility timeout (120 s)
RETRY_SECONDS = 1.0
BROKEN_SECONDS = 30.0  # a step that raised what trying again cannot help is looked at this often
log = structlog.get_logger("advance")
MOST_DECISIONS = 8  # between two looks at the world; more would mean a decision that repeats itself


def no_stage(target: Target) -> Stage | None:
    """Where arms stand for themselves."""
    if target.workload is not None:
        raise Misconfigured(f"target {target.name} has a workload, and nobody works with one here")
    return None


def nobody_examines(target: Target) -> Examiner:
    """Where targets are not diagnosed."""
    raise Misconfigured(f"target {target.name} wants a diagnosis, and nobody makes one here")


@dataclass(frozen=True)
class Ports:
    """Everything that a step may touch. `targets` come from the policy file, by name; `closed` hears of closed runs."""

    ledger: Ledger
    telemetry: Telemetry
    actuators: Callable[[Target], Mapping[str, Actuator]]
    optimizer: Callable[[str], Optimizer]
    clock: Clock
    targets: Mapping[str, Target]
    closed: Callable[[str, Sequence[Record]], None]
    examiner: Callable[[Target], Examiner] = nobody_examines
    stage: Callable[[Target], Stage | None] = no_stage


def advance(run: str, ports: Ports) -> None:
    """One step of one run, if its lease is free and it is due. Raises what cannot be helped by trying again; the run
    then stays due, and the watchdog holds the target's way back."""
    lease = ports.ledger.lease(run, ports.clock.now(), LEASE_SECONDS)
    if lease is None:
        return
    step = _Step(lease, ports)
    due = ports.clock.now() + BROKEN_SECONDS
    try:
        due = step.take()
    except Transient as hindrance:
        log.info("step put off", run=run, why=str(hindrance))
        due = ports.clock.now() + RETRY_SECONDS
    except Conflict as conflict:
        # Somebody else wrote between our look and our act; the next look will see it as such.
        if not step.close_untouched(str(conflict)):
            log.warning("step met a foreign hand", run=run, why=str(conflict))
            due = ports.clock.now() + RETRY_SECONDS
    except Misconfigured as mistake:
        if not step.close_untouched(str(mistake)):
            raise
    finally:
        ports.ledger.release(lease, due)


class _Step:
    """The hands of one step: what was read, and what is appended."""

    def __init__(self, lease: Lease, ports: Ports) -> None:
        self.lease, self.ports = lease, ports
        self.arms: Mapping[str, Actuator] = {}
        self.stage: Stage | None = None
        self.images: dict[str, Image] = {}
        self.records: list[Record] = []
        self.run: Run | None = None

    def take(self) -> float:
        """Decide until one action was taken or there is something to wait for; returns when to look again."""
        target = self.ports.targets.get(self.lease.target)
        if target is None:
            raise Misconfigured(f"target {self.lease.target!r} is no longer in the policy; its run cannot go on")
        self.arms, self.stage = self.ports.actuators(target), self.ports.stage(target)
        self._reread()
        journal = self.ports.ledger.read(self.lease.run)
        verify(self.lease.run, journal.records)
        self._take_up(journal)
        acted = False
        for _ in range(MOST_DECISIONS):
            now, run = self.ports.clock.now(), self._state()
            surprise = self._surprise(run)
            if surprise is not None:
                self._append([surprise], due=now)
                continue
            step = next_step(run, now)
            match step:
                case Decide(events):
                    self._append(events, due=now)
                    continue
                case Wait(until):
                    return until
                case Done():
                    return now
            if acted:
                return now
            if isinstance(step, Glance):
                events = glanced(run, tuple(self._window(run, span) for span in step.spans))
                if not events:
                    return step.until
                self._append(events, due=now)
                continue
            self._act(run, step)
            if isinstance(step, Close):
                return now
            acted = True
        return self.ports.clock.now()

    def close_untouched(self, reason: str) -> bool:
        """Close a run that cannot go on, if it never wrote to its target; False if it did."""
        if not self.records:
            self._take_up(self.ports.ledger.read(self.lease.run))
        if self._state().touched:
            return False
        self._close("failed", reason)
        return True

    # --- what came in ------------------------------------------------------------------------------------------------

    def _take_up(self, journal: Journal) -> None:
        self.records = list(journal.records)
        self.run = replay(self.records)
        heard = [heard_of(message) for message in journal.inbox]
        if heard:
            self._append(heard, due=self.ports.clock.now(), heard=len(heard))

    def _surprise(self, run: Run) -> Event | None:
        """What the target says that the journal does not know: a foreign hand, the watchdog's, or records that were
        lost behind a write of ours."""
        if run.closed is not None or run.conflict is not None or run.restored is not None:
            return None
        for label, image in self.images.items():
            ours = image.stamp is not None and image.stamp.run == self.lease.run
            if ours and image.reaped:
                return Restored("watchdog", "the watchdog restored the target after the run's deadline")
            if ours and image.generation > run.generation:
                why = "records of this run were lost behind the target, so the original settings come back"
                return None if run.restoring else Restoring("restored", why, image.generation)
            if not ours and run.before is not None and image.version != run.before.versions.get(label):
                return Conflicted(label, f"content is not ours (version {image.version})")
        return None

    def _state(self) -> Run:
        if self.run is None:
            raise ValueError("the journal was not read yet")
        return self.run

    # --- what goes out -----------------------------------------------------------------------------------------------

    def _append(self, events: Sequence[Event], *, due: float, heard: int = 0, outcome: Outcome | None = None) -> None:
        now = self.ports.clock.now()
        sealed = seal(events, now, self.records)
        self.ports.ledger.append(self.lease, len(self.records), sealed, heard=heard, due=due, outcome=outcome)
        self.records.extend(sealed)
        for event in events:
            apply(self._state(), event, now)

    def _act(self, run: Run, step: object) -> None:
        now = self.ports.clock.now()
        match step:
            case Survey():
                self._append([Surveyed(self._stage().survey())], due=now)
            case TakeImages():
                self._append([self._take_images(run)], due=now)
            case Prepare(until):
                self._prepare(until)
            case Examine(first):
                self._append([self._examine(run, first)], due=now)
            case Calibrate(pairs):
                skew = self._need_telemetry() - now
                read = [paired(self._window(run, first), self._window(run, second)) for first, second in pairs]
                self._append([calibrated(run, read, skew)], due=now)
            case Ask(request):
                told = advised(self.ports.optimizer(run.target.strategy).advise(request), run)
                self._append([told], due=now)
            case Apply():
                self._apply(run, step)
            case Measure(spans, patience):
                if now < patience:
                    self._need_telemetry()
                windows = tuple(replace(self._window(run, span), disturbed=self._disturbed(span)) for span in spans)
                self._protect(run)
                self._append([Measured(windows)], due=now)
            case Adopt(settings):
                self._adopt(run, settings)
            case TakeBack(outcome, why):
                self._restore(why, outcome)
            case Close(outcome, reason):
                self._close(outcome, reason)

    def _examine(self, run: Run, first: Json | None) -> Sampled | Diagnosed:
        """A diagnosis that cannot be made is told and forbids nothing: abort rules and gate are still there."""
        try:
            examiner = self.ports.examiner(run.target)
            sample = examiner.sample()
            if first is None:
                return Sampled(sample)
            seen = examiner.examine(first, sample)
            return Diagnosed(seen.layer, seen.headline, seen.evidence, seen.parameters, seen.refusal)
        except Misconfigured as mistake:
            return Diagnosed("unknown", f"no diagnosis could be made: {mistake}")

    def _take_images(self, run: Run) -> Imaged:
        self._protect(run)
        return Imaged(
            {label: dict(image.settings) for label, image in self.images.items()},
            {label: image.version for label, image in self.images.items()},
        )

    def _protect(self, run: Run) -> None:
        """The before-image lies on the target, with a deadline that every step moves."""
        if not run.may_act:
            return
        deadline = self.ports.clock.now() + run.profile.patience
        for label, arm in self.arms.items():
            arm.protect(self.lease.run, deadline, self.images[label].version)

    def _apply(self, run: Run, step: Apply) -> None:
        now = self.ports.clock.now()
        generation = self._next_generation()
        self._protect(run)
        self._append([Applying(dict(step.arms), generation, step.purpose, step.renew)], due=now)
        label, stamp = "", Stamp(self.lease.run, generation)
        try:
            for label, settings in step.arms.items():
                self.images[label] = self.arms[label].write(settings, stamp, self.images[label].version)
                if step.renew:
                    self.arms[label].renew(now)
        except Rejected as refusal:
            self._append([Refused(dict(step.arms[label]), str(refusal))], due=self.ports.clock.now())
            self._reread()
            return
        except Conflict as conflict:
            self._append([Conflicted(label, str(conflict))], due=self.ports.clock.now())
            return
        effective = {label: dict(self.arms[label].effective()) for label in step.arms}
        self._append([Applied(effective, generation)], due=self.ports.clock.now())

    def _prepare(self, until: float) -> None:
        generation = self._next_generation()
        self._append([Preparing(generation)], due=self.ports.clock.now())
        try:
            self._stage().prepare(Stamp(self.lease.run, generation), until)
        except Rejected as refusal:
            self._append([Prepared(str(refusal))], due=self.ports.clock.now())
        except Conflict as conflict:
            self._append([Conflicted("workload", str(conflict))], due=self.ports.clock.now())
        else:
            self._append([Prepared()], due=self.ports.clock.now())

    def _adopt(self, run: Run, settings: Settings) -> None:
        generation = self._next_generation()
        self._protect(run)
        self._append([Adopting(dict(settings), generation)], due=self.ports.clock.now())
        try:
            done = self._stage().adopt(settings, Stamp(self.lease.run, generation))
        except Rejected as refusal:
            self._append([Adopted({}, {}, fault=str(refusal))], due=self.ports.clock.now())
        except Conflict as conflict:
            self._append([Conflicted("workload", str(conflict))], due=self.ports.clock.now())
        else:
            self._append([Adopted(dict(done.settings), dict(done.proposed), done.patch)], due=self.ports.clock.now())

    def _stage(self) -> Stage:
        if self.stage is None:
            raise ValueError("this target has no workload")
        return self.stage

    def _restore(self, why: str, outcome: Outcome) -> None:
        generation = self._next_generation()
        self._append([Restoring(outcome, why, generation)], due=self.ports.clock.now())
        for label, arm in self.arms.items():
            try:
                self.images[label] = arm.restore(Stamp(self.lease.run, generation), self.images[label].version)
            except Conflict as conflict:
                self._append([Conflicted(label, str(conflict))], due=self.ports.clock.now())
                return
            arm.effective()
        self._append([Restored("worker", why, outcome)], due=self.ports.clock.now())

    def _close(self, outcome: Outcome, reason: str) -> None:
        """The way back goes before the end is written: a closed run must never be restored by the watchdog."""
        if self.stage is not None:
            self.stage.retire(self.lease.run)
        for arm in self.arms.values():
            arm.release(self.lease.run, keep=outcome == "conflict")
        self._append([Closed(outcome, reason)], due=self.ports.clock.now(), outcome=outcome)
        self.ports.closed(self.lease.run, tuple(self.records))

    # --- reading -----------------------------------------------------------------------------------------------------

    def _need_telemetry(self) -> float:
        """Prometheus' clock, Unix seconds. Raises Transient while it does not answer."""
        theirs = self.ports.telemetry.now()
        if theirs is None:
            raise Transient("Prometheus does not answer; the windows stay where they are and are read later")
        return theirs

    def _window(self, run: Run, span: Span) -> Window:
        return window(self.ports.telemetry, run, span)

    def _disturbed(self, span: Span) -> str:
        try:
            return self.arms[span.arm].disturbed(span.start, span.end)
        except Transient as hindrance:
            return f"it could not be asked what it did ({hindrance})"

    def _reread(self) -> None:
        self.images = {label: arm.read() for label, arm in self.arms.items()}

    def _next_generation(self) -> int:
        return max([self.lease.token, *(image.generation for image in self.images.values())]) + 1
