"""What every load tool is boiled down to, so that their figures can be told apart and compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.load.quantiles import Percentile, name
from domain.ports import Json

LEAST_ACHIEVED = 0.95  # of the offered rate; below it the target, or the tool, could not keep up


@dataclass(frozen=True, slots=True)
class Slice:
    """One stretch of a run: when it ended (seconds since the start), good answers a second, mean latency in seconds,
    requests that failed in it."""

    end: float
    throughput: float
    latency: float
    failed: int


@dataclass(frozen=True, slots=True)
class Result:
    """One run of a load tool. Every request is in exactly one of `good`, `errors` (by kind) and `timeouts`.

    `elapsed` is the measured time in seconds during which requests were sent, never the one that was asked for;
    `throughput` are answers a second in it, whatever they say; `offered` the requests a second that were due (None: as
    many as come back), `nominal` if it is the rate that was asked for, around which chance decided.
    `coordinated_omission` says in plain words what a latency of this tool is.
    `lag` is how late (p95, seconds) the tool itself sent, where it can be known. Raises ValueError if the numbers do
    not add up."""

    tool: str
    requests: int
    good: int
    errors: Mapping[str, int]
    timeouts: int
    elapsed: float
    throughput: float
    offered: float | None
    percentiles: tuple[Percentile, ...]
    closed_loop: bool
    coordinated_omission: str
    lag: float | None = None
    slices: tuple[Slice, ...] = ()
    notes: tuple[str, ...] = ()
    nominal: bool = False

    def __post_init__(self) -> None:
        told = self.good + self.failed
        if told != self.requests or min(self.good, self.timeouts, *self.errors.values(), 0) < 0:
            raise ValueError(
                f"{self.tool}: {self.requests} requests, but {self.good} good, {dict(self.errors)} errors and"
                f" {self.timeouts} timeouts"
            )

    @property
    def failed(self) -> int:
        return sum(self.errors.values()) + self.timeouts

    @property
    def failed_share(self) -> float:
        """Failed requests of all requests; 1 where there was none at all, because that proves nothing good."""
        return self.failed / self.requests if self.requests else 1.0

    def percentile(self, level: float) -> Percentile:
        """The percentile of that level, or one that says that the tool does not give it."""
        for found in self.percentiles:
            if found.level == level:
                return found
        return Percentile(level, None, why=f"{self.tool} does not tell {name(level)}")

    @property
    def keeps_up(self) -> bool:
        """Did as much come back as was offered? True for a closed loop without a rate, where it cannot be asked. Around
        a nominal rate, arrivals at random may be fewer by two standard deviations of a Poisson count."""
        if self.offered is None:
            return True
        chance = 2 * math.sqrt(self.offered / self.elapsed) if self.nominal and self.elapsed > 0 else 0.0
        return self.throughput >= LEAST_ACHIEVED * self.offered - chance


def row(result: Result) -> Json:
    """A result as plain JSON: seconds, shares from 0 to 1, percentiles by name."""
    return {
        "tool": result.tool,
        "requests": result.requests,
        "good": result.good,
        "errors": dict(result.errors),
        "timeouts": result.timeouts,
        "failed_share": round(result.failed_share, 6),
        "elapsed": round(result.elapsed, 4),
        "offered": None if result.offered is None else round(result.offered, 3),
        "nominal": result.nominal,
        "throughput": round(result.throughput, 3),
        "percentiles": {
            each.name: {"seconds": each.seconds, "low": each.low, "high": each.high, "why": each.why}
            for each in result.percentiles
        },
        "lag": result.lag,
        "closed_loop": result.closed_loop,
        "coordinated_omission": result.coordinated_omission,
        "slices": [
            {"end": each.end, "throughput": each.throughput, "latency": each.latency, "failed": each.failed}
            for each in result.slices
        ],
        "notes": list(result.notes),
    }
