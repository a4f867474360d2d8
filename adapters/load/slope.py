"""A straight line through points with wild ones among them: the Theil-Sen slope and its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist, median

LEAST_POINTS = 6  # fewer give an interval that is always open


@dataclass(frozen=True, slots=True)
class Slope:
    """Change of y for one unit of x, with its interval."""

    value: float
    low: float
    high: float
    points: int


def theil_sen(points: Sequence[tuple[float, float]], confidence: float = 0.95) -> Slope:
    """Median of the slopes between all pairs of points (Theil 1950, Sen 1968); the interval by Sen's normal
    approximation of Kendall's statistic: with C = z sqrt(n (n-1) (2n+5) / 18), the slopes of ranks (N - C) / 2 and
    (N + C) / 2 + 1 of all N. Assumes independent deviations from the line. Raises ValueError for fewer than
    `LEAST_POINTS` points of different x."""
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x1 != x2)
    n = len({x for x, _ in points})
    if n < LEAST_POINTS:
        raise ValueError(f"a slope needs {LEAST_POINTS} points of different x, these are {n}")
    count = len(slopes)
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    first = max(0, math.floor((count - reach) / 2) - 1)  # ranks count from 1
    last = min(count - 1, math.ceil((count + reach) / 2))
    return Slope(median(slopes), slopes[first], slopes[last], len(points))
