"""Bounds, defaults, constraints and first guesses of a selection of parameters, in one environment."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from adapters.catalogue_data import VERSIONS, Entry, Rule, default_of, exists, load, unknown, value_of, version_at_least
from domain.constraint import violated
from domain.errors import Misconfigured
from domain.formula import Scalar, clauses, parse, substitute
from domain.space import Parameter, ParameterType, SearchSpace, Settings, Value, allowed, sample

Environment = Mapping[str, Scalar]

# Values outside the range that constraints count as a number (as an expression of the environment).
_COUNTS_AS = {"nginx.worker_processes": ("auto", "node_cpu"), "k8s.cpu_limit": ("unset", "node_cpu")}


@dataclass(frozen=True, slots=True)
class Narrow:
    """What the owner allows of a parameter: `low` to `high`, or `values` only."""

    low: object = None
    high: object = None
    values: tuple[object, ...] = ()


class Builder:
    """Makes one space; see `adapters/catalogue.py: space_for`."""

    def __init__(
        self, environment: Environment, overrides: Mapping[str, Narrow], present: Mapping[str, Value], version: str
    ) -> None:
        self.environment, self.overrides, self.present, self.version = environment, overrides, present, version
        self.catalogue = load()

    def build(self, ids: list[str]) -> tuple[SearchSpace, tuple[Settings, ...]]:
        problems = [f"bounds: {name} is not among the chosen parameters" for name in self.overrides if name not in ids]
        parameters: list[Parameter] = []
        for name in ids:
            try:
                entry = self._entry(name)
                made = self._parameter(entry) if self._active(entry) else None
            except Misconfigured as error:
                problems.append(str(error))
                continue
            parameters += [made] if made else []
        if not parameters and not problems:
            problems.append(
                f"nothing to search: {', '.join(ids) or 'no parameter is named'}; fixed by the environment or inactive"
            )
        constraints: dict[str, str] = {}
        chosen = {each.name for each in parameters}
        families = {self.catalogue.entries[name].family for name in chosen}
        for rule in self.catalogue.rules:
            try:
                constraints |= self._constraint(rule, chosen, families)
            except Misconfigured as error:
                problems.append(str(error))
        if problems:
            raise Misconfigured("\n".join(problems))
        space = SearchSpace(tuple(parameters), tuple(constraints))
        self._possible(space, constraints)
        return space, self._seeds(space)

    # --- one parameter ---

    def _entry(self, name: str) -> Entry:
        if name not in self.catalogue.entries:
            raise unknown("parameter", name, self.catalogue.entries)
        return self.catalogue.entries[name]

    def _active(self, entry: Entry) -> bool:
        """False only if the present values say so; a condition in words counts as met by whoever named the
        parameter."""
        try:
            condition = parse(entry.active_when) if entry.active_when else None
        except Misconfigured:
            return True
        if condition is None or not condition.names <= self.present.keys():
            return True
        return condition.truth(self.present)

    def _version(self, entry: Entry) -> str:
        return self.version or VERSIONS.get(entry.family, "9999")

    def _parameter(self, entry: Entry) -> Parameter | None:
        version = self._version(entry)
        if not exists(entry, version):
            raise Misconfigured(
                f"{entry.id} exists since {entry.since}; the target's version is {version} (actuator.version)"
            )
        if entry.search is None:
            raise Misconfigured(f"{entry.id} has no search range in the catalogue; it cannot be searched")
        narrow = self.overrides.get(entry.id, Narrow())
        if entry.search["scale"] in ("enum", "bool"):
            return self._choice(entry, narrow, version)
        return self._range(entry, narrow, version)

    def _choice(self, entry: Entry, narrow: Narrow, version: str) -> Parameter | None:
        search = entry.search or {}
        since = search.get("values_since", {})
        choices: list[Value] = [False, True]
        if search["scale"] == "enum":
            choices = [each for each in search["values"] if version_at_least(version, since.get(str(each), "0"))]
        if narrow.low is not None or narrow.high is not None:
            raise Misconfigured(f"{entry.id} has no bounds; write values, some of {choices}")
        if narrow.values:
            choices = _listed(entry, narrow.values, tuple(choices))
        if len(choices) < 2:
            return None
        kind: ParameterType = "ordinal" if all(type(each) in (int, float) for each in choices) else "categorical"
        return _made(entry, kind, version, choices=tuple(choices))

    def _range(self, entry: Entry, narrow: Narrow, version: str) -> Parameter | None:
        search = entry.search or {}
        special = tuple(search.get("special", ()))
        low, high = self._bounds(entry, narrow)
        if low > high:
            raise Misconfigured(
                f"{entry.id}: no safe value exists here, the bounds {search['lo']} to {search['hi']} give "
                f"{low:g} to {high:g}; correct the environment or leave the parameter out"
            )
        if narrow.values:
            numbers = [each for each in special if not isinstance(each, str)]
            inside = _listed(entry, narrow.values, (*special, *numbers), low, high)
            listed: ParameterType = "categorical" if any(isinstance(each, str) for each in inside) else "ordinal"
            return _made(entry, listed, version, choices=tuple(inside)) if len(inside) > 1 else None
        if search["scale"] == "pow2":
            powers: tuple[Value, ...] = tuple(
                2**n for n in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)
            )
            return _made(entry, "ordinal", version, choices=powers) if len(powers) > 1 else None
        if low == high and not special:
            return None
        special = tuple(each for each in special if isinstance(each, str) or not low <= each <= high)
        kind: ParameterType = "real" if isinstance(low, float) else "integer"
        return _made(
            entry, kind, version, low=low, high=high, log=search["scale"] == "log", special=special, unit=entry.unit
        )

    def _bounds(self, entry: Entry, narrow: Narrow) -> tuple[float, float]:
        """The narrower of what the catalogue finds sensible here and what the owner allows."""
        search = entry.search or {}
        both = narrow.low is not None and narrow.high is not None
        ends: list[float | None] = []
        for key, up in (("lo", True), ("hi", False)):
            formula = parse(str(search[key]))
            missing = sorted(formula.names - self.environment.keys())
            if missing and not both:
                raise Misconfigured(f"{entry.id}: {self._wanted(missing)}, or give both bounds")
            ends.append(None if missing else _grid(entry, formula.number(self.environment), up))
        low, high = ends
        own = [_number(entry, each) for each in (narrow.low, narrow.high)]
        if own[0] is not None and own[1] is not None and own[0] > own[1]:
            raise Misconfigured(f"{entry.id}: bounds {own[0]:g} to {own[1]:g} are the wrong way round; swap them")
        for each in own:
            if each is not None and ((low is not None and each < low) or (high is not None and each > high)):
                raise Misconfigured(
                    f"{entry.id}: bound {each:g} is outside the catalogue's {low:g} to {high:g}{_unit(entry)}; "
                    "bounds can only be narrower"
                    if low is not None and high is not None
                    else f"{entry.id}: bound {each:g} is outside the catalogue's range"
                )
        bottom = own[0] if own[0] is not None else low
        top = own[1] if own[1] is not None else high
        if bottom is None or top is None:
            raise Misconfigured(f"{entry.id}: no bounds")
        return bottom, top

    def _wanted(self, missing: Sequence[str]) -> str:
        described = [f"environment.{name} ({self.catalogue.environment.get(name, 'unknown')})" for name in missing]
        return f"needs {', '.join(described)}"

    # --- constraints ---

    def _constraint(self, rule: Rule, chosen: set[str], families: set[str]) -> dict[str, str]:
        """Expression → rule id, for each hard clause that the chosen parameters can break."""
        if not rule.hard:
            return {}
        found: dict[str, str] = {}
        for clause in clauses(rule.expression):
            ids = {name for name in clause.names if name in self.catalogue.entries}
            if not ids & chosen:
                continue
            values = {name: value for name in ids - chosen if (value := self._other(name, families)) is not None}
            if ids - chosen - values.keys():
                continue  # the target does not have it
            missing = sorted(clause.names - ids - self.environment.keys())
            if missing:
                raise Misconfigured(
                    f"constraint {rule.id} on {', '.join(sorted(ids & chosen))} {self._wanted(missing)}"
                )
            known = {name: self.environment[name] for name in clause.names - ids}
            counted = {
                name: f"({self.environment[stand_in]} if {name} == {word!r} else {name})"
                for name, (word, stand_in) in _COUNTS_AS.items()
                if name in chosen and stand_in in self.environment
            }
            found[substitute(clause.text, {**known, **values}, counted)] = rule.id
        return found

    def _other(self, name: str, families: set[str]) -> Value | None:
        """The value of a parameter that is not searched: the present one, else the default of the same program."""
        entry = self.catalogue.entries[name]
        value = self.present.get(name)
        if value is None and entry.family in families:
            value = default_of(entry, self._version(entry))
        word, stand_in = _COUNTS_AS.get(name, ("", ""))
        if value == word and stand_in in self.environment:
            return self.environment[stand_in]
        listed = [*(entry.search or {}).get("values", ()), *entry.data.get("hard", {}).get("values", ())]
        return None if isinstance(value, str) and value not in listed else value

    def _possible(self, space: SearchSpace, constraints: Mapping[str, str]) -> None:
        try:
            sample(space, random.Random(0), 1)
        except Misconfigured as error:
            text = str(error)
            rule = next((name for expression, name in constraints.items() if repr(expression) in text), "")
            raise Misconfigured(
                f"{f'{rule}: ' if rule else ''}{error}. Values of parameters that are not searched are the program's "
                "defaults unless the environment gives them by their id"
            ) from None

    # --- first guesses ---

    def _seeds(self, space: SearchSpace) -> tuple[Settings, ...]:
        expert = {each.name: self._expert(each) for each in space.parameters}
        found: list[dict[str, Value]] = [expert]
        for known in self.catalogue.known_good:
            if known.settings.keys() & expert.keys():
                rest = {each.name: _inside(each, each.default, expert[each.name]) for each in space.parameters}
                own = {
                    each.name: _inside(each, known.settings[each.name], rest[each.name])
                    for each in space.parameters
                    if each.name in known.settings
                }
                found.append({**rest, **own})
        seeds: list[Settings] = []
        for settings in found:
            for broken in violated(space.constraints, settings):  # what is tied goes back to the program's defaults
                tied = parse(broken).names
                settings = settings | {
                    each.name: _inside(each, each.default, settings[each.name])
                    for each in space.parameters
                    if each.name in tied
                }
            if allowed(space, settings) and settings not in seeds:
                seeds.append(settings)
        return tuple(seeds)

    def _expert(self, parameter: Parameter) -> Value:
        entry = self.catalogue.entries[parameter.name]
        middle = parameter.choices[0] if parameter.choices else _middle(parameter)
        fallback = _inside(parameter, parameter.default, middle)
        if entry.seed is None:
            return fallback
        try:
            raw = parse(str(entry.seed))(self.environment)
        except Misconfigured:  # an environment variable that nobody gave
            return fallback
        return _inside(parameter, raw if not isinstance(raw, list) else fallback, fallback)


# --- details ---------------------------------------------------------------------------------------------------------


def _made(
    entry: Entry,
    kind: ParameterType,
    version: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Value, ...] = (),
    log: bool = False,
    special: tuple[Value, ...] = (),
    unit: str = "",
) -> Parameter:
    cost: Literal["live", "reload", "restart"] = "restart"
    if entry.mode in ("live", "new_connections"):
        cost = "live"
    elif entry.mode == "reload":
        cost = "reload"
    default = default_of(entry, version)
    return Parameter(
        entry.id, kind, default, low, high, choices, log=log, unit=unit or entry.unit, special=special, cost=cost
    )


def _listed(
    entry: Entry, wanted: tuple[object, ...], choices: tuple[Value, ...], low: float = 1.0, high: float = 0.0
) -> list[Value]:
    """The owner's values, each of them a choice or inside low to high."""
    values = [value_of(entry, each) for each in wanted]
    for value in values:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        if value not in choices and not number:
            span = f" and {low:g} to {high:g}{_unit(entry)}" if low <= high else ""
            raise Misconfigured(f"{entry.id}: {value!r} is not allowed; allowed: {list(choices)}{span}")
    return list(dict.fromkeys(values))


