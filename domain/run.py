"""A run: what its journal says (`replay`), and what must happen next (`next_step`).

`next_step` is the product. It is a pure function of the journal and the clock, so the same journal gives the same step
on any machine, after any crash.
"""

from __future__ import annotations

from collections.abc import Sequence

from domain import keeping, phases
from domain.journal import event_of
from domain.ports import Record
from domain.state import Run, apply
from domain.steps import Close, Done, Examine, Step, Survey, TakeBack, TakeImages


def replay(records: Sequence[Record]) -> Run:
    """The run that these records tell. Raises ValueError for a journal that does not begin with `Opened`."""
    run = Run.begin(event_of(records[0]), records[0].time)
    for record in records[1:]:
        apply(run, event_of(record), record.time)
    return run


def next_step(run: Run, now: float) -> Step:
    """What this run does next: one action, a decision, or a wait."""
    if run.closed is not None:
        return Done()
    if run.conflict is not None:
        return Close("conflict", f"arm {run.conflict.arm} was changed by somebody else: {run.conflict.seen}")
    if run.restored is not None:
        return Close(run.restored.outcome, run.restored.why)
    if run.restoring is not None:
        return TakeBack(run.restoring.outcome, run.restoring.why)

    if run.made and run.surveyed is None:
        return Survey()
    if run.surveyed is not None and run.surveyed.refusal:
        return Close("refused", f"cannot be tuned here: {run.surveyed.refusal}")
    if run.before is None:
        return TakeImages()
    if run.stop is not None:
        return phases.take_back(run, "restored", f"stopped: {run.stop}")
    if run.target.diagnose and run.sampled is None and run.diagnosed is None:
        return Examine()
    if run.made and run.prepared is None:
        return phases.prepare(run, now)
    if run.calibrated is None or phases.calibrates_again(run):
        return phases.calibrate(run, now)
    if run.calibrated.fault:
        return phases.take_back(run, "refused", f"cannot measure safely here: {run.calibrated.fault}")
    if run.diagnosed is not None and run.diagnosed.refusal:
        return phases.take_back(run, "refused", f"not tuned: {run.diagnosed.refusal}")
    if not run.may_act:
        return phases.advise_only(run, now)

    if run.final:
        return keeping.finish(run, now)
    if run.look is not None:
        return phases.look(run, now)
    if run.gate is not None:
        return phases.gate(run, now)
    if run.trial is not None:
        return phases.screen(run, now)
    return phases.choose(run, now)
