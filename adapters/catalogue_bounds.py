"""One parameter of a search space: its bounds or choices in one environment, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from adapters.catalogue_data import Entry, Within, default_of, load, value_of, version_at_least
from adapters.catalogue_limits import Environment
from domain.errors import Misconfigured
from domain.formula import Formula, parse
from domain.space import Parameter, ParameterType, Value


@dataclass(frozen=True, slots=True)
class Narrow:
    """What the owner allows of a parameter: `low` to `high`, or `values` only."""

    low: object = None
    high: object = None
    values: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """One end of a range: `value` in the entry's unit, `formula` of the catalogue that gave `found` (None where a
    variable of it is unknown), `by` who narrowed it further ("" nobody)."""

    value: float
    formula: str
    found: float | None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A parameter with the reasons of its bounds. Without `parameter` there is nothing to search, and `why` says why;
    `impossible` if no value at all is safe here."""

    parameter: Parameter | None
    why: str = ""
    low: End | None = None
    high: End | None = None
    impossible: bool = False


def make(
    entry: Entry, version: str, environments: Sequence[Environment], narrow: Narrow | None, within: Within | None
) -> Made:
    """The parameter over all `environments` (one, unless a limit is searched). The owner's `narrow` may only be
    narrower than the catalogue; the preset's `within` gives way to it. Raises Misconfigured for bounds that cannot
    be."""
    search = entry.search
    if search is None:
        return Made(None, "the catalogue has no search range for it")
    if search["scale"] in ("enum", "bool"):
        return _choice(entry, version, narrow or Narrow(), within.values if within else ())
    low, high = _ends(entry, environments, narrow, within)
    if low.value > high.value:
        return Made(
            None,
            f"no safe value exists here, the bounds {search['lo']} to {search['hi']} give {low.value:g} to "
            f"{high.value:g}{_unit(entry)}; correct the environment or leave the parameter out",
            low,
            high,
            impossible=True,
        )
    return _range(entry, version, low, high, narrow.values if narrow else tuple(within.values) if within else ())


def _choice(entry: Entry, version: str, narrow: Narrow, preferred: Sequence[Value]) -> Made:
    search = entry.search or {}
    since = search.get("values_since", {})
    choices: list[Value] = [False, True]
    if search["scale"] == "enum":
        choices = [each for each in search["values"] if version_at_least(version, since.get(str(each), "0"))]
    if narrow.low is not None or narrow.high is not None:
        raise Misconfigured(f"{entry.id} has no bounds; write values, some of {choices}")
    if narrow.values:
        choices = _listed(entry, narrow.values, tuple(choices))
    elif preferred:
        choices = [each for each in choices if each in preferred]
    if len(choices) < 2:
        return Made(None, f"one possible value: {choices[0]!r}" if choices else "no value exists in this version")
    kind: ParameterType = "ordinal" if all(type(each) in (int, float) for each in choices) else "categorical"
    return Made(_parameter(entry, kind, version, choices=tuple(choices)))


def _range(entry: Entry, version: str, first: End, last: End, values: tuple[object, ...]) -> Made:
    search = entry.search or {}
    special = tuple(search.get("special", ()))
    low, high = first.value, last.value
    if values:
        numbers = [each for each in special if not isinstance(each, str)]
        inside = _listed(entry, values, (*special, *numbers), low, high)
        if len(inside) < 2:
            return Made(None, f"one possible value: {inside[0]!r}", first, last)
        listed: ParameterType = "categorical" if any(isinstance(each, str) for each in inside) else "ordinal"
        return Made(_parameter(entry, listed, version, choices=tuple(inside)), "", first, last)
    if search["scale"] == "pow2":
        powers: tuple[Value, ...] = tuple(
            2**n for n in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)
        )
        if len(powers) < 2:
            return Made(None, f"one possible value: {powers[0]}" if powers else "no power of two inside", first, last)
        return Made(_parameter(entry, "ordinal", version, choices=powers), "", first, last)
    if low == high and not special:
        return Made(None, f"one possible value: {low:g}{_unit(entry)}", first, last)
    special = tuple(each for each in special if isinstance(each, str) or not low <= each <= high)
    kind: ParameterType = "real" if isinstance(low, float) else "integer"
    log = search["scale"] == "log"
    return Made(_parameter(entry, kind, version, low=low, high=high, log=log, special=special), "", first, last)


# --- the ends of a range ---------------------------------------------------------------------------------------------


