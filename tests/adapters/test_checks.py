"""Checks of a target: each finds its fault, says what was seen and what to do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from adapters.actuators.memory import MemoryArm
from adapters.checks import Check, check_target, share_check
from adapters.prometheus import PrometheusTelemetry
from domain.allowance import Allowance, Bound
from domain.evidence import Missing, Reading, Seen
from domain.target import Objective, Target, Workload
from tests.journeys.world import ORIGINAL, make_target
from tests.prometheus_server import prometheus

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


def test_kept_values_that_were_taken_back_are_warned_of() -> None:
    """They do not forbid tuning: the next run starts from what is there."""
    arms = {label: MemoryArm(TARGET.space, ORIGINAL) for label in "ab"}
    checks = list(check_target(TARGET, Stub(), arms, NOW, ("limits.cpu was reverted by flux",)))
    (check,) = (each for each in checks if each.level != "ok")
    assert (check.level, check.what, check.seen) == ("warning", "kept values", "limits.cpu was reverted by flux")
    assert check.do


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


# --- shares of the arms of a workload --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "mean", "level", "words"),
    [
        ({"a": 100.0, "b": 100.0}, None, "ok", "expected 100 each"),
        ({"a": 60.0, "b": 140.0}, None, "ok", "a 60, b 140"),
        ({"a": 49.0, "b": 151.0}, None, "fail", "arm a below half"),
        ({"a": 0.0, "b": 90.0}, None, "fail", "arm a below half"),
        ({"a": 30.0, "b": 30.0}, 70.0, "fail", "arm a and b below half"),
        ({"a": 40.0, "b": 40.0}, 70.0, "ok", "expected 70 each"),
        ({"a": 9.0, "b": 1.0}, None, "warning", "expected 5 each"),
        ({"a": 0.0, "b": 0.0}, 200.0, "fail", "arm a and b below half"),
    ],
)
def test_an_arm_below_half_of_its_share_is_refused(
    counts: dict[str, float], mean: float | None, level: str, words: str
) -> None:
    """Against the other arm, and against all pods where they are known; few requests prove nothing."""
    check = share_check(counts, mean)
    assert (check.level, words in check.seen) == (level, True)
    assert bool(check.do) == (level != "ok")
    assert ("connections" in check.do) == (level == "fail")


POD_QUERY = 'histogram_quantile(0.95, sum by (le) (rate(lat_bucket{job="load",pod="shop-trimtab-$arm"}[$window])))'
SHOP = replace(TARGET, objective=Objective(POD_QUERY), workload=Workload("default", "shop"))


def serving() -> dict[str, MemoryArm]:
    """Arms of an open run."""
    arms = {label: MemoryArm(TARGET.space, ORIGINAL) for label in "ab"}
    for arm in arms.values():
        arm.protect("r1", NOW + 60.0)
    return arms


def test_a_workload_without_a_run_has_nothing_to_read() -> None:
    """Its arms do not exist: no query is judged, and what the cluster allows is told."""
    arms = {label: MemoryArm(TARGET.space, ORIGINAL) for label in "ab"}
    allowance = Allowance({"cpu": Bound(0.1, 0.5, "quota rq")}, {"memory": "static"}, {"env": "argocd applies it"})
    checks = list(check_target(SHOP, Stub(), arms, NOW, allowance=allowance))
    assert {check.level for check in checks} == {"ok", "warning"}
    told = {check.what: check.seen for check in checks}
    assert told["bounds of cpu"] == "0.1 to 0.5: quota rq"
    assert told["bounds of memory"] == "static"
    assert told["owner of env"] == "argocd applies it"
    assert "during a run only" in told["objective"]
    refused = list(check_target(SHOP, Stub(), arms, NOW, allowance=Allowance(refusal="Recreate")))
    assert [check.seen for check in refused if check.level == "fail"] == ["Recreate"]


@pytest.mark.real
def test_shares_are_counted_by_prometheus(tmp_path: Path) -> None:
    """Arms that get a tenth of what the other pods of the workload get are refused, though they get the same; pods of
    other workloads, and other jobs, count for nothing."""
    rates = {"shop-7d4b9c6f5-x2x4z": 200, "shop-7d4b9c6f5-bcd5f": 200, "shop-trimtab-a": 20, "shop-trimtab-b": 21}
    others = {"shop-db-7d4b9c6f5-x2x4z": 9000, "shop-trimtab-canary": 9000, "myshop-0": 9000}
    past = {}
    for pod, rate in {**rates, **others}.items():
        samples = [(NOW - 60 + step, float(rate * step)) for step in range(61)]
        past[f'lat_count{{job="load",pod="{pod}"}}'] = samples
        past[f'lat_count{{job="another",pod="{pod}"}}'] = [(at, 99 * value) for at, value in samples]
    with prometheus(tmp_path, past) as server:
        telemetry = PrometheusTelemetry(server.url)

        class Past(Stub):
            instant = staticmethod(telemetry.instant)  # type: ignore[assignment]

        arms = serving()
        (check,) = [each for each in check_target(SHOP, Past(), arms, NOW) if each.what == "shares"]
        plain = replace(SHOP, objective=Objective(POD_QUERY.replace("shop-trimtab-$arm", "$arm")))
        (alone,) = [each for each in check_target(plain, Past(), arms, NOW) if each.what == "shares"]
        telemetry.close()
    window = SHOP.profile.window
    assert check.level == "fail"
    assert f"a {20 * window:.0f}, b {21 * window:.0f}; expected {math.floor(110.25 * window):.0f} each" in check.seen
    assert (alone.level, alone.seen) == ("warning", "no requests on the arms")


def test_without_arms_or_histogram_shares_are_not_judged() -> None:
    """A warning that says when to look again; targets without a workload are not asked."""

    class Empty(Stub):
        def instant(self, query: str, at: float) -> Seen:
            return Missing("empty result")

    arms = serving()

    def shares(target: Target, stub: Stub) -> list[str]:
        return [each.level for each in check_target(target, stub, arms, NOW) if each.what == "shares"]

    assert shares(SHOP, Empty()) == ["warning"]
    assert shares(replace(SHOP, objective=Objective("p95")), Stub()) == ["warning"]
    assert shares(replace(SHOP, workload=None), Stub()) == []
    assert shares(SHOP, Stub()) == ["ok"]
    mean = 'sum(rate(lat_sum{pod="$arm"}[$window])) / sum(rate(lat_count{pod="$arm"}[$window]))'
    assert shares(replace(SHOP, objective=Objective(mean)), Stub()) == ["ok"]