def _number(entry: Entry, raw: object) -> float | None:
    if raw is None:
        return None
    try:
        value = value_of(entry, raw)
    except Misconfigured as error:
        raise Misconfigured(f"{entry.id}: bound {error}") from None
    if isinstance(value, (bool, str)):
        raise Misconfigured(f"{entry.id}: bound {raw!r} is no number{_unit(entry)}")
    return value


def _grid(entry: Entry, number: float, up: bool) -> float:
    """Rounded to the entry's type, inwards: whole numbers, sizes in multiples of the program's own unit."""
    if entry.type == "float" or (entry.type == "quantity" and entry.unit != "bytes"):
        return float(number)
    step = {"8kB": 8192, "kB": 1024, "MB": 1024**2}.get(entry.native_unit, 1) if entry.unit == "bytes" else 1
    return (math.ceil(number / step) if up else math.floor(number / step)) * step


def _inside(parameter: Parameter, value: Value, otherwise: Value) -> Value:
    """The value, moved to the nearest place that the parameter has; `otherwise` if it is of another kind."""
    if any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in parameter.choices):
        return value
    if value in parameter.special:
        return value
    if isinstance(value, (bool, str)):
        return otherwise
    if parameter.choices:
        numbers = [each for each in parameter.choices if isinstance(each, (int, float)) and not isinstance(each, bool)]
        return min(numbers, key=lambda each: abs(each - value)) if numbers else otherwise
    low, high = parameter.low or 0.0, parameter.high or 0.0
    inside = min(max(value, low), high)
    return round(inside) if parameter.type == "integer" else float(inside)


def _middle(parameter: Parameter) -> Value:
    low, high = parameter.low or 0.0, parameter.high or 0.0
    raw = math.sqrt(low * high) if parameter.log and low > 0 else (low + high) / 2
    return round(raw) if parameter.type == "integer" else raw


def _unit(entry: Entry) -> str:
    return f" {entry.unit}" if entry.unit else ""
