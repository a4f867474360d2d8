"""The catalogue as the linter's rules need it: bounds, defaults and policies for one version of each program."""

from __future__ import annotations

import re
from collections.abc import Mapping

from adapters.catalogue_data import VERSIONS, Catalogue, Entry, default_of, exists, load, unknown, value_of
from domain.errors import Misconfigured
from domain.formula import parse
from domain.space import Value, same
from linting.facts import Fact, Facts, Relation

DEFAULT_VERSIONS: Mapping[str, str] = {**VERSIONS, "linux": "6.12"}
_FAMILIES = ("postgresql", "nginx", "jvm", "go", "python", "docker", "sysctl")


def facts(chosen: Mapping[str, str] | None = None) -> Facts:
    """The parameters for the chosen versions, `{'postgresql': '17'}`; the others have the catalogue's usual version.
    Raises Misconfigured for a program that nobody knows or a text that is no version."""
    for name, text in (chosen or {}).items():
        if name not in DEFAULT_VERSIONS:
            raise unknown("program", name, DEFAULT_VERSIONS)
        if not re.fullmatch(r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,3}", text):
            raise Misconfigured(f"--version {name}={text}: {text!r} is no version; write one like 17 or 1.22")
    versions = {**DEFAULT_VERSIONS, **(chosen or {})}
    catalogue = load()
    families: dict[str, dict[str, Fact]] = {name: {} for name in _FAMILIES}
    for entry in catalogue.entries.values():
        if entry.family in families:
            version = versions.get("linux" if entry.family == "sysctl" else entry.family, "")
            fact = _fact(entry, version)
            families[entry.family][fact.name] = fact
    return Facts(versions, families, _relations(catalogue))


def _fact(entry: Entry, version: str) -> Fact:
    low, high = _bounds(entry, version)
    last = entry.until if re.fullmatch(r"[0-9.]+", entry.until) else ""
    default = _plain(entry, default_of(entry, version)) if version or "all" in entry.default else ""
    return Fact(
        id=entry.id,
        name=entry.id.partition(".")[2],
        type=entry.type,
        unit=entry.unit,
        native_unit=entry.native_unit,
        policy=entry.policy,
        default=default,
        old_defaults=_old_defaults(entry, version, default),
        low=low,
        high=high,
        choices=tuple((entry.data.get("hard") or {}).get("values", ())),
        present=exists(entry, version),
        span=f"from {entry.since} on" + (f" until {last}" if last else ""),
        note=entry.note,
    )


def _bounds(entry: Entry, version: str) -> tuple[float | None, float | None]:
    """What the program accepts, for this version where that changed."""
    hard = entry.data.get("hard") or {}
    low, high = hard.get("min"), hard.get("max")
    changes = sorted((_numbers(key), pair) for key, pair in (hard.get("by_version") or {}).items())
    for since, pair in changes:
        if since <= _numbers(version):
            low, high = pair
    return low, high


def _plain(entry: Entry, value: Value) -> Value:
    """A default as a number where its text is one."""
    if isinstance(value, str):
        try:
            return value_of(entry, value)
        except Misconfigured:
            return value
    return value


def _old_defaults(entry: Entry, version: str, default: Value) -> tuple[Value, ...]:
    """Plain defaults of versions before this one that differ from today's."""
    found: list[Value] = []
    for key, raw in entry.default.items():
        match = re.fullmatch(r"(<?)([0-9]+(?:\.[0-9]+)*)", key)
        if not match or _numbers(match[2]) > _numbers(version) or not isinstance(raw, (bool, int, float, str)):
            continue
        value = _plain(entry, raw)
        if not same(value, default) and not (isinstance(value, str) and entry.type != "enum"):
            found.append(value)
    return tuple(found)


def _relations(catalogue: Catalogue) -> tuple[Relation, ...]:
    """The hard constraints of the catalogue that an expression decides."""
    return tuple(
        Relation(rule.id, rule.expression, parse(rule.expression).names, rule.why)
        for rule in catalogue.rules
        if rule.hard and rule.expression and not rule.foreign
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version))
