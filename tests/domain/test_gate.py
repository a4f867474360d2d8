"""The gate: formulas against published values, its level under the null, and what can never end in Keep."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.gate import (
    autocorrelation,
    clip_improvements,
    couples,
    gate_alpha,
    harmful,
    interval,
    judge,
    log_e,
    merged,
)
from domain.profile import DEMO, STAGING, Profile
from tests.domain.pairs import pair, pairs


def ruling(ds: list[float | None], *, alpha: float = 0.0304, uneasy: bool = False, profile: Profile = STAGING):
    return judge(pairs(ds), (), alpha=alpha, uneasy=uneasy, profile=profile)


@pytest.mark.parametrize(("n", "bound"), [(4, 11), (5, 36), (6, 130), (7, 512)])
def test_e_value_is_bounded_by_the_number_of_units(n: int, bound: int) -> None:
    """e_n cannot exceed (1+n)^((n-1)/2): a few units alone never prove anything strongly."""
    xs = [1.0 + 1e-4 * i for i in range(n)]
    assert math.exp(log_e(xs)) == pytest.approx((1 + n) ** ((n - 1) / 2), rel=0.01)
    assert int((1 + n) ** ((n - 1) / 2)) == pytest.approx(bound, abs=1)


@pytest.mark.parametrize(("gate", "threshold"), [(1, 16.4), (2, 65.8), (3, 148.0)])
def test_alpha_is_spent_over_gates(gate: int, threshold: float) -> None:
    """Each further gate asks for more; all levels together stay below alpha."""
    assert 1 / (2 * gate_alpha(gate, 0.05)) == pytest.approx(threshold, rel=0.005)
    assert sum(gate_alpha(k, 0.05) for k in range(1, 1000)) < 0.05


def test_a_frozen_series_proves_nothing() -> None:
    """Identical units are a broken measurement, not certainty."""
    assert log_e([0.5] * 30) == 0.0
    assert interval([0.5] * 30, 0.05) == (None, None)
    assert ruling([-0.5] * 20).verdict is None


def test_interval_is_open_for_few_units_and_inverts_the_e_value() -> None:
    """For n <= 4 there is no number to report; later its ends are exactly where e_n reaches 1/alpha."""
    rng = random.Random(1)
    xs = [0.2 + rng.gauss(0, 0.05) for _ in range(12)]
    assert interval(xs[:4], 0.05) == (None, None)
    low, high = interval(xs, 0.05)
    assert low is not None
    assert high is not None
    for end in (low, high):
        assert math.exp(log_e([x - end for x in xs])) == pytest.approx(20.0, rel=1e-6)
    assert low < fmean(xs) < high


def test_couples_cancel_a_bias_of_the_arm() -> None:
    """Swapped pairs carry the arm's bias with opposite signs."""
    assert couples(pairs([-0.1 + 0.06, -0.1 - 0.06])) == [pytest.approx(-0.1)]
    assert couples(pairs([-0.1, None, -0.1, -0.1])) == [pytest.approx(-0.1)]


def test_clipping_never_touches_losses() -> None:
    """A lucky window is pulled in, a bad one counts in full."""
    clipped = clip_improvements([-0.05, -0.06, -0.05, -3.0, 0.9])
    assert clipped[3] > -0.2
    assert clipped[4] == 0.9


def test_correlated_units_are_merged() -> None:
    """Neighbours that repeat each other count once."""
    steps = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0] * 2
    assert autocorrelation([steps]) > 0.2
    assert len(merged(steps, [])) < len(steps)
    assert autocorrelation([[1.0, 2.0]]) is None


def test_a_clear_gain_is_kept_after_at_least_six_pairs() -> None:
    """A third less latency with noise of a tenth is proven within a dozen pairs."""
    rng = random.Random(3)
    ds: list[float | None] = [-0.4 + rng.gauss(0, 0.1) for _ in range(40)]
    kept_at = next(n for n in range(2, 41, 2) if ruling(ds[:n]).verdict == "Keep")
    assert 6 <= kept_at <= 16
    assert ruling(ds[:kept_at]).effect == pytest.approx(-0.4, abs=0.1)


