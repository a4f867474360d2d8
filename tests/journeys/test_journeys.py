"""Whole runs, from the signal to the end, in a simulated world: what happens, and that nothing is left behind."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from domain.events import (
    Aborted,
    Applying,
    Calibrated,
    Closed,
    GateOpened,
    Heard,
    HeldBack,
    Judged,
    Looked,
    Looking,
    Measured,
    Promoted,
    Proposed,
    Refused,
    Restored,
    Screened,
    Watched,
)
from domain.run import next_step, replay
from domain.steps import Step
from tests.journeys.stories import JOURNEYS
from tests.journeys.world import ORIGINAL, SMALL, World, make_target


def kinds(world: World, *wanted: type) -> list[Any]:
    return [event for event in world.events() if isinstance(event, wanted)]


def test_a_better_setting_is_proven_kept_and_watched() -> None:
    """Good journey: the gain is real, so it ends on both arms, with its effect measured on fresh units."""
    world = World()
    world.open()
    world.go()
    world.check_end("kept", {"level": 1})
    watched = kinds(world, Watched)[0]
    assert -1.3 < watched.effect < -0.7
    assert kinds(world, Judged)[0].verdict == "Keep"
    assert world.closed == ["shop-1"]


def test_interleaved_on_one_arm_the_same_gain_is_kept() -> None:
    """ABBA on a single instance reaches the same answer."""
    world = World(target=make_target(design="interleave"))
    world.open()
    world.go()
    world.check_end("kept", {"level": 1})


def test_a_slow_candidate_is_aborted_and_taken_back() -> None:
    """Bad journey: three times as slow is aborted in its first window; nothing is kept."""
    world = World(proposals=({"level": 9},), speed=lambda s: 0.05 if s["level"] == 6 else 0.3)
    world.open()
    world.go()
    assert world.outcome() == "nothing_to_gain"
    world.check_end("nothing_to_gain", ORIGINAL)
    assert kinds(world, Aborted)[0].rule == "more than 3 times the control"


def test_candidates_that_change_nothing_are_not_kept() -> None:
    """Null journey: same speed whatever is set."""
    world = World(proposals=({"level": 1}, {"level": 2}), speed=lambda s: 0.1, noise=0.01)
    world.open()
    world.go()
    world.check_end("nothing_to_gain", ORIGINAL)


def test_without_data_nothing_is_decided() -> None:
    """No numbers during the trials: the run fails and goes back."""
    world = World()
    world.blind = lambda arm, at: at > 1_000_000.0
    world.open()
    world.go()
    world.check_end("failed", ORIGINAL)


def test_missing_on_the_candidate_alone_is_harm() -> None:
    """The candidate's windows vanish while the control's do not: aborted, never kept."""
    world = World()

    def blind(arm: str, at: float) -> bool:
        return at > 1_000_000.0 and world.carried[arm][-1][1] != ORIGINAL

    world.blind = blind
    world.open()
    world.go()
    assert world.outcome() != "kept"
    assert world.settings() == {"a": dict(ORIGINAL), "b": dict(ORIGINAL)}


def test_a_refused_candidate_is_never_proposed_again() -> None:
    """The target says no: noted, and the next candidate gets its turn."""
    world = World(proposals=({"level": 9}, {"level": 1}))
    for arm in world.arms.values():
        arm.refuse({"level": 9})
    world.open()
    world.go()
    world.check_end("kept", {"level": 1})
    assert [dict(event.settings) for event in kinds(world, Refused)] == [{"level": 9}]
    assert [dict(event.settings) for event in kinds(world, Proposed)] == [{"level": 9}, {"level": 1}]


def test_a_foreign_change_wins() -> None:
    """Somebody edits an arm in the middle of a trial: the run stops, restores nothing and says so."""
    world = World()
    world.open()
    world.go(until=lambda: any(isinstance(e, Proposed) for e in world.events()))
    for _ in range(12):
        world.tick()
    world.arms["a"].edit({"level": 3})
    world.go()
    assert world.outcome() == "conflict"
    assert world.settings()["a"] == {"level": 3}


def test_an_alert_that_resolves_before_the_first_trial_changes_nothing() -> None:
    """It went away by itself: recovered, untouched."""
    world = World()
    world.open()
    world.ledger.hear("shop-1", {"kind": "resolved", "text": "alert resolved"}, world.clock.time)
    world.go()
    world.check_end("recovered", ORIGINAL)
    assert not kinds(world, Proposed)


def test_stop_takes_everything_back() -> None:
    """A person says stop in the middle of a trial."""
    world = World()
    world.open()
    world.go(until=lambda: any(isinstance(e, Proposed) for e in world.events()))
    world.ledger.hear("shop-1", {"kind": "stop", "text": "by anna"}, world.clock.time)
    world.go()
    world.check_end("restored", ORIGINAL)
    assert kinds(world, Heard)[0].text == "by anna"


def test_a_clock_that_differs_closes_the_run_before_it_touches_anything() -> None:
    """Windows read at the wrong time would be somebody else's: the run closes as refused and says by how much."""
    world = World()
    world.skew = 2.0
    world.open()
    world.go()
    world.check_end("refused", ORIGINAL)
    assert "+2.0 s" in kinds(world, Closed)[0].reason


