"""Why a space is as it is, in words and numbers: formulas with what they gave, what constraints leave of a range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.catalogue_bounds import End, Made
from adapters.catalogue_data import Entry
from adapters.catalogue_limits import is_limit
from adapters.catalogue_space import Survey
from domain.constraint import violated
from domain.errors import Misconfigured
from domain.formula import parse
from domain.space import Parameter, Settings, Value, from_unit

LOOKS = 400  # places of a range that are looked at for what constraints leave of it
HALVINGS = 40

UNLIMITED = 2**63 - 1  # what programs show of a number that nobody set: HotSpot, control groups
_BYTES = (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))


@dataclass(frozen=True, slots=True)
class Left:
    """What constraints leave of a parameter's range while everything else stays: the ends in its unit (None if
    nothing), and the constraints met just beyond each end."""

    low: Value | None
    high: Value | None
    below: tuple[str, ...] = ()
    above: tuple[str, ...] = ()


def amount(unit: str, value: object) -> str:
    """A value for people: sizes in binary units, times with their unit, booleans as on and off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str) or not isinstance(value, (int, float)):
        return str(value)
    if abs(value) >= UNLIMITED:
        return "not limited"
    if unit == "bytes" and abs(value) >= 1024:
        name, size = next(each for each in _BYTES if abs(value) >= each[1])
        return f"{value / size:.4g} {name}"
    text = f"{value:g}" if abs(value) < 1e6 or isinstance(value, float) else str(value)
    return f"{text} {unit}" if unit else text


def end_text(entry: Entry, end: End, survey: Survey) -> str:
    """`0.40*mem = 819.2 MiB`, with who narrowed it and which limit it follows."""
    found = "cannot be computed here" if end.found is None else f"= {amount(entry.unit, end.found)}"
    text = amount(entry.unit, end.value) if _is_number(end.formula) else f"{end.formula} {found}"
    if end.by:
        text += f", narrowed to {amount(entry.unit, end.value)} by {end.by}"
    if is_limit(entry.id):
        return text
    follows = [limit.name for variable, limit in survey.scene.limits.items() if variable in parse(end.formula).names]
    return f"{text} over all {' and '.join(follows)} that may be tried" if follows else text


def seed_text(entry: Entry, environment: Mapping[str, Value]) -> str:
    """The expert's formula and what it gives here."""
    if entry.seed is None:
        return "none"
    text = str(entry.seed)
    try:
        result = parse(text)(environment)
    except Misconfigured as error:
        return f"{text} (cannot be computed: {error})"
    shown = amount(entry.unit, result)
    return shown if _is_number(text) or not parse(text).names else f"{text} = {shown}"


def range_text(entry: Entry, made: Made) -> str:
    """Bounds or choices, and special values."""
    parameter = made.parameter
    if parameter is None:
        return f"not searched: {made.why}"
    special = [amount("", each) for each in parameter.special]
    if parameter.choices:
        return ", ".join(amount(entry.unit if entry.unit == "bytes" else "", each) for each in parameter.choices)
    text = f"{amount(entry.unit, parameter.low)} to {amount(entry.unit, parameter.high)}"
    return f"{text}, or {', '.join(special)}" if special else text


def left(survey: Survey, parameter: Parameter, others: Settings) -> Left:
    """What the constraints leave of a parameter's range with the other parameters at `others`; exact to a fraction of
    the range, where the allowed part is at least 1/400 of it."""
    ties = [text for text in survey.space.constraints if parameter.name in parse(text).names]

    def broken(place: float) -> tuple[str, ...]:
        settings = {**others, parameter.name: from_unit(parameter, place)}
        return tuple(dict.fromkeys(survey.ties[text] for text in violated(ties, settings)))

    inside = [step / LOOKS for step in range(LOOKS + 1) if not broken(step / LOOKS)]
    if not inside:
        return Left(None, None, broken(0.0), broken(1.0))
    ends: list[tuple[float, tuple[str, ...]]] = []
    for place, beyond in ((inside[0], inside[0] - 1 / LOOKS), (inside[-1], inside[-1] + 1 / LOOKS)):
        if not 0.0 <= beyond <= 1.0:
            ends.append((place, ()))
            continue
        for _ in range(HALVINGS):
            middle = (place + beyond) / 2
            place, beyond = (place, middle) if broken(middle) else (middle, beyond)
        ends.append((place, broken(beyond)))
    (low, below), (high, above) = ends
    return Left(from_unit(parameter, low), from_unit(parameter, high), below, above)


def left_text(entry: Entry, seen: Left) -> str:
    """The same in one line; "" where the constraints take nothing away."""
    if seen.low is None:
        return f"nothing is left by {', '.join({*seen.below, *seen.above})}"
    parts = [
        f"{word} {amount(entry.unit, value)} by {', '.join(rules)}"
        for word, value, rules in (("from", seen.low, seen.below), ("up to", seen.high, seen.above))
        if rules
    ]
    return ", ".join(parts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
