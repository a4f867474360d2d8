"""The expressions of the catalogue and of search constraints: parsed with `ast`, compiled to closures, never `eval`.

    expression   `clamp(mem/4, 128*MB, 8*GB)`, `nginx.gzip_comp_level <= 4 or cpu >= 2`, `P('pg.jit') in ['on', 'off']`
    values       numbers, True, False, 'text', lists of them; variables are plain (`mem`) or dotted (`pg.work_mem`)
                 names, or `P('any id')`; kB MB GB TB are powers of 1024
    operators    + - * /, comparisons (also chained), in, not in, and, or, not, `a if c else b`
    functions    min max ceil floor round log2 sqrt as in Python; clamp(x, lo, hi) = max(lo, min(hi, x));
                 pick(key, a=1, b=2) = the value whose name equals key; pow2(x), pow2floor(x) = smallest power of two
                 >= x, largest <= x

Everything is bounded (text, nesting, exponents), so an expression of a stranger costs little and cannot reach anything.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from domain.errors import Misconfigured

Scalar = bool | int | float | str
Result = Scalar | list[Scalar]
Names = Mapping[str, Scalar]

MAX_LENGTH = 2000  # characters
MAX_DEPTH = 60  # nested operations
CONSTANTS: Mapping[str, int] = {"kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}

Node = Callable[[Names], Result]


class Undecided(Misconfigured):
    """A text value stands where a number is needed (`off`, `auto`): this comparison has no answer."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed expression. `names` are the variables it may read."""

    text: str
    names: frozenset[str]
    _run: Node = field(repr=False, compare=False)

    def __call__(self, values: Names) -> Result:
        """Raises Misconfigured for an unknown name, a wrong type, a division by zero, a result that is not finite."""
        try:
            result = self._run(values)
        except Misconfigured as error:
            raise type(error)(f"expression {_cut(self.text)!r}: {error}") from None
        except (ArithmeticError, ValueError) as error:
            raise Misconfigured(f"expression {_cut(self.text)!r}: {error}") from None
        if isinstance(result, float) and not math.isfinite(result):
            raise Misconfigured(f"expression {_cut(self.text)!r}: the result is {result}, not a finite number")
        return result

    def number(self, values: Names) -> float:
        """The result as a number. Raises Misconfigured if it is none."""
        return _number(self(values), f"the result of {_cut(self.text)!r}")

    def truth(self, values: Names) -> bool:
        """The result of a condition. Raises Misconfigured if it is not true or false."""
        result = self(values)
        if not isinstance(result, bool):
            raise Misconfigured(f"expression {_cut(self.text)!r} gives {result!r}; a condition must be true or false")
        return result


@lru_cache(maxsize=4096)
def parse(text: str) -> Formula:
    """Raises Misconfigured naming what the language does not have."""
    body = tree(text)
    return Formula(text, _names(body), compiled(body))


@lru_cache(maxsize=4096)
def clauses(text: str) -> tuple[Formula, ...]:
    """The parts joined by the outermost `and`, chains as pairs (`a <= b <= c` is `a <= b` and `b <= c`); the expression
    holds when each of them does."""
    return _parts(tree(text))


def substitute(text: str, values: Names, expressions: Mapping[str, str] | None = None) -> str:
    """The same expression with the names in `values` replaced by their values, and those in `expressions` by another
    expression (which may hold the name itself). Other names are written plainly (`pg.work_mem` for
    `P('pg.work_mem')`) where that can be parsed again."""
    inserts = {name: tree(each) for name, each in (expressions or {}).items()}
    return ast.unparse(ast.fix_missing_locations(_Substitute(values, inserts).visit(tree(text))))


def _parts(node: ast.expr) -> tuple[Formula, ...]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return tuple(formula for part in node.values for formula in _parts(part))
    if isinstance(node, ast.Compare) and len(node.ops) > 1:
        sides = zip([node.left, *node.comparators], node.ops, node.comparators, strict=False)
        return tuple(formula for one, op, two in sides for formula in _parts(ast.Compare(one, [op], [two])))
    return (Formula(ast.unparse(node), _names(node), compiled(node)),)


# --- parsing ---------------------------------------------------------------------------------------------------------


def tree(text: str) -> ast.expr:
    """The expression's syntax, with nothing in it that the language does not have. Raises Misconfigured."""
    if len(text) > MAX_LENGTH:
        raise Misconfigured(f"expression of {len(text)} characters; at most {MAX_LENGTH} are allowed")
    if "\\" in text:
        raise Misconfigured(f"expression {_cut(text)!r} holds a backslash; texts have no escapes here")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else (str(error) or "nested too deep")
        raise Misconfigured(f"expression {_cut(text)!r} cannot be parsed: {reason}") from None
    level: list[ast.AST] = [body]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            break
    else:
        raise Misconfigured(f"expression {_cut(text)!r} is nested deeper than {MAX_DEPTH} levels")
    try:
        compiled(body)  # refuse what the language does not have before anybody stores it
    except Misconfigured as error:
        raise Misconfigured(f"expression {_cut(text)!r}: {error}") from None
    return body


