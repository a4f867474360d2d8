"""Between the trials: the trust region, what deserves a gate, when it is over, and how kept settings are promoted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import search
from domain.events import Advised, Judged
from domain.gate import gate_alpha
from domain.keeping import steps
from domain.profile import PROFILES, Profile
from domain.target import Limits
from tests.domain.rooms import GOOD, ORIGINAL, QUICK, Room

TRIAL = st.tuples(st.floats(-1, 1), st.booleans(), st.sampled_from(["", "", "", "Keep", "RollBack"]))


def told(trials: list[tuple[float, bool, str]], dull: int, profile: Profile) -> Room:
    """A run with these trials: effect against the incumbent, aborted or not, and the verdict of a gate on it."""
    room = Room(profile)
    for effect, aborted, verdict in trials:
        room.trial(effect, {"level": 10 + len(room.run.trials)}, aborted=aborted)
        if verdict and not aborted:
            room.open_gate()
            number = len(room.run.gates)
            room.tell(Judged(number, verdict, effect, (None, None), 3.0, 8, ""))  # type: ignore[arg-type]
    for _ in range(dull):
        room.advise(max_ei=0.0)
    return room


# --- the trust region ------------------------------------------------------------------------------------------------


@given(
    trials=st.lists(TRIAL, max_size=60),
    dull=st.integers(0, 6),
    profile=st.sampled_from(sorted(PROFILES)),
)
def test_the_region_stays_between_its_floor_and_the_whole_cube(
    trials: list[tuple[float, bool, str]], dull: int, profile: str
) -> None:
    """Whatever was measured, kept or aborted: a radius from 0.03 to 0.5."""
    radius, floors = search.region(told(trials, dull, PROFILES[profile]).run)
    assert search.FLOOR <= radius <= search.WIDEST
    assert 0 <= floors <= len(trials)


def test_successes_widen_and_three_failures_narrow_it() -> None:
    """1.25 times after each success, two thirds after three failures, back to its start after a Keep."""
    start = QUICK.radius
    assert search.region(Room().run) == (start, 0)
    assert search.region(told([(-0.1, False, "")], 0, QUICK).run)[0] == pytest.approx(start * 1.25)
    assert search.region(told([(0.1, False, "")] * 2, 0, QUICK).run)[0] == start
    assert search.region(told([(0.1, False, "")] * 3, 0, QUICK).run)[0] == pytest.approx(start / 1.5)
    assert search.region(told([(0.1, True, "")] * 3, 0, QUICK).run)[0] == pytest.approx(start / 1.5)
    kept = [(0.1, False, "")] * 3 + [(-0.3, False, "Keep")]
    assert search.region(told(kept, 0, QUICK).run)[0] == start
    assert search.region(told([], 2, QUICK).run)[0] == pytest.approx(start * 1.25**2)


def test_twice_at_the_floor_it_looks_elsewhere() -> None:
    """Everything near is worse, again and again: first the floor, then the whole cube."""
    fails = [(0.2, False, "")] * 3
    profile = replace(QUICK, radius=0.1)
    counts = [search.region(told(fails * n, 0, profile).run) for n in range(1, 6)]
    assert [floors for _, floors in counts] == [0, 0, 1, 2, 2]
    assert (counts[2][0], counts[3][0]) == (search.FLOOR, search.WIDEST)


# --- what deserves a gate --------------------------------------------------------------------------------------------


def advised(trials: int, mu: float, sd: float = 0.01) -> Room:
    room = Room()
    for _ in range(trials):
        room.trial(mu)
    room.tell(Advised(GOOD, mu, sd, 0.1, "", {"level": 2}))
    return room


def test_a_promise_is_worth_a_gate_by_its_size_and_by_what_is_known() -> None:
    """From the eighth trial on, or at the end of the budget, one and a half times the minimum effect."""
    assert search.contender(advised(3, -0.3).run, spent=False) is None
    assert search.contender(advised(8, -0.3).run, spent=False) is not None
    assert search.contender(advised(3, -0.3).run, spent=True) is not None
    assert search.contender(advised(8, -0.05).run, spent=False) is None
    assert search.contender(advised(8, -0.1, sd=0.07).run, spent=False) is None


def test_the_same_settings_are_gated_once() -> None:
    """A second gate on what was tested already would only give luck another chance."""
    room = advised(8, -0.3)
    assert search.contender(room.run, spent=False) is not None
    room.open_gate()
    room.tell(Judged(1, "Inconclusive", -0.3, (None, None), 1.0, 40, ""))
    for _ in range(8):
        room.trial(0.0, {"level": 50})
    room.advise(-0.3)
    assert search.contender(room.run, spent=True) is None


# --- over ------------------------------------------------------------------------------------------------------------


def test_the_search_is_over_in_words() -> None:
    """Trials, time, harm, gates, a dull search, an exhausted space: each has its reason, and None means go on."""
    room = advised(3, -0.3)
    assert search.over(room.run, room.now) is None
    assert "budget of 9000 s" in str(search.over(room.run, room.now + 9000.0))
    room.advise(proposal=None)
    assert search.over(room.run, room.now) == "scripted"
    assert "60 trials" in str(search.over(advised(60, 0.1).run, 0.0))
    dull = advised(1, 0.0)
    for _ in range(3):
        dull.advise(max_ei=0.001, proposal={"level": 3})
    assert "nothing more" in str(search.over(dull.run, dull.now))
    poor = Room(limits=Limits(harm=1.0))
    poor.advise(proposal={"level": 2})
    assert "the harm budget" in str(search.over(poor.run, poor.now))


def test_two_failed_gates_in_a_row_are_enough() -> None:
    """A Keep in between starts the count anew."""
    room = Room()
    for verdict in ("RollBack", "Keep", "Inconclusive"):
        room.trial(-0.1, {"level": 10 + len(room.run.trials)})
        room.open_gate()
        room.tell(Judged(len(room.run.gates), verdict, -0.1, (None, None), 1.0, 8, ""))  # type: ignore[arg-type]
    assert search.failed_gates(room.run) == 1


# --- what the strategy is asked --------------------------------------------------------------------------------------


def test_the_strategy_sees_every_trial_that_taught_something() -> None:
    """The original first, then effects against it; what nobody could see is left out, what was refused is named."""
    room = Room()
    room.trial(-0.2)
    room.trial(0.3, {"level": 9}, aborted=True)
    request = search.request(room.run)
    assert [(dict(each.settings), each.outcome) for each in request.history] == [
        (ORIGINAL, "measured"),
        (GOOD, "measured"),
        ({"level": 9}, "aborted"),
    ]
    assert request.history[0].effect == 0.0
    assert (request.headroom, request.careful, request.off) == (QUICK.headroom, False, 0.0)
    assert search.request(room.run) == request
    assert search.request(replace_seed(room)).seed != request.seed


def replace_seed(room: Room):  # type: ignore[no-untyped-def]
    return replace(room.run, opened=replace(room.run.opened, seed=8))


# --- promotion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arms", range(1, 51))
def test_promotion_ends_with_all_arms_and_strictly_grows(arms: int) -> None:
    """At least one more arm at each step, a tenth of them first, then half, then all."""
    counts = steps(arms)
    assert counts[-1] == arms
    assert all(later > earlier for earlier, later in zip([0, *counts], counts, strict=False))
    assert len(counts) <= 3
    assert counts[0] <= max(1, -(-arms // 10))


def test_levels_of_a_run_stay_below_alpha() -> None:
    """All gates that one run may open, together."""
    for profile in PROFILES.values():
        assert sum(gate_alpha(k, profile.alpha) for k in range(1, profile.max_gates + 1)) < profile.alpha