def test_observe_writes_nothing() -> None:
    """In mode observe the target never changes, not even by a before-image."""
    world = World(target=make_target(mode="observe"))
    versions = {label: arm.read().version for label, arm in world.arms.items()}
    world.open()
    world.go()
    assert world.outcome() == "refused"
    assert {label: arm.read().version for label, arm in world.arms.items()} == versions


def test_the_watchdog_restores_when_nobody_can_step() -> None:
    """No worker for longer than the patience: the arms go back by themselves, and the run learns it."""
    world = World()
    world.open()
    world.go(until=lambda: any(isinstance(e, Proposed) for e in world.events()))
    world.go(until=lambda: any(s != ORIGINAL for s in world.settings().values()))
    for _ in range(500):
        world.tick()
    assert world.settings() == {"a": dict(ORIGINAL), "b": dict(ORIGINAL)}
    world.go()
    world.check_end("restored", ORIGINAL)
    assert kinds(world, Restored)[0].by == "watchdog"


def test_a_journal_that_lost_its_last_records_is_no_conflict() -> None:
    """The target carries a write of ours that the journal forgot: restore, do not guess."""
    world = World()
    world.open()
    world.go(until=lambda: any(isinstance(e, Proposed) for e in world.events()))
    length = len(world.records())
    world.go(until=lambda: any(s != ORIGINAL for s in world.settings().values()))
    world.forget(length)
    world.go()
    world.check_end("restored", ORIGINAL)
    assert "lost" in kinds(world, Closed)[0].reason


def test_the_kept_settings_go_to_more_arms_step_by_step() -> None:
    """Four arms: one, two, all of them; after each step that is not the last, pairs with the harm test."""
    world = JOURNEYS["in steps"][0]()
    world.go()
    assert [(event.arms, event.everywhere) for event in kinds(world, Promoted)] == [(1, False), (2, False), (4, True)]
    steps = [event.arms.values() for event in kinds(world, Applying) if event.purpose == "promote"]
    assert [sum(settings == {"level": 1} for settings in arms) for arms in steps] == [1, 2, 4]


def test_what_is_slow_at_the_first_step_of_the_promotion_comes_back() -> None:
    """The harm test of the first step: the original again, and no arm more."""
    world = JOURNEYS["harmful"][0]()
    world.go()
    world.check_end("restored", ORIGINAL)
    assert not kinds(world, Promoted)
    assert kinds(world, Watched)[0].harmful


def test_a_watch_that_does_not_confirm_keeps_nothing() -> None:
    """The gate was lucky: inconclusive, with the original settings, and the watch's numbers in the reason."""
    world = JOURNEYS["unconfirmed"][0]()
    world.go()
    world.check_end("inconclusive", ORIGINAL)
    watched = kinds(world, Watched)[0]
    assert (watched.harmful, watched.confirmed) == (False, False)
    assert watched.effect == pytest.approx(0.012, abs=0.01)


def test_a_signal_that_goes_away_by_itself_ends_recovered() -> None:
    """The original on every arm is back beyond half of the way, with evidence: nothing is tried."""
    world = JOURNEYS["passing"][0]()
    world.go()
    world.check_end("recovered", ORIGINAL)
    looked = kinds(world, Looked)
    assert [event.recovered for event in looked] == [False] * (len(looked) - 1) + [True]
    assert looked[-1].log_e >= math.log(20)
    assert not kinds(world, Proposed)


