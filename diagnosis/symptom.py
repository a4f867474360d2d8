"""What a rule gives: a symptom, with its evidence; and how rules look at facts without being led by what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from diagnosis.facts import KNOWN, Facts, told
from domain.evidence import Reading

Layer = Literal[
    "cpu_quota",
    "cpu_node",
    "memory_limit",
    "gc",
    "io_storage",
    "system_limits",
    "volume",
    "pg_memory",
    "pg_checkpoint",
    "pg_locks",
    "pg_cpu",
    "nginx_workers",
    "nginx_cpu",
    "upstream",
    "dependency",
    "deploy",
    "application",
    "none",
]
LAYERS: tuple[Layer, ...] = get_args(Layer)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact that speaks for a symptom. `limit` is the value from which on it does; None for a fact that only
    explains. `says` is both in words."""

    fact: str
    value: float
    limit: float | None
    says: str


@dataclass(frozen=True, slots=True)
class Symptom:
    """A layer in trouble. `score` between 0 and 1 is about the share of time that is lost there; `parameters` are ids
    of the catalogue that can matter; `refusal` is why tuning would not help (empty: tune)."""

    layer: Layer
    score: float
    headline: str
    evidence: tuple[Evidence, ...]
    parameters: tuple[str, ...] = ()
    refusal: str = ""


Judge = Callable[[Facts], Symptom | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """`rows` are the rows of the guide that this rule carries out. `explains` are layers whose symptoms follow from
    this one. `refuses` says that its symptoms forbid tuning; `last`, that it is asked only if nothing can be tuned."""

    id: str
    title: str
    layer: Layer
    judge: Judge
    rows: tuple[str, ...]
    explains: tuple[Layer, ...] = ()
    refuses: bool = False
    last: bool = False


def value(facts: Facts, name: str) -> float | None:
    """A reading's number; None if the fact is Missing or not there."""
    seen = facts.get(name)
    return seen.value if isinstance(seen, Reading) else None


def beyond(facts: Facts, name: str, limit: float) -> bool:
    """Whether a fact was read and is at its limit or worse. What is missing is never beyond."""
    number = value(facts, name)
    if number is None:
        return False
    return number >= limit if KNOWN[name].worst == "high" else number <= limit


def evidence(facts: Facts, limits: Mapping[str, float | None]) -> tuple[Evidence, ...]:
    """Those of the named facts that were read and are beyond their limit, or have none, in the order given."""
    found = []
    for name, limit in limits.items():
        number = value(facts, name)
        if number is None or (limit is not None and not beyond(facts, name, limit)):
            continue
        fact = KNOWN[name]
        bound = "" if limit is None else f" (limit {told(fact, limit)})"
        found.append(Evidence(name, number, limit, f"{told(fact, number)} {fact.meaning}{bound}"))
    return tuple(found)


def excess(number: float | None, limit: float) -> float:
    """How far beyond its limit a value is, as a share: 0 at the limit, 0.5 at twice the limit, near 1 far above."""
    if number is None or number <= limit:
        return 0.0
    return 1.0 - limit / number
