"""Constraints: conditions over parameters that settings must meet together.

A constraint is the conjunction of its clauses (the parts joined by the outermost `and`). A clause that names something
that is neither in the settings nor in the environment is skipped: the target does not have it. A clause in which a
text such as `off` or `auto` stands for a number is undecided and refuses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from domain.errors import Misconfigured
from domain.formula import Formula, Scalar, Undecided, clauses

Values = Mapping[str, Scalar]


def violated(constraints: Iterable[str], settings: Values, environment: Values | None = None) -> tuple[str, ...]:
    """The constraints that `settings` break, in order. Raises Misconfigured for one that cannot be evaluated."""
    values = {**environment, **settings} if environment else settings
    return tuple(text for text in constraints if not holds(text, values))


def holds(constraint: str, values: Values) -> bool:
    """Whether every clause that can be decided is true."""
    return all(_holds(clause, values) for clause in clauses(constraint))


def check(constraint: str, known: Iterable[str]) -> None:
    """Raises Misconfigured if the constraint cannot be parsed, or names something that is not in `known`."""
    allowed = set(known)
    for clause in clauses(constraint):
        unknown = sorted(clause.names - allowed)
        if unknown:
            raise Misconfigured(
                f"constraint {constraint!r} names {unknown[0]!r}; known names: {', '.join(sorted(allowed)) or 'none'}"
            )


def _holds(clause: Formula, values: Values) -> bool:
    if not clause.names <= values.keys():
        return True
    try:
        return clause.truth(values)
    except Undecided:
        return True