def test_a_signal_that_stays_is_looked_at_before_and_between_the_trials() -> None:
    """The original is as slow as at the signal each time, so the search goes on and ends with a Keep."""
    world = JOURNEYS["lasting"][0]()
    world.go()
    order = [type(event).__name__ for event in kinds(world, Looked, Proposed, GateOpened)]
    assert order == ["Looked", "Proposed", "Looked", "GateOpened"]
    assert all(event.level == pytest.approx(0.34, rel=0.2) for event in kinds(world, Looked))


def test_a_look_carries_the_original_on_every_arm() -> None:
    """A candidate on one arm may relieve the others, so no window of a look shares its time with one."""
    world = JOURNEYS["lasting"][0]()
    world.go()
    looking = False
    for event in kinds(world, Looking, Looked, Measured):
        looking = isinstance(event, Looking) or (looking and not isinstance(event, Looked))
        if looking and isinstance(event, Measured):
            carried = [
                settings
                for window in event.windows
                for since, settings in world.carried[window.arm]
                if since <= window.start
            ]
            assert [window.role for window in event.windows] == ["control"] * 2
            assert carried[-1] == ORIGINAL


def test_a_candidate_that_needs_a_restart_is_tested_on_several_placements() -> None:
    """One placement is one draw of luck: the gate's arms are put onto new ones, before each unit."""
    world = JOURNEYS["renewed"][0]()
    world.go()
    world.check_end("kept", {"level": 1})
    renewals = [event for event in kinds(world, Applying) if event.renew and event.purpose == "gate"]
    assert len(renewals) == kinds(world, Judged)[0].units
    assert len(renewals) >= world.target.profile.least_placements
    assert all(arm.calls.count("renew") >= len(renewals) for arm in world.arms.values())


def test_the_hold_back_measures_the_original_again_and_again() -> None:
    """After the watch one arm carries the original now and then; the end says what was seen."""
    world = JOURNEYS["held"][0]()
    world.go()
    world.check_end("kept", {"level": 1})
    held = kinds(world, HeldBack)
    assert len(held) == 1
    assert not held[0].harmful
    assert held[0].pairs >= 2


def test_a_hold_back_that_finds_harm_takes_everything_back() -> None:
    """A kept change that becomes slow long after its watch is not left in force."""
    world = JOURNEYS["fading"][0]()
    world.go()
    world.check_end("restored", ORIGINAL)
    assert kinds(world, Watched)[0].confirmed
    assert kinds(world, HeldBack)[0].harmful


def test_the_harm_budget_ends_the_search() -> None:
    """One bad candidate used up most of it; what a second might cost does not fit, so it is never started."""
    world = JOURNEYS["overspent"][0]()
    world.go()
    world.check_end("inconclusive", ORIGINAL)
    assert len(kinds(world, Proposed)) == 1
    assert "the harm budget does not cover another trial" in kinds(world, Closed)[0].reason


def test_a_glance_stops_a_candidate_before_its_first_window_ends() -> None:
    """Harm that lasts is seen in the middle of a window: no Measured record, and the trial counts as bad."""
    world = JOURNEYS["glancing"][0]()
    world.go()
    assert kinds(world, Aborted)[0].rule == "beyond the headroom"
    assert not kinds(world, Measured)
    assert kinds(world, Screened)[0].effect >= 0.08


@pytest.mark.parametrize("name", sorted(JOURNEYS))
def test_any_prefix_of_a_journal_gives_a_legal_next_step(name: str) -> None:
    """Whatever was the last record that survived, the run knows how to go on, and says the same twice."""
    world = JOURNEYS[name][0]()
    world.go()
    records = world.records()
    for n in range(1, len(records) + 1):
        now = records[n - 1].time
        first, second = (next_step(replay(records[:n]), now) for _ in range(2))
        assert isinstance(first, Step)
        assert first == second


def test_noise_ends_no_trial_before_its_pairs() -> None:
    """Noise raises what a gate must show; what a strategy expects, within a few per cent, may not call every trial
    futile because of that."""
    profile = replace(SMALL, calibration_pairs=8, screening_pairs=4)
    world = World(target=make_target(profile=profile), proposals=({"level": 5},), noise=0.4, promise=(0.0, 0.05))
    world.open()
    world.go(until=lambda: bool(kinds(world, Screened)))
    assert kinds(world, Calibrated)[0].mei > 0.15
    assert kinds(world, Screened)[0].pairs == 4
