"""The picture of the report: one SVG, written by hand. It brings its own white background and needs no legend.

Three panels: how often something is kept that is no improvement, what is gained against what users suffer meanwhile,
and every live gate as a dot.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from bench.gate.words import short

WIDTH = 960
LEFT, RIGHT = 220.0, 730.0  # of the panels with an axis; names are to the left, values and labels to the right
BAR, GAP = 16.0, 27.0
INK, SOFT, GRID = "#1a1a1a", "#595959", "#d9d9d9"
OURS, OTHERS, BAD = "#0b5cad", "#8c8c8c", "#b3261e"
FONT = "font-family: system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif; font-size: 13px"
MOST_DOTS = 340.0  # pixels for the dots of a row
LETTER = 7.4  # pixels of a letter, rather too many


@dataclass(frozen=True, slots=True)
class Bar:
    """How many of these runs kept something that is no improvement, and the upper bound of the share."""

    name: str
    hits: int
    runs: int
    upper: float
    ours: bool


@dataclass(frozen=True, slots=True)
class Point:
    """A way to search and decide: share of unsafe windows, true gain in percent."""

    name: str
    unsafe: float
    gain: float
    ours: bool


@dataclass(frozen=True, slots=True)
class Dots:
    """The live gates of one kind."""

    name: str
    kept: int
    not_proven: int
    rolled_back: int
    other: int = 0
    wrong_to_keep: bool = False


def draw(bars: Sequence[Bar], points: Sequence[Point], dots: Sequence[Dots]) -> str:
    """The whole picture. A panel without data says so."""
    parts: list[str] = []
    y = 0.0
    for panel in (_bars(bars), _points(points), _dots(dots)):
        height, drawn = panel
        parts.append(_element("g", drawn, transform=f"translate(0 {y:.0f})"))
        y += height
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y:.0f}" viewBox="0 0 {WIDTH} {y:.0f}"'
    label = "False keeps of the product and of its rivals; true gain against unsafe windows; live gates"
    background = f'<rect width="{WIDTH}" height="{y:.0f}" fill="#ffffff"/>'
    return "\n".join(
        [f'{head} role="img" aria-label={quoteattr(label)} style="{FONT}">', background, *parts, "</svg>\n"]
    )


# --- the panels: their height, and what is in them -------------------------------------------------------------------


def _bars(bars: Sequence[Bar]) -> tuple[float, list[str]]:
    parts = _title("Keeps something that is no improvement", "share of runs where nothing better exists (suite null)")
    if not bars:
        return _nothing(parts)
    top, bottom = 66.0, 66.0 + GAP * len(bars)

    def x(share: float) -> float:
        return LEFT + math.sqrt(min(1.0, share)) * (RIGHT - LEFT)

    for tick in (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0):
        parts.append(_line(x(tick), top - 6, x(tick), bottom, INK if tick == 0 else GRID))
        parts.append(_text(x(tick), bottom + 16, f"{100 * tick:.0f} %", SOFT, "middle"))
    for number, bar in enumerate(bars):
        y, share = top + GAP * number, bar.hits / bar.runs
        colour = OURS if bar.ours else OTHERS
        middle = y + BAR / 2
        parts.append(_text(LEFT - 10, middle + 4.5, bar.name, colour if bar.ours else INK, "end", bold=bar.ours))
        parts.append(_element("rect", x=LEFT, y=y, width=x(share) - LEFT, height=BAR, fill=colour))
        parts += [
            _line(x(share), middle, x(bar.upper), middle, INK, 1.5),
            _line(x(bar.upper), middle - 4, x(bar.upper), middle + 4, INK, 1.5),
        ]
        told = f"{bar.hits} of {bar.runs}; at most {short(bar.upper)}"
        parts.append(_text(RIGHT + 14, middle + 4.5, told, colour if bar.ours else INK, bold=bar.ours))
    note = "Square-root scale, so that small shares stay visible. Whiskers: one-sided exact upper 95 % bound."
    parts.append(_text(LEFT, bottom + 35, note, SOFT))
    return bottom + 62, parts


def _points(points: Sequence[Point]) -> tuple[float, list[str]]:
    parts = _title("What is gained, and what users suffer meanwhile", "means over the services of suite cliff")
    if not points:
        return _nothing(parts)
    top, bottom, left = 86.0, 316.0, 80.0
    high = _above(max(1.0, *(point.gain * 1.08 for point in points)))
    low = min(0.0, -_above(-min(point.gain for point in points)))
    wide = _above(max(1.0, *(point.unsafe * 108 for point in points))) / 100

    def x(unsafe: float) -> float:
        return left + unsafe / wide * (RIGHT - left)

    def y(gain: float) -> float:
        return bottom - (gain - low) / (high - low) * (bottom - top)

    for gain in _ticks(low, high):
        parts.append(_line(left, y(gain), RIGHT, y(gain), INK if gain == 0 else GRID))
        parts.append(_text(left - 8, y(gain) + 4.5, _tick(gain), SOFT, "end"))
    for unsafe in _ticks(0.0, wide * 100):
        parts.append(_text(x(unsafe / 100), bottom + 18, _tick(unsafe), SOFT, "middle"))
    parts.append(_text(left, top - 8, "true gain of what was kept (nothing kept: 0 %)", SOFT))
    parts.append(_text(RIGHT, bottom + 36, "windows with an arm beyond the guardrail, while searching", SOFT, "end"))
    beside = [point for point in points if not point.ours]
    places = [(x(point.unsafe), y(point.gain)) for point in beside]
    for point, at in zip(beside, _labels(places, RIGHT + 10, 18.0, top, bottom), strict=True):
        parts.append(_line(x(point.unsafe) + 6, y(point.gain), RIGHT + 10, at, OTHERS, 0.8))
        parts.append(_circle(x(point.unsafe), y(point.gain), 5.0, OTHERS))
        parts.append(_text(RIGHT + 14, at + 4.5, f"{point.name}: {point.gain:.1f} %, {short(point.unsafe)}", INK))
    for point in (point for point in points if point.ours):
        parts.append(_circle(x(point.unsafe), y(point.gain), 7.0, OURS))
        # Above its point: rivals of about the same gain lie on the same height.
        told = f"{point.name}: gains {point.gain:.1f} %, {short(point.unsafe)} of windows unsafe"
        parts.append(_text(x(point.unsafe) + 13, y(point.gain) - 11, told, OURS, bold=True, halo=True))
    return bottom + 66, parts


def _dots(rows: Sequence[Dots]) -> tuple[float, list[str]]:
    parts = _title("Gates on a real nginx, under bursts of load", "one mark for each gate")
    if not rows:
        return _nothing(parts)
    top, most = 70.0, max(row.kept + row.not_proven + row.rolled_back + row.other for row in rows)
    step = min(12.0, MOST_DOTS / max(1, most))
    radius = step * 0.38
    for number, row in enumerate(rows):
        x, y = LEFT, top + GAP * number
        parts.append(_text(LEFT - 14, y + 4.5, row.name, INK, "end"))
        groups = (
            (row.kept, "kept", BAD if row.wrong_to_keep else OURS),
            (row.not_proven, "not proven", SOFT),
            (row.rolled_back, "rolled back", SOFT),
            (row.other, "other", INK),
        )
        for count, name, colour in groups:
            for _ in range(count):
                parts.append(_mark(name, x + radius, y, radius, colour))
                x += step
            if count:
                parts.append(_text(x + 4, y + 4.5, f"{count} {name}", colour))
                x += 14 + LETTER * len(f"{count} {name}")
    return top + GAP * len(rows) + 12, parts


def _mark(name: str, x: float, y: float, radius: float, colour: str) -> str:
    if name == "kept":
        return _circle(x, y, radius, colour)
    if name == "not proven":
        return _element("circle", cx=x, cy=y, r=radius - 0.6, fill="none", stroke=colour, stroke_width=1.2)
    reach = radius * 0.9
    cross = f"M{x - reach:.1f} {y - reach:.1f}L{x + reach:.1f} {y + reach:.1f}"
    cross += f"M{x - reach:.1f} {y + reach:.1f}L{x + reach:.1f} {y - reach:.1f}"
    return _element("path", d=cross, stroke=colour, stroke_width=1.8, fill="none")


# --- scales ----------------------------------------------------------------------------------------------------------


def _step(high: float) -> float:
    power = 10.0 ** math.floor(math.log10(high / 4)) if high > 0 else 1.0
    return next(size * power for size in (1.0, 2.0, 2.5, 5.0, 10.0) if size * power >= high / 4 * 0.999)


def _above(value: float) -> float:
    """A round number at or above `value`; 0 for what is not positive."""
    if value <= 0:
        return 0.0
    step = _step(value)
    return step * math.ceil(value / step - 1e-9)


def _ticks(low: float, high: float) -> list[float]:
    step = _step(high - low)
    return [step * n for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _tick(percent: float) -> str:
    return f"{percent:g} %".replace("-", "−")


def _labels(points: Sequence[tuple[float, float]], x: float, apart: float, top: float, bottom: float) -> list[float]:
    """Heights of labels in a column at `x`, one for each point: between top and bottom if there is room, with lines to
    the points that cross each other and run through other points as little as can be, and are short."""
    order = sorted(range(len(points)), key=lambda i: points[i][1])
    slots = _spread([points[i][1] for i in order], apart, top, bottom)

    def cost(orders: Sequence[int]) -> tuple[int, float]:
        lines = [(*points[i], slot) for i, slot in zip(orders, slots, strict=True)]
        crossings = sum(_cross(a, b, x) for a, b in itertools.combinations(lines, 2))
        through = sum(_through(a, b, x) for a, b in itertools.permutations(lines, 2))
        return crossings + through, sum(abs(y - slot) for _, y, slot in lines)

    best = min(itertools.permutations(order), key=cost) if len(order) <= 6 else order
    heights = dict(zip(best, slots, strict=True))
    return [heights[i] for i in range(len(points))]


def _cross(first: tuple[float, float, float], second: tuple[float, float, float], x: float) -> bool:
    """Whether two lines, from (x, y) each to a height at `x`, swap their order on the way."""
    (ax, ay, a), (bx, by, b) = sorted((first, second))
    at = ay + (a - ay) * (bx - ax) / (x - ax)  # the line from further left, beneath the other point
    return (at - by) * (a - b) < 0


def _through(line: tuple[float, float, float], other: tuple[float, float, float], x: float) -> bool:
    """Whether a line runs through another's point."""
    (ax, ay, a), (bx, by, _) = line, other
    return ax < bx and abs(ay + (a - ay) * (bx - ax) / (x - ax) - by) < 5.0


