"""Latency histograms whose buckets grow by 12 %: an interpolated p95 must be able to show a 3 % change."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

GROWTH = 1.12
FIRST, LAST = 0.0005, 12.0  # seconds


def _bounds() -> tuple[float, ...]:
    bounds = [FIRST]
    while bounds[-1] < LAST:
        bounds.append(float(f"{bounds[-1] * GROWTH:.6g}"))
    return tuple(bounds)


BOUNDS = _bounds()


class Histogram:
    """Counts per bucket, their sum and number, as Prometheus wants them."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    @property
    def count(self) -> int:
        return sum(self._counts)

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str, labels: str) -> list[str]:
        """Text of the exposition format; `labels` as in `service="x",arm="a"`."""
        cumulated = list(accumulate(self._counts))
        texts = [f"{bound:g}" for bound in BOUNDS] + ["+Inf"]
        lines = [f'{name}_bucket{{{labels},le="{le}"}} {count}' for le, count in zip(texts, cumulated, strict=True)]
        return [*lines, f"{name}_sum{{{labels}}} {self._sum:.9g}", f"{name}_count{{{labels}}} {cumulated[-1]}"]
