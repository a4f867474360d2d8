"""The two budgets of a run, time and harm, over every prefix of generated journals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import budget
from domain.events import Event, GateOpened, Judged, Proposed
from domain.journal import event_of
from domain.run import next_step, replay
from domain.state import Run, apply
from domain.steps import Step
from domain.target import Arm, Limits
from tests.journeys.stories import JOURNEYS, small
from tests.journeys.world import ORIGINAL, SMALL, START, Crash, Mortal, World, make_target


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Services of any kind: candidates that are faster, slower or far slower, more or less noise, gaps, few or many
    arms, glances or none, tight or wide budgets."""
    levels = [1, 2, 3, 4, 5, 7, 8, 9]
    speeds = draw(st.lists(st.sampled_from([0.4, 0.8, 0.95, 1.0, 1.1, 1.3, 1.6, 4.0]), min_size=8, max_size=8))
    table = {6: 0.1, **{level: 0.1 * speed for level, speed in zip(levels, speeds, strict=True)}}
    profile = replace(
        SMALL,
        glance=draw(st.sampled_from([0.0, 1.0])),
        max_trials=draw(st.integers(2, 6)),
        max_seconds=draw(st.sampled_from([60.0, 300.0])),
        gate_max_pairs=draw(st.sampled_from([8, 14])),
        original_every=draw(st.integers(0, 2)),
    )
    target = make_target(design=draw(st.sampled_from(["duet", "duet", "interleave"])), profile=profile)
    if target.design == "duet":
        arms = tuple(Arm(label) for label in "abcd"[: draw(st.integers(2, 4))])
        target = replace(target, arms=arms)
    target = replace(target, limits=Limits(cooldown=0.0, harm=draw(st.sampled_from([7.0, 20.0, 60.0, 200.0]))))
    gaps = draw(st.sets(st.integers(0, 99), max_size=20))
    return World(
        target=target,
        proposals=[{"level": level} for level in draw(st.permutations(levels))],
        speed=lambda at: table[at["level"]],
        noise=draw(st.sampled_from([0.01, 0.03, 0.06])),
        blind=lambda arm, at: at > START and int(at * 2) % 100 in gaps,
        kind=draw(st.sampled_from(["person", "alert"])),
        promise=draw(st.none() | st.tuples(st.floats(-0.5, 0.3), st.floats(0.01, 0.2))),
        course=lambda at: 1.0 if at < START - 9 else 1.5,
    )


def played(world: World) -> list[tuple[Event, float]]:
    """The events of the whole journey, each with its time."""
    world.open()
    world.go()
    return [(event_of(record), record.time) for record in world.records()]


def open_charge(run: Run) -> float:
    """What the open trial or gate is charged so far."""
    if run.gate is not None:
        return budget.charged(run, run.gate.block, (None, None), beyond=run.gate.beyond)
    trial = run.trial
    return budget.charged(run, trial.block, trial.expected, beyond=trial.beyond) if trial is not None else 0.0


@given(world=worlds())
@settings(max_examples=40, deadline=None)
def test_no_trial_starts_beyond_a_budget(world: World) -> None:
    """Trials, time and harm: what a trial may cost at its worst still fits when it starts; nothing is ever below 0."""
    told = played(world)
    run = Run.begin(told[0][0], told[0][1])
    for event, time in told[1:]:
        if isinstance(event, Proposed):
            assert time - run.began < run.max_seconds
            assert len(run.trials) < run.max_trials
            assert budget.spent(run) + budget.at_worst(run.target) <= run.target.limits.harm
        if isinstance(event, GateOpened):
            assert len(run.gates) < run.profile.max_gates
        apply(run, event, time)
        assert budget.spent(run) >= 0.0
        assert 0.0 <= budget.left(run) <= run.target.limits.harm
        assert budget.left(run) <= max(0.0, run.target.limits.harm - budget.spent(run))


@given(world=worlds())
@settings(max_examples=40, deadline=None)
def test_what_was_spent_is_spent(world: World) -> None:
    """The harm budget never gets anything back, but for what the open block was charged by what it may turn out."""
    told = played(world)
    run = Run.begin(told[0][0], told[0][1])
    for event, time in told[1:]:
        before, open_before = budget.spent(run), open_charge(run)
        apply(run, event, time)
        assert budget.spent(run) >= before - open_before - 1e-9, event


@given(world=worlds())
@settings(max_examples=25, deadline=None)
def test_every_prefix_of_any_journal_has_a_legal_next_step(world: World) -> None:
    """Whatever was the last record that survived, and whenever the next worker comes: one step, the same twice."""
    world.open()
    world.go()
    records = world.records()
    for n in range(1, len(records) + 1):
        for late in (0.0, 100.0):
            now = records[n - 1].time + late
            first, second = (next_step(replay(records[:n]), now) for _ in range(2))
            assert isinstance(first, Step)
            assert first == second
    assert world.outcome()
    if world.outcome() != "kept":
        assert all(settings == ORIGINAL for settings in world.settings().values())
    verdicts = [event.verdict for event in world.events() if isinstance(event, Judged)]
    assert ("Keep" in verdicts) or world.outcome() != "kept"


# --- what the harm budget does not hold yet --------------------------------------------------------------------------


def test_a_keep_does_not_change_what_earlier_trials_cost() -> None:
    """Two trials that were faster than the original cost nothing, and still nothing after one of them was kept."""
    target = small(max_trials=3, gate_from_trial=2, early_gate_from_trial=2, original_every=0)
    world = World(target=target, proposals=({"level": 5}, {"level": 1}), promise=(-0.1, 0.03))
    told = played(world)
    run = Run.begin(told[0][0], told[0][1])
    for event, time in told[1:]:
        before = budget.spent(run)
        apply(run, event, time)
        if isinstance(event, Judged):
            assert event.verdict == "Keep"
            assert budget.spent(run) == pytest.approx(before, abs=0.1)


def test_the_time_of_a_dead_worker_is_charged() -> None:
    """The worker dies after it wrote a candidate that is six times as slow; for 75 s half of the users meet it."""
    for n in range(1, 200):
        world = JOURNEYS["bad"][0]()
        with pytest.raises(Crash):
            world.go(world.ports(Mortal(n, "after").wrap))
        if any(at["level"] == 9 for at in world.settings().values()):
            break
    world.note_settings()
    world.go()
    assert budget.spent(replay(world.records())) >= 75.0 / 2
