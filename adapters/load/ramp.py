"""The knee: the highest rate at which a service still keeps its objective, with the lowest at which it does not.

The rate grows by a factor until it is too high, then the interval is halved (on a logarithmic scale) until it is narrow
enough. A step that holds clearly (the whole confidence interval of its percentile is within the limit) counts at once.
Any other is repeated, and a third one decides if the two disagree: neither a hiccup of the machine nor a lucky step is
a knee. Both ends of the interval are measured once more; an end that does not repeat itself moves outwards, and a rate
on which steps disagreed lies inside the interval.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from adapters.load.open_loop import MOST_LAG
from adapters.load.quantiles import needed
from adapters.load.result import Result
from adapters.load.slo import Slo, judge, within
from domain.errors import Misconfigured

MORE_REQUESTS = 1.3  # of what the percentile needs: arrivals at random may be fewer than planned
Ended = Literal["found", "top", "bottom", "time", "generator"]
Measure = Callable[[float, float], Result]  # (requests a second, seconds) -> what came of it


@dataclass(frozen=True, slots=True)
class Limits:
    """Where a ramp may go: rates in requests a second from `start` up to `most` and down to `least`, times `factor` a
    step; a step takes `step_seconds` or as long as its percentile needs; the whole at most `seconds`. The knee is known
    well enough when its interval is narrower than `resolution` (a share). `spare` seconds are what a step may take on
    top of being measured: its warm-up, its last timeouts. Raises Misconfigured."""

    start: float = 10.0
    most: float = 2000.0
    least: float = 1.0
    factor: float = 1.6
    step_seconds: float = 5.0
    seconds: float = 300.0
    resolution: float = 0.1
    spare: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.start <= self.most < math.inf:
            raise Misconfigured(
                f"rates {self.least:g} (least), {self.start:g} (start) and {self.most:g} (most) are not above 0 and in"
                " this order"
            )
        if not 1.05 <= self.factor <= 10:
            raise Misconfigured(f"factor {self.factor:g} is not from 1.05 to 10")
        if not 0.01 <= self.resolution <= 1:
            raise Misconfigured(f"resolution {self.resolution:g} is not from 0.01 to 1")
        if not 0 < self.step_seconds <= self.seconds <= 86400:
            raise Misconfigured(f"a step of {self.step_seconds:g} s in {self.seconds:g} s: the whole must hold a step")


@dataclass(frozen=True, slots=True)
class Step:
    """One rate, measured. `ok` by its figures, `clear` if their interval says the same. `p` is the percentile in
    seconds. `lagged`: the generator itself was late, so the step says nothing about the service."""

    rate: float
    offered: float
    achieved: float
    p: float | None
    failed_share: float
    ok: bool
    clear: bool
    lagged: bool
    why: str


@dataclass(frozen=True, slots=True)
class Knee:
    """The knee lies between `low` (kept the objective; None: no rate did) and `high` (did not; None: none was found).
    `ended` says why the search was over, `why` the same in words."""

    low: float | None
    high: float | None
    ended: Ended
    why: str
    steps: tuple[Step, ...]


class _OutOfTime(Exception):
    """The next step would not end within the ramp's time."""


class _Late(Exception):
    """The generator cannot send at this rate."""


def find(
    measure: Measure,
    slo: Slo,
    limits: Limits,
    now: Callable[[], float] = time.monotonic,
    tell: Callable[[Step], None] = lambda step: None,
) -> Knee:
    """Search for the knee. `tell` hears each step as soon as it is measured. Raises what `measure` raises, and
    Misconfigured if the time does not even hold the first step."""
    return _Search(measure, slo, limits, now, tell).knee()


