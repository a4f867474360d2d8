"""Files as the rules see them: parsed, with the line of everything that a finding may point at.

One file may hold several parts: a manifest with a ConfigMap holds an nginx.conf too, a script holds commands,
containers and kernel parameters.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from linting.finding import Place

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """A place in a YAML or JSON document. Looking for what is not there, or is of another kind, gives an empty tree at
    the nearest place that exists, so a rule needs no checks of its own."""

    file: str
    data: Any
    lines: Mapping[Path, int] = field(repr=False)
    path: Path = ()

    @property
    def place(self) -> Place:
        path = self.path
        while path and path not in self.lines:
            path = path[:-1]
        return Place(self.file, self.lines.get(path, 1))

    @property
    def text(self) -> str:
        """The value as text; empty for a mapping, a list, or nothing."""
        if isinstance(self.data, bool):
            return "true" if self.data else "false"
        if isinstance(self.data, int) and self.data.bit_length() > 1000:
            return ""  # no quantity of anything
        return "" if self.data is None or isinstance(self.data, dict | list) else str(self.data)

    @property
    def number(self) -> float | None:
        if isinstance(self.data, bool) or not isinstance(self.data, int | float) or not self.text:
            return None
        return self.data

    def __bool__(self) -> bool:
        return self.data is not None

    def at(self, *keys: str | int) -> Tree:
        data = self.data
        for key in keys:
            if isinstance(data, dict) and isinstance(key, str):
                data = data.get(key)
            elif isinstance(data, list) and isinstance(key, int) and key < len(data):
                data = data[key]
            else:
                data = None
        return Tree(self.file, data, self.lines, self.path + keys)

    def each(self) -> Iterator[Tree]:
        """The items of a list; nothing for anything else."""
        for place in range(len(self.data) if isinstance(self.data, list) else 0):
            yield self.at(place)

    def fields(self) -> Iterator[tuple[str, Tree]]:
        """Keys and values of a mapping; nothing for anything else."""
        for key in self.data if isinstance(self.data, dict) else ():
            if isinstance(key, str):
                yield key, self.at(key)


@dataclass(frozen=True, slots=True)
class Setting:
    """A name with the text of its value."""

    name: str
    value: str
    place: Place


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that cannot be read. `kind` is the id of the rule that says what follows from it."""

    kind: str
    place: Place
    message: str


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive of an nginx configuration; `block` is None for one that ends with a semicolon."""

    name: str
    args: tuple[str, ...]
    place: Place
    block: tuple[Directive, ...] | None = None


@dataclass(frozen=True, slots=True)
class Nginx:
    """An nginx configuration, or a fragment of one. `contained`: it is known to run in a container."""

    directives: tuple[Directive, ...]
    contained: bool = False


@dataclass(frozen=True, slots=True)
class Postgresql:
    """A postgresql.conf."""

    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """A pg_hba.conf. `guarded`: it lets somebody in over the network, and nobody without a password or certificate."""

    guarded: bool


@dataclass(frozen=True, slots=True)
class Kernel:
    """Kernel parameters that one file sets, in order, under their dotted names."""

    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command of a script: its words, the variables set for it, and the files it writes to."""

    words: tuple[str, ...]
    environment: tuple[Setting, ...]
    writes: tuple[str, ...]
    place: Place

    @property
    def name(self) -> str:
        """The program, without its directory; empty for a line that only sets variables."""
        return self.words[0].rpartition("/")[2] if self.words else ""


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of one container, wherever it is described. `cpu` is its limit in cores, `memory` and `request` are
    bytes; None where the description says nothing. `limits_known` is False where a limit would stand elsewhere
    (a Dockerfile, an argument file). `options` holds the flags of `docker run` with their values."""

    place: Place
    image: str
    command: tuple[str, ...]
    environment: tuple[Setting, ...]
    cpu: float | None = None
    memory: float | None = None
    request: float | None = None
    limits_known: bool = True
    host_network: bool = False
    pinned: bool = False  # images of this description have to name a version
    options: tuple[Setting, ...] = ()
    manifest: Tree | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object."""

    tree: Tree

    @property
    def kind(self) -> str:
        return self.tree.at("kind").text

    @property
    def name(self) -> str:
        return self.tree.at("metadata", "name").text

    @property
    def namespace(self) -> str:
        return self.tree.at("metadata", "namespace").text


@dataclass(frozen=True, slots=True)
class Hosts:
    """Host names that a compose file defines: its services."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Daemon:
    """The settings of the Docker daemon (daemon.json)."""

    tree: Tree


@dataclass(frozen=True, slots=True)
class Source:
    """A Python module."""

    file: str
    tree: ast.Module = field(repr=False)


Part = Nginx | Postgresql | Access | Kernel | Command | Container | Manifest | Hosts | Daemon | Source | Problem
