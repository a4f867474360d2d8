"""The harm budget: how long the trials of a run may keep users beyond what the target allows.

User-weighted seconds: time beyond a guardrail or the headroom, times the share of the users that met it (an arm's share
is one of the arms); and the time of restarts, in which nobody answers. Time is one budget of a run, this is the other.
Before a trial, what it could cost until the abort rules stop it is set aside; afterwards, what was seen is charged.
What does not fit is not started.
"""

from __future__ import annotations

import math
from statistics import median_low

from domain.block import Block
from domain.evidence import differences
from domain.profile import Profile
from domain.screening import noise
from domain.state import Run
from domain.target import Target


def spent(run: Run) -> float:
    """User-weighted seconds charged so far. Never falls by more than what an open block was set aside for."""
    trials = sum(charged(run, trial.block, trial.expected, beyond=trial.beyond) for trial in run.trials)
    gates = sum(charged(run, gate.block, (None, None), beyond=gate.beyond) for gate in run.gates)
    blocks = [trial.block for trial in run.trials] + [gate.block for gate in run.gates]
    return trials + gates + sum(block.down for block in blocks)


def left(run: Run) -> float:
    """What is left of the budget, never below 0."""
    return max(0.0, run.target.limits.harm - spent(run))


def at_worst(target: Target) -> float:
    """What one bad candidate costs until the abort rules have stopped it: three glances where there are any, else the
    settle time and two windows; times the share of one arm."""
    profile: Profile = target.profile
    seconds = 3 * profile.glance if profile.glance else profile.settle + 2 * profile.window + 2 * profile.scrape
    return seconds / max(1, len(target.arms))


def affords(run: Run) -> bool:
    """Whether one more trial may start: even at its worst it stays inside the budget, with restarts as dear as the
    dearest so far."""
    restarts = max((trial.block.down for trial in run.trials), default=0.0)
    return spent(run) + at_worst(run.target) + restarts <= run.target.limits.harm


def charged(run: Run, block: Block, expected: tuple[float | None, float | None], *, beyond: bool) -> float:
    """What one candidate costs: its time, times the chance that it was beyond by what was expected of it and what its
    pairs showed. Stopped as beyond, it is charged in full since its last window that was not."""
    ds = differences(block.pairs(), run.bias)
    if not beyond:
        return block.exposed * _chance_beyond(run, ds, expected)
    last_was_fine = bool(ds) and ds[-1] <= run.profile.headroom
    before = block.exposed_at_last if last_was_fine else block.exposed_before_last
    return block.exposed - before + before * _chance_beyond(run, ds, expected)


def _chance_beyond(run: Run, ds: list[float], expected: tuple[float | None, float | None]) -> float:
    """P(effect > headroom), normal; 0 for a candidate that nobody could see. What no abort rule called beyond is a
    burst where it is far from everything else, so the lower median counts, up to three sd above what was expected."""
    if not ds:
        return 0.0
    s0, seen = noise(run), median_low(ds)
    mu, doubt = expected
    prior = 0.0
    if mu is not None and doubt is not None:
        prior = 1 / max(doubt, 1e-6) ** 2
        seen = min(seen, mu + 3 * math.hypot(doubt, s0))
    data = len(ds) / s0**2
    mean = (prior * (mu or 0.0) + data * seen) / (prior + data)
    return 0.5 * math.erfc((run.profile.headroom - mean) * math.sqrt((prior + data) / 2))