def test_a_loss_is_rolled_back_and_a_dull_candidate_is_not_kept() -> None:
    """Proven losses and improbable gains both end the gate."""
    rng = random.Random(4)
    assert ruling([0.3 + rng.gauss(0, 0.05) for _ in range(12)]).verdict == "RollBack"
    assert ruling([rng.gauss(0.02, 0.01) for _ in range(12)]).verdict == "RollBack"


def test_not_proven_within_the_cap_is_inconclusive() -> None:
    """Noise that hides everything ends at 40 pairs without a Keep."""
    rng = random.Random(5)
    ds: list[float | None] = [-0.05 + rng.gauss(0, 0.5) for _ in range(40)]
    assert ruling(ds).verdict == "Inconclusive"


def test_rare_harm_is_never_kept() -> None:
    """Better on average, but now and then more than half as slow again: not kept."""
    rng = random.Random(6)
    ds: list[float | None] = [-0.3 + rng.gauss(0, 0.02) for _ in range(38)]
    ds += [0.5, -0.3]
    assert ruling(ds).verdict == "Inconclusive"


def test_an_uneasy_calibration_asks_for_twenty_pairs() -> None:
    """Correlation, skew or outliers in A/A make the gate longer."""
    rng = random.Random(7)
    ds: list[float | None] = [-0.4 + rng.gauss(0, 0.03) for _ in range(20)]
    assert ruling(ds[:18], uneasy=True).verdict is None
    assert ruling(ds, uneasy=True).verdict == "Keep"


def test_false_positive_rate_under_the_null_with_looks_after_every_unit() -> None:
    """Identical arms, a look after every couple: the gate keeps at most its level (0.030; 400 gates, 99 % bound)."""
    rng, kept = random.Random(8), 0
    for _ in range(400):
        ds = [rng.gauss(0, 0.08) for _ in range(40)]
        for n in range(2, 41, 2):
            verdict = ruling(list(ds[:n])).verdict
            if verdict is not None:
                kept += verdict == "Keep"
                break
    assert kept <= 21


@given(
    ds=st.lists(st.floats(-2, 2), min_size=2, max_size=40),
    blanks=st.sets(st.integers(0, 39), min_size=5),
)
@settings(max_examples=200, deadline=None)
def test_blanking_more_than_a_tenth_never_ends_in_keep(ds: list[float], blanks: set[int]) -> None:
    """More than a tenth of the pairs without data: whatever the rest says, nothing is kept."""
    shown = [None if i in blanks else d for i, d in enumerate(ds)]
    if sum(d is None for d in shown) * 10 > len(shown):
        assert ruling(shown, profile=DEMO).verdict != "Keep"


@given(ds=st.lists(st.floats(-1, 1), min_size=2, max_size=40), where=st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_adding_missing_never_turns_rollback_into_keep(ds: list[float], where: int) -> None:
    """A gap is no argument for a candidate."""
    before = ruling(list(ds), profile=DEMO)
    gap = pair(None)
    filled = pairs(list(ds))
    place = 2 * (min(where, len(ds)) // 2)
    after = judge([*filled[:place], gap, gap, *filled[place:]], (), alpha=0.0304, uneasy=False, profile=DEMO)
    assert not (before.verdict == "RollBack" and after.verdict == "Keep")


@given(ds=st.lists(st.floats(-5, 5), min_size=0, max_size=44), uneasy=st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_ruling_is_finite_and_its_interval_ordered(ds: list[float], uneasy: bool) -> None:
    """No input makes the gate raise, or report a number that is none."""
    result = ruling(list(ds), uneasy=uneasy)
    assert math.isfinite(result.log_e)
    low, high = result.interval
    assert (low is None) == (high is None)
    if low is not None and high is not None:
        assert low <= high


def test_harm_in_the_watch_needs_evidence_beyond_two_percent() -> None:
    """A kept change that is slower is found; one per cent of noise is not harm."""
    rng = random.Random(9)
    assert harmful([0.2 + rng.gauss(0, 0.03) for _ in range(6)])
    assert not harmful([0.01 + rng.gauss(0, 0.03) for _ in range(10)])
    assert not harmful([])
