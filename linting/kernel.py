"""Kernel parameters, whether a sysctl.conf, a script, a container or a pod sets them."""

from __future__ import annotations

from collections.abc import Iterator

from domain.space import Value
from linting import parameters, rules_cluster
from linting import rules_kernel as rules
from linting.facts import Fact, Facts
from linting.finding import NOTE, Finding, Place
from linting.parts import Kernel, Setting

_BOOK = parameters.Rulebook(rules.BOUNDS, rules.DEFAULT, rules.OLD_DEFAULT)
_LEAST = {  # below this the line makes something smaller, whatever the node; None means below the default
    "net.core.rmem_default": None,
    "net.core.wmem_default": None,
    "net.core.rmem_max": None,
    "net.core.wmem_max": None,
    "net.core.somaxconn": None,
    "net.core.netdev_max_backlog": None,
    "net.netfilter.nf_conntrack_max": 131072,  # the least that kube-proxy sets
}
_NOT_TCP = {
    "net.core.rmem_default": " TCP does not use it: its windows start at the second value of net.ipv4.tcp_rmem.",
    "net.core.wmem_default": " TCP does not use it: its buffers start at the second value of net.ipv4.tcp_wmem.",
}
_RATIOS = ("vm.dirty_background_ratio", "vm.dirty_ratio")
_LEAST_DIRTY = 5  # percent
_OWN = frozenset({"C-DIRTY"})  # relations that rules of this file tell with their own words


def check(part: Kernel, facts: Facts) -> Iterator[Finding]:
    """Everything about the kernel parameters that one file sets."""
    given: dict[str, tuple[Value, Place]] = {}
    for setting in part.settings:
        fact = facts.get("sysctl", setting.name)
        if fact is None:
            continue
        value = _value(fact, setting.value)
        yield from _one(fact, value, setting)
        if value is not None:
            given[setting.name] = (value, setting.place)
    yield from _dirty(given, facts)
    yield from parameters.broken("sysctl", given, facts, rules.RELATION, _OWN)


def _one(fact: Fact, value: Value | None, setting: Setting) -> Iterator[Finding]:
    seen = f"{setting.name} = {setting.value}"
    if fact.policy == "never":
        yield rules.ACTION.at(setting.place, seen, name=fact.name)
        return
    if value is None:
        if fact.type not in ("string", "list", "enum"):
            yield parameters.refused(fact, setting.value, setting.place, _BOOK)
        return
    if _lowers(fact, value):
        least = _LEAST[fact.name] or fact.default
        told = f"The value is {value}, and without the line it is {least} or more.{_NOT_TCP.get(fact.name, '')}"
        yield rules.LOWERS.at(setting.place, seen, name=fact.name, why=told)
        return
    found = [
        each
        for each in parameters.judge(fact, value, seen, setting.place, _BOOK)
        if each.rule != rules.DEFAULT.id or not fact.name.endswith("]")  # all three sizes have to be written
    ]
    yield from found
    if found:
        return
    if fact.name == "vm.dirty_ratio" and isinstance(value, int | float) and value < _LEAST_DIRTY:
        yield rules.DIRTY_RATIO.at(setting.place, seen)
    elif fact.policy == "guard":
        severity = NOTE if isinstance(fact.default, str) else None  # nobody here knows what it was before
        yield rules.GUARDED.at(setting.place, seen, name=fact.name, why=fact.note, severity=severity)


def _lowers(fact: Fact, value: Value) -> bool:
    if fact.name not in _LEAST or not isinstance(value, int | float):
        return False
    least = _LEAST[fact.name] or fact.default
    return isinstance(least, int | float) and value < least


def _dirty(given: dict[str, tuple[Value, Place]], facts: Facts) -> Iterator[Finding]:
    """Background write-back has to start before forced write-back; what a file leaves out has its default."""
    ratios = []
    for name in _RATIOS:
        fact = facts.get("sysctl", name)
        value = given[name][0] if name in given else fact.default if fact else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        ratios.append(value)
    background, forced = ratios
    places = [given[name][1] for name in _RATIOS if name in given]
    if places and background >= forced:
        seen = f"vm.dirty_background_ratio {background:g}, vm.dirty_ratio {forced:g}"
        yield rules_cluster.DIRTY.at(max(places, key=lambda place: place.line), seen)


def _value(fact: Fact, raw: str) -> Value | None:
    """The text of a kernel parameter as a value; None where a number is needed and none stands there."""
    if fact.type in ("string", "list", "enum") and not raw.lstrip("-").isdigit():
        return raw
    if isinstance(fact.default, str) and raw == fact.default:
        return raw
    try:
        return int(raw, 0) if not raw.isdigit() else int(raw)
    except ValueError:
        pass
    try:
        number = float(raw)
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None
