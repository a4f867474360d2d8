"""Python that measures: load tests, profilers, metrics."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from linting import rules_python as rules
from linting.finding import Finding
from linting.python_names import (
    Function,
    Module,
    assignments,
    attribute_of_self,
    calls,
    keyword,
    methods,
    number,
    own,
    stands_alone,
)

_METRICS = frozenset(
    f"prometheus_client.{kind}" for kind in ("Counter", "Gauge", "Histogram", "Summary", "Info", "Enum")
)
_REQUESTS = frozenset(f"requests.{verb}" for verb in ("get", "post", "put", "patch", "delete", "head", "request"))
_EXECUTORS = ("ThreadPoolExecutor", "ProcessPoolExecutor")
_ASKED = re.compile(r"duration|seconds|period|timeout")


def check(module: Module) -> Iterator[Finding]:
    """The rules about measuring."""
    for function in module.functions:
        yield from _wall_clock(function, module)
        yield from _profiler(function, module)
        yield from _wraps(function, module)
        yield from _rate(function, module)
    yield from _requests(module)
    yield from _waves(module)
    yield from _percentiles(module)
    for owner in module.classes:
        yield from _metrics(owner, module)


def _wall_clock(function: Function, module: Module) -> Iterator[Finding]:
    """The first difference of two readings of time.time() in a function."""

    def reading(node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and module.full(node.func) == "time.time"

    nodes = list(own(function))
    names = {ast.unparse(target) for node in nodes for target, value in _assigned(node) if reading(value)}
    found = [
        node
        for node in nodes
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Sub)
        and all(reading(side) or ast.unparse(side) in names for side in (node.left, node.right))
    ]
    if found:
        first = min(found, key=lambda node: node.lineno)
        yield rules.WALL_CLOCK.at(module.place(first), ast.unparse(first))


def _assigned(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        yield node.targets[0], node.value


def _profiler(function: Function, module: Module) -> Iterator[Finding]:
    """enable() whose disable() does not stand in a finally block."""
    nodes = list(own(function))
    profiles = {
        ast.unparse(target)
        for node in nodes
        for target, value in _assigned(node)
        if isinstance(value, ast.Call) and module.full(value.func) in ("cProfile.Profile", "profile.Profile")
    }
    safe = {id(call) for node in nodes if isinstance(node, ast.Try) for each in node.finalbody for call in calls(each)}
    for node in nodes:
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "disable"):
            continue
        if ast.unparse(node.func.value) in profiles and id(node) not in safe:
            yield rules.PROFILE.at(module.place(node), f"{ast.unparse(node)} outside of finally")


def _wraps(function: Function, module: Module) -> Iterator[Finding]:
    """A decorator: an inner function of any arguments that calls the outer one's argument and is returned."""
    given = {arg.arg for arg in function.args.args}
    returned = {ast.unparse(node.value) for node in own(function) if isinstance(node, ast.Return) and node.value}
    for inner in function.body:
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) or inner.decorator_list:
            continue
        called = {call.func.id for call in calls(inner) if isinstance(call.func, ast.Name)}
        if inner.name in returned and inner.args.vararg and inner.args.kwarg and called & given:
            yield rules.WRAPS.at(module.place(inner), f"{inner.name} in {function.name} without functools.wraps")


def _rate(function: Function, module: Module) -> Iterator[Finding]:
    """len(results) / duration, where duration is an argument of the function or of the class's __init__."""
    asked = {arg.arg for arg in (*function.args.args, *function.args.kwonlyargs)}
    owner = module.owners.get(function)
    made = methods(owner).get("__init__") if owner is not None else None
    if made is not None:
        names = {arg.arg for arg in made.args.args}
        asked |= {
            f"self.{attribute_of_self(target)}"
            for target, value in assignments(made)
            if isinstance(value, ast.Name) and value.id in names and attribute_of_self(target)
        }
    for node in own(function):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.left, ast.Call):
            divisor = ast.unparse(node.right)
            if module.full(node.left.func) == "len" and divisor in asked and _ASKED.search(divisor):
                yield rules.RATE.at(module.place(node), ast.unparse(node))


def _requests(module: Module) -> Iterator[Finding]:
    for call in module.calls:
        told = keyword(call, "timeout") is not None or any(each.arg is None for each in call.keywords)
        if module.full(call.func) in _REQUESTS and not told:
            yield rules.NO_TIMEOUT.at(module.place(call), ast.unparse(call)[:80])


def _waves(module: Module) -> Iterator[Finding]:
    """Executors: waves of requests, timeouts of futures, and failures that are only printed."""
    for node in module.nodes:
        if isinstance(node, ast.While) and {"submit", "result"} <= _attributes(node):
            yield rules.WAVES.at(module.place(node), "submit and result in one loop")
        elif isinstance(node, ast.With) and any(
            isinstance(item.context_expr, ast.Call) and module.full(item.context_expr.func).endswith(_EXECUTORS)
            for item in node.items
        ):
            for call in calls(node):
                limited = bool(call.args) or keyword(call, "timeout") is not None
                if isinstance(call.func, ast.Attribute) and call.func.attr == "result" and limited:
                    yield rules.FUTURE_TIMEOUT.at(module.place(call), ast.unparse(call))
        elif isinstance(node, ast.Try) and "result" in {name for each in node.body for name in _attributes(each)}:
            for handler in node.handlers:
                if all(_only_talks(each, module) for each in handler.body):
                    caught = ast.unparse(handler.type) if handler.type else "everything"
                    yield rules.SWALLOWED.at(module.place(handler), f"except {caught}: only a message")


def _attributes(node: ast.AST) -> set[str]:
    return {call.func.attr for call in calls(node) if isinstance(call.func, ast.Attribute)}


def _only_talks(node: ast.stmt, module: Module) -> bool:
    if isinstance(node, ast.Pass | ast.Continue):
        return True
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and bool(re.match(r"print$|logging\.|logger\.|log\.", module.full(node.value.func)))
    )


def _percentiles(module: Module) -> Iterator[Finding]:
    """x[int(len(x) * 0.95)]"""
    for node in module.nodes:
        if not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Call)):
            continue
        index = node.slice
        if module.full(index.func) == "int" and len(index.args) == 1 and isinstance(index.args[0], ast.BinOp):
            product = index.args[0]
            sides = (product.left, product.right)
            share = next((value for side in sides if (value := number(side)) is not None), None)
            counted = any(isinstance(side, ast.Call) and module.full(side.func) == "len" for side in sides)
            if isinstance(product.op, ast.Mult) and counted and share is not None and 0 < share < 1:
                yield rules.PERCENTILE.at(module.place(node), ast.unparse(node)[:80], name=f"{share:g}")


def _metrics(owner: ast.ClassDef, module: Module) -> Iterator[Finding]:
    """Metrics that a method registers in the global registry, and those that the class never sets though it sets others
    (a class that sets none is a holder, and others do)."""
    made = {
        name: value
        for target, value in assignments(owner)
        if isinstance(value, ast.Call) and module.full(value.func) in _METRICS and (name := attribute_of_self(target))
    }
    used = {attribute_of_self(node.value) for node in ast.walk(owner) if isinstance(node, ast.Attribute)}
    sets_them = bool(used & set(made)) and stands_alone(owner, module)
    for name, value in made.items():
        if keyword(value, "registry") is not None:
            continue
        yield rules.METRIC_IN_INIT.at(module.place(value), f"self.{name} = {ast.unparse(value)[:60]}")
        if sets_them and name not in used:
            yield rules.METRIC_UNUSED.at(module.place(value), f"self.{name}")