def _spread(wanted: Sequence[float], apart: float, top: float, bottom: float) -> list[float]:
    """Heights around the wanted ones, which rise, that keep their distance; between top and bottom if there is room."""
    placed: list[float] = []
    for height in wanted:
        placed.append(max(height, placed[-1] + apart) if placed else height)
    if not placed:
        return placed
    shift = (sum(wanted) - sum(placed)) / len(placed)
    shift = max(min(shift, bottom - placed[-1]), top - placed[0])
    return [height + shift for height in placed]


# --- elements --------------------------------------------------------------------------------------------------------


def _title(title: str, beneath: str) -> list[str]:
    return [_text(24, 28, title, INK, bold=True, size=16), _text(24, 47, beneath, SOFT)]


def _nothing(parts: list[str]) -> tuple[float, list[str]]:
    return 96.0, [*parts, _text(24, 72, "not measured", BAD)]


def _text(
    x: float,
    y: float,
    words: str,
    colour: str,
    anchor: str = "start",
    *,
    bold: bool = False,
    size: int | None = None,
    halo: bool = False,
) -> str:
    more: dict[str, str | float] = {"font_weight": 600} if bold else {}
    if size is not None:
        more["style"] = f"font-size: {size}px"
    if halo:
        more |= {"stroke": "#ffffff", "stroke_width": 4.0, "paint_order": "stroke"}
    return _element("text", [escape(words)], x=x, y=y, fill=colour, text_anchor=anchor, **more)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0) -> str:
    return _element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_width=width)


def _circle(x: float, y: float, radius: float, colour: str) -> str:
    return _element("circle", cx=x, cy=y, r=radius, fill=colour)


def _element(name: str, content: Iterable[str] = (), **attributes: str | float) -> str:
    """One element; content is SVG already."""
    given = "".join(
        f" {key.replace('_', '-')}={quoteattr(f'{value:.1f}' if isinstance(value, float) else str(value))}"
        for key, value in attributes.items()
    )
    inner = "\n".join(content)
    return f"<{name}{given}>{inner}</{name}>" if inner else f"<{name}{given}/>"
