"""What the catalogue says about one value: outside the bounds, equal to the default, or to the default of old."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from domain.constraint import holds
from domain.formula import Scalar, clauses
from domain.space import Value, same
from linting.facts import Fact, Facts
from linting.finding import Finding, Place, Rule


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules that one family reports with."""

    bounds: Rule
    default: Rule
    old_default: Rule


def judge(fact: Fact, value: Value, seen: str, place: Place, book: Rulebook) -> Iterator[Finding]:
    """At most one finding about a value in the fact's unit. `seen` is how the file writes it."""
    allowed = _allowed(fact, value)
    if allowed:
        yield book.bounds.at(place, seen, name=fact.name, better=f"Write {allowed}.")
    elif same(value, fact.default):
        yield book.default.at(place, seen, name=fact.name)
    elif any(same(value, old) for old in fact.old_defaults):
        now = show(fact, fact.default)
        yield book.old_default.at(place, seen, name=fact.name, why=f"Since then the default is {now}.")


def refused(fact: Fact, raw: str, place: Place, book: Rulebook) -> Finding:
    """The finding about a text that is no value of the parameter at all."""
    unit = f" in {fact.unit}" if fact.unit else ""
    wanted = _choices(fact) or f"a {fact.type}{unit}"
    return book.bounds.at(place, f"{fact.name} = {raw}", name=fact.name, better=f"Write {wanted}.")


def show(fact: Fact, value: Value) -> str:
    """A value of the fact for people."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if fact.unit == "bytes" and isinstance(value, int | float) and value >= 1024:
        for factor, suffix in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
            if value % factor == 0:
                return f"{value // factor:.0f} {suffix}"
    number = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{number} {fact.unit}".strip() if not isinstance(value, str) else number


def broken(
    family: str, given: Mapping[str, tuple[Value, Place]], facts: Facts, rule: Rule, skip: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """Relations of the catalogue that the given values break, taken together with the defaults. `given` is by name."""
    known = facts.families.get(family, {})
    prefix = {fact.name: fact.id for fact in known.values()}
    defaults: dict[str, Scalar] = {fact.id: fact.default for fact in known.values()}
    values = defaults | {prefix[name]: value for name, (value, _) in given.items() if name in prefix}
    places = {prefix[name]: place for name, (_, place) in given.items() if name in prefix}
    for relation in facts.relations:
        if relation.id in skip:
            continue
        for clause in clauses(relation.expression):
            named = [name for name in places if name in clause.names]
            if not named or holds(clause.text, values) or not holds(clause.text, defaults):
                continue
            last = max(named, key=lambda name: places[name].line)
            told = ", ".join(
                f"{known_name(name)} {values[name]}{'' if name in places else ' (default)'}"
                for name in sorted(clause.names)
                if name in values
            )
            yield rule.at(places[last], told, why=relation.why, better=f"Keep {readable(clause.text)}.")


def known_name(identifier: str) -> str:
    """`pg.min_wal_size` → `min_wal_size`"""
    return identifier.partition(".")[2] or identifier


def readable(expression: str) -> str:
    """A clause of the catalogue without the marks that only the program needs."""
    text = expression
    for quote in "'\"":
        while f"P({quote}" in text:
            before, _, rest = text.partition(f"P({quote}")
            name, _, after = rest.partition(f"{quote})")
            text = before + known_name(name) + after
    return text


def _allowed(fact: Fact, value: Value) -> str:
    """What may be written in place of `value`; empty if it may stand."""
    if isinstance(value, bool):
        return "" if not fact.choices or any(same(value, each) for each in fact.choices) else _choices(fact)
    if isinstance(value, str):
        return "" if not fact.choices or value in [str(each) for each in fact.choices] else _choices(fact)
    if fact.choices:
        return "" if any(same(value, each) for each in fact.choices) else _choices(fact)
    if fact.low is not None and value < fact.low:
        return f"{show(fact, fact.low)} or more"
    if fact.high is not None and value > fact.high:
        return f"{show(fact, fact.high)} or less"
    return ""


def _choices(fact: Fact) -> str:
    shown = [show(fact, each) for each in fact.choices]
    return f"one of {', '.join(shown)}" if shown else ""
