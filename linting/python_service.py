"""Python services: what blocks the event loop, what is missing, what leaks."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass

from linting import rules_python as rules
from linting.facts import Facts
from linting.finding import Finding, Place
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

_REDIS = frozenset({"redis.Redis", "redis.StrictRedis", "redis.from_url", "redis.Redis.from_url"})
_BLOCKING = frozenset(
    {"time.sleep", "urllib.request.urlopen", "subprocess.run", "subprocess.check_output", "subprocess.check_call"}
    | {f"requests.{verb}" for verb in ("get", "post", "put", "patch", "delete", "head", "request")}
)
_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "request"})
_PASSWORD = re.compile(r"[a-z][a-z0-9+]*://[^\s:/@{$<]+:([^\s@/{$<]+)@")
_LOCAL = re.compile(r"https?://(?:localhost|127\.0\.0\.1)\b")
_POOLS = frozenset({"asyncpg.create_pool", "asyncpg.pool.create_pool"})


@dataclass(frozen=True, slots=True)
class Pool:
    """A connection pool to PostgreSQL as a source makes it; None where an argument is left out or computed."""

    place: Place
    least: float | None
    most: float | None
    timeout: float | None
    timeout_place: Place


def check(module: Module, facts: Facts) -> Iterator[Finding]:
    """The rules about services."""
    yield from _redis(module)
    yield from _blocking(module)
    yield from _pools(module, facts)
    yield from _credentials(module)
    yield from _unreleased(module)
    yield from _warmup(module)
    yield from _undefined(module)
    only_none = _only_none(module)
    for owner in module.classes:
        if stands_alone(owner, module):
            yield from _missing_methods(owner, module)
            yield from _empty_methods(owner, module)
            yield from _never_set(owner, module, only_none)


def pools(module: Module) -> Iterator[Pool]:
    """The pools of asyncpg that a module makes."""
    for call in module.calls:
        if module.full(call.func) in _POOLS:
            limits = (number(keyword(call, name)) for name in ("min_size", "max_size", "command_timeout"))
            least, most, timeout = limits
            at = keyword(call, "command_timeout") or call
            yield Pool(module.place(call), least, most, timeout, module.place(at))


def _redis(module: Module) -> Iterator[Finding]:
    """A synchronous client whose methods a coroutine calls without awaiting."""
    clients = {
        ast.unparse(target): value
        for target, value in assignments(module.source.tree)
        if isinstance(value, ast.Call) and module.full(value.func) in _REDIS
    }
    used: dict[str, str] = {}
    for function in module.functions:
        if isinstance(function, ast.AsyncFunctionDef):
            nodes = list(own(function))
            awaited = {id(node.value) for node in nodes if isinstance(node, ast.Await)}
            for node in nodes:
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and id(node) not in awaited:
                    used.setdefault(ast.unparse(node.func.value), function.name)
    for name, made in clients.items():
        if name in used:
            seen = f"{name} = {module.full(made.func)}(...), called in async {used[name]}"
            yield rules.SYNC_REDIS.at(module.place(made), seen)


def _blocking(module: Module) -> Iterator[Finding]:
    for function in module.functions:
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for node in own(function):
            if isinstance(node, ast.Call) and module.full(node.func) in _BLOCKING:
                yield rules.BLOCKING.at(module.place(node), f"{module.full(node.func)}() in async {function.name}")


def _pools(module: Module, facts: Facts) -> Iterator[Finding]:
    for call in module.calls:
        if module.full(call.func) not in _POOLS:
            continue
        for name in ("min_size", "max_size"):
            value, fact = keyword(call, name), facts.get("python", f"asyncpg_{name}")
            if value is not None and fact is not None and number(value) == fact.default:
                yield rules.POOL_DEFAULT.at(module.place(value), f"{name}={fact.default}", name=name)
    least_fact, most_fact = (facts.get("python", f"asyncpg_{name}") for name in ("min_size", "max_size"))
    for pool in pools(module):
        least = pool.least if pool.least is not None else least_fact and least_fact.default
        most = pool.most if pool.most is not None else most_fact and most_fact.default
        if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
            yield rules.POOL_RANGE.at(pool.place, f"min_size {least:g}, max_size {most:g}, defaults included")


def _credentials(module: Module) -> Iterator[Finding]:
    for node in module.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            match = _PASSWORD.search(node.value)
            if match:
                start, end = match.span(1)
                yield rules.CREDENTIALS.at(module.place(node), node.value[:start] + "***" + node.value[end:][:40])


def _unreleased(module: Module) -> Iterator[Finding]:
    """`await session.get(url)` as a statement, in `async with aiohttp.ClientSession() as session`."""
    for node in module.nodes:
        if not isinstance(node, ast.AsyncWith):
            continue
        sessions = {
            ast.unparse(item.optional_vars)
            for item in node.items
            if item.optional_vars is not None
            and isinstance(item.context_expr, ast.Call)
            and module.full(item.context_expr.func) == "aiohttp.ClientSession"
        }
        for each in ast.walk(node):
            if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Await)):
                continue
            call = each.value.value
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _VERBS):
                continue
            if ast.unparse(call.func.value) in sessions:
                yield rules.UNRELEASED.at(module.place(each), ast.unparse(call)[:80])


def _warmup(module: Module) -> Iterator[Finding]:
    """gather of a coroutine that calls this host's own port, together with others."""
    local = {
        function.name
        for function in module.functions
        for node in own(function)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _LOCAL.match(node.value)
    }
    for call in module.calls:
        if module.full(call.func) != "asyncio.gather":
            continue
        names = [arg.func.id for arg in call.args if isinstance(arg, ast.Call) and isinstance(arg.func, ast.Name)]
        starts = [name for name in names if name not in local and re.search(r"serv|start|listen", name)]
        for name in names:
            if name in local and starts:
                yield rules.WARMUP_RACE.at(module.place(call), f"gather({name}(), {starts[0]}())")


