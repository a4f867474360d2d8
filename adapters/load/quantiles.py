"""Percentiles by nearest rank over all requests, failures included, with intervals by order statistics.

A request that failed never got its answer: it ranks above every request that did. "p95 is 80 ms" therefore means that
95 % of all requests got a good answer within 80 ms; where more than 5 % failed there is no such time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

LEVELS = (0.5, 0.9, 0.95, 0.99, 0.999)
LEAST_BEYOND = 10  # requests above a percentile: p99 of fewer than 1000 is the say of a handful
CONFIDENCE = 0.95
_FAR = 12.0  # standard deviations of a binomial, beyond which its probabilities add up to nothing


@dataclass(frozen=True, slots=True)
class Percentile:
    """One percentile in seconds. `low` and `high` are its confidence interval, None where that is open or the tool
    gives no single latencies. `seconds` is None where there is no honest figure; `why` says so."""

    level: float
    seconds: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""

    @property
    def name(self) -> str:
        return name(self.level)


def name(level: float) -> str:
    """`p95`, `p99.9`."""
    return f"p{100 * level:.10g}"


def rank(level: float, n: int) -> int:
    """Nearest rank, counted from 1: the smallest k with k/n >= level. Exact: 0.95 is taken as 95/100."""
    if not 0 < level <= 1 or n < 1:
        raise ValueError(f"level {level:g} of {n} values: the level is above 0 and at most 1, and one value is needed")
    exact = Fraction(str(level))
    return -(-exact.numerator * n // exact.denominator)


def nearest_rank(ordered: Sequence[float], level: float) -> float:
    """The value at the nearest rank of values in ascending order."""
    return ordered[rank(level, len(ordered)) - 1]


def needed(level: float) -> int:
    """How many requests a percentile needs: `LEAST_BEYOND` of them lie beyond it. p50: 20, p95: 200, p99: 1000."""
    return math.ceil(LEAST_BEYOND / (1 - Fraction(str(level))))


def bounds(level: float, n: int, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Ranks (from 1) of the order statistics that enclose the true quantile with at least `confidence`; 0 and n + 1
    where the interval is open.

    The number of values below the quantile is binomial(n, level), whatever the distribution (David and Nagaraja,
    Order Statistics, section 7.1). That holds for independent values; latencies of a busy server come in clumps, so
    that its intervals are rather too narrow."""
    tail = (1 - confidence) / 2
    middle, spread = n * level, math.sqrt(n * level * (1 - level))
    first, last = max(0, math.floor(middle - _FAR * spread - 1)), min(n, math.ceil(middle + _FAR * spread + 1))
    chances = [_binomial(k, n, level) for k in range(first, last + 1)]
    low, total = first, 0.0
    for chance in chances:  # P(count < low) stays at most `tail`
        total += chance
        if total > tail:
            break
        low += 1
    high, total = last + 1, 0.0
    for chance in reversed(chances):  # P(count >= high) stays at most `tail`
        total += chance
        if total > tail:
            break
        high -= 1
    return low, high


def percentiles(good: Sequence[float], failed: int, levels: Sequence[float] = LEVELS) -> tuple[Percentile, ...]:
    """Percentiles over all requests. `good` are seconds until good answers, in any order; `failed` requests rank above
    them."""
    ordered = sorted(good)
    return tuple(_one(ordered, failed, level) for level in levels)


def _one(ordered: Sequence[float], failed: int, level: float) -> Percentile:
    n = len(ordered) + failed
    if n < needed(level):
        return Percentile(level, None, why=f"{name(level)} needs {needed(level)} requests, these are {n}")
    at = rank(level, n)
    low, high = bounds(level, n)
    lower = ordered[low - 1] if 1 <= low <= len(ordered) else None
    if at > len(ordered):
        share = 100 * failed / n
        why = f"{share:.3g} % of the requests failed: within no time did {100 * level:.10g} % of them get a good answer"
        return Percentile(level, None, low=lower, why=why)
    return Percentile(level, ordered[at - 1], lower, ordered[high - 1] if high <= len(ordered) else None)


def _binomial(k: int, n: int, p: float) -> float:
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    return math.exp(log)
