"""Values inside constraints that random draws hardly ever meet.

Everything happens on places in [0, 1], one for each name. `find` walks downhill from random places until the
constraints hold; `wander` takes such a place as its anchor and draws from all that the constraints allow: outwards
from the anchor in a random direction, then slice sampling with shrinkage, one name after the other (R. Neal, "Slice
Sampling", 2003, figure 5), which leaves the uniform distribution as it is. A few rounds of it are close to uniform,
not exactly so.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from domain.constraint import holds
from domain.errors import Misconfigured
from domain.formula import Scalar, parse
from domain.shortfall import shortfall

Places = Mapping[str, float]

STARTS = 8  # random places to walk downhill from
ROUNDS = 4  # of slice sampling over all names
SHRINKS = 40  # of one slice, or of the way outwards, before everything stays where it is


@dataclass(frozen=True, slots=True)
class Tied:
    """Names that constraints tie together: how each place becomes a value, and the constraints."""

    decode: Mapping[str, Callable[[float], Scalar]]
    constraints: tuple[str, ...]

    def values(self, places: Places) -> dict[str, Scalar]:
        return {name: self.decode[name](place) for name, place in places.items()}

    def naming(self, name: str) -> tuple[str, ...]:
        """The constraints that a change of this name can break."""
        return tuple(text for text in self.constraints if name in parse(text).names)


def find(tied: Tied, tries: int, rng: random.Random, start: Places | None = None) -> dict[str, float]:
    """Places whose values meet every constraint, searched with at most `tries` evaluations (from `start` first, if
    given). Raises Misconfigured naming the constraint that was missed by most at the nearest place."""
    least, worst = float("inf"), ""
    for number in range(STARTS):
        first = dict(start) if start and number == 0 else {name: rng.random() for name in tied.decode}
        places, missed = _downhill(tied, first, max(1, tries // STARTS), rng)
        total = sum(missed.values())
        if not total:
            return places
        if total < least:
            least, worst = total, max(missed, key=lambda text: missed[text])
    raise Misconfigured(
        f"constraint {worst!r} was met by none of {tries} settings of {', '.join(tied.decode)}; widen their bounds or "
        "drop the constraint"
    )


def wander(tied: Tied, anchor: Places, rng: random.Random) -> dict[str, Scalar]:
    """One draw from what the constraints allow, starting at places where they hold; see the module's text."""
    places = _outwards(tied, anchor, {name: rng.random() for name in tied.decode}, rng)
    names = sorted(tied.decode)
    ties = {name: tied.naming(name) for name in names}
    values = tied.values(places)
    for _ in range(ROUNDS):
        rng.shuffle(names)
        for name in names:
            places[name], values[name] = _slice(tied, ties[name], name, places[name], values, rng)
    return values


def _downhill(
    tied: Tied, places: dict[str, float], steps: int, rng: random.Random
) -> tuple[dict[str, float], dict[str, float]]:
    """The last of `steps` steps that did not lead away from the constraints, and what each constraint misses there."""
    values = tied.values(places)
    missed = {text: shortfall(text, values) for text in tied.constraints}
    for _ in range(steps):
        broken = [text for text, miss in missed.items() if miss]
        if not broken:
            break
        name = rng.choice(sorted(parse(rng.choice(broken)).names & places.keys()))
        place = _step(places[name], rng)
        tried = values | {name: tied.decode[name](place)}
        after = {text: shortfall(text, tried) for text in tied.naming(name)}
        if sum(after.values()) <= sum(missed[text] for text in after):
            places[name], values = place, tried
            missed |= after
    return places, missed


def _step(place: float, rng: random.Random) -> float:
    """Anywhere, to an end, or nearby on any scale."""
    lot = rng.random()
    if lot < 0.3:
        return rng.random()
    if lot < 0.5:
        return float(rng.random() < 0.5)
    near: float = place + rng.choice((-1, 1)) * 10 ** rng.uniform(-4, 0)
    return min(max(near, 0.0), 1.0)


def _outwards(tied: Tied, anchor: Places, goal: Places, rng: random.Random) -> dict[str, float]:
    """A random place on the way from the anchor to the goal, before the constraints end."""
    reach = 1.0
    for _ in range(SHRINKS):
        places = {name: home + reach * (goal[name] - home) for name, home in anchor.items()}
        values = tied.values(places)
        if all(holds(text, values) for text in tied.constraints):
            return places
        reach *= rng.random()
    return dict(anchor)


def _slice(
    tied: Tied, ties: tuple[str, ...], name: str, place: float, values: Mapping[str, Scalar], rng: random.Random
) -> tuple[float, Scalar]:
    """A new place of one name and its value, uniform over what the others leave it."""
    low, high = 0.0, 1.0
    for _ in range(SHRINKS):
        tried = rng.uniform(low, high)
        value = tied.decode[name](tried)
        moved = {**values, name: value}
        if all(holds(text, moved) for text in ties):
            return tried, value
        low, high = (tried, high) if tried < place else (low, tried)
    return place, values[name]
