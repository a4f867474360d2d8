"""The space that a run may search: parameters, their scales, and the constraints that tie them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Value = bool | int | float | str
Settings = Mapping[str, Value]

ParameterType = Literal["integer", "real", "categorical", "ordinal"]


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
