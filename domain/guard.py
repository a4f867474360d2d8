"""Abort rules: when a trial is stopped at once because of what its users already feel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from domain.events import Aborted
from domain.evidence import Missing, Pair, Reading, Seen
from domain.target import Guardrail

WORSE = 0.08  # soft rule: mean(d) beyond this even at its optimistic end
TRIPLE = math.log(3.0)
HALF_AGAIN = math.log(1.5)


def check(
    pairs: Sequence[Pair], guardrails: Sequence[Guardrail], levels: Mapping[str, float], s0: float
) -> Aborted | None:
    """The first abort rule that the pairs of one trial break, or None. `levels` are the guardrails' values under the
    original settings, `s0` the sd of a pair's d. More harm never turns an abort into none."""
    if not pairs:
        return None
    last = pairs[-1]
    for guardrail in guardrails:
        aborted = breach(
            guardrail,
            last.candidate.guards.get(guardrail.name),
            last.control.guards.get(guardrail.name),
            levels.get(guardrail.name),
        )
        if aborted is not None:
            return aborted
    if len(pairs) >= 2 and pairs[-1].harmful_gap and pairs[-2].harmful_gap:
        return Aborted("candidate without data", "2 windows in a row missing on the candidate only", "1")
    ds = [pair.d for pair in pairs if pair.d is not None]
    return _latency(ds, s0)


def _latency(ds: Sequence[float], s0: float) -> Aborted | None:
    if ds and ds[-1] > TRIPLE:
        return Aborted("three times the control", f"{math.exp(ds[-1]):.2f} times", "3 times in one window")
    if len(ds) < 2:
        return None
    # Noise lets the rule strike earlier, to find twice as slow within two windows; beyond an sd of 0.2 it would strike
    # at candidates that are no slower at all.
    two, limit = fmean(ds[-2:]), HALF_AGAIN - 1.5 * min(s0, 0.2) / math.sqrt(2)
    if two > limit:
        return Aborted("far slower in two windows", f"{_percent(two)} slower", f"{_percent(limit)} over 2 windows")
    optimistic = fmean(ds) - 1.5 * s0 / math.sqrt(len(ds))
    if optimistic > WORSE:
        return Aborted(
            "clearly slower", f"{_percent(fmean(ds))} slower over {len(ds)} pairs", f"{_percent(WORSE)} beyond noise"
        )
    return None


def breach(
    guardrail: Guardrail, candidate: Seen | None, control: Seen | None, original: float | None
) -> Aborted | None:
    """A guardrail is broken if the candidate breaks it and its control does not, or if both do and the candidate is
    more than 10 % worse. A relative limit without a known original level cannot be judged and breaks nothing."""
    if not isinstance(candidate, Reading):
        return None
    limit = limit_of(guardrail, original)
    if limit is None or not beyond(guardrail, candidate.value, limit):
        return None
    if isinstance(control, Reading) and beyond(guardrail, control.value, limit):
        worse = control.value * (1.1 if guardrail.op == "<" else 0.9)
        if not beyond(guardrail, candidate.value, worse):
            return None
    return Aborted(f"guardrail {guardrail.name}", f"{candidate.value:.4g}", f"{guardrail.op} {limit:.4g}")


def limit_of(guardrail: Guardrail, original: float | None) -> float | None:
    """The absolute limit; None for a relative one while the original level is unknown."""
    if not guardrail.relative:
        return guardrail.limit
    return None if original is None else guardrail.limit * original


def beyond(guardrail: Guardrail, value: float, limit: float) -> bool:
    return value >= limit if guardrail.op == "<" else value <= limit


def all_missing(pairs: Sequence[Pair]) -> bool:
    """Two pairs in a row without any number: nobody can see what this trial does."""
    return len(pairs) >= 2 and all(
        isinstance(window.objective, Missing) for pair in pairs[-2:] for window in (pair.candidate, pair.control)
    )


def _percent(d: float) -> str:
    return f"{100 * math.expm1(d):.1f} %"
