"""The knee: on servers whose knee is known."""

from __future__ import annotations

import math
import random

import pytest

from adapters.load.quantiles import percentiles
from adapters.load.ramp import Knee, Limits, Measure, find
from adapters.load.result import Result
from adapters.load.slo import Slo
from domain.errors import Misconfigured

SERVICE_RATE, LIMIT = 200.0, 0.1
# In M/M/1 the response time is exponential with mean 1/(mu - lambda): its p95 is the limit at
TRUE_KNEE = SERVICE_RATE + math.log(0.05) / LIMIT


class Queue:
    """A simulated M/M/1 server; its clock moves by what is measured."""

    def __init__(self, seed: int = 1, lag_above: float = math.inf, broken: float = math.inf) -> None:
        self.now, self._random, self._lag_above, self._broken = 0.0, random.Random(seed), lag_above, broken
        self.rates: list[float] = []

    def measure(self, rate: float, seconds: float) -> Result:
        self.now += seconds
        self.rates.append(rate)
        due = free = 0.0
        good: list[float] = []
        done = failed = 0
        while (due := due + self._random.expovariate(rate)) < seconds:
            free = max(free, due) + self._random.expovariate(SERVICE_RATE)
            done += free < seconds
            if rate >= self._broken and len(good) % 10 == 0 and failed < len(good) / 10:
                failed += 1
            else:
                good.append(free - due)
        n = len(good) + failed
        errors = {"5xx": failed} if failed else {}
        lag = 0.02 if rate > self._lag_above else 0.0
        return Result(
            "sim",
            n,
            len(good),
            errors,
            0,
            seconds,
            done / seconds,
            n / seconds,
            percentiles(good, failed),
            False,
            "",
            lag,
        )


def exactly(rate: float, seconds: float) -> Result:
    """The same server without chance: its theoretical p95."""
    room = SERVICE_RATE - rate
    p95 = -math.log(0.05) / room if room > 0 else math.inf
    n = round(rate * seconds)
    return Result("exact", n, n, {}, 0, seconds, min(rate, SERVICE_RATE), rate, percentiles([p95] * n, 0), False, "")


def search(measure: Measure, limits: Limits = Limits(seconds=1000), now: Queue | None = None) -> Knee:
    return find(measure, Slo(LIMIT), limits, (lambda: now.now) if now else (lambda: 0.0))


def test_the_knee_of_a_server_without_chance_is_exact() -> None:
    """The interval holds the theoretical knee and is as narrow as was asked."""
    knee = search(exactly, Limits(resolution=0.02))
    assert knee.ended == "found"
    assert knee.low is not None
    assert knee.high is not None
    assert knee.low <= TRUE_KNEE <= knee.high <= 1.021 * knee.low


def test_the_knee_of_a_noisy_server_is_found_most_of_the_time() -> None:
    """M/M/1 with ten-second steps: the interval holds the knee at least three times in four, and is never far off."""
    held = 0
    for seed in range(20):
        queue = Queue(seed)
        knee = search(queue.measure, Limits(step_seconds=10, seconds=1000), queue)
        assert knee.low is not None
        assert knee.high is not None
        assert 0.8 * TRUE_KNEE < knee.low < knee.high < 1.3 * TRUE_KNEE
        held += knee.low <= TRUE_KNEE <= knee.high
    assert held >= 15


def test_a_start_above_the_knee_goes_down() -> None:
    """The first rate breaks the objective: the search goes the other way."""
    knee = search(exactly, Limits(start=800, resolution=0.05))
    assert knee.low is not None
    assert knee.high is not None
    assert knee.low <= TRUE_KNEE <= knee.high


def test_rates_stay_within_their_limits() -> None:
    """The top and the bottom end the search with what is known there."""
    top = search(exactly, Limits(start=10, most=100))
    assert (top.ended, top.low, top.high) == ("top", 100, None)
    bottom = search(exactly, Limits(start=400, least=190, most=500))
    assert (bottom.ended, bottom.low, bottom.high) == ("bottom", None, 190)
    assert min(step.rate for step in bottom.steps) == 190


def test_time_is_bounded() -> None:
    """No step begins that would not end in time; the interval is then as wide as it is."""
    queue = Queue()
    knee = search(queue.measure, Limits(start=20, step_seconds=10, seconds=55), queue)
    assert knee.ended == "time"
    assert queue.now <= 55
    assert knee.low is not None
    with pytest.raises(Misconfigured, match="higher rate"):
        search(exactly, Limits(start=1, seconds=60))


def test_errors_make_a_knee_too() -> None:
    """A server that is quick and fails a tenth of its requests from 50/s on has its knee there."""
    queue = Queue(broken=50.0)
    knee = search(queue.measure, Limits(seconds=1000), queue)
    assert knee.low is not None
    assert knee.high is not None
    assert knee.low < 50 <= knee.high <= 56
    assert any("failed" in step.why for step in knee.steps)


def test_less_coming_back_than_offered_makes_a_knee() -> None:
    """Quick answers do not help if only nine of ten requests are answered in time."""

    def capped(rate: float, seconds: float) -> Result:
        n = round(rate * seconds)
        return Result("capped", n, n, {}, 0, seconds, min(rate, 90.0), rate, percentiles([0.01] * n, 0), False, "")

    knee = search(capped, Limits(resolution=0.03))
    assert knee.low is not None
    assert knee.high is not None
    assert knee.low <= 90 / 0.95 <= knee.high


def test_a_generator_at_its_limit_is_not_called_a_knee() -> None:
    """A late generator makes every server look slow: the search ends with what it knows and says why."""
    queue = Queue(lag_above=120.0)

    def late(rate: float, seconds: float) -> Result:
        return queue.measure(rate if rate <= 120 else 1.1 * SERVICE_RATE, seconds)

    knee = search(late, Limits(start=40, seconds=1000), queue)
    assert knee.ended == "generator"
    assert knee.high is None
    assert "generator" in knee.why


def test_a_hiccup_is_no_knee() -> None:
    """One bad step among good ones is repeated and outvoted."""
    hiccups = iter([False, False, True] + [False] * 100)

    def shaky(rate: float, seconds: float) -> Result:
        return exactly(1.5 * SERVICE_RATE if next(hiccups) else rate, seconds)

    knee = search(shaky, Limits(start=20, factor=1.6, resolution=0.05))
    assert knee.low is not None
    assert knee.low > 100


@pytest.mark.parametrize(
    "make",
    [
        lambda: Limits(start=0),
        lambda: Limits(start=5000),
        lambda: Limits(most=math.inf),
        lambda: Limits(factor=1.0),
        lambda: Limits(resolution=0.0),
        lambda: Limits(step_seconds=400),
        lambda: Limits(seconds=math.nan),
    ],
)
def test_limits_that_make_no_sense_are_refused(make: type[Limits]) -> None:
    """Before anything is sent."""
    with pytest.raises(Misconfigured):
        make()
