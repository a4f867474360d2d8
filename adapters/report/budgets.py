"""What the search was allowed to cost, and what it cost: time, and what its trials did to users."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from adapters.report import words
from adapters.report.course import Course
from domain import budget
from domain.block import Block, Gate, Trial
from domain.state import Run

NOTHING = 0.05  # user-weighted seconds that are not worth a line


@dataclass(frozen=True, slots=True)
class Bar:
    """`used` and `aside` are shares of the budget, 0 to 1: spent, and set aside for what comes next. `over`:
    nothing more may start."""

    name: str
    value: str
    note: str
    used: float
    aside: float
    over: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """What one trial or gate cost its users."""

    name: str
    changed: str
    served: str
    charged: str
    why: str


@dataclass(frozen=True, slots=True)
class Budgets:
    bars: tuple[Bar, Bar]
    explained: str
    costs: list[Cost]
    costs_note: str


def budgets(run: Run, course: Course, last: float) -> Budgets:
    """Both budgets of a run whose newest record is from `last`."""
    explained = (
        "One user-weighted second is one second in which all users were served more than "
        f"{100 * math.expm1(run.profile.headroom):.0f} % worse than without the trial, or beyond a guardrail; a second "
        "that met half of the users counts half."
    )
    costs = _costs(run)
    note = "No trial cost its users anything that counts." if not costs else "Trials that cost their users something:"
    return Budgets((_time(run, course, last), _harm(run)), explained, costs, note if run.trials else "")


def _time(run: Run, course: Course, last: float) -> Bar:
    used = (course.searched if course.searched is not None else last) - run.began
    limit = run.max_seconds
    trials = f"{len(run.trials)} of at most {run.max_trials} trials"
    after = last - run.began - used
    notes = [f"No trial starts later than {words.duration(limit)} after the run opened; {trials}"]
    if used > limit:
        notes.append("what had begun by then was finished")
    if after >= 1:
        what = "promotion, watch and the end" if run.final else "the way back"
        notes.append(f"{what} took {words.duration(after)} on top")
    value = f"{words.duration(used)} of {words.duration(limit)}"
    return Bar("Time of the search", value, f"{'; '.join(notes)}.", min(1.0, used / limit), 0.0, False)


def _harm(run: Run) -> Bar:
    spent, limit, worst = budget.spent(run), run.target.limits.harm, budget.at_worst(run.target)
    if limit <= 0:
        return Bar("Harm to users", "none allowed", "The target allows no harm, so no trial starts.", 0.0, 0.0, False)
    value = f"{spent:.1f} of {limit:.0f} user-weighted s"
    note = f"One bad trial can cost up to {worst:.1f}, and is only started if that is left."
    if not budget.affords(run):
        note = f"One bad trial can cost up to {worst:.1f}, which is more than what is left, so no other may start."
    used = min(1.0, spent / limit)
    aside = 0.0 if run.closed is not None or run.final else min(1.0 - used, worst / limit)
    return Bar("Harm to users", value, note, used, aside, not budget.affords(run))


def charged(run: Run, *, trial: Trial | None = None, gate: Gate | None = None) -> float:
    """What one trial or one gate added to the harm budget: what the run would have spent with nothing else in it."""
    alone = replace(run, trials=[trial] if trial is not None else [], gates=[gate] if gate is not None else [])
    return budget.spent(alone)


def _costs(run: Run) -> list[Cost]:
    found: list[tuple[float, Cost]] = []
    for trial in run.trials:
        why = "stopped early, by a rule for what its users feel" if trial.beyond else _doubt(trial.block)
        changed = words.difference(run.original, trial.settings)
        found.append(_cost(f"trial {trial.number}", changed, trial.block, charged(run, trial=trial), why))
    for gate in run.gates:
        why = "stopped early, by a rule for what its users feel" if gate.beyond else _doubt(gate.block)
        changed = words.difference(run.original, gate.opened.settings)
        found.append(_cost(f"gate {gate.opened.gate}", changed, gate.block, charged(run, gate=gate), why))
    return [cost for seconds, cost in sorted(found, key=lambda each: -each[0]) if seconds >= NOTHING]


def _cost(name: str, changed: str, block: Block, seconds: float, why: str) -> tuple[float, Cost]:
    return seconds, Cost(name, changed, f"{block.exposed:.1f} s", f"{seconds:.1f} s", why)


def _doubt(block: Block) -> str:
    pairs = len(block.pairs())
    return f"charged by the chance that it was beyond the limit, after {pairs} {'pair' if pairs == 1 else 'pairs'}"
