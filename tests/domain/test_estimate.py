"""Estimate, e-value and confidence sequence, against numpy, against an integral and against each other."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm, t

from domain.estimate import Estimate, autocorrelation, estimate, interval, log_e, of_pairs, of_placements, proven_r1
from tests.domain.pairs import pairs, sides

DS = st.lists(st.floats(-2, 2), min_size=3, max_size=40)


def plain(mean: float, sd: float, n: float, freedom: float | None = None) -> Estimate:
    """What n independent values without a bias would give."""
    return Estimate(mean, sd, n, n - 1 if freedom is None else freedom, 0.0, 0.0)


# --- the estimate ----------------------------------------------------------------------------------------------------


@given(ds=DS, data=st.data())
@settings(max_examples=200, deadline=None)
def test_it_is_least_squares_on_effect_and_bias(ds: list[float], data: st.DataObject) -> None:
    """Mean, bias, sd and the information about the mean are those of numpy's least squares."""
    ways = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=len(ds), max_size=len(ds)))
    assume(len(set(ways)) == 2)
    rows = np.column_stack([np.ones(len(ds)), ways])
    (mean, bias), *_ = np.linalg.lstsq(rows, np.array(ds), rcond=None)
    residuals = np.array(ds) - rows @ [mean, bias]
    sd = math.sqrt(float(residuals @ residuals) / (len(ds) - 2))
    assume(sd > 1e-4)
    seen = estimate(ds, ways)
    assert seen is not None
    assert seen.mean == pytest.approx(mean, abs=1e-9)
    assert seen.bias == pytest.approx(bias, abs=1e-9)
    assert seen.sd == pytest.approx(sd, rel=1e-7)
    kept = (1 - seen.r1) / (1 + seen.r1)
    assert seen.n == pytest.approx(kept / np.linalg.inv(rows.T @ rows)[0, 0], rel=1e-9)
    assert seen.freedom == pytest.approx(max(1.0, (len(ds) - 2) * kept))


@given(ds=DS)
@settings(max_examples=100, deadline=None)
def test_on_one_side_it_is_mean_and_sd(ds: list[float]) -> None:
    """Without swaps a bias cannot be told from the effect, so it is not in the model."""
    seen = estimate(ds, [1] * len(ds))
    assume(np.std(ds) > 1e-4)
    assert seen is not None
    assert (seen.mean, seen.sd) == (pytest.approx(np.mean(ds), abs=1e-12), pytest.approx(np.std(ds, ddof=1)))
    assert seen.bias == 0.0


@given(ds=DS, bias=st.floats(-1, 1), shift=st.floats(-1, 1))
@settings(max_examples=200, deadline=None)
def test_a_constant_bias_of_the_arms_changes_nothing_and_a_shift_shifts(
    ds: list[float], bias: float, shift: float
) -> None:
    """Whatever one arm shows above the other is taken out of the effect; what both show is the effect."""
    ways = sides(len(ds))
    before = estimate(ds, ways)
    after = estimate([d + shift + bias * way for d, way in zip(ds, ways, strict=True)], ways)
    assume(before is not None and before.sd > 1e-4)
    assert before is not None
    assert after is not None
    assert after.bias == pytest.approx(before.bias + bias, abs=1e-9)
    assert after.mean == pytest.approx(before.mean + shift, abs=1e-9)
    assert after.sd == pytest.approx(before.sd, rel=1e-6)


def test_there_is_no_estimate_without_freedom_or_spread() -> None:
    """One pair, two pairs of both sides, or identical values prove nothing; missing pairs do not count."""
    assert estimate([0.5], [1]) is None
    assert estimate([0.5, 0.7], [1, -1]) is None
    assert estimate([0.5, 0.7], [1, 1]) is not None
    assert estimate([0.5] * 30, [1] * 30) is None
    assert estimate([0.5, 0.7] * 15, [1, -1] * 15) is None
    assert of_pairs(pairs([None, 0.1, None])) is None
    assert of_pairs(pairs([0.1, None, 0.2, 0.3])) == of_pairs([pairs([0.1, None, 0.2, 0.3])[i] for i in (0, 2, 3)])


def test_correlation_over_time_takes_pairs_away() -> None:
    """Neighbours that repeat each other count less; what A/A proved counts where the pairs show less."""
    rng = random.Random(1)
    xs = [0.0]
    for _ in range(39):
        xs.append(0.8 * xs[-1] + rng.gauss(0, 0.1))
    steady = [rng.gauss(0, 0.1) for _ in range(40)]
    correlated, free = estimate(xs, [1] * 40), estimate(steady, [1] * 40)
    told = estimate(steady, [1] * 40, known_r1=0.5)
    assert correlated is not None
    assert free is not None
    assert told is not None
    assert correlated.n < 15 < 25 < free.n
    assert told.n == pytest.approx(40 / 3)
    assert proven_r1(pairs(xs)) > 0.5
    assert proven_r1(pairs(steady)) == 0.0
    assert autocorrelation([[1.0, 2.0]]) is None


