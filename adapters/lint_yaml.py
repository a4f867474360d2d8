"""YAML streams of several documents, with the line of everything, and JSON, which is YAML here.

Each document is read by itself, so one that is broken hides none of the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from adapters import strict_yaml
from domain.errors import Misconfigured
from linting.finding import Place
from linting.parts import Path, Problem, Tree
from linting.rules_cluster import DUPLICATE_KEY, SYNTAX

_SEPARATOR = re.compile(r"---(?:\s|$)")
_LINE = re.compile(r"line (\d+), column (\d+): ")
_BLOCK = re.compile(r"[|][-+0-9]*\s*(?:#.*)?$")
_MOST_NODES = 200_000  # of one document, aliases counted as often as they are used
_DEEPEST = 100  # nested mappings and lists

Document = tuple[Tree, tuple[Problem, ...]]


def documents(text: str, file: str) -> Iterator[Document]:
    """Each document of a stream with its problems; an empty tree for one that cannot be parsed."""
    for first, chunk in _split(text):
        yield _document(chunk, file, first)


def _document(text: str, file: str, first: int) -> Document:
    empty = Tree(file, None, {(): first})
    try:
        _check_size(text)
        document = strict_yaml.read(text)
    except Misconfigured as error:
        told = str(error)
        match = _LINE.match(told)
        line = first + min(int(match[1]) - 1, text.count("\n")) if match else first
        message = told[match.end() :] if match else told
        return empty, (Problem(SYNTAX.id, Place(file, line), message),)
    lines: dict[Path, int] = {path: line + first - 1 for path, line in document.lines.items()}
    problems = tuple(
        Problem(DUPLICATE_KEY.id, Place(file, lines.get(path, first)), f"{strict_yaml.where(path)}: {told}")
        for path, told in document.problems
    )
    return Tree(file, document.data, lines), problems


def block_start(tree: Tree, text: str) -> int | None:
    """The line on which a text inside a document begins, where it stands there line by line (after `|`)."""
    line = tree.place.line
    source = text.split("\n")
    if line <= len(source) and _BLOCK.search(source[line - 1]):
        return line + 1
    return None


def _split(text: str) -> Iterator[tuple[int, str]]:
    """The documents with their first line; those without content are left out."""
    first = 1
    held: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if _SEPARATOR.match(line):
            if any(_says_something(each) for each in held):
                yield first, "\n".join(held)
            first, held = number, [line[3:]]
        else:
            held.append(line)
    if any(_says_something(each) for each in held):
        yield first, "\n".join(held)


def _says_something(line: str) -> bool:
    bare = line.strip()
    return bool(bare) and not bare.startswith(("#", "%"))


def _check_size(text: str) -> None:
    """Refuse what would take for ever: nesting without end, and aliases of aliases of aliases."""
    depth = 0
    count = 0
    for event in _events(text):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
            if depth > _DEEPEST:
                line = event.start_mark.line + 1 if event.start_mark is not None else 1
                raise Misconfigured(f"line {line}, column 1: nested deeper than {_DEEPEST}")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            count += 1
    if count and _expanded(text) > _MOST_NODES:
        raise Misconfigured(f"aliases make more than {_MOST_NODES} values of it; write them out")


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Misconfigured(f"{where}{error.problem or 'no YAML'}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Misconfigured(f"no YAML: {error}") from None


def _expanded(text: str) -> int:
    """The number of values when every alias is replaced by what it stands for; aliases that hold themselves are left to
    whoever reads the document."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = [(None, 0)]
    for event in _events(text):
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            open_.append((event.anchor, 1))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            anchor, size = open_.pop()
            if anchor:
                sizes[anchor] = size
            open_[-1] = (open_[-1][0], open_[-1][1] + size)
        elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
            size = sizes.get(event.anchor or "", 1) if isinstance(event, yaml.AliasEvent) else 1
            open_[-1] = (open_[-1][0], open_[-1][1] + size)
    return open_[0][1]
