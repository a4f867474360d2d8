"""Where the next candidate may come from: places in the unit cube around the incumbent, and back to settings.

Places are drawn many at a time and decoded one at a time, best first: settings are dictionaries of typed values, and
most of the drawn places are never looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from domain.space import Parameter, SearchSpace, Settings, allowed, from_unit, points, size, to_unit
from optimizers.seeding import known

Array = NDArray[np.float64]
POOL = 1000  # places that a choice is made from
FEW = 3  # with probability 1/2 at most this many parameters change
MOST_FLIPS = 2  # categories that may change at once
WIDE = 0.5  # from this radius on, the whole space is the region
CELLS = 64  # numbers with at most this many values move by at least one value


def places(space: SearchSpace, settings: Sequence[Settings]) -> Array:
    """One row per settings, one column per parameter, each in [0, 1]."""
    return np.array([[to_unit(p, each[p.name]) for p in space.parameters] for each in settings], dtype=np.float64)


def draw(space: SearchSpace, centre: Settings, radius: float, seed: int, count: int = POOL) -> Array:
    """Places around the centre, at most `radius` away in each parameter; half of them uniform over the whole cube where
    the region is as wide as that. Spaces of listed settings give all of theirs inside the region."""
    listed = _listed(space, centre, radius)
    if listed is not None:
        return listed
    rng = np.random.default_rng(seed)
    middle = places(space, [centre])[0]
    width = len(space.parameters)
    near = middle + rng.uniform(-1, 1, (count, width)) * (radius / 2 if radius >= WIDE else radius)
    few = rng.random(count) < 0.5
    order = rng.random((count, width)).argsort(axis=1)
    near = np.where(few[:, None] & (order >= rng.integers(1, FEW + 1, count)[:, None]), middle, near)
    near = np.clip(near, 0.0, 1.0)
    for column, parameter in enumerate(space.parameters):
        near[:, column] = _snapped(parameter, near[:, column], middle[column], rng)
    near = _at_most(near, middle, [p.type == "categorical" for p in space.parameters], MOST_FLIPS, rng)
    if radius >= WIDE:
        near[: count // 2] = rng.random((count // 2, width))
    return _at_most(near, middle, [p.cost == "restart" for p in space.parameters], 1, rng)


def decoded(
    space: SearchSpace, rows: Array, tried: Sequence[Settings], centre: Settings
) -> Iterator[tuple[int, Settings]]:
    """(row, settings) of the rows that are allowed and were not tried, in their order. A parameter that stayed at the
    centre's place keeps the centre's very value: a number does not survive the way there and back."""
    middle = places(space, [centre])[0]
    for place, row in enumerate(rows):
        settings = {
            p.name: centre[p.name] if x == home else from_unit(p, float(x))
            for p, x, home in zip(space.parameters, row, middle, strict=True)
        }
        if not known(settings, tried) and allowed(space, settings):
            yield place, settings


def _listed(space: SearchSpace, centre: Settings, radius: float) -> Array | None:
    """All places of a space that can be listed; None for a larger one."""
    count = size(space)
    if space.candidates is None and (count is None or count > POOL):
        return None
    rows = places(space, list(points(space)))
    if space.candidates is not None:
        return rows
    middle = places(space, [centre])[0]
    reach = np.array([max(radius, _one_step(p)) for p in space.parameters])
    flips = np.array([p.type == "categorical" for p in space.parameters])
    moved = np.abs(rows - middle)
    inside = np.ones(len(rows), dtype=bool)
    if radius < WIDE:
        inside = np.all((moved <= reach) | flips, axis=1) & (((moved > 0) & flips).sum(axis=1) <= MOST_FLIPS)
    restarts = np.array([p.cost == "restart" for p in space.parameters])
    inside &= ((moved > 0) & restarts).sum(axis=1) <= 1
    return np.asarray(rows[inside], dtype=np.float64)


def _one_step(parameter: Parameter) -> float:
    cells = _cells(parameter)
    return 1.0 / cells + 1e-9 if cells else 0.0


def _cells(parameter: Parameter) -> int:
    """The number of equal cells of the unit interval that the values of a discrete parameter own; 0 if there are none
    or many."""
    if parameter.choices:
        return len(parameter.choices)
    if parameter.type != "integer" or parameter.log or parameter.special or parameter.low is None:
        return 0
    cells = int((parameter.high or 0) - parameter.low) + 1
    return cells if cells <= CELLS else 0


def _snapped(parameter: Parameter, xs: Array, middle: float, rng: np.random.Generator) -> Array:
    """Places in the middle of their cells: a category changes half of the time to any other, a number by at least one
    value where it moved at all."""
    cells = _cells(parameter)
    if not cells:
        return xs
    home = min(int(middle * cells), cells - 1)
    moved = xs != middle
    at = np.minimum((xs * cells).astype(int), cells - 1)
    if parameter.type == "categorical":
        other = (home + rng.integers(1, max(2, cells), len(xs))) % cells
        at = np.where(moved & (rng.random(len(xs)) < 0.5), other, home)
    else:
        step = np.clip(home + rng.choice((-1, 1), len(xs)), 0, cells - 1)
        at = np.where(moved & (at == home), step, at)
    return np.where(at == home, middle, (at + 0.5) / cells)


def _at_most(rows: Array, middle: Array, which: Sequence[bool], most: int, rng: np.random.Generator) -> Array:
    """At most `most` of these parameters differ from the centre; which of them, is drawn by lot."""
    columns = np.flatnonzero(which)
    if len(columns) <= most:
        return rows
    part = rows[:, columns]
    moved = part != middle[columns]
    lots = np.where(moved, rng.random(part.shape), 2.0)
    rank = lots.argsort(axis=1).argsort(axis=1)
    rows = rows.copy()
    rows[:, columns] = np.where(rank < most, part, middle[columns])
    return rows
