"""What every chart of the report is made of: SVG elements with classes, coloured by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from domain.summary import percent

WIDTH = 920
LEFT, RIGHT = 64, 16


@dataclass(frozen=True, slots=True)
class Percent:
    """Log differences to percent of the objective, in its own direction."""

    minimise: bool = True

    def __call__(self, effect: float) -> float:
        return percent(effect, minimise=self.minimise)

    def text(self, effect: float) -> str:
        return f"{self(effect):+.1f} %".replace("-", "−")


def element(name: str, content: str | Markup = "", **attributes: Any) -> Markup:
    """One SVG element; content and attributes are escaped. `class_` and `text_anchor` become `class`, `text-anchor`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(f"{value:.1f}" if isinstance(value, float) else value)}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{given}>{escape(content)}</{name}>")


def svg(height: int, parts: Iterable[Markup], label: str) -> Markup:
    return element(
        "svg",
        Markup("").join(parts),
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_label=label,
        class_="chart",
    )


def text(x: float, y: float, words: str, class_: str = "label", anchor: str = "start") -> Markup:
    return element("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def across(y: float, class_: str) -> Markup:
    """A line over the whole width of the plot."""
    return line(LEFT, y, WIDTH - RIGHT, y, class_)


def nice(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover low to high, about `count` of them."""
    raw = max(high - low, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1.0, 2.0, 2.5, 5.0, 10.0) if size * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def percent_axis(low: float, high: float, scale: Percent) -> list[tuple[float, str]]:
    """Ticks between two effects (log differences) at round percents: (effect, text)."""
    least, most = sorted((scale(low), scale(high)))
    sign = 1 if scale.minimise else -1
    ticks = nice(least, most)
    places = 1 if len(ticks) > 1 and ticks[1] - ticks[0] < 1 else 0
    return [
        (sign * math.log1p(tick / 100), f"{tick:+.{places}f} %".replace("-", "−") if abs(tick) > 1e-9 else "0 %")
        for tick in ticks
        if tick > -100
    ]


@dataclass(frozen=True, slots=True)
class Effects:
    """A vertical axis of effects (log differences) between two heights; a minimised objective improves downwards, a
    maximised one upwards."""

    low: float
    high: float
    top: float
    bottom: float
    scale: Percent

    def y(self, effect: float) -> float:
        share = (min(max(effect, self.low), self.high) - self.low) / (self.high - self.low)
        height = share * (self.bottom - self.top)
        return self.bottom - height if self.scale.minimise else self.top + height

    @property
    def better(self) -> str:
        return "better ↓" if self.scale.minimise else "better ↑"

    def grid(self) -> list[Markup]:
        parts: list[Markup] = []
        for effect, words in percent_axis(self.low, self.high, self.scale):
            parts.append(across(self.y(effect), "grid zero" if abs(effect) < 1e-9 else "grid"))
            parts.append(text(LEFT - 8, self.y(effect) + 4, words, "tick", "end"))
        return parts
