"""The charts of one series of pairs: the pairs, the evidence and the interval as they grew. They share their horizontal
axis, so that they can be read below each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from adapters.report.drawing import LEFT, RIGHT, WIDTH, Effects, Percent, across, element, line, nice, svg, text
from domain.events import Interval
from domain.evidence import Pair

FEWEST = 6  # pairs that a chart has room for at least
NARROW = 24  # pixels of a pair below which not each of them is numbered


@dataclass(frozen=True, slots=True)
class Step:
    """What was known after `count` pairs. `against`: what is known speaks against the candidate."""

    count: int
    effect: float | None
    interval: Interval
    log_e: float = 0.0
    against: bool = False

    @property
    def open(self) -> bool:
        return self.interval == (None, None)


def pairs(measured: Sequence[Pair], effect: float | None, margin: float, what: str, scale: Percent) -> Markup:
    """Each pair's difference in order: a disc where the candidate was measured on the first side (the arm whose name
    sorts first; on one arm: first in turn), a square on the other. The line is the estimate from all of them, the
    dashed one lies at `margin`."""
    top, bottom, height = 14, 170, 206
    seen = [margin, *(pair.d for pair in measured if pair.d is not None)]
    axis = Effects(min([-0.1, *seen]) - 0.03, max([0.05, *seen]) + 0.03, top, bottom, scale)
    slot = _slot(len(measured))
    size = min(4.5, max(1.5, slot * 0.35))
    parts = [*axis.grid(), across(axis.y(margin), "margin")]
    if effect is not None:
        parts.append(across(axis.y(effect), "mean"))
    for number, pair in enumerate(measured, start=1):
        x = _x(number, slot)
        if pair.d is None:
            parts.append(element("path", d=f"M{x - 3:.1f} {bottom - 9} l6 6 m0 -6 l-6 6", class_="gap"))
        elif pair.side > 0:
            parts.append(element("circle", cx=x, cy=axis.y(pair.d), r=size, class_="point"))
        else:
            at = axis.y(pair.d)
            parts.append(
                element("rect", x=x - size, y=at - size, width=2 * size, height=2 * size, class_="point swapped")
            )
    parts += _counts(len(measured), slot, bottom)
    parts.append(text(WIDTH - RIGHT, height - 4, "pair", "tick", "end"))
    parts.append(text(LEFT, height - 4, f"one pair: {what}, {axis.better}", "tick"))
    return svg(height, parts, "the pairs, one by one")


def band(path: Sequence[Step], margin: float, scale: Percent) -> Markup:
    """Estimate and confidence sequence after each pair. While the interval is open, its column is filled from edge to
    edge; a bound beyond the edge is cut off there."""
    top, bottom, height = 14, 190, 226
    effects = [step.effect for step in path if step.effect is not None]
    closed = [step for step in path if not step.open]
    ends = [bound for bound in (closed[-1].interval if closed else ()) if bound is not None]
    known = [*effects, *ends, margin]
    least, most = min([-0.02, *known]), max([0.02, *known])
    room = 0.35 * (most - least)
    axis = Effects(least - room, most + room, top, bottom, scale)
    slot = _slot(path[-1].count if path else 0)
    parts = []
    for is_open, group in groupby(path, key=lambda step: step.open):
        steps = list(group)
        parts += _open(steps, slot, axis) if is_open else [_closed(steps, slot, axis)]
    parts += [*axis.grid(), across(axis.y(margin), "margin")]
    drawn = [(step, step.effect) for step in path if step.effect is not None]
    course = " ".join(
        f"{'L' if n else 'M'}{_x(step.count, slot):.1f} {axis.y(effect):.1f}" for n, (step, effect) in enumerate(drawn)
    )
    if course:
        parts.append(element("path", d=course, class_="evidence"))
    size = min(3.5, max(1.0, slot * 0.3))
    parts += [
        element(
            "circle",
            cx=_x(step.count, slot),
            cy=axis.y(effect),
            r=size,
            class_="point early" if step.open else "point",
        )
        for step, effect in drawn
    ]
    parts += _counts(path[-1].count if path else 0, slot, bottom)
    parts.append(text(WIDTH - RIGHT, height - 4, "pairs so far", "tick", "end"))
    parts.append(text(LEFT, height - 4, f"effect so far, {axis.better}", "tick"))
    return svg(height, parts, "estimate and interval over pairs")


def evidence(path: Sequence[Step], need: float, least: int) -> Markup:
    """E-value after each pair on a log scale, with the threshold (log) of this gate. Hollow before the `least` pairs
    that a Keep needs."""
    top, bottom, height = 14, 130, 166
    tens = math.log(10)
    known = [step.log_e / tens for step in path]
    low, high = max(-3.0, min([-1.0, *known])), max([need / tens + 0.5, *known])
    slot = _slot(path[-1].count)

    def y(log_e: float) -> float:
        return bottom - (max(log_e / tens, low) - low) / (high - low) * (bottom - top)

    parts: list[Markup] = []
    for exponent in nice(math.ceil(low), math.floor(high), 4):
        if exponent == int(exponent):
            parts.append(across(y(exponent * tens), "grid"))
            words = f"{10**exponent:g}" if abs(exponent) < 5 else f"10^{exponent:g}"
            parts.append(text(LEFT - 8, y(exponent * tens) + 4, words, "tick", "end"))
    parts.append(across(y(need), "threshold"))
    parts.append(text(LEFT + 6, y(need) - 6, f"needed: {math.exp(need):.1f}", "tick strong"))
    course = " ".join(
        f"{'L' if n else 'M'}{_x(step.count, slot):.1f} {y(step.log_e):.1f}" for n, step in enumerate(path)
    )
    parts.append(element("path", d=course, class_="evidence"))
    for step in path:
        kind = "against" if step.against else "for"
        early = "" if step.count >= least else " early"
        x, size = _x(step.count, slot), min(4.0, max(1.5, slot * 0.35))
        parts.append(element("circle", cx=x, cy=y(step.log_e), r=size, class_=f"point {kind}{early}"))
    parts += _counts(path[-1].count, slot, bottom)
    parts.append(text(WIDTH - RIGHT, height - 4, "pairs so far", "tick", "end"))
    parts.append(text(LEFT, height - 4, "e-value, log scale", "tick"))
    return svg(height, parts, "e-value over pairs")


def _slot(count: int) -> float:
    return (WIDTH - LEFT - RIGHT) / max(count, FEWEST)


def _x(number: int, slot: float) -> float:
    return LEFT + (number - 0.5) * slot


def _counts(count: int, slot: float, bottom: float) -> list[Markup]:
    """The horizontal axis with its numbers."""
    every = 1 if slot >= NARROW else next((n for n in (2, 5, 10, 20, 50) if n * slot >= NARROW), 100)
    numbers = [number for number in range(1, count + 1) if number % every == 0]
    labels = [text(_x(number, slot), bottom + 17, str(number), "tick", "middle") for number in numbers]
    return [across(bottom, "axis"), *labels]


def _open(steps: Sequence[Step], slot: float, axis: Effects) -> list[Markup]:
    left, width = _x(steps[0].count, slot) - slot / 2, slot * len(steps)
    parts = [
        element("rect", x=left, y=axis.top, width=float(width), height=axis.bottom - axis.top, class_="unbounded"),
        *(
            line(_x(step.count, slot), axis.top, _x(step.count, slot), axis.bottom, "bar open")
            for step in steps
        ),
    ]  # fmt: skip
    words = "interval still open" if width > 120 else "open" if width > 32 else ""
    if words:
        parts.append(text(left + width / 2, axis.bottom - 6, words, "tick", "middle"))
    return parts


def _closed(steps: Sequence[Step], slot: float, axis: Effects) -> Markup:
    """The band; a bound that is open on one side only lies at the edge."""
    lower = [(_x(s.count, slot), axis.y(axis.low if s.interval[0] is None else s.interval[0])) for s in steps]
    upper = [(_x(s.count, slot), axis.y(axis.high if s.interval[1] is None else s.interval[1])) for s in steps]
    if len(steps) == 1:
        # A band of one pair would have no width.
        half = slot * 0.2
        lower, upper = (
            [(lower[0][0] - half, lower[0][1]), (lower[0][0] + half, lower[0][1])],
            [
                (upper[0][0] - half, upper[0][1]),
                (upper[0][0] + half, upper[0][1]),
            ],
        )
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*upper, *reversed(lower)])
    return element("polygon", points=points, class_="band")