def _ends(
    entry: Entry, environments: Sequence[Environment], narrow: Narrow | None, within: Within | None
) -> tuple[End, End]:
    """The narrower of what the catalogue finds sensible here and what owner or preset allow."""
    search = entry.search or {}
    low, high = (
        end_of(entry, str(search[key]), environments, low=key == "lo", needed=narrow is None or _half(narrow))
        for key in ("lo", "hi")
    )
    if narrow is not None:
        return _owned(entry, narrow, low, high)
    if within is None:
        return low, high
    found = low.value, high.value
    for formula, is_low in ((within.low, True), (within.high, False)):
        if formula:
            end = end_of(entry, formula, environments[:1], low=is_low, needed=True)
            value = min(max(end.value, found[0]), found[1])
            if is_low:
                low = End(value, low.formula, low.found, f"the preset: {formula}")
            else:
                high = End(value, high.formula, high.found, f"the preset: {formula}")
    return low, high


def _half(narrow: Narrow) -> bool:
    return narrow.low is None or narrow.high is None


def end_of(entry: Entry, text: str, environments: Sequence[Environment], *, low: bool, needed: bool) -> End:
    """The end that a formula gives over all environments: the least low end or the greatest high end, rounded inwards
    to what the program can be told. Raises Misconfigured for a variable that is not known, if `needed`."""
    formula = parse(text)
    missing = sorted(formula.names - environments[0].keys())
    if missing:
        if needed:
            raise Misconfigured(f"{entry.id}: {wanted(missing)}, or give both bounds")
        return End(-math.inf if low else math.inf, text, None)
    found = _grid(entry, _extreme(formula, environments, low), low)
    return End(found, text, found)


def _extreme(formula: Formula, environments: Sequence[Environment], low: bool) -> float:
    numbers = [formula.number(each) for each in environments]
    return min(numbers) if low else max(numbers)


def wanted(missing: Sequence[str]) -> str:
    """What an expression needs: `environment.conns (peak ...)`."""
    known = load().environment
    described = [f"environment.{name} ({known.get(name, 'unknown')})" for name in missing]
    return f"needs {', '.join(described)}"


def _owned(entry: Entry, narrow: Narrow, low: End, high: End) -> tuple[End, End]:
    own = [_number(entry, each) for each in (narrow.low, narrow.high)]
    if own[0] is not None and own[1] is not None and own[0] > own[1]:
        raise Misconfigured(f"{entry.id}: bounds {own[0]:g} to {own[1]:g} are the wrong way round; swap them")
    for each in own:
        if each is not None and not low.value <= each <= high.value:
            known = low.found is not None and high.found is not None
            raise Misconfigured(
                f"{entry.id}: bound {each:g} is outside the catalogue's "
                + (f"{low.value:g} to {high.value:g}{_unit(entry)}; bounds can only be narrower" if known else "range")
            )
    bottom = low if own[0] is None else End(own[0], low.formula, low.found, "the owner")
    top = high if own[1] is None else End(own[1], high.formula, high.found, "the owner")
    if math.isinf(bottom.value) or math.isinf(top.value):
        raise Misconfigured(f"{entry.id}: no bounds")
    return bottom, top


# --- details ---------------------------------------------------------------------------------------------------------


def _parameter(
    entry: Entry,
    kind: ParameterType,
    version: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Value, ...] = (),
    log: bool = False,
    special: tuple[Value, ...] = (),
) -> Parameter:
    default = default_of(entry, version)
    return Parameter(
        entry.id, kind, default, low, high, choices, log=log, unit=entry.unit, special=special, cost=cost_of(entry)
    )


def cost_of(entry: Entry) -> Literal["live", "reload", "restart"]:
    """What activates a change, in the search's three steps."""
    if entry.mode in ("live", "new_connections"):
        return "live"
    return "reload" if entry.mode == "reload" else "restart"


def _listed(
    entry: Entry, named: tuple[object, ...], choices: tuple[Value, ...], low: float = 1.0, high: float = 0.0
) -> list[Value]:
    """The owner's values, each of them a choice or inside low to high."""
    values = [value_of(entry, each) for each in named]
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
    step = step_of(entry)
    return (math.ceil(number / step) if up else math.floor(number / step)) * step


def step_of(entry: Entry) -> int:
    """What the program counts the entry in, in the entry's unit: 8192 bytes for `shared_buffers`."""
    return {"8kB": 8192, "kB": 1024, "MB": 1024**2}.get(entry.native_unit, 1) if entry.unit == "bytes" else 1


def _unit(entry: Entry) -> str:
    return f" {entry.unit}" if entry.unit else ""


def inside(parameter: Parameter, value: Value, otherwise: Value) -> Value:
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
    nearest = min(max(value, low), high)
    return round(nearest) if parameter.type == "integer" else float(nearest)


def middle(parameter: Parameter) -> Value:
    """Half-way through the range on its scale, or the first choice."""
    if parameter.choices:
        return parameter.choices[0]
    low, high = parameter.low or 0.0, parameter.high or 0.0
    raw = math.sqrt(low * high) if parameter.log and low > 0 else (low + high) / 2
    return round(raw) if parameter.type == "integer" else raw
