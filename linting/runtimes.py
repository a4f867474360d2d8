"""Go and Node.js: the variables that their runtimes read, against the container's memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from linting import parameters, quantity, rules_cluster, shell
from linting import rules_runtime as rules
from linting.facts import Facts
from linting.finding import Finding
from linting.parts import Container, Setting

_MB = 1024**2
_GO_SHARE = 0.95  # of the container's limit that GOMEMLIMIT may take
_NODE_SHARE, _NODE_BESIDE = 0.97, 60 * _MB
_NODE_REFUSED = frozenset(  # options of V8 that NODE_OPTIONS does not take, measured
    {"--min-semi-space-size", "--initial-old-space-size", "--optimize-for-size", "--lite-mode", "--single-threaded"}
    | {"--single-threaded-gc", "--stack-size", "--gc-interval"}
)
_BOOK = parameters.Rulebook(rules.GO_VALUE, rules.GO_DEFAULT, rules.GO_DEFAULT)


def check(container: Container, facts: Facts) -> Iterator[Finding]:
    """Everything about the Go or Node.js runtime in a container."""
    variables = {variable.name: variable for variable in container.environment}
    yield from _go(variables, container, facts)
    if "NODE_OPTIONS" in variables:
        yield from _node_options(variables["NODE_OPTIONS"])
    yield from _node_heap(variables, container)


def _go(variables: dict[str, Setting], container: Container, facts: Facts) -> Iterator[Finding]:
    gogc, limit = variables.get("GOGC"), variables.get("GOMEMLIMIT")
    bytes_ = None
    if limit is not None and limit.value != "off" and "$" not in limit.value:
        bytes_ = quantity.go_size(limit.value)
        if bytes_ is None:
            yield rules.GO_VALUE.at(limit.place, f"GOMEMLIMIT={limit.value}")
        elif container.memory is not None and bytes_ > _GO_SHARE * container.memory:
            seen = f"GOMEMLIMIT={limit.value} with a limit of {quantity.megabytes(container.memory)}"
            better = f"Write GOMEMLIMIT={0.9 * container.memory // _MB:.0f}MiB or less."
            yield rules.RUNTIME_ABOVE_LIMIT.at(limit.place, seen, better=better)
        elif container.memory is None and container.limits_known:
            seen = f"GOMEMLIMIT={limit.value}, and the container has no memory limit"
            yield rules_cluster.NO_LIMIT.at(limit.place, seen, name="GOMEMLIMIT")
    fact = facts.get("go", "GOGC")
    if gogc is None or fact is None or "$" in gogc.value:
        return
    if gogc.value == "off":
        if bytes_ is None:
            yield rules.GO_OFF.at(gogc.place, "GOGC=off without GOMEMLIMIT")
    elif re.fullmatch(r"-?[0-9]{1,9}", gogc.value):
        yield from parameters.judge(fact, int(gogc.value), f"GOGC={gogc.value}", gogc.place, _BOOK)


def _node_options(variable: Setting) -> Iterator[Finding]:
    for word in shell.words(variable.value):
        name = word.partition("=")[0].replace("_", "-")
        if name in _NODE_REFUSED:
            yield rules.NODE_OPTION.at(variable.place, f"NODE_OPTIONS={word}")


def _node_heap(variables: dict[str, Setting], container: Container) -> Iterator[Finding]:
    """old + 3 x semi space + 60 MB has to fit into 97 % of the limit."""
    words, place = [*container.command], container.place
    if "NODE_OPTIONS" in variables:
        words += shell.words(variables["NODE_OPTIONS"].value)
        place = variables["NODE_OPTIONS"].place
    old, semi = _megabytes(words, "--max-old-space-size"), _megabytes(words, "--max-semi-space-size") or 0
    if old is None:
        return
    seen = f"--max-old-space-size={old}"
    if container.memory is None:
        if container.limits_known:
            seen += ", and the container has no memory limit"
            yield rules_cluster.NO_LIMIT.at(place, seen, name="NODE_OPTIONS")
        return
    if (old + 3 * semi) * _MB + _NODE_BESIDE > _NODE_SHARE * container.memory:
        most = (_NODE_SHARE * container.memory - _NODE_BESIDE) / _MB - 3 * semi
        better = f"Write --max-old-space-size={most:.0f} or less." if most >= 16 else "Raise the limit."
        seen += f" with a limit of {quantity.megabytes(container.memory)}"
        yield rules.RUNTIME_ABOVE_LIMIT.at(place, seen, better=better)


def _megabytes(words: list[str], name: str) -> int | None:
    for word in reversed(words):
        key, _, value = word.partition("=")
        if key.replace("_", "-") == name and quantity.count(value) is not None:
            return quantity.count(value)
    return None
