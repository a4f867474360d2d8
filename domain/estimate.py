"""What pairs say about an effect, at any time: an estimate, its e-value and its confidence sequence.

The model of a pair is d = effect + side * bias + noise, where `side` says which way round the pair was measured. A
constant bias of the arms is estimated and taken out; it costs one degree of freedom, where averaging two swapped pairs
into a unit would cost half of them.

The e-value is the scale-invariant mixture with g = 1 for one coefficient of a Gaussian linear model (M. Lindon,
D. Ham, M. Tingley, I. Bojinov: "Anytime-valid linear models and regression adjusted causal inference in randomized
experiments", 2022); with no bias in the model it is the t-test martingale of H. Wang and A. Ramdas ("Anytime-valid
t-tests and confidence sequences for Gaussian means with unknown variance", 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from domain.events import Interval
from domain.evidence import Pair
from domain.robust import clip_improvements

FROZEN_SD = 1e-6
G = 1.0
MOST_R1 = 0.9


@dataclass(frozen=True, slots=True)
class Estimate:
    """Effect `mean` (log difference) with the sd of one pair around it. `n` pairs count, after what correlation over
    time takes off; `freedom` degrees are left for the sd. `bias` is that of the arms, `r1` the lag-1 autocorrelation
    that was allowed for."""

    mean: float
    sd: float
    n: float
    freedom: float
    bias: float
    r1: float

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return self.sd / math.sqrt(self.n)


def estimate(ds: Sequence[float], sides: Sequence[int], known_r1: float = 0.0) -> Estimate | None:
    """Least squares of d on effect and bias; without the bias where all pairs lie on one side. None with no degree of
    freedom left, or for a frozen series (sd below 1e-6), which is never proof of anything.

    Correlation over time leaves n*(1-r1)/(1+r1) independent pairs (the variance of the mean of an AR(1)). r1 is that of
    the residuals plus 1/n, because residuals of few pairs show less than there is, or `known_r1` if that is larger."""
    n = len(ds)
    if n < 2:
        return None
    total = sum(sides)
    both = abs(total) < n
    determinant = n * n - total * total
    if both:
        by_side = sum(d * side for d, side in zip(ds, sides, strict=True))
        mean = (n * math.fsum(ds) - total * by_side) / determinant
        bias = (n * by_side - total * math.fsum(ds)) / determinant
    else:
        mean, bias = fmean(ds), 0.0
    freedom = n - (2 if both else 1)
    residuals = [d - mean - bias * side for d, side in zip(ds, sides, strict=True)]
    squares = math.fsum(r * r for r in residuals)
    if freedom < 1 or math.sqrt(squares / freedom) < FROZEN_SD:
        return None
    lagged = math.fsum(a * b for a, b in pairwise(residuals)) / squares
    r1 = min(MOST_R1, max(0.0, lagged + 1 / n, known_r1))
    kept = (1 - r1) / (1 + r1)
    independent = (determinant / n if both else n) * kept
    return Estimate(mean, math.sqrt(squares / freedom), independent, max(1.0, freedom * kept), bias, r1)


def student(freedom: float) -> float:
    """The 97.5 % quantile of Student's t with so many degrees of freedom (at least 3), to 1 %: the expansion 26.7.5 of
    M. Abramowitz and I. Stegun, "Handbook of Mathematical Functions", 1964."""
    z, nu = 1.959964, max(3.0, freedom)
    terms = (
        (z**3 + z) / (4 * nu),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * nu**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * nu**3),
    )
    return z + sum(terms)


def log_e(seen: Estimate | None, beyond: float = 0.0) -> float:
    """log of the e-value against a true effect of `beyond`; 0 while there is no estimate."""
    if seen is None:
        return 0.0
    t2 = (seen.mean - beyond) ** 2 * seen.n / seen.sd**2
    nu, scale = seen.freedom, seen.n * G
    return -0.5 * math.log1p(scale) + (nu + 1) / 2 * (math.log1p(t2 / nu) - math.log1p(t2 / (nu * (1 + scale))))


def interval(seen: Estimate | None, alpha: float) -> Interval:
    """Confidence sequence of the effect, {theta : e(theta) < 1/alpha} in closed form; (None, None) where it is
    unbounded, as always for the first few pairs."""
    if seen is None:
        return (None, None)
    nu, scale = seen.freedom, seen.n * G
    ratio = math.exp(2 / (nu + 1) * (-math.log(alpha) + 0.5 * math.log1p(scale)))
    if ratio >= 1 + scale:
        return (None, None)
    t2 = nu * (ratio - 1) / (1 - ratio / (1 + scale))
    half = math.sqrt(t2) * seen.error
    return (seen.mean - half, seen.mean + half)


def of_pairs(pairs: Sequence[Pair], known_r1: float = 0.0, *, clip: bool = False) -> Estimate | None:
    """The estimate from the pairs that have both numbers; with `clip`, improbable improvements are pulled in first."""
    whole = [(pair.d, pair.side) for pair in pairs if pair.d is not None]
    ds = [d for d, _ in whole]
    return estimate(clip_improvements(ds) if clip else ds, [side for _, side in whole], known_r1)


def of_placements(pairs: Sequence[Pair], places: Sequence[int], *, clip: bool = False) -> Estimate | None:
    """The same with the mean of each placement as the unit: what one placement does to a candidate is drawn anew with
    the next one, and pairs on the same one tell nothing more about it."""
    groups: dict[int, list[Pair]] = {}
    for pair, place in zip(pairs, places, strict=True):
        if pair.d is not None:
            groups.setdefault(place, []).append(pair)
    means = [fmean([pair.d for pair in group if pair.d is not None]) for group in groups.values()]
    return estimate(clip_improvements(means) if clip else means, [group[0].side for group in groups.values()])


def proven_r1(pairs: Sequence[Pair]) -> float:
    """Autocorrelation that a series of pairs shows beyond chance (1.645/sqrt(n)); 0 otherwise, and below 12 pairs."""
    whole = [pair for pair in pairs if pair.d is not None]
    r1 = autocorrelation([[pair.d for pair in whole if pair.d is not None]])
    return r1 if r1 is not None and r1 > 1.645 / math.sqrt(len(whole)) else 0.0


def autocorrelation(series: Sequence[Sequence[float]]) -> float | None:
    """Lag-1 autocorrelation pooled over several series, each centred on its own mean; floor 0, None below 12 values."""
    if sum(len(each) for each in series) < 12:
        return None
    top = bottom = 0.0
    for each in series:
        if len(each) < 2:
            continue
        mean = fmean(each)
        bottom += sum((value - mean) ** 2 for value in each)
        top += sum((a - mean) * (b - mean) for a, b in pairwise(each))
    return max(0.0, top / bottom) if bottom > 0 else 0.0
