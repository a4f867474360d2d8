"""What a gate, the watch and the hold-back measured: words, numbers and charts of one series of pairs each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from adapters.report import pair_charts, words
from adapters.report.drawing import Percent
from adapters.report.pair_charts import Step
from domain import keeping
from domain.block import Block, Gate
from domain.estimate import interval, of_pairs
from domain.evidence import Pair
from domain.gate import least_pairs
from domain.state import Run
from domain.summary import interval_text, percent_text

LEAN = 0.005  # log: a difference between the arms that is worth a sentence


@dataclass(frozen=True, slots=True)
class Series:
    """One section with its charts. `sides` names the two ways round that a pair can be measured. `margin` names the
    dashed line. `evidence_chart` is there for gates only."""

    title: str
    verdict: str
    text: str
    sides: tuple[str, str]
    gaps: bool
    margin: str
    pairs_chart: Markup
    band_chart: Markup
    band_text: str
    evidence_chart: Markup | None = None
    evidence_text: str = ""


def gates(run: Run, scale: Percent) -> list[Series]:
    return [_gate(gate, run, scale) for gate in run.gates]


def _gate(gate: Gate, run: Run, scale: Percent) -> Series:
    opened, judged, pairs = gate.opened, gate.judged, gate.block.pairs()
    need, path = 1 / (2 * opened.alpha), gate_path(gate, run)
    last = path[-1] if path else Step(0, None, (None, None))
    effect = judged.effect if judged is not None else last.effect
    bounds = judged.interval if judged is not None else last.interval
    why = words.sentence(judged.why) if judged is not None else "Still measuring"
    number = f"e-value {e_value(judged.log_e if judged is not None else last.log_e)} of {need:.1f} needed"
    counts = f"{_many(pairs)}, effect {percent_text(effect, minimise=scale.minimise)} ({_spread(bounds, scale)})"
    margin = f"margin that must be beaten, {scale.text(-run.mei / 3)}"
    proof = "" if "e-value" in why else f"; {number}"
    return Series(
        title=f"Gate {opened.gate}: trial {opened.trial}",
        verdict=judged.verdict if judged is not None else "open",
        text=f"{why}. {words.sentence(counts)}{proof}; level {opened.alpha:.4f}.{_lean(pairs, run)}",
        sides=sides(run, "candidate", "control"),
        gaps=any(pair.d is None for pair in pairs),
        margin=margin,
        pairs_chart=pair_charts.pairs(pairs, effect, -run.mei / 3, "candidate against control", scale),
        band_chart=pair_charts.band(path, -run.mei / 3, scale),
        band_text=(
            f"Where the true effect lies with {100 * (1 - run.profile.alpha):.0f} % confidence, however often one "
            "looks. The first pairs cannot bound it at all, so the interval is open there."
        ),
        evidence_chart=pair_charts.evidence(path, math.log(need), _least(run)) if path else None,
        evidence_text=(
            "How many times better the pairs are explained by another effect than by one at the margin. It may be "
            f"looked at after every pair. To keep something, at least {_least(run)} pairs are needed."
        ),
    )


def gate_path(gate: Gate, run: Run) -> list[Step]:
    """What the gate's own rule knew after each pair."""
    pairs = gate.block.pairs()
    steps = []
    for count in range(1, len(pairs) + 1):
        ruling = keeping.ruling_of(run, gate, count)
        against = ruling.effect is not None and ruling.effect >= -run.mei / 3
        steps.append(Step(count, ruling.effect, ruling.interval, ruling.log_e, against))
    return steps


def watch(run: Run, scale: Percent) -> Series | None:
    """The watch; None before its first pair."""
    block, seen = run.watching, run.watched
    if block is None or not block.pairs():
        return None
    now = of_pairs(block.pairs())
    effect, bounds = (now.mean if now else None), interval(now, run.profile.alpha)
    shown = f"effect {percent_text(effect, minimise=scale.minimise)} ({_spread(bounds, scale)})"
    if seen is None:
        verdict, why = "open", " Still measuring."
    elif seen.harmful:
        verdict, why = "harmful", f" {words.sentence(seen.why)}."
    elif seen.confirmed:
        verdict, why = "confirmed", ""
    else:
        verdict, why = "not confirmed", " That does not confirm the gate."
    least = run.profile.confirm * run.mei
    earlier = len(keeping.seen_before(run))
    text = (
        f"Original against kept settings, measured again after the decision: {_many(block.pairs())}, "
        f"{shown}.{why} Rare harm was looked for in these and in the {earlier} pairs before.{_lean(block.pairs(), run)}"
    )
    margin = f"least gain that confirms, {scale.text(-least)}"
    return _series("The watch", verdict, text, block, margin, -least, run, scale)