def test_a_placement_is_one_unit() -> None:
    """Pairs on the same placement are averaged: many of them on few placements prove little."""
    rng = random.Random(5)
    lucks = [rng.gauss(0, 0.1) for _ in range(6)]
    ds = [lucks[place] + rng.gauss(0, 0.01) for place in range(6) for _ in range(5)]
    places = [place for place in range(6) for _ in range(5)]
    seen = of_placements(pairs(list(ds), every=5), places)
    means = [sum(ds[5 * k : 5 * k + 5]) / 5 for k in range(6)]
    expected = estimate(means, sides(6, 1))
    assert seen is not None
    assert expected is not None
    assert (seen.mean, seen.sd, seen.n) == pytest.approx((expected.mean, expected.sd, expected.n))


# --- the e-value -----------------------------------------------------------------------------------------------------


def mixture(seen: Estimate) -> float:
    """The same e-value as an integral: the likelihood ratio of t, mixed over effect sizes delta ~ N(0, 1) sd; the
    noncentral t density is itself the integral over the unknown sd."""
    nu, n = seen.freedom, seen.n
    score = seen.mean * math.sqrt(n) / seen.sd
    # Given the sd, and mixed over delta, the mean's score is normal with variance 1 + n; s/sigma is chi over root nu.

    def density(variance: float) -> float:
        def at(u: float) -> float:  # u = s / sigma
            chi = 2 * (nu / 2) ** (nu / 2) / math.gamma(nu / 2) * u ** (nu - 1) * math.exp(-nu * u * u / 2)
            return chi * u * norm.pdf(score * u, scale=math.sqrt(variance))

        return float(quad(at, 0, 8, limit=200)[0])

    assert density(1.0) == pytest.approx(t.pdf(score, nu), rel=1e-6)
    return density(1 + n) / density(1.0)


@pytest.mark.parametrize(("mean", "n"), [(0.0, 6), (0.05, 6), (-0.2, 8), (0.1, 20), (-0.08, 40)])
def test_the_e_value_is_the_integral_of_its_mixture(mean: float, n: int) -> None:
    """The closed form equals the mixture over effect sizes that it stands for."""
    seen = plain(mean, 0.1, n)
    assert math.exp(log_e(seen)) == pytest.approx(mixture(seen), rel=1e-5)


@pytest.mark.parametrize(("n", "bound"), [(4, 11), (5, 36), (6, 130), (7, 512)])
def test_the_e_value_is_bounded_by_the_number_of_pairs(n: int, bound: int) -> None:
    """e cannot exceed (1+n)^((n-1)/2): a few pairs alone never prove anything strongly."""
    assert math.exp(log_e(plain(1.0, 1e-5, n))) == pytest.approx((1 + n) ** ((n - 1) / 2), rel=0.01)
    assert int((1 + n) ** ((n - 1) / 2)) == pytest.approx(bound, abs=1)


def test_no_estimate_is_no_evidence() -> None:
    """Nothing seen: e-value 1, an open interval."""
    assert log_e(None) == 0.0
    assert interval(None, 0.05) == (None, None)


@given(
    mean=st.floats(-1, 1),
    sd=st.floats(0.001, 1),
    n=st.floats(2, 60),
    lost=st.floats(1, 2),
    alpha=st.sampled_from([0.05, 0.01, 0.2]),
)
@settings(max_examples=300, deadline=None)
def test_the_interval_is_where_the_e_value_stays_below_one_over_alpha(
    mean: float, sd: float, n: float, lost: float, alpha: float
) -> None:
    """Its ends are exactly where e reaches 1/alpha; where it is open, no effect at all is ruled out."""
    seen = plain(mean, sd, n, max(1.0, n - lost))
    low, high = interval(seen, alpha)
    if low is None or high is None:
        for theta in (mean - 1000 * sd, mean + 1000 * sd):
            assert log_e(seen, theta) < math.log(1 / alpha) + 1e-9
        return
    assert low < mean < high
    reach = high - mean
    assume(reach < 1e4)  # further out the ends drown in rounding
    for end in (low, high):
        assert log_e(seen, end) == pytest.approx(math.log(1 / alpha), rel=1e-6)
    assert log_e(seen, mean + 0.9 * reach) < math.log(1 / alpha) < log_e(seen, mean + 1.1 * reach)


def test_the_interval_is_open_for_few_pairs() -> None:
    """Four pairs bound nothing, whatever they show."""
    assert interval(plain(0.2, 0.001, 4), 0.05) == (None, None)
    assert interval(plain(0.2, 0.001, 12), 0.05) != (None, None)