def _undefined(module: Module) -> Iterator[Finding]:
    bound = set(dir(builtins)) | set(module.imports)
    for node in module.nodes:
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.arg(arg=name):
                bound.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                bound.add(name)
            case ast.ImportFrom(names=names):
                bound.update(alias.asname or alias.name for alias in names)
            case ast.Global(names=listed) | ast.Nonlocal(names=listed):
                bound.update(listed)
    if "*" in bound or "exec" in {module.full(call.func) for call in module.calls}:
        return
    tried = {id(call) for call in _expected_to_fail(module)}
    for call in module.calls:
        if isinstance(call.func, ast.Name) and call.func.id not in bound and id(call) not in tried:
            yield rules.UNDEFINED.at(module.place(call), f"{call.func.id}()", name=call.func.id)


def _expected_to_fail(module: Module) -> Iterator[ast.Call]:
    """Calls in a try block that handles NameError: there a missing name is a question."""
    for node in module.nodes:
        if isinstance(node, ast.Try) and any("NameError" in ast.unparse(each.type or each) for each in node.handlers):
            for each in node.body:
                yield from calls(each)


def _missing_methods(owner: ast.ClassDef, module: Module) -> Iterator[Finding]:
    known = (
        set(methods(owner)) | set(dir(object)) | {each.name for each in owner.body if isinstance(each, ast.ClassDef)}
    )
    for target, _ in assignments(owner):
        known.add(attribute_of_self(target) or (target.id if isinstance(target, ast.Name) else ""))
    for node in ast.walk(owner):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            known.add(attribute_of_self(node))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            known.add(node.target.id)
    for call in calls(owner):
        name = attribute_of_self(call.func)
        if name and name not in known:
            yield rules.UNDEFINED.at(module.place(call), f"self.{name}() in {owner.name}", name=name)


def _empty_methods(owner: ast.ClassDef, module: Module) -> Iterator[Finding]:
    """Methods without a body whose result is used; then the other empty ones too, as the class is unfinished."""
    empty = {name: function for name, function in methods(owner).items() if _is_empty(function)}
    called = [call for call in calls(owner) if attribute_of_self(call.func) in empty]
    dropped = {id(node.value) for node in ast.walk(owner) if isinstance(node, ast.Expr)}
    if all(id(call) in dropped for call in called):
        return
    for name in dict.fromkeys(attribute_of_self(call.func) for call in called):
        yield rules.EMPTY.at(module.place(empty[name]), f"{owner.name}.{name}() is empty", name=name)


def _is_empty(function: Function) -> bool:
    return not function.decorator_list and all(
        isinstance(each, ast.Pass) or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in function.body
    )


def _only_none(module: Module) -> frozenset[str]:
    """The names of attributes that a module sets to None and to nothing else."""
    nothing = {
        id(target)
        for target, value in assignments(module.source.tree)
        if isinstance(value, ast.Constant) and value.value is None
    }
    stored: dict[str, list[int]] = {}
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            stored.setdefault(node.attr, []).append(id(node))
    return frozenset(name for name, places in stored.items() if nothing.issuperset(places))


def _never_set(owner: ast.ClassDef, module: Module, only_none: frozenset[str]) -> Iterator[Finding]:
    """Conditions on attributes that are only ever None."""
    for node in ast.walk(owner):
        if not isinstance(node, ast.If | ast.While):
            continue
        test = node.test.left if isinstance(node.test, ast.Compare) and len(node.test.ops) == 1 else node.test
        name = attribute_of_self(test)
        if name in only_none:
            yield rules.NEVER_SET.at(module.place(node), f"if self.{name}, which is only ever None", name=name)
