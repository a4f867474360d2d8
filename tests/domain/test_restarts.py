"""Restarts of ours: what they cost users, how long an arm warms up, and what disturbs a pair."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain import budget, phases
from domain.events import Applied, Applying, Measured, Proposed
from domain.evidence import Missing, Reading, Window, paired
from domain.space import Parameter, SearchSpace
from domain.steps import Measure, Wait
from tests.domain.rooms import GOOD, ORIGINAL, QUICK, Room

RESTARTED = SearchSpace((Parameter("level", "integer", 1, low=1, high=99, cost="restart"),))
WARM = replace(QUICK, warm_up=8.0, replace_every=2)


def room() -> Room:
    """A trial has just been proposed, of a parameter that a restart activates."""
    made = Room(WARM)
    opened = made.run.opened
    made.run.opened = replace(opened, target=replace(opened.target, space=RESTARTED))
    made.tell(Proposed(1, GOOD, 1, "scripted", ""))
    return made


def restart(made: Room, seconds: float, *, renew: bool) -> None:
    arms = {"a": GOOD, "b": ORIGINAL}
    made.tell(Applying(arms, made.run.generation + 1, "screen", renew))
    made.tell(Applied(arms, made.run.generation), after=seconds)


@pytest.mark.parametrize(("renew", "share"), [(True, 1.0), (False, 0.5)])
def test_the_time_of_a_restart_is_charged(renew: bool, share: float) -> None:
    """All arms went down for a new placement, or the candidate's alone; no candidate was beyond anything."""
    made = room()
    restart(made, 3.0, renew=renew)
    assert budget.spent(made.run) == pytest.approx(3.0 * share)


def test_settings_that_need_no_restart_cost_none() -> None:
    """A reload takes nobody away."""
    made = Room(WARM)
    made.tell(Proposed(1, GOOD, 1, "scripted", ""))
    restart(made, 3.0, renew=False)
    assert budget.spent(made.run) == 0.0


def test_the_next_trial_must_afford_restarts_as_dear_as_the_dearest() -> None:
    """What has once cost three seconds may cost them again."""
    made = room()
    limits = replace(made.run.target.limits, harm=3.0 + budget.at_worst(made.run.target) + 2.9)
    made.run.opened = replace(made.run.opened, target=replace(made.run.target, limits=limits))
    assert budget.affords(made.run)
    restart(made, 3.0, renew=True)
    assert not budget.affords(made.run)


def test_each_placement_warms_up_and_its_later_windows_do_not() -> None:
    """Both arms of a placement are compared at the same age, and only once they are warm."""
    made = room()
    restart(made, 1.0, renew=True)
    warm = made.run.restarted_at + WARM.settle + WARM.warm_up
    first = phases.screen(made.run, made.now)
    assert isinstance(first, Wait)
    assert first.until == pytest.approx(warm + WARM.window + 2 * WARM.scrape)
    made.now = first.until
    measure = phases.screen(made.run, made.now)
    assert isinstance(measure, Measure)
    assert [span.start for span in measure.spans] == pytest.approx([warm, warm])
    made.tell(Measured(tuple(Window(s.arm, s.role, s.start, s.end, Reading(0.1)) for s in measure.spans)))
    second = phases.screen(made.run, made.now)
    assert isinstance(second, Wait)
    assert second.until == pytest.approx(warm + 2 * WARM.window + 2 * WARM.scrape)


def test_what_touched_one_side_only_is_missing_on_both() -> None:
    """A checkpoint under one window would be taken for the candidate's doing; guardrails are still seen."""
    ours = Window("a", "candidate", 0.0, 4.0, Reading(0.2), {"errors": Reading(0.5)}, "a checkpoint")
    theirs = Window("b", "control", 0.0, 4.0, Reading(0.1))
    pair = paired(theirs, ours)
    for window in (pair.candidate, pair.control):
        assert isinstance(window.objective, Missing)
        assert "a checkpoint" in window.objective.reason
    assert pair.candidate.guards["errors"] == Reading(0.5)
    assert not pair.harmful_gap
    assert paired(ours, replace(theirs, disturbed="a vacuum")).d is not None
    assert paired(replace(ours, disturbed=""), theirs).d is not None
