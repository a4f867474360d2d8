"""The looks at the original settings: would the service have recovered by itself?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from adapters.report import words
from adapters.report.course import Course
from adapters.report.drawing import LEFT, WIDTH, element, line, nice, svg, text
from domain import attribution
from domain.block import Block
from domain.events import Looked
from domain.state import Run

GAP = 13.0  # pixels between two names of lines
LETTER = 6.4  # pixels of a letter of a name


@dataclass(frozen=True, slots=True)
class LookRow:
    number: int
    at: str
    level: str
    found: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Looks:
    text: str
    rows: list[LookRow]
    chart: Markup


def looks(run: Run, course: Course) -> Looks | None:
    """What the looks saw; None where there was none."""
    middle, seen = attribution.halfway(run), run.calibrated
    if not course.looks or middle is None or seen is None or not seen.healthy or not seen.noticed:
        return None
    rows = [
        LookRow(
            number,
            words.duration(time - run.began),
            words.level(_plain(look.level, run), run.target.objective.unit) if look.level is not None else "no data",
            _found(look, middle),
            _evidence(run, middle, number, look.log_e),
        )
        for number, (time, look) in enumerate(course.looks, start=1)
    ]
    back = "The service recovered by itself" if run.recovered is not None else "The service did not recover by itself"
    said = (
        "Before the first trial and now and then afterwards, every arm carried the original settings for a moment. "
        f"{back}: recovered means proven to be back beyond half of the way from the level at the signal to healthy."
    )
    return Looks(said, rows, _chart(run, middle, seen.healthy, seen.noticed))


def _found(look: Looked, middle: float) -> str:
    if look.level is None:
        return "could not be read"
    if look.recovered:
        return "proven to be back beyond half-way"
    return "below half-way, but not proven" if math.log(look.level) < middle else "not back"


def _evidence(run: Run, middle: float, number: int, log_e: float) -> str:
    """The e-value counts both ways; only what lies on the healthy side speaks for a recovery."""
    latest = attribution.levels(run.looks[:number])[-attribution.LATEST :]
    if not latest or fmean(latest) >= middle:
        return "none"
    return f"e-value {math.exp(min(log_e, 20.0)):.1f} of {attribution.RECOVERED_E:.0f} needed"


def _chart(run: Run, middle: float, healthy: float, noticed: float) -> Markup:
    """Level of the original in each slot, on a log scale, with the levels at the signal, half-way and healthy."""
    top, bottom, height = 14, 150, 186
    points = [
        (slot[0].start, ys[0])
        for block in run.looks
        for slot in block.slots
        for ys in [attribution.levels([Block(block.began, [slot])])]
        if ys
    ]
    lines = [(math.log(noticed), "at the signal", "noticed"), (middle, "half-way", "threshold"),
             (math.log(healthy), "healthy", "margin")]  # fmt: skip
    names = [
        f"{name}: {words.level(_plain(math.exp(value), run), run.target.objective.unit)}" for value, name, _ in lines
    ]
    right = LETTER * max(len(name) for name in names) + 14
    known = [y for _, y in points] + [y for y, _, _ in lines]
    room = 0.12 * (max(known) - min(known))
    low, high = min(known) - room, max(known) + room
    start = run.began
    length = max(60.0, *(time - start for time, _ in points)) * 1.03 if points else 60.0

    def x(time: float) -> float:
        return LEFT + max(0.0, time - start) / length * (WIDTH - LEFT - right)

    def y(value: float) -> float:
        # An objective to be maximised was measured as its inverse; turned back, more is up again.
        share = (value - low) / (high - low)
        share = share if run.target.objective.minimise else 1 - share
        return bottom - share * (bottom - top)

    parts: list[Markup] = []
    taken: list[float] = []
    for (value, _, class_), name in zip(lines, names, strict=True):
        parts.append(line(LEFT, y(value), WIDTH - right, y(value), class_))
        at = y(value) + 4
        while any(abs(at - other) < GAP for other in taken):
            at += GAP
        taken.append(at)
        parts.append(text(WIDTH - right + 8, at, name, "tick"))
    for time, value in points:
        better = " for" if value < middle else " against"
        parts.append(element("circle", cx=x(time), cy=y(value), r=4.5, class_=f"point{better}"))
    unit, since = (60.0, "min") if length >= 180 else (1.0, "s")
    for tick in nice(0, length / unit, 8):
        at = x(start + tick * unit)
        parts.append(line(at, bottom, at, bottom + 5, "axis"))
        parts.append(text(at, bottom + 19, f"{tick:g}", "tick", "middle"))
    parts.append(line(LEFT, bottom, WIDTH - right, bottom, "axis"))
    parts.append(text(WIDTH - right, height - 4, f"{since} since the run opened", "tick", "end"))
    parts.append(text(LEFT, height - 4, "the objective under the original settings, log scale", "tick"))
    return svg(height, parts, "level of the original settings at each look")


def _plain(value: float, run: Run) -> float:
    return value if run.target.objective.minimise else 1 / value
