"""The environment where nobody said everything: each missing variable by a rule over the limits of the container.

The rules are expressions of the catalogue's language, evaluated in this order. They describe an ordinary service that
fits its container, for looking around with `trimtab catalogue`; a run on a target uses only what its policy says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from adapters.catalogue_data import load, unknown, value_of
from domain.errors import Misconfigured
from domain.formula import Scalar, parse
from domain.space import Value

_SIZES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}

RULES: Mapping[str, str] = {
    "mem": "2*GB",
    "cpu": "2",
    "cpu_req": "cpu/2",
    "mem_req": "mem/2",
    "node_mem": "max(16*GB, 4*mem)",
    "node_cpu": "max(8, ceil(4*cpu))",
    "conns": "max(20, min(ceil(100*cpu), floor(mem/(10*MB))))",
    "active": "max(2, min(ceil(8*cpu), floor(mem/(64*MB))))",
    "disk": "'ssd'",
    "workload": "'web'",
    "db_size": "2*mem",
    "wal_disk": "max(10*GB, 2*mem)",
    "live": "floor(mem/8)",
    "alloc": "floor(50*MB*cpu)",
    "threads": "max(20, min(ceil(50*cpu), floor(mem/(8*MB))))",
    "metaspace": "floor(clamp(mem/20, 24*MB, 200*MB))",
    "codecache": "floor(clamp(mem/40, 16*MB, 100*MB))",
    "direct": "floor(clamp(mem/32, 8*MB, 512*MB))",
    "slo_ms": "200",
    "rps": "max(10, ceil(100*cpu))",
    "body": "20000",
    "bdp": "1*MB",
    "nofile": "1048576",
    "startup_s": "20",
    "replicas": "3",
    "svc_ms": "40",
}


def assume(given: Mapping[str, Scalar], situation: Mapping[str, Scalar] | None = None) -> dict[str, Scalar]:
    """All variables: those `given`, then what the `situation` (a preset's `assumes`) says, then `RULES`. Raises
    Misconfigured for a variable that the catalogue does not have."""
    known = load().environment
    for name in given:
        if name not in known:
            raise unknown("variable", name, known)
    found: dict[str, Scalar] = {**(situation or {}), **given}
    for name, text in RULES.items():
        if name not in found:
            result = parse(text)(found)
            found[name] = str(result) if isinstance(result, list) else result
    return {name: found[name] for name in RULES}


def read(pairs: Iterable[str]) -> tuple[dict[str, Scalar], dict[str, Value]]:
    """`name=value` texts as variables of the environment and values of parameters (names with a dot). Raises
    Misconfigured naming the first that is neither, or whose value does not fit."""
    known = load()
    environment: dict[str, Scalar] = {}
    present: dict[str, Value] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise Misconfigured(f"{pair!r} is no name=value, such as conns=200 or pg.max_connections=100")
        try:
            if name in known.environment:
                environment[name] = variable(name, _plain(text))
            elif name in known.entries:
                present[name] = value_of(known.entries[name], _plain(text))
            else:
                raise unknown("variable", name, [*known.environment, *(known.entries if "." in name else ())])
        except Misconfigured as error:
            raise Misconfigured(f"{name}: {error}") from None
    return environment, present


def variable(name: str, value: Scalar) -> Scalar:
    """A value that a person wrote for a variable of the environment: sizes with a unit in bytes, words among those that
    the catalogue has. Raises Misconfigured."""
    meaning = load().environment[name]
    words = re.findall(r"'(\w+)'", meaning)
    if words:
        if value not in words:
            raise Misconfigured(f"{value!r} is none of {', '.join(words)}")
        return value
    if isinstance(value, str) and meaning.startswith("bytes"):
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)i?b?", value.strip().lower())
        if match:
            return round(float(match[1]) * _SIZES[match[2]])
    if isinstance(value, (bool, str)) or value < 0:
        raise Misconfigured(f"{value!r} is no number; this is {meaning}")
    return value


def _plain(text: str) -> Scalar:
    """A text from a command line as the number that it is."""
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]*\.[0-9]+", text) else text
