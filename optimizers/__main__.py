"""Strategies as a program: one JSON request a line on stdin, one answer a line on stdout, in order, flushed.

    python -m optimizers [--strategy bayesian]

The contract is in docs/json-lines.md. A bad request is answered with {"error": ...} and the program goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from domain.codec import from_json, to_json
from domain.errors import Misconfigured, TrimtabError
from domain.ports import Observation, Optimizer, Request
from domain.space import Parameter, SearchSpace, check
from optimizers.factory import STRATEGIES, strategy


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m optimizers", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--strategy", default="bayesian", choices=STRATEGIES)
    serve(strategy(parser.parse_args(arguments).strategy), sys.stdin, sys.stdout)
    return 0


def serve(chosen: Optimizer, lines: Iterable[str], out: TextIO) -> None:
    """Answer every non-empty line."""
    for line in lines:
        if line.strip():
            out.write(json.dumps(answer(chosen, line), allow_nan=False) + "\n")
            out.flush()


def answer(chosen: Optimizer, line: str) -> dict[str, Any]:
    try:
        advice = chosen.advise(read(line))
    except (TrimtabError, ValueError) as error:
        return {"error": str(error)[:1000]}
    return {
        "proposals": [to_json(each) for each in advice.proposals],
        "recommend": to_json(advice.recommend),
        "estimate": {"effect": advice.effect, "sd": advice.sd},
        "max_ei": advice.max_ei,
        "why": advice.why,
        "expected": None if advice.expected is None else {"effect": advice.expected, "sd": advice.expected_sd},
        "p_bad": advice.p_bad,
        "simpler": None if advice.simpler is None else to_json(advice.simpler),
        "replicate": None if advice.replicate is None else to_json(advice.replicate),
    }


def read(line: str) -> Request:
    """The request of a line. Raises Misconfigured or ValueError naming the field."""
    data = json.loads(line, parse_constant=_refuse, object_pairs_hook=_unique)
    if not isinstance(data, dict):
        raise Misconfigured("a request is a JSON object")
    unknown = set(data) - set(_FIELDS)
    if unknown:
        raise Misconfigured(f"unknown field {sorted(unknown)[0]!r}; known: {', '.join(_FIELDS)}")
    for name in ("space", "history", "incumbent", "seed"):
        if name not in data:
            raise Misconfigured(f"field {name!r} is missing")
    space = _space(data["space"])
    check(space)
    history = tuple(from_json(Observation, each) for each in _listed(data, "history"))
    for place, each in enumerate(history):
        if (each.effect is None) != (each.variance is None):
            raise Misconfigured(f"history[{place}]: effect and variance are both given, or both null")
        if each.variance is not None and each.variance < 0:
            raise Misconfigured(f"history[{place}].variance is {each.variance}; it must not be below 0")
        _complete(space, each.settings, f"history[{place}].settings")
    _complete(space, data["incumbent"], "incumbent")
    n = data.get("n", 1)
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= 100:
        raise Misconfigured(f"n is {n!r}; allowed: 1 to 100")
    if not isinstance(data["seed"], int) or isinstance(data["seed"], bool):
        raise Misconfigured(f"seed is {data['seed']!r}; it must be a whole number")
    return Request(
        space=space,
        history=history,
        incumbent=data["incumbent"],
        seed=data["seed"],
        n=n,
        budget=int(data.get("budget", 50)),
        seeds=tuple(data.get("seeds", ())),
        radius=float(data.get("radius", 0.5)),
        off=_number(data, "off", 0.0),
        headroom=None if data.get("headroom") is None else _number(data, "headroom", 0.0),
        careful=data.get("careful") is True,
        mei=_number(data, "mei", 0.03),
    )


def _number(data: Mapping[str, Any], name: str, otherwise: float) -> float:
    value = data.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Misconfigured(f"{name} is {value!r}; it must be a number")
    return float(value)


_FIELDS = (
    "space",
    "history",
    "incumbent",
    "seed",
    "n",
    "budget",
    "seeds",
    "radius",
    "off",
    "headroom",
    "careful",
    "mei",
)


def _space(data: Any) -> SearchSpace:
    if not isinstance(data, dict) or not isinstance(data.get("parameters"), list):
        raise Misconfigured("space.parameters must be a list")
    candidates = data.get("candidates")
    return SearchSpace(
        parameters=tuple(from_json(Parameter, each) for each in data["parameters"]),
        constraints=tuple(data.get("constraints", ())),
        candidates=None if candidates is None else tuple(candidates),
    )


def _listed(data: Mapping[str, Any], name: str) -> list[Any]:
    if not isinstance(data[name], list):
        raise Misconfigured(f"{name} must be a list")
    return list(data[name])


def _complete(space: SearchSpace, settings: Any, field: str) -> None:
    if not isinstance(settings, dict):
        raise Misconfigured(f"{field} must be an object of settings")
    for parameter in space.parameters:
        if parameter.name not in settings:
            raise Misconfigured(f"{field}: parameter {parameter.name!r} is missing")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Misconfigured(f"field {name!r} stands there twice")
        found[name] = value
    return found


def _refuse(text: str) -> float:
    raise Misconfigured(f"{text} is no JSON number")


if __name__ == "__main__":
    sys.exit(main())
