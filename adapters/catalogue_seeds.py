"""Settings worth trying first: the catalogue's expert values in this environment, and what others run with success."""

from __future__ import annotations

import random
from collections.abc import Mapping

from adapters.catalogue_bounds import inside, middle, step_of
from adapters.catalogue_data import Entry
from adapters.catalogue_limits import at, is_limit
from adapters.catalogue_ties import Scene
from domain.constraint import violated
from domain.errors import Misconfigured
from domain.feasible import Tied, find
from domain.formula import parse
from domain.space import Parameter, SearchSpace, Settings, Value, allowed, from_unit, to_unit

TRIES = 2_000  # settings looked at to bring a first guess inside the constraints


def seeds(space: SearchSpace, scene: Scene) -> tuple[Settings, ...]:
    """Complete, allowed and distinct: the expert's values, then known-good sets over what they do not name."""
    first = expert(space, scene)
    found: list[dict[str, Value]] = [first]
    for known in scene.catalogue.known_good:
        if known.settings.keys() & first.keys():
            rest = {each.name: inside(each, each.default, first[each.name]) for each in space.parameters}
            own = {
                each.name: inside(each, known.settings[each.name], rest[each.name])
                for each in space.parameters
                if each.name in known.settings
            }
            found.append({**rest, **own})
    allowed_ones: list[Settings] = []
    for settings in found:
        settled = _settled(space, settings)
        if settled is not None and settled not in allowed_ones:
            allowed_ones.append(settled)
    return tuple(allowed_ones)


def expert(space: SearchSpace, scene: Scene) -> dict[str, Value]:
    """The seed of every parameter, inside its bounds; limits first, since the others follow them."""
    limits = {each.name: seed_of(each, scene.catalogue.entries[each.name], scene) for each in space.parameters}
    limits = {name: value for name, value in limits.items() if is_limit(name)}
    return {each.name: seed_of(each, scene.catalogue.entries[each.name], scene, limits) for each in space.parameters}


def seed_of(parameter: Parameter, entry: Entry, scene: Scene, limits: Mapping[str, Value] | None = None) -> Value:
    """The expert's value of one parameter under these limits; the program's default where there is no such value."""
    fallback = inside(parameter, parameter.default, middle(parameter))
    if entry.seed is None:
        return fallback
    under = {} if is_limit(entry.id) else dict(limits or {})
    try:
        raw = parse(str(entry.seed))(at(scene.environment, scene.limits, under))
    except Misconfigured:  # an environment variable that nobody gave
        return fallback
    value = inside(parameter, raw if not isinstance(raw, list) else fallback, fallback)
    step = step_of(entry)
    if step == 1 or parameter.choices or isinstance(value, (bool, str)):
        return value
    return max(value // step * step, parameter.low or 0)


def _settled(space: SearchSpace, settings: dict[str, Value]) -> Settings | None:
    """The settings where they are allowed; else with what is tied back at the program's defaults; else moved to a place
    near by where all constraints hold."""
    first = settings
    for broken in violated(space.constraints, settings):
        tied = parse(broken).names
        settings = settings | {
            each.name: inside(each, each.default, settings[each.name]) for each in space.parameters if each.name in tied
        }
    if allowed(space, settings):
        return settings
    moved = _moved(space, first)
    return moved if allowed(space, moved) else None


def _moved(space: SearchSpace, settings: dict[str, Value]) -> dict[str, Value]:
    start = {each.name: to_unit(each, settings[each.name]) for each in space.parameters}
    decode = {each.name: _Decoder(each, start[each.name], settings[each.name]) for each in space.parameters}
    try:
        places = find(Tied(decode, space.constraints), TRIES, random.Random(0), start)
    except Misconfigured:
        return settings
    return {name: decode[name](place) for name, place in places.items()}


class _Decoder:
    """A value at a place; the very value of the guess where it did not move, as numbers do not survive the way back."""

    def __init__(self, parameter: Parameter, home: float, value: Value) -> None:
        self.parameter, self.home, self.value = parameter, home, value

    def __call__(self, place: float) -> Value:
        return self.value if place == self.home else from_unit(self.parameter, place)
