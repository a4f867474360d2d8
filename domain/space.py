"""The space that a run may search: parameters, their scales, and the constraints that tie them together."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Literal

from domain.constraint import holds, violated
from domain.errors import Misconfigured
from domain.feasible import Tied, find, wander
from domain.formula import parse

Value = bool | int | float | str
Settings = Mapping[str, Value]

ParameterType = Literal["integer", "real", "categorical", "ordinal"]

SPECIAL_MASS = 0.2  # share of the unit interval, and of random samples, that special values get
PLAIN = 64  # draws for one group of tied parameters before it is drawn by `feasible.wander`
TRIES = 5_000  # settings that are looked at for a first one inside the constraints before they count as impossible
COUNTED = 10_000  # spaces up to this many settings are counted one by one against their constraints


@dataclass(frozen=True, slots=True)
class Parameter:
    """One searchable setting.

    `integer` and `real` have `low` and `high` (in `unit`; `log` searches them on a log scale) and may have `special`
    values outside the range (off, auto). `categorical` (booleans are categoricals of False and True) and `ordinal` have
    `choices`. `default` is what the program does when the setting is absent. `cost` is what activates a change.
    """

    name: str
    type: ParameterType
    default: Value
    low: float | None = None
    high: float | None = None
    choices: tuple[Value, ...] = ()
    log: bool = False
    unit: str = ""
    special: tuple[Value, ...] = ()
    cost: Literal["live", "reload", "restart"] = "reload"


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """Parameters and constraints (expressions of `formula.py` over parameter names, each must be true).

    `candidates`, when given, lists the only settings that exist; proposals must be among them.
    """

    parameters: tuple[Parameter, ...]
    constraints: tuple[str, ...] = ()
    candidates: tuple[Settings, ...] | None = None


# --- is it well formed, is it allowed --------------------------------------------------------------------------------


def check(space: SearchSpace) -> None:
    """Raises Misconfigured naming the first parameter, constraint or candidate that makes no sense."""
    if not space.parameters:
        raise Misconfigured("parameters: empty; at least one parameter is needed")
    seen: set[str] = set()
    for parameter in space.parameters:
        if parameter.name in seen:
            raise Misconfigured(f"parameters: {parameter.name!r} stands there twice")
        seen.add(parameter.name)
        _check_parameter(parameter)
    for text in space.constraints:
        unknown = sorted(parse(text).names - seen)
        if unknown:
            raise Misconfigured(f"constraints: {text!r} names {unknown[0]!r}; parameters: {', '.join(sorted(seen))}")
    if space.candidates is not None and not space.candidates:
        raise Misconfigured("candidates: empty; leave it out, or list at least one setting")
    for place, settings in enumerate(space.candidates or ()):
        wrong = _own_problems(space, settings)
        if wrong:
            raise Misconfigured(f"candidates[{place}]: {wrong[0]}")


def problems(space: SearchSpace, settings: Settings) -> tuple[str, ...]:
    """What keeps these settings out of the space: names, types, bounds, choices, constraints. Empty if allowed."""
    wrong = _own_problems(space, settings)
    if wrong:
        return wrong
    broken = violated(space.constraints, settings)
    wrong = tuple(f"constraint {text!r} does not hold" for text in broken)
    if space.candidates is not None and not any(_equal(settings, each) for each in space.candidates):
        wrong += ("these settings are not among the candidates",)
    return wrong


def allowed(space: SearchSpace, settings: Settings) -> bool:
    """Whether the settings are complete, inside bounds and choices, and break no constraint."""
    return not problems(space, settings)


def same(a: Value, b: Value) -> bool:
    """Equal, and True is not 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def equal(ours: Settings, theirs: Settings) -> bool:
    """The same names with the same values; True and 1 are different ones."""
    return ours.keys() == theirs.keys() and all(
        type(ours[key]) is type(theirs[key]) and ours[key] == theirs[key] for key in ours
    )


def needs_restart(space: SearchSpace, ours: Settings, theirs: Settings | None) -> bool:
    """Whether the settings differ in a parameter that only a restart activates; None: what was there is not known."""
    return any(
        parameter.cost == "restart" and (theirs is None or not same(ours[parameter.name], theirs[parameter.name]))
        for parameter in space.parameters
    )