def _variable(node: ast.expr) -> str | None:
    """The variable that a node names: `x`, `a.b.c`, `a.b[2]` or `P('x')`; None for any other node."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _variable(node.value) if isinstance(node.value, (ast.Name, ast.Attribute, ast.Subscript)) else None
        return owner and f"{owner}.{node.attr}"
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute):
        owner = _variable(node.value)
        index = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return f"{owner}[{index}]" if owner and type(index) is int else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "P":
        if len(node.args) == 1 and not node.keywords and isinstance(node.args[0], ast.Constant):
            name = node.args[0].value
            return name if isinstance(name, str) else None
        raise Misconfigured("P takes one quoted parameter id, as in P('pg.work_mem')")
    return None


def _names(tree: ast.expr) -> frozenset[str]:
    found: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        name = _variable(node) if isinstance(node, ast.expr) else None
        if name is not None:
            if name not in CONSTANTS:
                found.add(name)
        elif isinstance(node, ast.Call):  # the function's name is no variable
            waiting += [*node.args, *node.keywords]
        else:
            waiting += ast.iter_child_nodes(node)
    return frozenset(found)


class _Substitute(ast.NodeTransformer):
    def __init__(self, values: Names, inserts: Mapping[str, ast.expr]) -> None:
        self.values = values
        self.inserts = inserts

    def visit(self, node: ast.AST) -> ast.AST:
        name = _variable(node) if isinstance(node, ast.expr) else None
        if name is None:
            if isinstance(node, ast.Call):
                node.args = [cast(ast.expr, self.visit(each)) for each in node.args]
                node.keywords = [cast(ast.keyword, self.visit(each)) for each in node.keywords]
                return node
            return self.generic_visit(node)
        if name in self.inserts:
            return self.inserts[name]
        if name in self.values:
            return _literal(self.values[name])
        if isinstance(node, ast.Call) and _readable(name):
            return ast.parse(name, mode="eval").body
        return node


def _literal(value: Scalar) -> ast.expr:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def _readable(name: str) -> bool:
    try:
        return _variable(ast.parse(name, mode="eval").body) == name and name not in CONSTANTS
    except (SyntaxError, ValueError):
        return False


# --- evaluation ------------------------------------------------------------------------------------------------------


def _number(value: Result, what: str) -> float:
    if isinstance(value, str):
        raise Undecided(f"{what} is the text {value!r}; a number is needed")
    if isinstance(value, (bool, list)):
        raise Misconfigured(f"{what} is {value!r}; a number is needed")
    return value


def _truth(value: Result) -> bool:
    if isinstance(value, (str, list)):
        raise Undecided(f"{value!r} is neither true nor false")
    return bool(value)


def _pow2(x: float) -> float:
    if x <= 0:
        raise Misconfigured(f"pow2({x}) does not exist; the argument must be above 0")
    return 1 << (math.ceil(x) - 1).bit_length() if x > 1 else 2.0 ** math.ceil(math.log2(x))


def _pow2floor(x: float) -> float:
    if x <= 0:
        raise Misconfigured(f"pow2floor({x}) does not exist; the argument must be above 0")
    return 1 << (math.floor(x).bit_length() - 1) if x >= 1 else 2.0 ** math.floor(math.log2(x))


def _round(x: float, digits: float = 0) -> float:
    if not -15 <= digits <= 15:
        raise Misconfigured(f"round to {digits} digits; -15 to 15 are allowed")
    return round(x, int(digits)) if digits else round(x)


def _clamp(x: float, low: float, high: float) -> float:
    return max(low, min(high, x))


_FUNCTIONS: Mapping[str, tuple[Callable[..., float], int, int]] = {  # name → function, least and most arguments
    "min": (min, 2, 20),
    "max": (max, 2, 20),
    "ceil": (math.ceil, 1, 1),
    "floor": (math.floor, 1, 1),
    "round": (_round, 1, 2),
    "log2": (math.log2, 1, 1),
    "sqrt": (math.sqrt, 1, 1),
    "clamp": (_clamp, 3, 3),
    "pow2": (_pow2, 1, 1),
    "pow2floor": (_pow2floor, 1, 1),
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_ORDER: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def compiled(node: ast.expr) -> Node:
    """What computes the node's value from named values."""
    name = _variable(node)
    if name is not None:
        return _lookup(name)
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            constant: Scalar = value
            return lambda values: constant
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = compiled(operand)
            return lambda values: not _truth(inner(values))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            inner, factor = compiled(operand), -1 if isinstance(sign, ast.USub) else 1
            return lambda values: factor * _number(inner(values), "the operand of a sign")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            apply, one, two = _ARITHMETIC[type(op)], compiled(left), compiled(right)
            return lambda values: apply(_number(one(values), "an operand"), _number(two(values), "an operand"))
        case ast.BoolOp(op=op, values=parts):
            operands = [compiled(part) for part in parts]
            if isinstance(op, ast.And):
                return lambda values: all(_truth(part(values)) for part in operands)
            return lambda values: any(_truth(part(values)) for part in operands)
        case ast.Compare(left=left, ops=ops, comparators=rights):
            return _comparison([left, *rights], ops)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            condition, yes, no = compiled(test), compiled(body), compiled(orelse)
            return lambda values: yes(values) if _truth(condition(values)) else no(values)
        case ast.List(elts=items):
            elements = [compiled(item) for item in items]
            return lambda values: [_scalar(element(values)) for element in elements]
        case ast.Call(func=ast.Name(id=called), args=arguments, keywords=keywords):
            return _call(called, arguments, keywords)
    raise Misconfigured(f"{_cut(ast.unparse(node))!r} is not in the expression language")


