"""Charts of the report as inline SVG: plain shapes with classes, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from domain.events import Interval
from domain.evidence import Pair
from domain.summary import percent

if TYPE_CHECKING:
    from adapters.report.story import TrialRow

WIDTH = 920
LEFT, RIGHT = 64, 16
WORST = math.log(1.6)  # what is worse than 60 % above the original is drawn at the edge
SIGMAS = 1.96  # half width of a trial's bar in sd


@dataclass(frozen=True, slots=True)
class Percent:
    """Log differences to percent of the objective, in its own direction."""

    minimise: bool = True

    def __call__(self, effect: float) -> float:
        return percent(effect, minimise=self.minimise)

    def text(self, effect: float) -> str:
        return f"{self(effect):+.1f} %".replace("-", "−")


@dataclass(frozen=True, slots=True)
class Shade:
    """A span of the timeline with a name; `kind` is gate, watch or bad."""

    start: float
    end: float
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """One row of the forest plot."""

    name: str
    note: str
    effect: float
    interval: Interval


def element(name: str, content: str | Markup = "", **attributes: Any) -> Markup:
    """One SVG element; content and attributes are escaped. `class_` and `text_anchor` become `class`, `text-anchor`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(f"{value:.1f}" if isinstance(value, float) else value)}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{given}>{escape(content)}</{name}>")


def _svg(height: int, parts: Iterable[Markup], label: str) -> Markup:
    return element(
        "svg",
        Markup("").join(parts),
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_label=label,
        class_="chart",
    )


