"""Files for the linter: found, read, recognised by name and content, and parsed into parts."""

from __future__ import annotations

import ast
import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from adapters import lint_yaml
from adapters.lint_kinds import Kind, kind_of
from domain.errors import Misconfigured
from linting import containers, nginx_syntax, settings_files, shell
from linting.finding import Place
from linting.parts import Access, Container, Daemon, Hosts, Manifest, Nginx, Part, Problem, Setting, Source, Tree
from linting.rules_cluster import SYNTAX
from linting.rules_server import NGINX_SYNTAX

_PLACEHOLDER = re.compile(r"\{\{|\{%|(?<!\$)\{[A-Za-z_]+\}")  # of Helm, Jinja, Python
LARGEST = 1024**2  # bytes; no configuration that a person wrote is larger
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "vendor"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read. `skipped` are files of a directory that are of no kind with rules, or no text at all."""

    parts: tuple[Part, ...]
    files: tuple[str, ...]
    skipped: tuple[str, ...]


def read(paths: Sequence[Path]) -> Reading:
    """Parse files, and all files below directories (hidden ones and installed packages aside). Raises Misconfigured for
    a file that was named and cannot be read, or is of an unknown kind."""
    parts: list[Part] = []
    files: list[str] = []
    skipped: list[str] = []
    for path, named in _files(paths):
        try:
            text = _text(path)
            found = parse(text, str(path))
        except Misconfigured:
            if named:
                raise
            skipped.append(str(path))
            continue
        files.append(str(path))
        parts += found
    return Reading(tuple(parts), tuple(files), tuple(skipped))


def parse(text: str, file: str) -> tuple[Part, ...]:
    """The parts of one file. Raises Misconfigured for one whose kind is not recognised, and for a template."""
    kind = kind_of(file, text)
    if kind is None:
        raise Misconfigured(
            f"{file}: of no kind that lint knows; it reads nginx and PostgreSQL configurations, sysctl files, "
            "manifests and compose files, Dockerfiles, daemon.json, shell scripts, options of the JVM, and Python"
        )
    parts = tuple(_parts(kind, text, file, 1, contained=False))
    if kind in (Kind.yaml, Kind.nginx) and _PLACEHOLDER.search(text) and _broken(parts):
        raise Misconfigured(f"{file}: is a template and no {kind} yet; lint what it is rendered to")
    return parts


def _broken(parts: Iterable[Part]) -> bool:
    return any(isinstance(part, Problem) and part.kind in (SYNTAX.id, NGINX_SYNTAX.id) for part in parts)


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Each file once, and whether it was named itself."""
    seen: set[str] = set()
    for path in paths:
        listed: Iterable[Path] = (path,) if not path.is_dir() else _below(path)
        for each in listed:
            if str(each) not in seen:
                seen.add(str(each))
                yield each, each == path


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        yield from (Path(root) / name for name in sorted(names) if not name.startswith("."))


def _text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Misconfigured(f"{path}: is no regular file; name a file or a directory")
        if status.st_size > LARGEST:
            raise Misconfigured(f"{path}: has {status.st_size} bytes; lint reads files up to {LARGEST}")
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(
            f"{path}: cannot be read: {error.strerror or error}; check the name and its rights"
        ) from None
    if b"\0" in content:
        raise Misconfigured(f"{path}: is a binary file; lint reads text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}: is not UTF-8 (byte {error.start}); convert it") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parts(kind: Kind, text: str, file: str, first: int, contained: bool) -> Iterator[Part]:
    match kind:
        case Kind.nginx:
            directives, problems = nginx_syntax.parse(text, file, first)
            yield Nginx(directives, contained)
            yield from problems
        case Kind.postgresql:
            server, problems = settings_files.postgresql(text, file, first)
            yield server
            yield from problems
        case Kind.sysctl:
            kernel, problems = settings_files.sysctl(text, file, first)
            yield kernel
            yield from problems
        case Kind.shell:
            yield from shell.commands(text, file, first)
        case Kind.jvm:
            yield _argument_file(text, file, first)
        case Kind.dockerfile:
            stages, commands = containers.from_dockerfile(text, file)
            yield from stages
            yield from commands
        case Kind.python:
            yield _python(text, file)
        case Kind.yaml:
            yield from _yaml(text, file)
        case Kind.hba:
            yield Access(settings_files.guards(text))
        case Kind.empty:
            return


def _argument_file(text: str, file: str, first: int) -> Container:
    """The options of an argument file as a variable that the JVM reads, one for each line."""
    lines = [
        Setting("JDK_JAVA_OPTIONS", line.strip(), Place(file, number))
        for number, line in enumerate(text.split("\n"), first)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    return Container(Place(file, first), "", (), tuple(lines), limits_known=False)


def _python(text: str, file: str) -> Part:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python thinks of the text's escapes is not our matter
            return Source(file, ast.parse(text, file))
    except SyntaxError as error:
        return Problem(SYNTAX.id, Place(file, error.lineno or 1), f"Python: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Problem(SYNTAX.id, Place(file, 1), f"Python: {error or 'nested too deeply'}")


# --- YAML: manifests, compose files, the daemon ----------------------------------------------------------------------


def _yaml(text: str, file: str) -> Iterator[Part]:
    for tree, problems in lint_yaml.documents(text, file):
        yield from problems
        if tree.at("apiVersion").text and tree.at("kind").text:
            listed = [*tree.at("items").each()] if tree.at("kind").text == "List" else [tree]
            for each in listed:
                yield Manifest(each)
                if each.at("kind").text == "ConfigMap":
                    yield from _config_map(each, text)
        elif isinstance(tree.at("services").data, dict):
            yield Hosts(frozenset(name for name, _ in tree.at("services").fields()))
            yield from containers.from_compose(tree)
        elif file.endswith("daemon.json") or tree.at("storage-driver") or tree.at("storage-opts"):
            yield Daemon(tree)


def _config_map(manifest: Tree, text: str) -> Iterator[Part]:
    """The files in a ConfigMap, with their own lines where they stand there line by line."""
    for name, value in manifest.at("data").fields():
        content = value.text
        kind = kind_of(name, content) if re.search(r"\.(?:conf|sh|options)$", name) else None
        if kind is None:
            continue
        first = lint_yaml.block_start(value, text)
        for part in _parts(kind, content, manifest.file, first or 1, contained=True):
            yield part if first else _pinned(part, value.place)


def _pinned(value: Any, place: Place) -> Any:
    """A part with everything at one place: the text stands in one line of the file, written with escapes."""
    if isinstance(value, Place):
        return place
    if isinstance(value, tuple):
        return tuple(_pinned(each, place) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{each.name: _pinned(getattr(value, each.name), place) for each in fields(value)})
    return value
