"""All rules over all parts of all files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from linting import (
    across,
    commands,
    container,
    containers,
    jvm,
    kernel,
    kubernetes,
    nginx,
    postgresql,
    python_measure,
    python_names,
    python_service,
    rules,
    runtimes,
)
from linting.facts import Facts
from linting.finding import SEVERITIES, Finding
from linting.kubernetes import POD_KINDS
from linting.parts import (
    Access,
    Command,
    Container,
    Daemon,
    Kernel,
    Manifest,
    Nginx,
    Part,
    Postgresql,
    Problem,
    Setting,
    Source,
)

_LONG_LIVED = ("java", "node")


def lint(parts: Sequence[Part], facts: Facts) -> tuple[Finding, ...]:
    """The findings, each once, ordered by file and line, the worse first."""
    hosts = across.hosts(parts)
    guarded = any(isinstance(part, Access) and part.guarded for part in parts)
    modules = [python_names.module(part) for part in parts if isinstance(part, Source)]
    found: list[Finding] = []
    for part in parts:
        match part:
            case Problem():
                found.append(rules.BY_ID[part.kind].at(part.place, part.message))
            case Kernel():
                found += kernel.check(part, facts)
            case Nginx():
                found += nginx.check(part, facts, hosts.__contains__)
            case Postgresql():
                found += postgresql.check(part, facts, guarded)
            case Daemon():
                found += container.daemon(part)
            case Manifest():
                found += kubernetes.check(part)
                found += kernel.check(kubernetes.kernel(part), facts)
            case Command():
                found += commands.check(part, facts)
    for each in _containers(parts):
        found += _container(each, facts)
        server = postgresql.from_command(each)
        if server is not None:
            found += postgresql.check(server, facts, guarded)
    for settings in _by_file(parts):
        found += kernel.check(settings, facts)
    for module in modules:
        found += python_service.check(module, facts)
        found += python_measure.check(module)
    pools = [pool for module in modules for pool in python_service.pools(module)]
    found += across.check(parts, pools, facts)
    return tuple(sorted(dict.fromkeys(found), key=_order))


def _order(finding: Finding) -> tuple[str, int, int, str, str]:
    place = finding.place
    return place.file, place.line, -SEVERITIES.index(finding.severity), finding.rule, finding.seen


def _containers(parts: Iterable[Part]) -> Iterator[Container]:
    """Containers wherever they are described, and processes outside of one that a script starts."""
    for part in parts:
        if isinstance(part, Container):
            yield part
        elif isinstance(part, Manifest) and part.kind in POD_KINDS:
            yield from containers.from_pod(part.tree)
        elif isinstance(part, Command):
            made = containers.from_command(part)
            if made is not None:
                yield made
            elif part.environment or part.name in _LONG_LIVED:
                yield Container(part.place, "", part.words, part.environment, limits_known=False)


def _container(each: Container, facts: Facts) -> Iterator[Finding]:
    yield from container.check(each, facts)
    yield from kernel.check(container.kernel(each), facts)
    yield from commands.container(each)
    yield from jvm.check(each, facts)
    yield from runtimes.check(each, facts)
    yield from kubernetes.shared_memory(each)


def _by_file(parts: Iterable[Part]) -> Iterator[Kernel]:
    """The kernel parameters that the commands of each file set, together: they may contradict each other."""
    files: dict[str, list[Command]] = {}
    for part in parts:
        if isinstance(part, Command):
            files.setdefault(part.place.file, []).append(part)
    for listed in files.values():
        settings: tuple[Setting, ...] = commands.kernel(listed).settings
        if settings:
            yield Kernel(settings)
