"""Candidates at the edge of memory: what a memory constraint names, pushed as far as the space allows."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from domain.errors import Misconfigured
from domain.formula import Formula, parse
from domain.space import SPECIAL_MASS, Parameter, SearchSpace, Settings, Value, allowed, from_unit, to_unit

STEPS = 24  # halvings of the way to the edge
_RULE = re.compile(r"C-\w+-MEM")

Rule = tuple[Formula, Formula]


def memory_rules(ties: Mapping[str, str]) -> list[Rule]:
    """Need and room of every memory constraint (C-*-MEM), from expressions with the ids they come from: the two sides
    of each `need <= room`."""
    found: list[Rule] = []
    for text, rule in ties.items():
        need, sign, room = text.partition(" <= ")
        if not _RULE.fullmatch(rule) or not sign:
            continue
        try:
            found.append((parse(need), parse(room)))
        except Misconfigured:
            continue  # a clause that is more than one comparison
    return found


def share(rules: Sequence[Rule], settings: Settings) -> float:
    """The need of the settings as a part of the room, by the rule that leaves least."""
    return max((need.number(settings) / room.number(settings) for need, room in rules), default=0.0)


def pushed(space: SearchSpace, settings: Settings, rules: Sequence[Rule], rng: random.Random) -> Settings:
    """Settings at the edge, begun at the given ones: each parameter that a rule names goes a random part of its way
    towards more need, then all of its way, in random order. Choices stay as they were drawn. Without rules nothing
    moves."""
    names = {name for need, room in rules for name in need.names | room.names}
    movable = [parameter for parameter in space.parameters if parameter.name in names and not parameter.choices]
    found = dict(settings)
    for part in (rng.random(), 1.0):
        rng.shuffle(movable)
        for parameter in movable:
            _move(space, found, parameter, rules, part)
    return found


def _move(
    space: SearchSpace, found: dict[str, Value], parameter: Parameter, rules: Sequence[Rule], part: float
) -> None:
    """One parameter towards more need, `part` of the way that the space allows. What lies along the way is allowed up
    to some point and not beyond it."""

    def at(unit: float) -> dict[str, Value]:
        return {**found, parameter.name: from_unit(parameter, unit)}

    bottom = SPECIAL_MASS if parameter.special else 0.0
    start = max(bottom, to_unit(parameter, found[parameter.name]))
    far = max((bottom, 1.0), key=lambda end: share(rules, at(end)))
    if share(rules, at(far)) <= share(rules, found) or not allowed(space, at(start)):
        return
    near = far if allowed(space, at(far)) else start
    for _ in range(STEPS if near != far else 0):
        middle = (near + far) / 2
        near, far = (middle, far) if allowed(space, at(middle)) else (near, middle)
    wanted = at(start + part * (near - start))
    if allowed(space, wanted) and share(rules, wanted) > share(rules, found):
        found.update(wanted)
