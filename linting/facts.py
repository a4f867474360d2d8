"""What the rules need to know of the parameters: bounds, defaults and policies of one version of each program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from domain.space import Value


@dataclass(frozen=True, slots=True)
class Fact:
    """One parameter. `default` is that of the version looked at, in `unit` (sizes in bytes); a text where the program
    computes it. `old_defaults` are values that were the default before. A bare number in a file counts in
    `native_unit`. `present` says whether the version has the parameter, `span` since when and until when."""

    id: str
    name: str
    type: str
    unit: str
    native_unit: str
    policy: str
    default: Value
    old_defaults: tuple[Value, ...]
    low: float | None
    high: float | None
    choices: tuple[Value, ...]
    present: bool
    span: str
    note: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A condition over parameters that settings must meet together; `expression` is one of `domain/formula.py`."""

    id: str
    expression: str
    names: frozenset[str]
    why: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Parameters by family and name, the versions they are for, and the relations between them."""

    versions: Mapping[str, str]
    families: Mapping[str, Mapping[str, Fact]]
    relations: tuple[Relation, ...]

    def get(self, family: str, name: str) -> Fact | None:
        return self.families.get(family, {}).get(name)

    def version(self, family: str) -> str:
        """`17` or `1.22`; empty for a family that has none."""
        return self.versions.get(family, "")

    def major(self, family: str) -> int:
        """The first number of the family's version, 0 without one."""
        first = self.version(family).partition(".")[0]
        return int(first) if first.isdigit() else 0
