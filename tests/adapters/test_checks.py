"""Checks of a target: each finds its fault, says what was seen and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from adapters.actuators.memory import MemoryArm
from adapters.checks import Check, check_target
from domain.evidence import Missing, Reading, Seen
from domain.target import Objective
from tests.journeys.world import ORIGINAL, make_target

QUERY = 'histogram_quantile(0.95, sum by (le) (rate(lat_bucket{arm="$arm"}[$window])))'
TARGET = replace(make_target(), objective=Objective(QUERY, unit="s"))
NOW = 1_000_000.0
VALUE = Reading(0.2)


@dataclass
class Stub:
    """A Prometheus of fixed answers."""

    clock: float | None = NOW
    samples: float = 8.0
    value: Seen = VALUE
    rate: float = 1000.0
    bounds: tuple[str, ...] = field(default=("0.1", "0.11", "0.19", "0.21", "+Inf"))

    def now(self) -> float | None:
        return self.clock

    def instant(self, query: str, at: float) -> Seen:
        if query.startswith("max(count_over_time"):
            return Reading(self.samples)
        return Reading(self.rate) if "_count" in query else self.value

    def label_values(self, query: str, label: str, at: float) -> tuple[str, ...]:
        return self.bounds


def found(stub: Stub, what: str) -> Check:
    arms = {label: MemoryArm(TARGET.space, ORIGINAL) for label in "ab"}
    return next(check for check in check_target(TARGET, stub, arms, NOW) if check.what.startswith(what))


def test_a_good_target_has_no_failure() -> None:
    """Fine buckets, enough scrapes, a clock that agrees: every check is ok."""
    arms = {label: MemoryArm(TARGET.space, ORIGINAL) for label in "ab"}
    assert {check.level for check in check_target(TARGET, Stub(), arms, NOW)} == {"ok"}


def test_coarse_buckets_are_named_and_the_mean_is_offered() -> None:
    """A p95 interpolated between 0.1 and 0.25 cannot show a 3 % effect."""
    check = found(Stub(bounds=("0.1", "0.25", "0.5", "+Inf")), "buckets")
    assert check.level == "warning"
    assert "0.1 to 0.25" in check.seen
    assert 'sum(rate(lat_sum{arm="$arm"}[$window])) / sum(rate(lat_count{arm="$arm"}[$window]))' in check.do


def test_rare_scrapes_a_wrong_clock_and_a_silent_prometheus_fail() -> None:
    """Each with what was seen and what to do."""
    assert found(Stub(samples=2.0), "scrapes").level == "fail"
    assert "expects a scrape every 0.5 s" in found(Stub(samples=5.0), "scrapes").do
    assert found(Stub(clock=NOW + 2.0), "clock").level == "fail"
    assert found(Stub(clock=None), "Prometheus").level == "fail"


def test_a_query_without_a_value_fails_and_few_requests_are_a_warning() -> None:
    """No number for an arm: nothing can be tuned on it."""
    check = found(Stub(value=Missing("empty result")), "objective of arm a")
    assert (check.level, check.seen) == ("fail", "empty result")
    assert found(Stub(rate=10.0), "requests").level == "warning"


def test_arms_that_differ_are_told_unless_a_run_is_open() -> None:
    """Unequal arms cannot be compared; during a run they differ on purpose."""
    arms = {"a": MemoryArm(TARGET.space, ORIGINAL), "b": MemoryArm(TARGET.space, {"level": 1})}
    levels = {check.what: check.level for check in check_target(TARGET, Stub(), arms, NOW)}
    assert levels["arms alike"] == "fail"
    arms["a"].protect("r1", 1.0)
    levels = {check.what: check.level for check in check_target(TARGET, Stub(), arms, NOW)}
    assert levels["arms alike"] == "ok"
