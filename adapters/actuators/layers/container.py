"""The limits around a program: CPU time, CPUs, memory. Kept by the files of a control group, or by an engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from adapters.actuators.layers.variables import plain, read
from domain.errors import Misconfigured
from domain.space import SearchSpace, Settings, Value

NONE = "unlimited"  # how a variable says that there is no limit
UNLIMITED = 2**63 - 1  # the value of that, in bytes


class Keeper(Protocol):
    """Who keeps the limits in force. Values are in the catalogue's units."""

    known: frozenset[str]

    def present(self, name: str) -> Value:
        """The value in force."""

    def without(self, name: str) -> Value:
        """What no limit counts as. Raises Misconfigured where a limit cannot be taken away."""

    def settle(self, wanted: Mapping[str, Value]) -> None:
        """Put the limits there, UNLIMITED for none. Raises Rejected for a value that is refused."""

    def fits(self, name: str, wanted: Value, seen: Value) -> bool:
        """Whether `seen` is what the keeper makes of `wanted`."""


class Container:
    """What a keeper says is lost when the container goes, so every parameter also stands in the environment file, as
    TRIMTAB_<ID>; `read_at_start` names those that the program looks at when it starts, and that it must be started anew
    for."""

    def __init__(
        self, keeper: Keeper, space: SearchSpace, file: str, read_at_start: frozenset[str] = frozenset()
    ) -> None:
        for parameter in space.parameters:
            if parameter.name not in keeper.known:
                raise Misconfigured(
                    f"{parameter.name} cannot be changed while a container runs; set it where the container is made, "
                    "and leave the parameter out"
                )
        self._keeper, self._file = keeper, file
        self._variables = {each.name: variable(each.name) for each in space.parameters}
        self.names = frozenset(self._variables.values())
        self._read = frozenset(self._variables[name] for name in self._variables.keys() & read_at_start)

    def stored(self, variables: Mapping[str, str]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        missing = []
        for name, key in self._variables.items():
            text = variables.get(key)
            if text is None:
                value = self._keeper.present(name)
                missing.append(f"{key}={NONE if value == UNLIMITED else value}")
            else:
                found[name] = self._keeper.without(name) if text == NONE else read(name, text, key)
        if missing:
            raise Misconfigured(f"{self._file} does not say {', '.join(self._variables)}; add: {' '.join(missing)}")
        return found

    def variables(self, settings: Settings, present: Mapping[str, str]) -> dict[str, str | None]:
        return {key: _text(settings[name]) for name, key in self._variables.items() if name in settings}

    def began_with(self, running: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
        return all(running.get(key) == wanted.get(key) for key in self._read)

    def prepare(self, variables: Mapping[str, str]) -> None:
        wanted = self.stored(variables)
        for name, key in self._variables.items():
            if variables[key] == NONE:
                wanted[name] = UNLIMITED
        self._keeper.settle(wanted)

    def live(self, variables: Mapping[str, str]) -> None:
        """All of it was done by `prepare`: the kernel applies a limit at once."""

    def effective(self, running: Mapping[str, str], written: Mapping[str, str]) -> dict[str, Value]:
        wanted = self.stored(written)
        seen = {name: self._keeper.present(name) for name in self._variables}
        return {
            name: wanted[name] if self._keeper.fits(name, wanted[name], value) else value
            for name, value in seen.items()
        }


def variable(name: str) -> str:
    """docker.cpu_period → TRIMTAB_DOCKER_CPU_PERIOD."""
    return f"TRIMTAB_{name.replace('.', '_').upper()}"


def _text(value: Value) -> str:
    return NONE if value == UNLIMITED else plain(value)
