"""Values of PostgreSQL's parameters: from the catalogue's units to the text of a configuration file and back, also from
what the running server shows.

The server counts in a unit of its own (`pg_settings.unit`, such as 8kB); a bare number in a file counts in that unit.
Sizes are therefore written as `'<bytes>B'`; negative numbers stand for "off" or "automatic" and are written bare,
because the server would round `-1B` to something else. Pure; the SQL is in `postgresql_server.py`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from adapters.catalogue import parameter as catalogue_entry
from domain.errors import Misconfigured, Rejected
from domain.space import Parameter, Value

_BYTES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "min": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_NUMBER = re.compile(
    r"\s*([-+]?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?))\s*([A-Za-z]*)\s*"
)
_UNIT = re.compile(r"([0-9]*)([A-Za-z]+)")
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_SHOWN_DIGITS = 6  # pg_settings shows real numbers with %g


@dataclass(frozen=True, slots=True)
class Known:
    """What the running server says of one parameter, a row of `pg_settings`. `setting`, `boot`, `low` and `high` count
    in `unit` (empty: plain numbers). `pending`: the files say something else, which needs a restart."""

    name: str
    setting: str
    unit: str
    kind: str  # bool, integer, real, enum, string
    context: str
    source: str
    boot: str
    low: str
    high: str
    choices: tuple[str, ...]
    pending: bool


def guc(parameter: Parameter) -> str:
    """The server's name of a parameter of the space. Raises Misconfigured for one of another program."""
    entry = catalogue_entry(parameter.name)
    if entry.family != "postgresql":
        raise Misconfigured(f"{parameter.name} is a parameter of {entry.family}, and this arm is PostgreSQL")
    return entry.name


def text_for(parameter: Parameter, value: Value, known: Known) -> str:
    """How `value` (in the catalogue's unit) is written into a configuration file of this server. Raises Rejected for a
    value that this server does not know or does not allow; nothing was written then."""
    text = _text(parameter, value, known)
    choices = {"bool": ("on", "off"), "enum": known.choices}.get(known.kind)
    if choices is not None and text not in _WORDS and text not in choices:
        raise Rejected(f"{known.name} = {text!r}: this server knows {', '.join(choices)}")
    if known.kind in ("integer", "real"):
        number = _number(text, known)
        low, high = float(known.low or "-inf"), float(known.high or "inf")
        if not low <= number <= high:
            raise Rejected(
                f"{known.name} = {text!r}: this server allows {known.low} to {known.high} {known.unit}".rstrip()
            )
    return text


def value_of(parameter: Parameter, text: str, known: Known) -> Value:
    """The value, in the catalogue's unit, of a text in a configuration file. Raises Misconfigured for one that the
    server could not read either."""
    entry = catalogue_entry(parameter.name)
    if known.kind in ("bool", "enum"):
        plain = text.strip().lower()
        word = plain if plain in parameter.choices else _canonical(text, known)
        return _WORDS[word] if entry.type == "bool" and word in _WORDS else word
    if known.kind == "string":
        return text
    number = _number(text, known)
    if number >= 0:
        exact = _in_unit(text, entry.unit)
        number = exact if exact is not None else number * _factor(known.unit, entry.unit)
    whole = parameter.type != "real" and entry.type != "float" and float(number).is_integer()
    return int(number) if whole else float(number)


def in_force(parameter: Parameter, known: Known) -> Value:
    """The value in force, in the catalogue's unit."""
    return value_of(parameter, known.setting, known)


def agrees(text: str, known: Known) -> bool:
    """Whether the value in force is what `text` means, to the precision at which the server rounds and shows it."""
    if known.kind in ("bool", "enum"):
        return _canonical(text, known) == _canonical(known.setting, known)
    if known.kind == "string":
        return text == known.setting
    wanted, present = _number(text, known), _number(known.setting, known)
    if wanted < 0 and known.source == "override":
        return True  # the server replaced "automatic" by what it computed
    if known.kind == "integer":
        return wanted == present
    return float(f"{wanted:.{_SHOWN_DIGITS}g}") == float(f"{present:.{_SHOWN_DIGITS}g}")


# --- details ---------------------------------------------------------------------------------------------------------


def _text(parameter: Parameter, value: Value, known: Known) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        raise Rejected(f"{known.name} = {value}: not a finite number")
    number = repr(int(value)) if float(value).is_integer() else repr(float(value))
    if value < 0 or not known.unit:
        return number
    unit = catalogue_entry(parameter.name).unit
    if unit == "bytes":
        return f"{number}B"
    return number if unit in ("", known.unit) else f"{number}{unit}"


def _canonical(text: str, known: Known) -> str:
    """A word as `pg_settings` shows it: the server takes words in any case, and knows other names for on and off."""
    word = text.strip().lower()
    if known.kind == "bool":
        found = {_WORDS[each] for each in _WORDS if each.startswith(word)} if word not in ("", "o") else set()
        if len(found) != 1:
            raise Misconfigured(f"{known.name} = {text!r} is neither on nor off")
        return "on" if found.pop() else "off"
    if word not in known.choices and word in _WORDS:
        word = "on" if _WORDS[word] else "off"
    if known.name == "wal_compression" and word == "on" and "pglz" in known.choices:
        return "pglz"
    return word


def _number(text: str, known: Known) -> float:
    """The text as a number of the server's units, rounded as the server does."""
    number, unit = _split(text, known.name)
    if unit:
        number *= _factor(unit, known.unit)
    return float(round(number)) if known.kind == "integer" else number


def _in_unit(text: str, unit: str) -> float | None:
    """The number of a text that is written in exactly this unit; None if it is written otherwise."""
    number, written = _split(text, text)
    return number if written and written == {"bytes": "B"}.get(unit, unit) else None


def _split(text: str, name: str) -> tuple[float, str]:
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise Misconfigured(f"{name} = {text!r} is no number that PostgreSQL reads")
    digits = match[1].lower()
    if "0x" in digits:
        return float(int(digits, 16)), match[2]
    if re.fullmatch(r"[-+]?0[0-7]+", digits):
        return float(int(digits, 8)), match[2]
    return float(digits), match[2]


def _factor(unit: str, other: str) -> float:
    """How many of `other` one `unit` is; 1 where one of them is a plain number."""
    if not unit or not other:
        return 1.0
    first, second = _size(unit), _size(other)
    if first is None or second is None or first[0] != second[0]:
        raise Misconfigured(f"the unit {unit!r} cannot be counted in {other!r}")
    return first[1] / second[1]


def _size(unit: str) -> tuple[str, float] | None:
    match = _UNIT.fullmatch("B" if unit == "bytes" else unit)
    if match is None:
        return None
    count = int(match[1] or 1)
    for kind, table in (("size", _BYTES), ("time", _MILLISECONDS)):
        if match[2] in table:
            return kind, count * float(table[match[2]])
    return None
