"""What the rules about Python share: names as they were imported, calls, functions and their classes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from linting.finding import Place
from linting.parts import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """A source with the names that it imports (`{'redis': 'redis.asyncio'}` after `import redis.asyncio as redis`), and
    all its nodes, functions and classes, the outer ones first. `bases` are the names that a class inherits from,
    `owners` the classes of methods."""

    source: Source
    imports: dict[str, str]
    nodes: tuple[ast.AST, ...] = field(repr=False)
    functions: tuple[Function, ...] = field(repr=False)
    classes: tuple[ast.ClassDef, ...] = field(repr=False)
    bases: frozenset[str]
    owners: Mapping[ast.AST, ast.ClassDef] = field(repr=False)

    def place(self, node: ast.expr | ast.stmt | ast.excepthandler) -> Place:
        return Place(self.source.file, node.lineno)

    def full(self, node: ast.expr) -> str:
        """`prometheus_client.Counter` for `Counter` that was imported from there; empty for what is no dotted name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.imports.get(node.id, node.id), *reversed(parts)])

    @property
    def calls(self) -> Iterator[ast.Call]:
        return (node for node in self.nodes if isinstance(node, ast.Call))


def module(source: Source) -> Module:
    """A source, walked once."""
    imports: dict[str, str] = {}
    nodes = tuple(ast.walk(source.tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                imports[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                imports[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    functions = tuple(node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    classes = tuple(node for node in nodes if isinstance(node, ast.ClassDef))
    return Module(
        source,
        imports,
        nodes,
        functions,
        classes,
        bases=frozenset(base.id for each in classes for base in each.bases if isinstance(base, ast.Name)),
        owners={method: each for each in classes for method in each.body},
    )


def own(function: Function) -> Iterator[ast.AST]:
    """The nodes of a function without those of functions inside it."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            stack.extend(ast.iter_child_nodes(node))


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """All calls below a node."""
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument."""
    return next((each.value for each in call.keywords if each.arg == name), None)


def number(node: ast.expr | None) -> float | None:
    """The value of a number that is written out."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    return None


def attribute_of_self(node: ast.AST) -> str:
    """`x` for `self.x`; empty for anything else."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return ""


def assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets with what they are set to, single targets only."""
    for each in ast.walk(node):
        if isinstance(each, ast.Assign) and len(each.targets) == 1:
            yield each.targets[0], each.value
        elif isinstance(each, ast.AnnAssign) and each.value is not None:
            yield each.target, each.value


def methods(owner: ast.ClassDef) -> dict[str, Function]:
    """The methods that a class defines itself."""
    return {each.name: each for each in owner.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


def stands_alone(owner: ast.ClassDef, within: Module) -> bool:
    """Whether the class is made to be used as it is: it neither inherits, nor is inherited from in its module, nor
    looks attributes up by itself, and makes instances. Only then is what it does not define really missing."""
    if owner.bases or owner.keywords or owner.decorator_list or "__getattr__" in methods(owner):
        return False
    if "__init__" not in methods(owner) or re.search(r"Mixin|Base|Abstract|Interface", owner.name):
        return False
    return owner.name not in within.bases and not any(
        isinstance(call.func, ast.Name) and call.func.id in ("setattr", "vars") for call in calls(owner)
    )