def distance(space: SearchSpace, a: Settings, b: Settings) -> int:
    """The number of parameters of the space in which two settings differ."""
    return sum(not _both(a, b, parameter.name) for parameter in space.parameters)


def bounded(space: SearchSpace, bounds: Mapping[str, tuple[float, float]]) -> SearchSpace:
    """The space with these parameters between narrower bounds, low and high by name, and without their special values.
    One without any value left in them keeps the nearest that it had."""

    def narrower(parameter: Parameter) -> Parameter:
        if parameter.name not in bounds or parameter.low is None or parameter.high is None:
            return parameter
        low, high = (min(max(each, parameter.low), parameter.high) for each in bounds[parameter.name])
        if parameter.type == "integer":
            low, high = math.ceil(low), max(math.ceil(low), math.floor(high))
        return replace(parameter, low=low, high=max(low, high), special=())

    if not bounds:
        return space
    return replace(space, parameters=tuple(narrower(each) for each in space.parameters))


def inside(space: SearchSpace, settings: Settings) -> Settings:
    """The same settings, with each value that its parameter cannot have moved to the nearest one that it can: what a
    target carried before anybody asked is often outside of what may be searched. Constraints are not looked at."""
    return {
        parameter.name: _nearest(parameter, settings[parameter.name])
        if parameter.name in settings
        else parameter.default
        for parameter in space.parameters
    }


# --- drawing and counting --------------------------------------------------------------------------------------------


def sample(space: SearchSpace, rng: random.Random, n: int) -> list[Settings]:
    """`n` settings, uniform (on the log scale where `log`) over what bounds, choices and constraints allow; special
    values of a parameter get `SPECIAL_MASS`. Deterministic in the state of `rng`; may repeat itself.

    Parameters that constraints tie together are drawn together until those hold, so the others cost no extra draws;
    where that hardly ever happens, `feasible.wander` draws them, close to uniform over all that is allowed. Raises
    Misconfigured naming the constraint that is never met."""
    if space.candidates is not None:
        left = [each for each in space.candidates if allowed(space, each)]
        if not left:
            raise Misconfigured("no candidate lies inside the bounds and constraints of the space")
        return [dict(rng.choice(left)) for _ in range(n)]
    groups = _groups(space)
    return [_draw(space, groups, rng) for _ in range(n)]


def points(space: SearchSpace) -> Iterator[Settings]:
    """Every allowed setting, in a fixed order. Raises Misconfigured for a space with a real parameter."""
    if space.candidates is not None:
        yield from (dict(each) for each in space.candidates if allowed(space, each))
        return
    columns = [_values(parameter) for parameter in space.parameters]
    names = [parameter.name for parameter in space.parameters]
    for row in itertools.product(*columns):
        settings = dict(zip(names, row, strict=True))
        if not violated(space.constraints, settings):
            yield settings


def size(space: SearchSpace) -> int | None:
    """The number of distinct settings; None when a parameter is real. Beyond `COUNTED` settings the constraints are
    not counted in, so that the number is an upper bound."""
    if space.candidates is not None:
        return sum(1 for _ in points(space))
    if any(parameter.type == "real" for parameter in space.parameters):
        return None
    total = math.prod(_count(parameter) for parameter in space.parameters)
    if not space.constraints or total > COUNTED:
        return total
    return sum(1 for _ in points(space))


# --- one parameter on the unit interval ------------------------------------------------------------------------------


def to_unit(parameter: Parameter, value: Value) -> float:
    """The place of a value in [0, 1]: log-aware; discrete values sit in the middle of equal cells, special values in
    [0, SPECIAL_MASS) in front of the range. A number outside the bounds goes to the nearer end.

    Raises Misconfigured for a value that is neither a number, a choice nor special here."""
    if parameter.choices:
        return (_index(parameter, parameter.choices, value) + 0.5) / len(parameter.choices)
    start = SPECIAL_MASS if parameter.special else 0.0
    if any(same(value, special) for special in parameter.special):
        return start * (_index(parameter, parameter.special, value) + 0.5) / len(parameter.special)
    if isinstance(value, (bool, str)):
        _index(parameter, parameter.special, value)
    low, high, bottom, top = _scale(parameter)
    if bottom == top:
        return start + (1 - start) / 2
    inside = min(max(float(value), low), high)
    return min(start + (1 - start) * (_forward(parameter, low, inside) - bottom) / (top - bottom), 1.0)