def hold_back(run: Run, scale: Percent) -> Series | None:
    """The hold-back; None where there is none, or before its first pair."""
    block = run.holding
    if block is None or not block.pairs():
        return None
    held = run.held[-1] if run.held else None
    if held is None:
        verdict, why = "open", "Still measuring now and then"
    else:
        agrees = not held.harmful and held.interval[1] is not None and held.interval[1] < 0
        verdict = "harmful" if held.harmful else "confirmed" if agrees else "not confirmed"
        why = words.sentence(held.why)
    text = (
        f"For {words.duration(run.profile.hold_back)} after the watch one arm carried the original settings now and "
        f"then, to see whether the gain lasts: {_many(block.pairs())}. {why}."
    )
    return _series("The hold-back", verdict, text, block, "no difference", 0.0, run, scale)


def _series(
    title: str, verdict: str, text: str, block: Block, margin: str, least: float, run: Run, scale: Percent
) -> Series:
    pairs = block.pairs()
    seen = of_pairs(pairs)
    path = [
        Step(count, each.mean if each else None, interval(each, run.profile.alpha))
        for count in range(1, len(pairs) + 1)
        for each in [of_pairs(pairs[:count])]
    ]
    return Series(
        title=title,
        verdict=verdict,
        text=text,
        sides=sides(run, "kept settings", "original"),
        gaps=any(pair.d is None for pair in pairs),
        margin=margin,
        pairs_chart=pair_charts.pairs(pairs, seen.mean if seen else None, least, "kept against original", scale),
        band_chart=pair_charts.band(path, least, scale),
        band_text=f"Where the true effect lies with {100 * (1 - run.profile.alpha):.0f} % confidence, after each pair.",
    )


def sides(run: Run, ours: str, theirs: str) -> tuple[str, str]:
    """The two ways round a pair is measured: disc and square."""
    labels = [arm.label for arm in run.target.arms]
    if run.target.design == "interleave" or len(labels) < 2:
        return f"{ours} first, {theirs} second", f"{theirs} first, {ours} second"
    first, second = sorted(labels[:2])
    return f"{ours} on arm {first}", f"{ours} on arm {second}"


def e_value(log_e: float) -> str:
    return f"{math.exp(log_e):.1f}" if log_e < math.log(1e4) else f"10^{log_e / math.log(10):.1f}"


def _least(run: Run) -> int:
    uneasy = run.calibrated.uneasy if run.calibrated is not None else True
    return least_pairs(uneasy, run.profile)


def _many(pairs: Sequence[Pair]) -> str:
    missing = sum(pair.d is None for pair in pairs)
    noun = "pair" if len(pairs) == 1 else "pairs"
    return f"{len(pairs)} fresh {noun}" + (f", {missing} of them without data" if missing else "")


def _spread(bounds: tuple[float | None, float | None], scale: Percent) -> str:
    return interval_text(bounds, minimise=scale.minimise)


def _lean(pairs: Sequence[Pair], run: Run) -> str:
    """The arms' own difference, where it is large enough to explain why discs and squares lie apart."""
    seen = of_pairs(pairs)
    if seen is None or abs(seen.bias) < max(LEAN, 2 * seen.error):
        return ""
    if run.target.design == "interleave":
        what = "What was measured first in a pair"
    else:
        what = f"Arm {min(arm.label for arm in run.target.arms[:2])}"
    than = "worse" if seen.bias > 0 else "better"
    return f" {what} is {100 * math.expm1(abs(seen.bias)):.1f} % {than} by itself; the estimate takes that out."
