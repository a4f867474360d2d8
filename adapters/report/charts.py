"""The charts of a whole run: its trials over time, and its effects with their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from adapters.report.drawing import (
    LEFT,
    RIGHT,
    WIDTH,
    Effects,
    Percent,
    across,
    element,
    line,
    nice,
    percent_axis,
    svg,
    text,
)
from domain.events import Interval

if TYPE_CHECKING:
    from adapters.report.course import TrialRow

WORST = math.log(1.6)  # what is worse than 60 % above the original is drawn at the edge
SIGMAS = 1.96  # half width of a trial's bar in sd
LETTER = 6.3  # about the width of a letter of a name


@dataclass(frozen=True, slots=True)
class Shade:
    """A span of the timeline; `kind` is look, gate, promotion, watch or bad. Without a name the legend says it."""

    start: float
    end: float
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the forest plot."""

    name: str
    note: str
    effect: float
    interval: Interval


def timeline(
    start: float,
    end: float,
    trials: Sequence[TrialRow],
    steps: Sequence[tuple[float, float]],
    shades: Sequence[Shade],
    scale: Percent,
) -> Markup:
    """Effect of each trial against the original over the time of the run."""
    top, bottom, height = 34, 254, 300
    spans = [
        edge
        for row in trials
        if row.effect is not None
        for edge in (row.effect - SIGMAS * (row.sd or 0), row.effect + SIGMAS * (row.sd or 0))
    ]
    low = min([-0.1, *spans, *(effect for _, effect in steps)]) - 0.04
    axis = Effects(low, min(WORST, max([0.1, *spans]) + 0.04), top, bottom, scale)
    length = max(end - start, 1.0)

    def x(time: float) -> float:
        return LEFT + (time - start) / length * (WIDTH - LEFT - RIGHT)

    parts = [
        element(
            "rect",
            x=x(shade.start),
            y=top,
            width=max(2.0, x(shade.end) - x(shade.start)),
            height=bottom - top,
            class_=f"shade {shade.kind}",
        )
        for shade in shades
    ]
    parts += _names([shade for shade in shades if shade.name], x, top)
    parts += axis.grid()
    parts.append(text(WIDTH - RIGHT - 4, axis.y(0) - 6, "original settings", "tick", "end"))
    unit, name = (60.0, "min") if length >= 180 else (1.0, "s")
    for tick in nice(0, length / unit, 8):
        parts.append(line(x(start + tick * unit), bottom, x(start + tick * unit), bottom + 5, "axis"))
        parts.append(text(x(start + tick * unit), bottom + 19, f"{tick:g}", "tick", "middle"))
    parts.append(across(bottom, "axis"))
    parts.append(text(WIDTH - RIGHT, height - 4, f"{name} since the run opened", "tick", "end"))
    parts.append(text(LEFT, height - 4, f"change of the objective, {axis.better}", "tick"))
    parts.append(_steps([*steps, (end, steps[-1][1])], x, axis))
    for row in trials:
        parts += _trial(row, x((row.at + row.until) / 2), axis)
    return svg(height, parts, "effect of each trial over time")


def _names(shades: Sequence[Shade], x: Callable[[float], float], top: float) -> list[Markup]:
    """Above their spans, in two rows where they would meet; near the right edge a name ends with the span, so that it
    stays inside."""
    parts, until = [], [0.0, 0.0]
    for shade in sorted(shades, key=lambda each: each.start):
        width = LETTER * len(shade.name)
        left = min(x(shade.start), WIDTH - RIGHT - width)
        row = 0 if left > until[0] else 1
        until[row] = left + width + 8
        parts.append(text(left, top - 7 - 13 * row, shade.name, "tick"))
    return parts


def _steps(steps: Sequence[tuple[float, float]], x: Callable[[float], float], axis: Effects) -> Markup:
    path = f"M{x(steps[0][0]):.1f} {axis.y(steps[0][1]):.1f}"
    for time, effect in steps[1:]:
        path += f" H{x(time):.1f} V{axis.y(effect):.1f}"
    return element("path", d=path, class_="incumbent")


def _trial(row: TrialRow, x: float, axis: Effects) -> list[Markup]:
    if row.result == "refused" or row.effect is None:
        mark = _cross(x, axis.bottom - 10.0, "refused" if row.result == "refused" else "aborted")
        return [mark, text(x, axis.bottom - 22.0, str(row.number), "number", "middle")]
    middle, half = axis.y(row.effect), SIGMAS * (row.sd or 0.0)
    ends = sorted((axis.y(row.effect - half), axis.y(row.effect + half)))
    parts = [line(x, ends[0], x, ends[1], "bar")]
    parts += [line(x - 4, end, x + 4, end, "bar") for end in ends]
    if row.result == "aborted":
        parts = [_cross(x, middle, "aborted")]
    else:
        parts.append(element("circle", cx=x, cy=middle, r=5, class_="point"))
    parts.append(text(x + 9, middle + 4, str(row.number), "number"))
    return parts


def _cross(x: float, y: float, class_: str) -> Markup:
    if class_ == "refused":
        return element("circle", cx=x, cy=y, r=5, class_="refused")
    return element("path", d=f"M{x - 5:.1f} {y - 5:.1f} l10 10 m0 -10 l-10 10", class_=class_)


def forest(rows: Sequence[Row], scale: Percent) -> Markup:
    """Estimates with their intervals; an open side is a dashed line with an arrow to the edge."""
    left, right, step = 190, 210, 34
    height = 30 + step * len(rows)
    bounds = [bound for row in rows for bound in row.interval if bound is not None] + [row.effect for row in rows]
    low, high = min([-0.05, *bounds]) - 0.03, max([0.05, *bounds]) + 0.03

    def x(effect: float) -> float:
        share = (effect - low) / (high - low)
        return left + (share if scale.minimise else 1 - share) * (WIDTH - left - right)

    parts: list[Markup] = []
    floor = step * len(rows) + 4
    for effect, words in percent_axis(low, high, scale):
        parts.append(line(x(effect), 4, x(effect), floor, "grid zero" if abs(effect) < 1e-9 else "grid"))
        parts.append(text(x(effect), floor + 18, words, "tick", "middle"))
    for index, row in enumerate(rows):
        y = 4 + step * (index + 0.5)
        parts.append(text(0, y - 1, row.name, "label strong"))
        parts.append(text(0, y + 13, row.note, "tick"))
        for bound, edge in zip(row.interval, (low, high), strict=True):
            if bound is not None:
                parts.append(line(x(row.effect), y, x(bound), y, "bar wide"))
                parts.append(line(x(bound), y - 6, x(bound), y + 6, "bar wide"))
            else:
                back = 7 if x(edge) < x(row.effect) else -7
                parts.append(line(x(row.effect), y, x(edge), y, "bar wide open"))
                head = f"M{x(edge) + back:.1f} {y - 5:.1f} L{x(edge):.1f} {y:.1f} L{x(edge) + back:.1f} {y + 5:.1f}"
                parts.append(element("path", d=head, class_="bar wide head"))
        parts.append(element("circle", cx=x(row.effect), cy=y, r=6, class_="point"))
        parts.append(text(WIDTH, y - 1, scale.text(row.effect), "label strong", "end"))
        parts.append(text(WIDTH, y + 13, _spread(row.interval, scale), "tick", "end"))
    return svg(height, parts, "effects with their intervals")


def _spread(interval: Interval, scale: Percent) -> str:
    if interval == (None, None):
        return "interval still open"
    ends = ["open" if bound is None else scale.text(bound) for bound in interval]
    return " to ".join(ends if scale.minimise else ends[::-1])