def from_unit(parameter: Parameter, unit: float) -> Value:
    """The value at a place in [0, 1], rounded to the type; inverse of `to_unit`. Uniform in, uniform out."""
    if not 0.0 <= unit <= 1.0:
        raise Misconfigured(f"{parameter.name}: place {unit} is outside 0 to 1")
    if parameter.choices:
        return parameter.choices[min(int(unit * len(parameter.choices)), len(parameter.choices) - 1)]
    start = SPECIAL_MASS if parameter.special else 0.0
    if unit < start:
        return parameter.special[min(int(unit / start * len(parameter.special)), len(parameter.special) - 1)]
    low, high, bottom, top = _scale(parameter)
    raw = _backward(parameter, low, bottom + (unit - start) / (1 - start) * (top - bottom))
    inside = min(max(raw, low), high)
    return min(max(round(inside), math.ceil(low)), math.floor(high)) if parameter.type == "integer" else inside


# --- details ---------------------------------------------------------------------------------------------------------


def _bounds(parameter: Parameter) -> tuple[float, float]:
    if parameter.low is None or parameter.high is None:
        raise Misconfigured(f"{parameter.name}: {parameter.type} needs low and high")
    return parameter.low, parameter.high


def _scale(parameter: Parameter) -> tuple[float, float, float, float]:
    """Bounds, and the ends of the scale on which the parameter is searched; integers own half a step on either side,
    so that each has its share of the interval."""
    low, high = _bounds(parameter)
    half = 0.5 if parameter.type == "integer" else 0.0
    return low, high, _forward(parameter, low, low - half), _forward(parameter, low, high + half)


def _forward(parameter: Parameter, low: float, x: float) -> float:
    if not parameter.log:
        return x
    return math.log(x) if low >= 1 or (low > 0 and parameter.type == "real") else math.log(x - low + 1)


def _backward(parameter: Parameter, low: float, y: float) -> float:
    if not parameter.log:
        return y
    return math.exp(y) if low >= 1 or (low > 0 and parameter.type == "real") else math.exp(y) + low - 1


def _index(parameter: Parameter, values: tuple[Value, ...], value: Value) -> int:
    for place, each in enumerate(values):
        if same(each, value):
            return place
    known = ", ".join(repr(each) for each in values) or "numbers only"
    raise Misconfigured(f"{parameter.name}: {value!r} is not allowed; allowed: {known}")


def _check_parameter(parameter: Parameter) -> None:
    name = parameter.name
    if parameter.type in ("categorical", "ordinal"):
        if not parameter.choices:
            raise Misconfigured(f"{name}: {parameter.type} needs choices")
        if any(same(a, b) for a, b in itertools.combinations(parameter.choices, 2)):
            raise Misconfigured(f"{name}: choices {list(parameter.choices)} hold a value twice")
        return
    if parameter.choices:
        raise Misconfigured(f"{name}: choices are for categorical and ordinal, not for {parameter.type}")
    low, high = _bounds(parameter)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise Misconfigured(f"{name}: bounds {low} to {high} must be finite")
    if low > high:
        raise Misconfigured(f"{name}: low {low} is above high {high}; swap them")
    if parameter.type == "integer" and math.ceil(low) > math.floor(high):
        raise Misconfigured(f"{name}: no whole number between {low} and {high}")


def _nearest(parameter: Parameter, value: Value) -> Value:
    if not _problem(parameter, value):
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if parameter.choices:
        numbers = [each for each in parameter.choices if isinstance(each, (int, float)) and not isinstance(each, bool)]
        if number and numbers:
            return min(numbers, key=lambda each: abs(each - float(value)))
        return parameter.default if parameter.default in parameter.choices else parameter.choices[0]
    low, high = _bounds(parameter)
    if not number:
        value = parameter.default if isinstance(parameter.default, (int, float)) else low
    within = min(max(float(value), low), high)
    return min(max(round(within), math.ceil(low)), math.floor(high)) if parameter.type == "integer" else within


