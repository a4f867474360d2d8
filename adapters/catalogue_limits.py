"""Joint spaces: when the limit of a container is searched together with what runs inside it.

`mem` and `cpu` in the catalogue's expressions mean the limits of the container. Where a selection holds the limit
itself (`docker.memory`, `k8s.memory_limit`; `docker.cpus`, `k8s.cpu_limit`), every other parameter follows the
candidate:

- its bounds are those over all limits that may be tried (the least low end, the greatest high end), and
- the bound itself becomes a constraint with the searched limit in place of the variable, as do all constraints.

The bounds of the limit itself keep the limit in force, which is what the environment says.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping

from domain.errors import Misconfigured
from domain.formula import Scalar
from domain.space import Parameter

LIMITS: Mapping[str, tuple[str, ...]] = {
    "mem": ("docker.memory", "k8s.memory_limit"),
    "cpu": ("docker.cpus", "k8s.cpu_limit"),
}
STEPS = 5  # limits, evenly spaced on a log scale, at which the bounds of the others are looked at

# Values outside the range that expressions count as a number (a variable of the environment).
COUNTS_AS: Mapping[str, tuple[str, str]] = {
    "nginx.worker_processes": ("auto", "node_cpu"),
    "k8s.cpu_limit": ("unset", "node_cpu"),
}

Environment = Mapping[str, Scalar]


def searched(parameters: Iterable[Parameter]) -> dict[str, Parameter]:
    """Variable of the environment → the searched parameter that stands for it. Raises Misconfigured for two."""
    found: dict[str, Parameter] = {}
    for parameter in parameters:
        for variable, names in LIMITS.items():
            if parameter.name in names:
                if variable in found:
                    both = f"{found[variable].name} and {parameter.name}"
                    raise Misconfigured(f"{both} both set {variable!r} of one container; leave one of them out")
                found[variable] = parameter
    return found


def is_limit(name: str) -> bool:
    return any(name in names for names in LIMITS.values())


def counted(name: str, environment: Environment) -> str:
    """The parameter as an expression in which a value such as `auto` is the number that it stands for."""
    word, stand_in = COUNTS_AS.get(name, ("", ""))
    return f"({environment[stand_in]} if {name} == {word!r} else {name})" if stand_in in environment else name


def environments(environment: Environment, limits: Mapping[str, Parameter]) -> tuple[Environment, ...]:
    """The environment at each of the limits that may be tried; itself if none is searched."""
    columns = [[(variable, value) for value in _tried(limit, environment)] for variable, limit in limits.items()]
    return tuple({**environment, **dict(row)} for row in itertools.product(*columns))


def _tried(limit: Parameter, environment: Environment) -> list[Scalar]:
    special = [_number(limit.name, each, environment) for each in limit.special]
    if limit.choices:
        return [_number(limit.name, each, environment) for each in limit.choices]
    low, high = limit.low or 0.0, limit.high or 0.0
    ratio = math.log(high / low) if low > 0 else 0.0
    inner = [low * math.exp(ratio * step / (STEPS - 1)) for step in range(1, STEPS - 1)]
    numbers: list[Scalar] = [round(each) if limit.type == "integer" else each for each in inner]
    return [low, *numbers, high, *special]


def _number(name: str, value: Scalar, environment: Environment) -> Scalar:
    word, stand_in = COUNTS_AS.get(name, ("", ""))
    if value != word:
        return value
    if stand_in not in environment:
        raise Misconfigured(f"{name} {word!r} counts as {stand_in}; give environment.{stand_in}")
    return environment[stand_in]


def at(environment: Environment, limits: Mapping[str, Parameter], settings: Mapping[str, Scalar]) -> Environment:
    """The environment under some of the limits' settings."""
    own = {
        variable: _number(limit.name, settings[limit.name], environment)
        for variable, limit in limits.items()
        if limit.name in settings
    }
    return {**environment, **own}
