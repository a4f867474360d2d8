"""How far values are from meeting a constraint: 0 where it holds, larger the further away.

A comparison misses by the relative distance of its two sides; `and` adds, `or` takes the least; whatever is only true
or false misses by 1. So a search for a first allowed setting can tell a step towards the limit from a step away from
it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import lru_cache

from domain.constraint import Values
from domain.errors import Misconfigured
from domain.formula import Node, Undecided, clauses, compiled, tree

_Miss = Callable[[Values], float]

JUST = 1e-9  # what a broken comparison misses by at least: `<` at equality


def shortfall(constraint: str, values: Values) -> float:
    """0 if every clause holds, is undecided, or names something that `values` do not have; see `domain.constraint`.
    Raises Misconfigured for a constraint that cannot be evaluated."""
    total = 0.0
    for names, miss in _clauses(constraint):
        if names <= values.keys():
            try:
                total += miss(values)
            except Undecided:
                continue
            except (ArithmeticError, ValueError) as error:
                raise Misconfigured(f"constraint {constraint!r}: {error}") from None
    return total


@lru_cache(maxsize=4096)
def _clauses(text: str) -> tuple[tuple[frozenset[str], _Miss], ...]:
    return tuple((clause.names, _miss(tree(clause.text))) for clause in clauses(text))


def _miss(node: ast.expr) -> _Miss:
    match node:
        case ast.BoolOp(op=op, values=parts):
            misses = [_miss(part) for part in parts]
            if isinstance(op, ast.And):
                return lambda values: sum(miss(values) for miss in misses)
            return lambda values: min(miss(values) for miss in misses)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            condition, yes, no = compiled(test), _miss(body), _miss(orelse)
            return lambda values: yes(values) if condition(values) else no(values)
        case ast.Compare(left=left, ops=ops, comparators=rights):
            pairs = [_pair(one, op, two) for one, op, two in zip([left, *rights], ops, rights, strict=False)]
            return lambda values: sum(pair(values) for pair in pairs)
    truth = compiled(node)
    return lambda values: 0.0 if truth(values) else 1.0


def _pair(left: ast.expr, op: ast.cmpop, right: ast.expr) -> _Miss:
    holds = compiled(ast.Compare(left, [op], [right]))
    if isinstance(op, ast.NotEq | ast.In | ast.NotIn):
        return lambda values: 0.0 if holds(values) else 1.0
    one, two = compiled(left), compiled(right)
    return lambda values: 0.0 if holds(values) else _distance(one, two, values)


def _distance(one: Node, two: Node, values: Values) -> float:
    """Of two sides that should be equal or in order: 0 to 1 for numbers of one sign, relative to their size."""
    a, b = one(values), two(values)
    if isinstance(a, (str, list)) or isinstance(b, (str, list)):
        return 1.0
    return JUST + abs(a - b) / (abs(a) + abs(b) + JUST)
