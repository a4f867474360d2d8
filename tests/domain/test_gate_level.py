"""The level of the gate, by simulation: identical arms, a look after every pair, correlation over time."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from scipy.stats import binom

from domain.gate import gate_alpha, judge
from tests.domain.pairs import pairs, sides
from tests.domain.rooms import QUICK

GATES = 500
ALPHA = gate_alpha(1, 0.05)
MOST = int(binom.ppf(0.999, GATES, ALPHA))


def series(rng: random.Random, r1: float) -> Iterator[float]:
    """Stationary noise with this lag-1 autocorrelation, sd 0.08."""
    x = rng.gauss(0, 0.08)
    while True:
        yield x
        x = r1 * x + rng.gauss(0, 0.08 * math.sqrt(1 - r1 * r1))


def kept(seed: int, r1: float, effect: float, *, by_arm: bool, number: int = 1) -> int:
    """How many of the gates are kept; A/A before each shows the same noise. `by_arm`: the noise belongs to the arms, so
    that a swap changes its sign."""
    rng, count = random.Random(seed), 0
    for _ in range(GATES):
        noise = series(rng, r1)
        calibration = pairs([next(noise) for _ in range(20)])
        ways = sides(40) if by_arm else [1] * 40
        fresh = pairs([effect + way * next(noise) for way in ways])
        for n in range(2, 41):
            verdict = judge(
                fresh[:n],
                calibration,
                alpha=gate_alpha(number, 0.05),
                uneasy=False,
                profile=QUICK,
                mei=QUICK.mei,
            ).verdict
            if verdict is not None:
                count += verdict == "Keep"
                break
    return count


@pytest.mark.parametrize("r1", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("by_arm", [False, True])
def test_identical_arms_are_kept_at_most_as_often_as_the_level_says(r1: float, by_arm: bool) -> None:
    """No effect, any correlation over time, looks after every pair (bound: 99.9 % of the binomial)."""
    assert kept(8, r1, 0.0, by_arm=by_arm) <= MOST


@pytest.mark.parametrize("r1", [0.0, 0.3])
def test_a_gain_below_the_margin_is_kept_at_most_as_often_as_the_level_says(r1: float) -> None:
    """The edge of the hypothesis: an improvement of exactly a third of the minimum effect is not worth keeping."""
    assert kept(9, r1, -QUICK.mei / 3, by_arm=False) <= MOST


def test_later_gates_have_smaller_levels() -> None:
    """The second gate of a run asks for more than the first."""
    assert kept(8, 0.0, 0.0, by_arm=False, number=2) <= int(binom.ppf(0.999, GATES, gate_alpha(2, 0.05)))


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_what_a_placement_does_is_not_taken_for_an_effect(spread: float) -> None:
    """Where a restart draws a new placement, each of which makes the candidate faster or slower by chance: kept at most
    as often as the level says, at looks in the middle of a placement too."""
    rng, count, profile = random.Random(10), 0, replace(QUICK, replace_every=3, most_placements=12, least_placements=4)
    places = [place for place in range(1, 13) for _ in range(3)]
    for _ in range(GATES):
        lucks = [rng.gauss(0, spread) for _ in range(13)]
        fresh = pairs([lucks[place] + rng.gauss(0, 0.05) for place in places], every=3)
        for n in range(2, 37):
            seen = judge(fresh[:n], (), alpha=ALPHA, uneasy=False, profile=profile, mei=profile.mei, places=places[:n])
            if seen.verdict is not None:
                count += seen.verdict == "Keep"
                break
    assert count <= MOST
