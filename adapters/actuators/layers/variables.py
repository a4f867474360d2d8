"""Settings that are variables of the environment, one each: their text, and the value that it means."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from adapters.actuators.process import AtStart
from adapters.catalogue import parameter as catalogue_entry
from adapters.catalogue_data import value_of
from domain.errors import Misconfigured
from domain.space import Parameter, Settings, Value


class Variables(AtStart):
    """`named` maps each parameter to its variable. `off` maps a parameter to its value when the variable is missing,
    where the catalogue has no value for that; such a value is written by leaving the variable out."""

    def __init__(
        self, parameters: tuple[Parameter, ...], named: Mapping[str, str], off: Mapping[str, Value] | None = None
    ) -> None:
        self._named, self._off = named, off or {}
        self.parameters = {each.name: each for each in parameters if each.name in named}
        self.names = frozenset(named[name] for name in self.parameters)

    def stored(self, variables: Mapping[str, str]) -> dict[str, Value]:
        found = {name: self._off[name] for name in self.parameters if name in self._off}
        for name in self.parameters:
            text = variables.get(self._named[name])
            if text is not None:
                found[name] = self.value(name, text)
        return found

    def variables(self, settings: Settings, present: Mapping[str, str]) -> dict[str, str | None]:
        return {
            self._named[name]: self.text(name, settings[name]) if name in settings else None for name in self.parameters
        }

    def effective(self, running: Mapping[str, str], written: Mapping[str, str]) -> dict[str, Value]:
        return self.stored(running)

    def value(self, name: str, text: str) -> Value:
        """Raises Misconfigured naming the variable."""
        return read(name, text, self._named[name])

    def text(self, name: str, value: Value) -> str | None:
        """None where the value is written by leaving the variable out."""
        return None if value == self._off.get(name) or unset(self.parameters[name], value) else plain(value)


def read(name: str, text: str, where: str) -> Value:
    """The value of a parameter that stands as `text` in `where`. Raises Misconfigured."""
    entry = catalogue_entry(name)
    search = entry.search or {}
    for each in (*search.get("special", ()), *search.get("values", ())):
        if not isinstance(each, bool) and str(each) == text:
            word: Value = each
            return word
    if entry.type == "string":
        return text
    try:
        return value_of(entry, text)
    except Misconfigured as error:
        raise Misconfigured(f"{where} ({name}): {error}") from None


def plain(value: Value) -> str:
    """The text of a value; numbers without an exponent, which hardly a program reads."""
    return f"{Decimal(repr(value)):f}" if isinstance(value, float) else str(value)


def unset(parameter: Parameter, value: Value) -> bool:
    """Whether the value is the catalogue's text for what the program computes by itself: written by leaving it out."""
    return (
        isinstance(value, str) and value == parameter.default and value not in (*parameter.choices, *parameter.special)
    )