def _own_problems(space: SearchSpace, settings: Settings) -> tuple[str, ...]:
    names = {parameter.name for parameter in space.parameters}
    wrong = [f"{name} is no parameter of this space" for name in sorted(set(settings) - names)]
    for parameter in space.parameters:
        if parameter.name not in settings:
            wrong.append(f"{parameter.name} is missing")
            continue
        problem = _problem(parameter, settings[parameter.name])
        if problem:
            wrong.append(f"{parameter.name}: {problem}")
    return tuple(wrong)


def _problem(parameter: Parameter, value: Value) -> str:
    if any(same(value, each) for each in (*parameter.choices, *parameter.special)):
        return ""
    if parameter.choices:
        return f"{value!r} is none of {list(parameter.choices)}"
    low, high = _bounds(parameter)
    extra = f" or one of {list(parameter.special)}" if parameter.special else ""
    if isinstance(value, (bool, str)) or (parameter.type == "integer" and not isinstance(value, int)):
        return f"{value!r} is no {parameter.type} number{extra}"
    if not low <= value <= high:  # NaN lands here too
        return f"{value!r} is outside {low:g} to {high:g}{extra}"
    return ""


def _both(a: Settings, b: Settings, name: str) -> bool:
    if name not in a or name not in b:
        return name not in a and name not in b
    return same(a[name], b[name])


def _equal(a: Settings, b: Settings) -> bool:
    return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)


def _count(parameter: Parameter) -> int:
    if parameter.choices:
        return len(parameter.choices)
    low, high = _bounds(parameter)
    inside = sum(not isinstance(each, (bool, str)) and low <= each <= high for each in parameter.special)
    return math.floor(high) - math.ceil(low) + 1 + len(parameter.special) - inside


def _values(parameter: Parameter) -> list[Value]:
    if parameter.choices:
        return list(parameter.choices)
    if parameter.type == "real":
        raise Misconfigured(f"{parameter.name}: a real parameter has no list of values")
    low, high = _bounds(parameter)
    numbers: list[Value] = list(range(math.ceil(low), math.floor(high) + 1))
    return [each for each in parameter.special if each not in numbers] + numbers


def _groups(space: SearchSpace) -> list[tuple[list[Parameter], list[str]]]:
    """Parameters that constraints tie together, directly or through others, each with those constraints."""
    groups: list[tuple[set[str], list[str]]] = [({parameter.name}, []) for parameter in space.parameters]
    for text in space.constraints:
        named = parse(text).names
        tied = [group for group in groups if group[0] & named]
        if tied:
            groups = [group for group in groups if group not in tied]
            groups.append((set().union(*(names for names, _ in tied)), [*(c for _, cs in tied for c in cs), text]))
    order = {parameter.name: place for place, parameter in enumerate(space.parameters)}
    groups.sort(key=lambda group: min(order[name] for name in group[0]))
    return [([each for each in space.parameters if each.name in names], texts) for names, texts in groups]


def _draw(space: SearchSpace, groups: list[tuple[list[Parameter], list[str]]], rng: random.Random) -> Settings:
    drawn: dict[str, Value] = {}
    for parameters, texts in groups:
        for _ in range(PLAIN if texts else 1):
            part = {parameter.name: from_unit(parameter, rng.random()) for parameter in parameters}
            if all(holds(text, part) for text in texts):
                drawn |= part
                break
        else:
            drawn |= wander(_tied(parameters, texts), _anchor(tuple(parameters), tuple(texts)), rng)
    return {parameter.name: drawn[parameter.name] for parameter in space.parameters}


@lru_cache(maxsize=64)
def _anchor(parameters: tuple[Parameter, ...], texts: tuple[str, ...]) -> Mapping[str, float]:
    """Places of one allowed setting, the same for every draw."""
    return find(_tied(parameters, texts), TRIES, random.Random(0))


def _tied(parameters: Sequence[Parameter], texts: Sequence[str]) -> Tied:
    return Tied({parameter.name: partial(from_unit, parameter) for parameter in parameters}, tuple(texts))