def _scalar(value: Result) -> Scalar:
    if isinstance(value, list):
        raise Misconfigured("a list inside a list is not in the expression language")
    return value


def _lookup(name: str) -> Node:
    if name in CONSTANTS:
        constant = CONSTANTS[name]
        return lambda values: constant

    def look(values: Names) -> Result:
        try:
            return values[name]
        except KeyError:
            near = difflib.get_close_matches(name, values, 3)
            hint = f"; near: {', '.join(near)}" if near else f"; known: {_cut(', '.join(sorted(values)) or 'none')}"
            raise Misconfigured(f"unknown name {name!r}{hint}") from None

    return look


def _comparison(nodes: list[ast.expr], ops: list[ast.cmpop]) -> Node:
    sides = [compiled(node) for node in nodes]
    tests = [_test(op) for op in ops]

    def compare(values: Names) -> bool:
        left = sides[0](values)
        for test, side in zip(tests, sides[1:], strict=True):
            right = side(values)
            if not test(left, right):
                return False
            left = right
        return True

    return compare


def _test(op: ast.cmpop) -> Callable[[Result, Result], bool]:
    if isinstance(op, ast.Eq):
        return lambda left, right: left == right
    if isinstance(op, ast.NotEq):
        return lambda left, right: left != right
    if isinstance(op, ast.In):
        return _contains
    if isinstance(op, ast.NotIn):
        return lambda left, right: not _contains(left, right)
    if type(op) not in _ORDER:
        raise Misconfigured("`is` is not in the expression language; write ==")
    order = _ORDER[type(op)]
    return lambda left, right: order(_number(left, "a side of a comparison"), _number(right, "a side of a comparison"))


def _contains(item: Result, items: Result) -> bool:
    if not isinstance(items, list):
        raise Misconfigured(f"`in` needs a list on its right, not {items!r}")
    return item in items


def _call(name: str, arguments: list[ast.expr], keywords: list[ast.keyword]) -> Node:
    if name == "pick":
        return _pick(arguments, keywords)
    if name not in _FUNCTIONS:
        raise Misconfigured(f"unknown function {name!r}; known: {', '.join(sorted([*_FUNCTIONS, 'pick', 'P']))}")
    function, least, most = _FUNCTIONS[name]
    if keywords or not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise Misconfigured(f"{name} takes {wanted} plain arguments")
    parts = [compiled(argument) for argument in arguments]
    return lambda values: function(*(_number(part(values), f"an argument of {name}") for part in parts))


def _pick(arguments: list[ast.expr], keywords: list[ast.keyword]) -> Node:
    branches = {keyword.arg: compiled(keyword.value) for keyword in keywords if keyword.arg is not None}
    if len(arguments) != 1 or not branches or len(branches) != len(keywords):
        raise Misconfigured("pick takes one key and named values, as in pick(disk, hdd=4, ssd=1.1)")
    key = compiled(arguments[0])

    def choose(values: Names) -> Result:
        wanted = key(values)
        if not isinstance(wanted, str) or wanted not in branches:
            raise Misconfigured(f"pick knows {', '.join(map(str, branches))}, not {wanted!r}")
        return branches[wanted](values)

    return choose


def _cut(text: str) -> str:
    return text if len(text) <= 200 else text[:197] + "..."
