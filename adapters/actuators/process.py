"""The actuator of local programs that take their settings when they start: an environment file that Trimtab owns, a
control group where there is one, a restart, and proof from the running process."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from adapters.actuators.owned_file import OwnedFile
from adapters.actuators.service import Service
from adapters.actuators.stamped import HINT, Content
from domain.errors import Misconfigured, Rejected, Transient
from domain.space import Parameter, SearchSpace, Settings, Value, same
from domain.target import Arm

COMPUTED = "TRIMTAB_COMPUTED"  # see `Started._computed`
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")


class Layer(Protocol):
    """One layer of a program that is tuned: a runtime, or the control group around it. It knows the parameters of its
    family and nothing of the others. `names` are the variables of the environment file that it may write."""

    names: frozenset[str]

    def stored(self, variables: Mapping[str, str]) -> dict[str, Value]:
        """The values of its parameters that stand in the file's variables, and no others. Raises Misconfigured for a
        text that is no value."""

    def variables(self, settings: Settings, present: Mapping[str, str]) -> dict[str, str | None]:
        """The variables that carry its part of `settings`, None for one that has to go; a parameter that is not in
        them is left to the program. What is the owner's in `present` stays in them."""

    def began_with(self, running: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
        """Whether a program that was started with the variables `running` needs no new start to carry `wanted`."""

    def prepare(self, variables: Mapping[str, str]) -> None:
        """Before the program starts, or where nothing has to start: put what lies around it in place. Raises Rejected
        if the machine will not."""

    def live(self, variables: Mapping[str, str]) -> None:
        """Into the running program: the parameters that need no restart. Raises Rejected if it will not."""

    def effective(self, running: Mapping[str, str], written: Mapping[str, str]) -> dict[str, Value]:
        """Its parameters' values in force, as far as they can be seen, in a program that was started with the variables
        `running`. What only differs from `written` by the program's own rounding is given as it was written. Raises
        Transient if nothing can be seen now."""


class AtStart:
    """A layer whose settings are variables that the program reads when it starts, and only then."""

    names: frozenset[str]

    def began_with(self, running: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
        """Every variable is the same."""
        return all(running.get(name) == wanted.get(name) for name in self.names)

    def prepare(self, variables: Mapping[str, str]) -> None:
        """Nothing lies around the program."""

    def live(self, variables: Mapping[str, str]) -> None:
        """Nothing changes while it runs."""


class ProcessArm(OwnedFile):
    """See `domain.ports.Actuator`. `place`: `env`, the environment file that Trimtab owns. With `arm.restart` the
    program is started with its variables; without, only what lies around the program can be changed."""

    def __init__(self, arm: Arm, space: SearchSpace, layers: Sequence[Layer], service: Service | None) -> None:
        if not arm.place.get("env"):
            raise Misconfigured(f"arm {arm.label} needs 'env': the path of the environment file that Trimtab may own")
        example = "create it (it may be empty); the program is started with its variables"
        super().__init__(Path(arm.place["env"]), Started(space, layers, service, arm.place["env"]), example)


class Started:
    """A program that is started with the variables of an environment file."""

    def __init__(self, space: SearchSpace, layers: Sequence[Layer], service: Service | None, file: str) -> None:
        self._space, self._layers, self._service, self._file = space, layers, service, file
        if service is None:
            names = [parameter.name for parameter in space.parameters if parameter.cost == "restart"]
            if names:
                raise Misconfigured(f"{', '.join(names)}: needs a restart, and the arm does not say how (restart: ...)")

    def settings_of(self, body: str) -> dict[str, Value]:
        variables = variables_of(body)
        found = _computed_in(variables) | self._stored(variables)
        if any(parameter.name not in found for parameter in self._space.parameters):
            found = self._seen(variables) | found
        return self._ordered(found)

    def body_for(self, settings: Settings, owners: str, present: str) -> str:
        variables = variables_of(owners)
        computed = self._computed(variables, variables_of(present))
        wanted = {}
        for parameter in self._space.parameters:
            value = settings[parameter.name]
            if parameter.name not in computed or not same(value, computed[parameter.name]):
                wanted[parameter.name] = value
                if not _has(parameter, value) and parameter.name not in self._stored(variables):
                    raise Rejected(f"{parameter.name}: {value} is outside its range, and not what was in force")
        for layer in self._layers:
            for name, text in layer.variables(wanted, variables).items():
                if text is None:
                    variables.pop(name, None)
                else:
                    variables[name] = text
        variables.pop(COMPUTED, None)
        lines = [f"{name}={text}" for name, text in variables.items()]
        lines += [f"{COMPUTED}={json.dumps(computed)}"] if computed else []
        return "\n".join([HINT, *lines]) + "\n"

    def free(self) -> None:
        """A program that is started anew drains nothing."""

    def activate(self, content: Content) -> None:
        variables = variables_of(content.body)
        if self._service is not None and not self._began_with(variables):
            self._restart(self._service, variables)
        else:
            self._prepare(variables)
        self._live(variables)
        wanted, seen = self.settings_of(content.body), self.effective(content)
        for name, value in wanted.items():
            if not same(value, seen[name]):
                raise Rejected(f"{name}: {value} was written, and {seen[name]} is in force")

    def carries(self, content: Content) -> bool:
        if not self._began_with(variables_of(content.body)):
            return False
        return self.effective(content) == self.settings_of(content.body)

    def effective(self, content: Content) -> dict[str, Value]:
        variables = variables_of(content.body)
        left_out = {n: v for n, v in _computed_in(variables).items() if n not in self._stored(variables)}
        return self._ordered(self._seen(variables) | left_out)

    def renew(self, content: Content, since: float) -> None:
        if self._service is None:
            raise Misconfigured("the arm does not say how its program is started anew (restart: ...)")
        started = self._service.started()
        if started is None or started <= since:
            variables = variables_of(content.body)
            self._restart(self._service, variables)
            self._live(variables)

    def _stored(self, variables: Mapping[str, str]) -> dict[str, Value]:
        return _merged(layer.stored(variables) for layer in self._layers)

    def _computed(self, owners: Mapping[str, str], present: Mapping[str, str]) -> dict[str, Value]:
        """What the program computed before the run where its owner said nothing, and what no settings could say: 0
        collector threads under a collector that has none. Such a value is written by leaving it to the program."""
        known, stored = _computed_in(present), self._stored(owners)
        if not known:
            with contextlib.suppress(Transient):
                known = self._seen(present)
        silent = [each for each in self._space.parameters if each.name in known and each.name not in stored]
        return {each.name: known[each.name] for each in silent if not _has(each, known[each.name])}

    def _restart(self, service: Service, variables: Mapping[str, str]) -> None:
        service.check()
        service.stop()
        self._prepare(variables)
        service.start(variables)

    def _prepare(self, variables: Mapping[str, str]) -> None:
        for layer in self._layers:
            layer.prepare(variables)

    def _live(self, variables: Mapping[str, str]) -> None:
        for layer in self._layers:
            layer.live(variables)

    def _seen(self, written: Mapping[str, str]) -> dict[str, Value]:
        """What the layers see in force."""
        running = self._service.environment() if self._service is not None else written
        return _merged(layer.effective(running, written) for layer in self._layers)

    def _began_with(self, variables: Mapping[str, str]) -> bool:
        """Whether the running program needs no new start to carry these variables."""
        if self._service is None:
            return True
        try:
            running = self._service.environment()
        except Transient:
            return False
        owners = variables.keys() - {COMPUTED}.union(*(layer.names for layer in self._layers))
        return all(running.get(name) == variables[name] for name in owners) and all(
            layer.began_with(running, variables) for layer in self._layers
        )

    def _ordered(self, found: Mapping[str, Value]) -> dict[str, Value]:
        """In the order of the space; the catalogue's default for what stands nowhere and cannot be seen. Raises
        Misconfigured for one that the program computes."""
        values: dict[str, Value] = {}
        for parameter in self._space.parameters:
            computed = isinstance(parameter.default, str) and not _has(parameter, parameter.default)
            if parameter.name not in found and computed:
                raise Misconfigured(
                    f"{parameter.name} does not stand in {self._file}, and what the program computes instead cannot be "
                    "seen; write the value that is in force there"
                )
            values[parameter.name] = found.get(parameter.name, parameter.default)
        return values


def _has(parameter: Parameter, value: Value) -> bool:
    """Whether the parameter can have this value."""
    if any(same(value, each) for each in (*parameter.choices, *parameter.special)):
        return True
    inside = isinstance(value, (int, float)) and not isinstance(value, bool) and not parameter.choices
    return inside and (parameter.low or 0) <= float(value) <= (parameter.high or 0)


def _computed_in(variables: Mapping[str, str]) -> dict[str, Value]:
    """The parameters that are left to the program, with what it had computed before the run."""
    try:
        found: dict[str, Value] = json.loads(variables.get(COMPUTED, "{}"))
    except ValueError as error:
        raise Misconfigured(f"{COMPUTED} is no JSON: {error}; remove the line") from error
    return found


def _merged(parts: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    return {name: value for part in parts for name, value in part.items()}


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
