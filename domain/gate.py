"""The gate: an acceptance test that may be looked at after every unit without losing its level.

The evidence is the test martingale for Gaussian data of unknown variance with mean 0, a scale mixture with g = 1
(H. Wang, A. Ramdas: "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance"). `x` is
the improvement beyond the margin, so that only a gain that is worth keeping counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, stdev

from domain.events import Interval, Verdict
from domain.evidence import Pair
from domain.profile import Profile

FROZEN_SD = 1e-6
RARE_HARM = math.log(1.5)
UNEASY_MIN_PAIRS = 20
HARM_MARGIN = 0.02
HARM_E = 20.0


def log_e(xs: Sequence[float], g: float = 1.0) -> float:
    """log of the e-value against mean 0 of the units `xs`; 0 for fewer than two, or for a frozen series (sd below
    1e-6), which is never proof of anything."""
    n = len(xs)
    if n < 2:
        return 0.0
    sd = stdev(xs)
    if sd < FROZEN_SD:
        return 0.0
    nu = n - 1
    t2 = fmean(xs) ** 2 * n / sd**2
    return -0.5 * math.log1p(n * g) + (nu + 1) / 2 * (math.log1p(t2 / nu) - math.log1p(t2 / (nu * (1 + n * g))))


def interval(xs: Sequence[float], alpha: float, g: float = 1.0) -> Interval:
    """Confidence sequence {theta : e_n(x - theta) < 1/alpha} of the mean, in closed form; (None, None) where it is
    unbounded (always for n <= 4 at alpha 0.05) or the series is frozen."""
    n = len(xs)
    if n < 2 or stdev(xs) < FROZEN_SD:
        return (None, None)
    nu = n - 1
    ratio = math.exp(2 / (nu + 1) * (-math.log(alpha) + 0.5 * math.log1p(n * g)))
    if ratio >= 1 + n * g:
        return (None, None)
    t2 = nu * (ratio - 1) / (1 - ratio / (1 + n * g))
    half = math.sqrt(t2 / n) * stdev(xs)
    return (fmean(xs) - half, fmean(xs) + half)


def gate_alpha(gate: int, alpha: float) -> float:
    """Level of the `gate`-th gate of a run (from 1): alpha * 6/(pi^2 k^2), which sums to less than alpha."""
    return alpha * 6 / (math.pi**2 * gate**2)


def couples(pairs: Sequence[Pair]) -> list[float]:
    """Units: the mean d of two consecutive, swapped pairs (in ABBA order when interleaved), so that a bias of the arm
    cancels. A couple with a missing pair is no unit."""
    units = []
    for first, second in zip(pairs[0::2], pairs[1::2], strict=False):
        if first.d is not None and second.d is not None:
            units.append((first.d + second.d) / 2)
    return units


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


def merged(units: list[float], calibration: list[float]) -> list[float]:
    """Blocks of 2, then of 4 units while neighbours are correlated (r1 > 0.2, A/A units included): no sequential test
    is valid on a correlated series."""
    for _ in range(2):
        r1 = autocorrelation([units, calibration])
        if r1 is None or r1 <= 0.2:
            break
        units = [fmean(block) for block in zip(units[0::2], units[1::2], strict=False)]
        calibration = [fmean(block) for block in zip(calibration[0::2], calibration[1::2], strict=False)]
    return units


def clip_improvements(units: Sequence[float]) -> list[float]:
    """Pull in improbable improvements (d far below the median), never losses: a candidate that is better on average but
    now and then twice as slow must keep its bad windows."""
    if len(units) < 3:
        return list(units)
    middle = median(units)
    mad = median(abs(unit - middle) for unit in units)
    floor = middle - 3 * 1.4826 * max(mad, 0.01)
    return [max(unit, floor) for unit in units]


@dataclass(frozen=True, slots=True)
class Ruling:
    """The gate's state after some pairs. `verdict` None: go on. `effect` is a log difference, below 0 better."""

    verdict: Verdict | None
    effect: float | None
    interval: Interval
    log_e: float
    units: int
    why: str


def judge(
    pairs: Sequence[Pair], calibration: Sequence[Pair], *, alpha: float, uneasy: bool, profile: Profile
) -> Ruling:
    """What fresh pairs of one gate say at level `alpha`. Pure in the pairs: call it after every unit."""
    margin = profile.mei / 3
    units = clip_improvements(merged(couples(pairs), couples(calibration)))
    xs = [-unit - margin for unit in units]
    evidence, bounds = log_e(xs), interval(xs, profile.alpha)
    effect = fmean(units) if units else None
    low, high = bounds
    effect_bounds: Interval = (None, None) if low is None or high is None else (-high - margin, -low - margin)

    def ruling(verdict: Verdict | None, why: str) -> Ruling:
        return Ruling(verdict, effect, effect_bounds, evidence, len(units), why)

    missing = sum(pair.d is None for pair in pairs)
    if missing * 10 > profile.gate_max_pairs:
        return ruling("Inconclusive", f"{missing} pairs had no data; at most a tenth of a gate may be missing")
    crossed = evidence >= math.log(1 / (2 * alpha))
    better = bool(xs) and fmean(xs) > 0
    if crossed and not better:
        return ruling("RollBack", "the candidate is proven to be no improvement")
    enough = len(pairs) - missing >= _least_pairs(uneasy, profile) and missing * 10 <= len(pairs)
    if crossed and better and enough:
        slow = sum(pair.d is not None and pair.d > RARE_HARM for pair in pairs)
        fast = sum(pair.d is not None and pair.d < -RARE_HARM for pair in pairs)
        if slow > fast:
            return ruling("Inconclusive", f"better on average, but more than 1.5 times as slow in {slow} windows")
        return ruling("Keep", f"proven: e-value {math.exp(min(evidence, 700)):.0f} of {1 / (2 * alpha):.1f} needed")
    if len(xs) >= 3 and not crossed and fmean(xs) + 2.5 * stdev(xs) / math.sqrt(len(xs)) < margin:
        return ruling("RollBack", "an improvement worth keeping has become improbable")
    if len(pairs) >= profile.gate_max_pairs:
        return ruling("Inconclusive", f"not proven within {len(pairs)} pairs")
    return ruling(None, "measuring")


def _least_pairs(uneasy: bool, profile: Profile) -> int:
    return max(profile.gate_min_pairs, UNEASY_MIN_PAIRS) if uneasy else profile.gate_min_pairs


def harmful(units: Sequence[float]) -> bool:
    """The harm test of promotion and watch: units d of kept against original, beyond a margin of 2 %, e >= 20."""
    beyond = [unit - HARM_MARGIN for unit in units]
    return len(beyond) >= 2 and fmean(beyond) > 0 and log_e(beyond) >= math.log(HARM_E)
