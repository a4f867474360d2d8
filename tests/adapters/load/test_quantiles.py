"""Percentiles against their definition, and their intervals against chance."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.load.quantiles import bounds, name, nearest_rank, needed, percentiles, rank

LEVELS = st.sampled_from((0.5, 0.9, 0.95, 0.99, 0.999))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), LEVELS)
def test_nearest_rank_is_the_smallest_value_with_enough_below_it(values: list[float], level: float) -> None:
    """The definition: at least `level` of all values are at most the percentile, and no smaller value has that."""
    ordered = sorted(values)
    found = nearest_rank(ordered, level)
    per_mille = round(1000 * level)  # in whole numbers: 0.95 * 20 is not 19 in floating point everywhere
    assert 1000 * sum(value <= found for value in ordered) >= per_mille * len(ordered)
    smaller = [value for value in ordered if value < found]
    assert not smaller or 1000 * len(smaller) < per_mille * len(ordered)


@pytest.mark.parametrize(("n", "level", "expected"), [(20, 0.95, 19), (100, 0.95, 95), (1000, 0.95, 950), (1, 0.5, 1)])
def test_rank_is_not_one_too_high_where_the_share_is_whole(n: int, level: float, expected: int) -> None:
    """`sorted(xs)[int(n * 0.95)]` gives the maximum of 20 values and the 951st of 1000; nearest rank does not."""
    assert rank(level, n) == expected


def test_no_values_have_no_rank() -> None:
    """An empty sample and an impossible level are refused, not indexed."""
    for level, n in ((0.95, 0), (0.0, 5), (1.5, 5)):
        with pytest.raises(ValueError, match="level"):
            rank(level, n)


def test_p99_of_fewer_than_a_thousand_is_refused_with_the_reason() -> None:
    """Ten requests must lie beyond a percentile."""
    assert [needed(level) for level in (0.5, 0.95, 0.99, 0.999)] == [20, 200, 1000, 10_000]
    short = {each.name: each for each in percentiles([0.001] * 999, 0)}
    assert short["p99"].seconds is None
    assert "1000 requests, these are 999" in short["p99"].why
    assert short["p95"].seconds == 0.001
    enough = {each.name: each for each in percentiles([k / 1000 for k in range(1, 1001)], 0)}
    assert enough["p99"].seconds == 0.99
    assert name(0.999) == "p99.9"


@given(st.lists(st.floats(0.001, 1), min_size=200, max_size=400), st.integers(0, 60))
def test_failures_rank_above_every_answer(good: list[float], failed: int) -> None:
    """A percentile is that of the population with failures at the end, and does not exist where it falls on one."""
    (found,) = percentiles(good, failed, (0.95,))
    population = sorted(good) + [math.inf] * failed
    expected = population[rank(0.95, len(population)) - 1]
    assert (found.seconds is None) == math.isinf(expected)
    if found.seconds is not None:
        assert found.seconds == expected
        assert found.low is not None
        assert found.low <= found.seconds
        assert found.high is None or found.high >= found.seconds
    else:
        assert "failed" in found.why


def test_everything_failed_is_a_result_not_an_exception() -> None:
    """No good answer at all: no percentile, no StatisticsError."""
    assert all(each.seconds is None for each in percentiles([], 5000))
    assert all(each.seconds is None for each in percentiles([], 0))


@given(LEVELS, st.integers(1, 3000))
def test_bounds_cover_what_they_promise(level: float, n: int) -> None:
    """The exact binomial probability that the order statistics enclose the quantile is at least 95 %, unless open."""
    low, high = bounds(level, n)
    chances = [
        math.exp(
            math.lgamma(n + 1)
            - math.lgamma(k + 1)
            - math.lgamma(n - k + 1)
            + k * math.log(level)
            + (n - k) * math.log1p(-level)
        )
        for k in range(n + 1)
    ]
    assert 0 <= low < high <= n + 1
    assert sum(chances[low:high]) >= 0.95 - 1e-9
    if low > 0:
        assert sum(chances[: low + 1]) > 0.025 - 1e-9  # one rank higher would leave too much below
    if high <= n:
        assert sum(chances[high - 1 :]) > 0.025 - 1e-9


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """400 samples of an exponential distribution: the interval of p95 misses its true value in 3 to 8 % at most."""
    rng, truth, missed = random.Random(7), -math.log(0.05), 0
    for _ in range(400):
        (found,) = percentiles([rng.expovariate(1.0) for _ in range(500)], 0, (0.95,))
        assert found.low is not None
        assert found.high is not None
        missed += not found.low <= truth <= found.high
    assert 0 < missed <= 32