class _Search:
    """One search: its steps so far, its time."""

    def __init__(
        self, measure: Measure, slo: Slo, limits: Limits, now: Callable[[], float], tell: Callable[[Step], None]
    ) -> None:
        self._measure, self._slo, self._limits, self._now, self._tell = measure, slo, limits, now, tell
        self._end = now() + limits.seconds
        self._steps: list[Step] = []
        self._agreed: dict[float, bool] = {}  # rates at which all steps said the same

    def knee(self) -> Knee:
        first = self._seconds(self._limits.start) + self._limits.spare
        if first > self._limits.seconds:
            raise Misconfigured(
                f"at {self._limits.start:g} requests/s a step needs {first:.0f} s and the whole ramp has"
                f" {self._limits.seconds:g} s: start at a higher rate, or allow more time"
            )
        try:
            ended, why = self._bracket()
        except _OutOfTime:
            ended, why = "time", f"{self._limits.seconds:g} s are over; the interval is as wide as it is"
        except _Late as late:
            ended, why = "generator", f"{late}: the generator is at its limit, not the service"
        low = max((rate for rate, held in self._agreed.items() if held), default=None)
        high = min((rate for rate, held in self._agreed.items() if not held), default=None)
        if low is not None and high is not None and low > high:
            ended, why = "found", f"it held at {low:.4g} and not at {high:.4g} requests/s: the service is not steady"
            low, high = high, low
        return Knee(low, high, ended, why, tuple(self._steps))

    def _bracket(self) -> tuple[Ended, str]:
        limits = self._limits
        low: float | None = None
        rate = limits.start
        while self._holds(rate):
            low = rate
            if rate >= limits.most:
                return "top", f"the objective holds at {rate:g} requests/s, the highest rate that was allowed"
            rate = min(limits.most, rate * limits.factor)
        high = rate
        while low is None:
            if high <= limits.least:
                return "bottom", f"the objective does not hold at {high:g} requests/s, the lowest rate that was allowed"
            rate = max(limits.least, high / limits.factor)
            if self._holds(rate):
                low = rate
            else:
                high = rate
        while high / low > 1 + limits.resolution:
            middle = math.sqrt(low * high)
            if self._holds(middle):
                low = middle
            else:
                high = middle
        self._confirm(low, held=True)
        self._confirm(high, held=False)
        return "found", "both ends of the interval were measured again"

    def _confirm(self, rate: float, *, held: bool) -> None:
        """Measure an end of the interval once more; one that does not repeat itself moves outwards."""
        limits = self._limits
        while True:
            if self._agreed.get(rate) == held and self._step(rate).ok == held:
                return
            self._agreed.pop(rate, None)
            further = rate / (1 + limits.resolution) if held else rate * (1 + limits.resolution)
            further = min(limits.most, max(limits.least, further))
            if further == rate:
                return
            rate = further
            self._holds(rate)

    def _holds(self, rate: float) -> bool:
        """Does the objective hold? One step is enough if it holds clearly; otherwise the majority of up to three."""
        votes: list[bool] = []
        late = 0
        while max(votes.count(True), votes.count(False)) < 2:
            step = self._step(rate)
            if step.lagged and not step.ok and step.failed_share <= self._slo.failures:
                late += 1
                if late == 2:
                    raise _Late(step.why)
                continue
            votes.append(step.ok)
            if step.ok and step.clear and len(votes) == 1:
                break
        held = votes.count(True) > votes.count(False)
        if len(set(votes)) == 1:
            self._agreed[rate] = held
        return held

    def _step(self, rate: float) -> Step:
        seconds = self._seconds(rate)
        if self._now() + seconds + self._limits.spare > self._end:
            raise _OutOfTime
        result = self._measure(rate, seconds)
        ok, why = within(result, self._slo)
        clear = judge(result, self._slo).verdict == ("met" if ok else "missed")
        lagged = result.lag is not None and result.lag > MOST_LAG
        if lagged and result.lag is not None:
            why += f"; sent {1000 * result.lag:.1f} ms late (p95)"
        step = Step(
            rate,
            rate if result.offered is None else result.offered,
            result.throughput,
            result.percentile(self._slo.level).seconds,
            result.failed_share,
            ok,
            clear,
            lagged,
            why,
        )
        self._steps.append(step)
        self._tell(step)
        return step

    def _seconds(self, rate: float) -> float:
        return max(self._limits.step_seconds, MORE_REQUESTS * needed(self._slo.level) / rate)
