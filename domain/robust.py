"""Outliers pulled in: what a few wild windows must not decide."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

LEAST_MAD = 0.01  # log: a spread below one per cent is no spread


def reach(ds: Sequence[float]) -> float:
    """Three robust standard deviations (1.4826 times the median absolute deviation)."""
    middle = median(ds)
    return 3 * 1.4826 * max(median(abs(d - middle) for d in ds), LEAST_MAD)


def winsorised(ds: Sequence[float]) -> list[float]:
    """Both tails pulled in to the median +- `reach`."""
    if len(ds) < 3:
        return list(ds)
    middle, far = median(ds), reach(ds)
    return [min(max(d, middle - far), middle + far) for d in ds]


def clip_improvements(ds: Sequence[float]) -> list[float]:
    """Pull in improbable improvements (d far below the median), never losses: a candidate that is better on average but
    now and then twice as slow must keep its bad windows."""
    if len(ds) < 3:
        return list(ds)
    floor = median(ds) - reach(ds)
    return [max(d, floor) for d in ds]
