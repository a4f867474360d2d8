"""A service level objective on one percentile and on failures, and what a result says about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adapters.load.quantiles import name
from adapters.load.result import Result

Verdict = Literal["met", "missed", "not proven"]


@dataclass(frozen=True, slots=True)
class Slo:
    """At least `level` of all requests get a good answer within `seconds`, and at most `failures` (a share) fail."""

    seconds: float
    level: float = 0.95
    failures: float = 0.01


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    why: str


def judge(result: Result, slo: Slo) -> Judgement:
    """Met only if the whole confidence interval of the percentile is within the limit; a tool that gives no interval is
    judged by its figure."""
    if not result.requests:
        return Judgement("missed", "no request was sent")
    if result.failed_share > slo.failures:
        return Judgement("missed", f"{_percent(result.failed_share)} failed (at most {_percent(slo.failures)})")
    found = result.percentile(slo.level)
    limit = f"limit {1000 * slo.seconds:g} ms"
    if found.seconds is None:
        beyond = found.low is not None and found.low > slo.seconds
        return Judgement("missed" if beyond or result.failed_share > 1 - slo.level else "not proven", found.why)
    low, high = _ends(found.low, found.high, found.seconds)
    told = f"{name(slo.level)} {1000 * found.seconds:.1f} ms ({limit})"
    if high is not None and high <= slo.seconds:
        return Judgement("met", told)
    if low is not None and low > slo.seconds:
        return Judgement("missed", told)
    upper = "open" if high is None else f"{1000 * high:.1f} ms"
    return Judgement("not proven", f"{told}: its interval reaches to {upper}; measure longer")


def within(result: Result, slo: Slo) -> tuple[bool, str]:
    """Does this step of a ramp stay within the objective? By the figures themselves: a ramp repeats what it doubts."""
    if result.failed_share > slo.failures:
        return False, f"{_percent(result.failed_share)} failed (at most {_percent(slo.failures)})"
    if not result.keeps_up and result.offered is not None:
        return False, f"{result.throughput:.1f} of {result.offered:.1f} requests/s came back"
    found = result.percentile(slo.level)
    if found.seconds is None:
        return False, found.why
    told = f"{name(slo.level)} {1000 * found.seconds:.1f} ms"
    return found.seconds <= slo.seconds, told


def _ends(low: float | None, high: float | None, figure: float) -> tuple[float | None, float | None]:
    return (figure, figure) if low is None and high is None else (low, high)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