def _text(x: float, y: float, text: str, class_: str = "label", anchor: str = "start") -> Markup:
    return element("text", text, x=x, y=y, class_=class_, text_anchor=anchor)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def nice(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover low to high, about `count` of them."""
    raw = max(high - low, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1.0, 2.0, 2.5, 5.0, 10.0) if size * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _percent_axis(low: float, high: float, scale: Percent) -> list[tuple[float, str]]:
    """Ticks between two effects (log differences) at round percents: (effect, text)."""
    least, most = sorted((scale(low), scale(high)))
    sign = 1 if scale.minimise else -1
    return [
        (sign * math.log1p(tick / 100), f"{tick:+.0f} %".replace("-", "−") if tick else "0 %")
        for tick in nice(least, most)
        if tick > -100
    ]


def timeline(
    start: float,
    end: float,
    trials: Sequence[TrialRow],
    steps: Sequence[tuple[float, float]],
    shades: Sequence[Shade],
    scale: Percent,
) -> Markup:
    """Effect of each trial against the original over the time of the run; better is further down."""
    top, bottom, height = 30, 250, 296
    spans = [
        edge
        for row in trials
        if row.effect is not None
        for edge in (row.effect - SIGMAS * (row.sd or 0), row.effect + SIGMAS * (row.sd or 0))
    ]
    low = min([-0.1, *spans, *(effect for _, effect in steps)]) - 0.04
    high = min(WORST, max([0.1, *spans]) + 0.04)
    length = max(end - start, 1.0)

    def x(time: float) -> float:
        return LEFT + (time - start) / length * (WIDTH - LEFT - RIGHT)

    def y(effect: float) -> float:
        return bottom - (min(max(effect, low), high) - low) / (high - low) * (bottom - top)

    if scale.minimise:
        better, flip = "better ↓", y
    else:
        # The inverse was measured; drawn upside down, up is more of what the user wants.
        better, flip = "better ↑", lambda effect: top + bottom - y(effect)
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
    parts += [_shade_name(shade, x(shade.start), x(shade.end), top - 8) for shade in shades]
    for effect, text in _percent_axis(low, high, scale):
        parts.append(_line(LEFT, flip(effect), WIDTH - RIGHT, flip(effect), "grid zero" if effect == 0 else "grid"))
        parts.append(_text(LEFT - 8, flip(effect) + 4, text, "tick", "end"))
    parts.append(_text(WIDTH - RIGHT - 4, flip(0) - 6, "original settings", "tick", "end"))
    unit, name = (60.0, "min") if length >= 180 else (1.0, "s")
    for tick in nice(0, length / unit, 8):
        parts.append(_line(x(start + tick * unit), bottom, x(start + tick * unit), bottom + 5, "axis"))
        parts.append(_text(x(start + tick * unit), bottom + 19, f"{tick:g}", "tick", "middle"))
    parts.append(_line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis"))
    parts.append(_text(WIDTH - RIGHT, height - 4, f"{name} since the run opened", "tick", "end"))
    parts.append(_text(LEFT, height - 4, f"change of the objective, {better}", "tick"))
    parts.append(_steps([*steps, (end, steps[-1][1])], x, flip))
    for row in trials:
        parts += _trial(row, x((row.at + row.until) / 2), flip, bottom)
    return _svg(height, parts, "effect of each trial over time")


def _shade_name(shade: Shade, left: float, right: float, y: float) -> Markup:
    """Above its span; near the right edge the name ends with the span, so that it stays inside."""
    if left > WIDTH - 150:
        return _text(min(right, WIDTH - RIGHT), y, shade.name, "tick", "end")
    return _text(left, y, shade.name, "tick")


def _steps(steps: Sequence[tuple[float, float]], x: Any, y: Any) -> Markup:
    path = f"M{x(steps[0][0]):.1f} {y(steps[0][1]):.1f}"
    for time, effect in steps[1:]:
        path += f" H{x(time):.1f} V{y(effect):.1f}"
    return element("path", d=path, class_="incumbent")


def _trial(row: TrialRow, x: float, y: Any, bottom: int) -> list[Markup]:
    if row.result == "refused" or row.effect is None:
        mark = _cross(x, bottom - 10.0, "refused" if row.result == "refused" else "aborted")
        return [mark, _text(x, bottom - 22.0, str(row.number), "number", "middle")]
    middle, half = y(row.effect), SIGMAS * (row.sd or 0.0)
    ends = sorted((y(row.effect - half), y(row.effect + half)))
    parts = [_line(x, ends[0], x, ends[1], "bar")]
    parts += [_line(x - 4, end, x + 4, end, "bar") for end in ends]
    if row.result == "aborted":
        parts = [_cross(x, middle, "aborted")]
    else:
        parts.append(element("circle", cx=x, cy=middle, r=5, class_="point"))
    parts.append(_text(x + 9, middle + 4, str(row.number), "number"))
    return parts


def _cross(x: float, y: float, class_: str) -> Markup:
    if class_ == "refused":
        return element("circle", cx=x, cy=y, r=5, class_="refused")
    return element("path", d=f"M{x - 5:.1f} {y - 5:.1f} l10 10 m0 -10 l-10 10", class_=class_)


def pairs(measured: Sequence[Pair], margin: float, scale: Percent) -> Markup:
    """Each pair's difference in order; a disc when the first arm carried the candidate (on one arm: when it came
    first), a square when swapped. Two swapped pairs are one unit, drawn as a bar at their mean."""
    top, bottom, height = 14, 170, 206
    ds = [pair.d for pair in measured]
    seen = [d for d in ds if d is not None]
    low, high = min([-0.1, *seen]) - 0.03, max([0.05, *seen]) + 0.03
    slot = (WIDTH - LEFT - RIGHT) / max(len(ds), 6)
    first = min((pair.candidate.arm for pair in measured), default="")

    def y(effect: float) -> float:
        share = (effect - low) / (high - low)
        return bottom - share * (bottom - top) if scale.minimise else top + share * (bottom - top)

    parts: list[Markup] = []
    for effect, text in _percent_axis(low, high, scale):
        parts.append(_line(LEFT, y(effect), WIDTH - RIGHT, y(effect), "grid zero" if effect == 0 else "grid"))
        parts.append(_text(LEFT - 8, y(effect) + 4, text, "tick", "end"))
    parts.append(_line(LEFT, y(-margin), WIDTH - RIGHT, y(-margin), "margin"))
    for index, (pair, d) in enumerate(zip(measured, ds, strict=True)):
        x = LEFT + (index + 0.5) * slot
        if index % 2 == 0:
            parts.append(_text(x + slot / 2, bottom + 17, f"{index // 2 + 1}", "tick", "middle"))
            later = ds[index + 1] if index + 1 < len(ds) else None
            if d is not None and later is not None:
                mean = (d + later) / 2
                parts.append(_line(x - slot * 0.2, y(mean), x + slot * 1.2, y(mean), "unit"))
        if d is None:
            parts.append(_text(x, bottom - 6, "no data", "tick", "middle"))
        elif not _swapped(pair, first):
            parts.append(element("circle", cx=x, cy=y(d), r=4.5, class_="point"))
        else:
            parts.append(element("rect", x=x - 4, y=y(d) - 4, width=8, height=8, class_="point swapped"))
    parts.append(_line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis"))
    parts.append(_text(WIDTH - RIGHT, height - 4, "unit (two swapped pairs)", "tick", "end"))
    parts.append(_text(LEFT, height - 4, "candidate against control", "tick"))
    return _svg(height, parts, "pairs of the gate")


def _swapped(pair: Pair, first: str) -> bool:
    """A duet swaps arms; on one arm the order in time swaps."""
    if pair.candidate.arm == pair.control.arm:
        return pair.candidate.start > pair.control.start
    return pair.candidate.arm != first


def evidence(path: Sequence[tuple[int, float]], need: float, least: int) -> Markup:
    """E-value after each unit (pairs so far, log e) on a log scale, with the threshold of this gate."""
    top, bottom, height = 14, 130, 166
    tens = math.log(10)
    low = min(-1.0, *(log_e / tens for _, log_e in path)) if path else -1.0
    low, high = max(low, -3.0), max(need / tens + 0.5, *(log_e / tens for _, log_e in path))
    slot = (WIDTH - LEFT - RIGHT) / max(path[-1][0], 6)

    def x(count: int) -> float:
        return LEFT + (count - 1) * slot

    def y(log_e: float) -> float:
        return bottom - (max(log_e / tens, low) - low) / (high - low) * (bottom - top)

    parts: list[Markup] = []
    for exponent in nice(math.ceil(low), math.floor(high), 4):
        if exponent == int(exponent):
            at = y(exponent * tens)
            parts.append(_line(LEFT, at, WIDTH - RIGHT, at, "grid"))
            parts.append(_text(LEFT - 8, at + 4, f"{10**exponent:g}", "tick", "end"))
    parts.append(_line(LEFT, y(need), WIDTH - RIGHT, y(need), "threshold"))
    parts.append(_text(LEFT + 6, y(need) - 6, f"needed: {math.exp(need):.1f}", "tick strong"))
    line = " ".join(f"{'L' if n else 'M'}{x(count):.1f} {y(log_e):.1f}" for n, (count, log_e) in enumerate(path))
    parts.append(element("path", d=line, class_="evidence"))
    parts += [
        element("circle", cx=x(count), cy=y(log_e), r=4, class_="point" if count >= least else "point early")
        for count, log_e in path
    ]
    for count, _ in path:
        if slot > 14 or count % 4 == 0:
            parts.append(_text(x(count), bottom + 17, str(count), "tick", "middle"))
    parts.append(_line(LEFT, bottom, WIDTH - RIGHT, bottom, "axis"))
    parts.append(_text(WIDTH - RIGHT, height - 4, "pairs so far", "tick", "end"))
    parts.append(_text(LEFT, height - 4, "e-value, log scale", "tick"))
    return _svg(height, parts, "e-value over pairs")


def forest(rows: Sequence[Estimate], scale: Percent) -> Markup:
    """Estimates with their intervals; an open side is drawn as an arrow to the edge."""
    left, right, step = 190, 210, 34
    height = 30 + step * len(rows)
    bounds = [bound for row in rows for bound in row.interval if bound is not None] + [row.effect for row in rows]
    low, high = min([-0.05, *bounds]) - 0.03, max([0.05, *bounds]) + 0.03

    def x(effect: float) -> float:
        share = (effect - low) / (high - low)
        return left + (share if scale.minimise else 1 - share) * (WIDTH - left - right)

    parts: list[Markup] = []
    floor = step * len(rows) + 4
    for effect, text in _percent_axis(low, high, scale):
        parts.append(_line(x(effect), 4, x(effect), floor, "grid zero" if effect == 0 else "grid"))
        parts.append(_text(x(effect), floor + 18, text, "tick", "middle"))
    for index, row in enumerate(rows):
        y = 4 + step * (index + 0.5)
        ends = [
            low if row.interval[0] is None else row.interval[0],
            high if row.interval[1] is None else row.interval[1],
        ]
        parts.append(_text(0, y - 1, row.name, "label strong"))
        parts.append(_text(0, y + 13, row.note, "tick"))
        parts.append(_line(x(ends[0]), y, x(ends[1]), y, "bar wide"))
        for bound, at in zip(row.interval, ends, strict=True):
            if bound is not None:
                parts.append(_line(x(at), y - 6, x(at), y + 6, "bar wide"))
        parts.append(element("circle", cx=x(row.effect), cy=y, r=6, class_="point"))
        edges = sorted(scale.text(bound) for bound in row.interval if bound is not None)
        parts.append(_text(WIDTH, y - 1, scale.text(row.effect), "label strong", "end"))
        low_text, high_text = ("open" if bound is None else scale.text(bound) for bound in row.interval)
        spread = f"{low_text} to {high_text}" if scale.minimise else f"{high_text} to {low_text}"
        parts.append(_text(WIDTH, y + 13, spread if edges else "interval still open", "tick", "end"))
    return _svg(height, parts, "effects with their intervals")
