"""Options of the JVM, wherever they stand: variables, command lines, argument files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from linting import shell
from linting.finding import Place
from linting.parts import Container

READ = ("JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")
UNREAD = ("JAVA_OPTS", "JAVA_OPTIONS", "JVM_OPTS")
_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_SHORT = {"-Xmx": "MaxHeapSize", "-Xms": "InitialHeapSize", "-Xmn": "MaxNewSize"}
_ADVANCED = re.compile(r"-XX:(?:([-+])([A-Za-z0-9]+)|([A-Za-z0-9]+)=(.*))")


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of HotSpot: `on` for switches, `text` for values, `written` as the file has it."""

    name: str
    on: bool | None
    text: str
    written: str
    place: Place


def flags(container: Container) -> tuple[Flag, ...]:
    """All flags that a container gives its JVM, in the order in which they are read."""
    found: list[Flag] = []
    for variable in container.environment:
        if variable.name in (*READ, *UNREAD, "CATALINA_OPTS"):
            found += _flags(shell.words(variable.value), variable.place)
    words = _command(container.command)
    if any(word.rpartition("/")[2] == "java" for word in words):
        found += _flags(words, container.place)
    return tuple(found)


def _command(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a command, those of `sh -c "..."` too."""
    if len(words) > 2 and words[0].rpartition("/")[2] in _SHELLS and words[1].endswith("c"):
        return shell.words(words[2])
    return words


def _flags(words: tuple[str, ...], place: Place) -> Iterator[Flag]:
    for word in words:
        if word[:4] in _SHORT and len(word) > 4:
            yield Flag(_SHORT[word[:4]], None, word[4:], word, place)
            continue
        match = _ADVANCED.fullmatch(word)
        if match and match[2]:
            yield Flag(match[2], match[1] == "+", "", word, place)
        elif match:
            yield Flag(match[3], None, match[4], word, place)
