"""Abort rules: when a trial is stopped at once because of what its users already feel, and when it is not worth going
on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median, median_low

from domain.events import Aborted
from domain.evidence import Missing, Pair, Reading, Seen, differences
from domain.robust import winsorised
from domain.screening import noise
from domain.state import Run
from domain.target import Guardrail

WORSE = 0.08  # soft rule: mean(d) beyond this even at its optimistic end
TRIPLE, SIXFOLD = math.log(3.0), math.log(6.0)
HALF_AGAIN = math.log(1.5)
CAUTION = 1.5  # standard errors that a soft rule gives away
MOST_S0 = 0.2
BOTH = math.log(1.1)  # what is far slower in two windows must show in each of them: a burst is in one,
HEADROOM = math.log(1.2)  # ... the more so for a candidate that was measured before


def stopped(run: Run, pairs: Sequence[Pair], *, known: bool = False) -> Aborted | None:
    """`check` by what this run knows of its target. A burst that lies across two windows is in both; where harm that
    lasts shows in the three glances of one window, that need not end what is known."""
    profile = run.profile
    return check(
        pairs,
        run.target.guardrails,
        run.levels,
        noise(run),
        run.bias,
        glances=profile.glance > 0,
        known=known,
        row=3 if known and 0 < 3 * profile.glance <= profile.window else 2,
    )


def check(
    pairs: Sequence[Pair],
    guardrails: Sequence[Guardrail],
    levels: Mapping[str, float],
    s0: float,
    bias: float = 0.0,
    *,
    glances: bool = False,
    known: bool = False,
    row: int = 2,
) -> Aborted | None:
    """The first abort rule that the pairs of one trial break, or None. `levels` are the guardrails' values under the
    original settings, `s0` the sd of a pair's d, `bias` what the first arm shows above the second under equal settings.
    With `glances` into each window, one whole window needs to be worse to count alone: harm that lasts was seen before
    its end. The first window of a candidate that is `known` from earlier ones decides nothing by a little. `row`
    windows in a row have to be far slower. More harm never turns an abort into none."""
    if not pairs:
        return None
    broken = _broken(pairs[-1], guardrails, levels)
    if broken is not None:
        return broken
    if len(pairs) >= 2 and pairs[-1].harmful_gap and pairs[-2].harmful_gap:
        return Aborted("candidate without data", "2 windows in a row missing on the candidate only", "1")
    return _latency(differences(pairs, bias), s0, SIXFOLD if glances else TRIPLE, row, known)


def glance(
    slices: Sequence[Pair],
    guardrails: Sequence[Guardrail],
    levels: Mapping[str, float],
    s0: float,
    headroom: float,
    bias: float = 0.0,
    *,
    known: bool = False,
) -> Aborted | None:
    """What the slices of an unfinished window say, oldest first; `s0` is the sd of a slice's d: a broken guardrail, or
    slices in a row that are beyond the headroom. A candidate that is `known` from whole windows gets three slices, a
    new one two if they are far beyond."""
    if not slices:
        return None
    broken = _broken(slices[-1], guardrails, levels)
    if broken is not None:
        return broken
    ds = differences(slices, bias)
    # A burst may lie across two slices, but not across three.
    for count, least in ((3, headroom),) if known else ((2, headroom + s0 / 2), (3, headroom)):
        latest = ds[-count:]
        if len(latest) == count and min(latest) > least:
            seen, limit = f"{_percent(fmean(latest))} slower", f"{_percent(least)} in {count} slices in a row"
            return Aborted("beyond the headroom", seen, limit)
    if len(ds) >= 3 and not known:
        # The median of three is what a burst in one of them leaves alone; its error is 1.25 times that of the mean.
        middle, doubt = median(ds[-3:]), 1.25 * CAUTION * s0 / math.sqrt(3)
        if middle - doubt > WORSE:
            seen, limit = f"{_percent(middle)} slower", f"{_percent(WORSE)} beyond noise in 3 slices"
            return Aborted("clearly slower at a glance", seen, limit, beyond=middle > headroom)
    return None


def futile(ds: Sequence[float], s0: float, expected: float | None, doubt: float | None, worth: float) -> bool:
    """The chance that the true effect is below -`worth` has fallen under 5 %, by what the strategy expected (mean and
    sd against the incumbent; None: nothing) and by the pairs so far."""
    if not ds or expected is None or doubt is None:
        return False
    prior, data = 1 / max(doubt, 1e-6) ** 2, len(ds) / max(s0, 1e-6) ** 2
    mean = (prior * expected + data * fmean(ds)) / (prior + data)
    return (mean + worth) * math.sqrt(prior + data) > 1.645


def _broken(last: Pair, guardrails: Sequence[Guardrail], levels: Mapping[str, float]) -> Aborted | None:
    for guardrail in guardrails:
        aborted = breach(
            guardrail,
            last.candidate.guards.get(guardrail.name),
            last.control.guards.get(guardrail.name),
            levels.get(guardrail.name),
        )
        if aborted is not None:
            return aborted
    return None


def _latency(ds: Sequence[float], s0: float, once: float, row: int, known: bool) -> Aborted | None:
    if ds and ds[-1] > once:
        times = f"{math.exp(once):.0f} times"
        return Aborted(f"more than {times} the control", f"{math.exp(ds[-1]):.2f} times", f"{times} in one window")
    if len(ds) == 1 and not known and ds[0] - CAUTION * s0 > WORSE:
        seen = f"{_percent(ds[0])} slower"
        return Aborted("clearly slower at once", seen, f"{_percent(WORSE)} beyond noise", beyond=False)
    if len(ds) < 2:
        return None
    # Noise lets the rule strike earlier, to find twice as slow within two windows; beyond an sd of 0.2 it would strike
    # at candidates that are no slower at all.
    latest, limit = ds[-row:], HALF_AGAIN - CAUTION * min(s0, MOST_S0) / math.sqrt(row)
    if len(latest) == row and fmean(latest) > limit and min(latest) > (HEADROOM if known else BOTH):
        seen = f"{_percent(fmean(latest))} slower"
        return Aborted(f"far slower in {row} windows in a row", seen, f"{_percent(limit)} over {row} windows")
    slower = fmean(winsorised(ds))
    if median_low(ds) > WORSE / 2 and slower - CAUTION * s0 / math.sqrt(len(ds)) > WORSE:
        seen = f"{_percent(slower)} slower over {len(ds)} pairs"
        return Aborted("clearly slower", seen, f"{_percent(WORSE)} beyond noise", beyond=False)
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
