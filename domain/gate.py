"""The gate: an acceptance test that may be looked at after every pair without losing its level.

Only pairs measured after the candidate was chosen count. The test is for an improvement beyond a margin of a third of
the minimum effect of interest, so that only a gain that is worth keeping counts. See `estimate.py` for the e-value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, variance

from domain.estimate import Estimate, interval, log_e, of_pairs, of_placements, proven_r1
from domain.events import Interval, Verdict
from domain.evidence import Pair
from domain.profile import Profile

RARE_HARM = math.log(1.5)
MOST_RARE = 2  # this many more slow windows than fast ones are no chance
UNEASY_MIN_PAIRS = 20
UNSTABLE = 0.30  # spread of a candidate's effect over the arms (TUNA: unstable settings differ by 30 % and more)
UNSTABLE_ERRORS = 2.0  # ... and this many standard errors
FUTILE_SD = 2.5
HARM_MARGIN = 0.02
HARM_E = 20.0


def gate_alpha(gate: int, alpha: float) -> float:
    """Level of the `gate`-th gate of a run (from 1): alpha * 6/(pi^2 k^2), which sums to less than alpha."""
    return alpha * 6 / (math.pi**2 * gate**2)


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
    pairs: Sequence[Pair],
    calibration: Sequence[Pair],
    *,
    alpha: float,
    uneasy: bool,
    profile: Profile,
    mei: float,
    screening: Sequence[Pair] = (),
    places: Sequence[int] = (),
) -> Ruling:
    """What fresh pairs of one gate say at level `alpha`. Pure in the pairs: call it after every one. `screening` are
    the candidate's earlier pairs, which may only speak against it: they count for rare harm. `places` are the
    placements of the pairs, where the candidate needed a restart: then a placement is the unit."""
    margin, renewed = mei / 3, any(places)
    most = profile.most_placements * profile.replace_every if renewed else profile.gate_max_pairs
    known_r1 = proven_r1(calibration)
    seen = of_placements(pairs, places, clip=True) if renewed else of_pairs(pairs, known_r1, clip=True)
    evidence = log_e(seen, -margin)
    whole = sum(pair.d is not None for pair in pairs)
    missing = sum(pair.blind for pair in pairs)

    def ruling(verdict: Verdict | None, why: str) -> Ruling:
        return Ruling(verdict, seen.mean if seen else None, interval(seen, profile.alpha), evidence, whole, why)

    if missing * 10 > most:
        return ruling("Inconclusive", f"{missing} pairs had no data; at most a tenth of a gate may be missing")
    if rare_harm([*screening, *pairs]) >= MOST_RARE:
        # Where harm is rare and large, a mean with an interval around it would say less than it seems to.
        why = f"now and then more than 1.5 times as slow: {_slow(screening, pairs)} windows"
        return replace(ruling("Inconclusive", why), interval=(None, None))
    if seen is not None:
        crossed, better = evidence >= math.log(1 / (2 * alpha)), seen.mean < -margin
        if crossed and not better:
            return ruling("RollBack", "the candidate is proven to be no improvement")
        placed = not renewed or len(set(places)) >= profile.least_placements
        if (
            crossed
            and placed
            and whole >= least_pairs(uneasy, profile)
            and missing * 10 <= len(pairs)
            and both_sides(pairs)
        ):
            hindrance = _hindrance(pairs, screening)
            if not hindrance:
                need = 1 / (2 * alpha)
                return ruling("Keep", f"proven: e-value {math.exp(min(evidence, 700)):.0f} of {need:.1f} needed")
            if len(pairs) >= most:
                return ruling("Inconclusive", f"better on average, but {hindrance}")
        if not crossed and futile(seen, margin):
            return ruling("RollBack", "an improvement worth keeping has become improbable")
    if len(pairs) >= most:
        return ruling("Inconclusive", f"not proven within {len(pairs)} pairs")
    return ruling(None, "measuring")


def futile(seen: Estimate, margin: float) -> bool:
    """Even `FUTILE_SD` standard errors better than seen would not reach the margin."""
    return seen.freedom >= 2 and -seen.mean + FUTILE_SD * seen.error < margin


def both_sides(pairs: Sequence[Pair]) -> bool:
    """Whether the pairs were measured both ways round, so that a bias of the arms is known."""
    return len({pair.side for pair in pairs if pair.d is not None}) == 2


def rare_harm(pairs: Sequence[Pair]) -> int:
    """How many more windows of the candidate were half as slow again as their control than the other way round."""
    ds = [pair.d for pair in pairs if pair.d is not None]
    return sum(d > RARE_HARM for d in ds) - sum(d < -RARE_HARM for d in ds)


def spread(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Difference of the candidate's effect between the arms (log) and its standard error, from two sides: each arm
    against the *same* arm's control windows, where a bias of the arms cancels but a load that comes and goes does not;
    and the pairs one way round against those the other way, where it is the opposite. What is true shows in both, so
    the smaller one counts. (0, infinite) where an arm has not carried both twice."""
    levels: dict[str, dict[str, list[float]]] = {}
    for pair in pairs:
        for window, level in zip((pair.candidate, pair.control), pair.logs or (), strict=False):
            levels.setdefault(window.arm, {}).setdefault(window.role, []).append(level)
    sides = [[pair.d for pair in pairs if pair.d is not None and pair.side == side] for side in (1, -1)]
    both = [each for each in levels.values() if each.keys() == {"candidate", "control"}]
    if len(both) < 2 or min(len(side) for side in sides) < 2:
        return 0.0, math.inf
    effects = [fmean(each["candidate"]) - fmean(each["control"]) for each in both]
    error = math.sqrt(math.fsum(variance(side) / len(side) for side in sides))
    return min(max(effects) - min(effects), abs(fmean(sides[0]) - fmean(sides[1]))), error


def _hindrance(pairs: Sequence[Pair], screening: Sequence[Pair]) -> str:
    """What forbids a Keep although the mean is proven; empty if nothing does."""
    if rare_harm([*screening, *pairs]) > 0:
        return f"more than 1.5 times as slow in {_slow(screening, pairs)} windows"
    gaps = sum(pair.harmful_gap for pair in pairs)
    if gaps:
        return f"{gaps} windows are missing on the candidate only, which may be the bad ones"
    apart, error = spread(pairs)
    if apart >= max(UNSTABLE, UNSTABLE_ERRORS * error):
        return f"unstable: the arms see effects that differ by {100 * math.expm1(apart):.0f} %"
    return ""


def _slow(screening: Sequence[Pair], pairs: Sequence[Pair]) -> int:
    return sum(pair.d is not None and pair.d > RARE_HARM for pair in [*screening, *pairs])


def least_pairs(uneasy: bool, profile: Profile) -> int:
    """Pairs that a Keep needs at least; more where A/A was uneasy."""
    return max(profile.gate_min_pairs, UNEASY_MIN_PAIRS) if uneasy else profile.gate_min_pairs


def harmful(seen: Estimate | None) -> bool:
    """The harm test of promotion, watch and hold-back: kept settings are slower than the original beyond a margin of
    2 %, with e >= 20."""
    return seen is not None and seen.mean > HARM_MARGIN and log_e(seen, HARM_MARGIN) >= math.log(HARM_E)
