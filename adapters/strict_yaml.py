"""YAML as people expect it: YAML 1.2 values, no key twice, and no word that silently becomes a boolean.

`gzip: on` is refused, because YAML 1.1 would have read it as true; `12:30` and dates stay text, `1e3` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml

from domain.errors import Misconfigured

Path = tuple[str | int, ...]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TRAPS = re.compile(r"(?:yes|no|on|off|y|n)", re.IGNORECASE)
_YAML_1_2 = (
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), "tTfF"),
    ("int", re.compile(r"(?:[-+]?[0-9]+|0x[0-9a-fA-F]+)$"), "-+0123456789"),
    ("float", re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"), "-+.0123456789"),
    ("null", re.compile(r"(?:~|null|Null|NULL|)$"), "~nN\0"),
    ("merge", re.compile(r"(?:<<)$"), "<"),
)


class _Loader(_LOADER):  # type: ignore[misc,valid-type]
    """SafeLoader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}


def _int(loader: Any, node: yaml.ScalarNode) -> int:
    return int(node.value, 16 if node.value.startswith("0x") else 10)


def _float(loader: Any, node: yaml.ScalarNode) -> float:
    return float(node.value)


for _name, _pattern, _first in _YAML_1_2:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", _pattern, ["" if c == "\0" else c for c in _first])
_Loader.add_constructor("tag:yaml.org,2002:int", _int)
_Loader.add_constructor("tag:yaml.org,2002:float", _float)


@dataclass(frozen=True, slots=True)
class Document:
    """The data of a file, the line (from 1) of every path in it, and the problems that were found while reading."""

    data: Any
    lines: Mapping[Path, int]
    problems: tuple[tuple[Path, str], ...]


def read(text: str) -> Document:
    """Raises Misconfigured with line and column if the text is no YAML; other problems are listed in the result."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        lines: dict[Path, int] = {}
        problems: list[tuple[Path, str]] = []
        if node is not None:
            _walk(node, (), lines, problems, set())
        return Document(loader.construct_document(node) if node is not None else None, lines, tuple(problems))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Misconfigured(f"{where}{error.problem or 'no YAML'}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Misconfigured(f"no YAML: {error}") from None
    finally:
        loader.dispose()


def where(path: Path) -> str:
    """`targets[0].arms[1].label`"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "(file)"


def _walk(
    node: yaml.Node, path: Path, lines: dict[Path, int], problems: list[tuple[Path, str]], above: set[int]
) -> None:
    if id(node) in above:
        raise yaml.MarkedYAMLError(problem="an alias holds itself", problem_mark=node.start_mark)
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        if not node.style and node.tag.endswith(":str") and _TRAPS.fullmatch(node.value):
            word = node.value
            problems.append(
                (path, f'{word} would be read as a boolean; write "{word}" in quotes for the text, or true or false')
            )
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            _walk(item, (*path, place), lines, problems, above | {id(node)})
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            inner = (*path, name)
            if not isinstance(key, yaml.ScalarNode):
                problems.append((path, "a key must be plain text"))
            elif name in seen and name != "<<":
                problems.append((inner, f"the key stands there twice (first in line {seen[name]}); keep one"))
            elif not key.style and key.tag.endswith(":str") and _TRAPS.fullmatch(name):
                problems.append((inner, f'{name} would be read as a boolean; write "{name}" in quotes'))
            seen[name] = key.start_mark.line + 1
            lines[inner] = key.start_mark.line + 1
            _walk(value, inner, lines, problems, above | {id(node)})
