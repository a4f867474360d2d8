"""The actuator of local programs that take their settings when they start: an environment file that Trimtab owns, a
control group where there is one, a restart, and proof from the running process."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from adapters.actuators.owned_file import OwnedFile
from adapters.actuators.service import Service
from adapters.actuators.stamped import HINT, Content
from domain.errors import Misconfigured, Transient
from domain.space import SearchSpace, Settings, Value
from domain.target import Arm

_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


class Layer(Protocol):
    """One layer of a program that is tuned: a runtime, or the control group around it. It knows the parameters of its
    family and nothing of the others. Variables are those of the environment file, by name; `names` are the ones that it
    may write."""

    names: frozenset[str]

    def stored(self, variables: Mapping[str, str]) -> dict[str, Value]:
        """The values of its parameters by what the file says; what does not stand there has the program's default.
        Raises Misconfigured for a text that is no value."""

    def variables(self, settings: Settings, present: Mapping[str, str]) -> dict[str, str | None]:
        """The variables that carry its part of `settings`, None for one that has to go. What is the owner's in
        `present` stays in them."""

    def prepare(self, settings: Settings) -> None:
        """Before the program starts, or where nothing has to start: put what lies around it in place. Raises Rejected
        if the machine will not."""

    def live(self, settings: Settings) -> None:
        """Into the running program: the parameters that need no restart. Raises Rejected if it will not."""

    def effective(self, variables: Mapping[str, str]) -> dict[str, Value]:
        """Its parameters' values in force; `variables` are those of the running process (empty without one). Raises
        Transient if they cannot be seen now."""


class ProcessArm(OwnedFile):
    """See `domain.ports.Actuator`. `place`: `env`, the environment file that Trimtab owns. Where `arm.restart` is given,
    the program is started with its variables; where it is not, only what lies around the program can be changed."""

    def __init__(self, arm: Arm, space: SearchSpace, layers: Sequence[Layer], service: Service | None) -> None:
        if not arm.place.get("env"):
            raise Misconfigured(f"arm {arm.label} needs 'env': the path of the environment file that Trimtab may own")
        example = "create it (it may be empty); the program is started with its variables"
        super().__init__(Path(arm.place["env"]), Started(space, layers, service), example)


class Started:
    """A program that is started with the variables of an environment file."""

    def __init__(self, space: SearchSpace, layers: Sequence[Layer], service: Service | None) -> None:
        self._space, self._layers, self._service = space, layers, service
        if service is None:
            names = [parameter.name for parameter in space.parameters if parameter.cost == "restart"]
            if names:
                raise Misconfigured(f"{', '.join(names)}: needs a restart, and the arm does not say how (restart: ...)")

    def settings_of(self, body: str) -> dict[str, Value]:
        variables = variables_of(body)
        return self._ordered([layer.stored(variables) for layer in self._layers])

    def body_for(self, settings: Settings, present: str) -> str:
        variables: dict[str, str] = variables_of(present)
        for layer in self._layers:
            for name, text in layer.variables(settings, variables).items():
                if text is None:
                    variables.pop(name, None)
                else:
                    variables[name] = text
        return "\n".join([HINT, *(f"{name}={text}" for name, text in variables.items())]) + "\n"

    def free(self) -> None:
        """A program that is started anew drains nothing."""

    def activate(self, content: Content) -> None:
        variables, settings = variables_of(content.body), self.settings_of(content.body)
        service = self._service
        if service is not None and not self._began_with(variables):
            service.stop()
            self._prepare(settings)
            service.start(variables)
        else:
            self._prepare(settings)
        for layer in self._layers:
            layer.live(settings)

    def carries(self, content: Content) -> bool:
        if self._service is not None and not self._began_with(variables_of(content.body)):
            return False
        return self.effective(content) == self.settings_of(content.body)

    def effective(self, content: Content) -> dict[str, Value]:
        running = self._service.environment() if self._service is not None else {}
        return self._ordered([layer.effective(running) for layer in self._layers])

    def renew(self, content: Content, since: float) -> None:
        if self._service is None:
            raise Misconfigured("the arm does not say how its program is started anew (restart: ...)")
        started = self._service.started()
        if started is None or started <= since:
            self._service.stop()
            self._service.start(variables_of(content.body))
            for layer in self._layers:
                layer.live(self.settings_of(content.body))

    def _prepare(self, settings: Settings) -> None:
        for layer in self._layers:
            layer.prepare(settings)

    def _began_with(self, variables: Mapping[str, str]) -> bool:
        """Whether the running process was given every one of these variables, and none that a layer would write
        besides."""
        if self._service is None:
            return True
        try:
            running = self._service.environment()
        except Transient:
            return False
        ours = frozenset().union(*(layer.names for layer in self._layers))
        return all(running.get(name) == variables.get(name) for name in {*variables, *ours})

    def _ordered(self, parts: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
        """In the order of the space. Raises Misconfigured for a parameter that no layer writes."""
        found = {name: value for part in parts for name, value in part.items()}
        for parameter in self._space.parameters:
            if parameter.name not in found:
                raise Misconfigured(f"{parameter.name} is of no layer that this arm has")
        return {parameter.name: found[parameter.name] for parameter in self._space.parameters}


def variables_of(body: str) -> dict[str, str]:
    """The `NAME=value` lines of an environment file, as systemd and `docker --env-file` read them: no quotes, no
    expansion. Raises Misconfigured naming the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(body.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _VARIABLE.fullmatch(line)
        if match is None:
            raise Misconfigured(f"line {number} of the environment file is {line[:80]!r}; write NAME=value")
        if match[1] in found:
            raise Misconfigured(f"line {number} of the environment file repeats {match[1]}")
        found[match[1]] = match[2]
    return found
