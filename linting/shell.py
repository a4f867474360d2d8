"""Shell scripts as simple commands: enough to see what they start and what they write, without running anything.

Quotes, continued lines, comments, pipes, lists, redirections and here-documents are understood; functions, loops and
substitutions are not followed (`$(...)` counts as one word).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from linting.finding import Place
from linting.parts import Command, Setting

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_HEREDOC = re.compile(r"(?<!<)<<(-?)\s*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\2")
_SUBSTITUTION = re.compile(r"\$\([^()`]*\)|`[^`]*`")
_DESCRIPTOR = re.compile(r"(?<=\s)[0-9](?=[<>])")
_LONGEST = 50  # lines that one quoted text may span; beyond that the quote was never closed
_PREFIXES = frozenset({"sudo", "exec", "time", "nohup", "command", "then", "do", "else", "!", "{"})
_SUDO_VALUES = frozenset({"-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "--user", "--group", "--host", "--chdir"})
_SEPARATORS = frozenset({";", "&", "|", "(", ")"})


def commands(text: str, file: str, first: int = 1) -> tuple[Command, ...]:
    """The simple commands of a script whose first line has the number `first`, in order. Lines whose quotes do not
    close are left out."""
    found: list[Command] = []
    for line, logical in _logical_lines(text, first):
        try:
            plain = _DESCRIPTOR.sub("", _SUBSTITUTION.sub("SUBSTITUTED", logical))
            lexer = shlex.shlex(plain, posix=True, punctuation_chars="();<>|&")
            lexer.whitespace_split = True
            tokens = list(lexer)
        except ValueError:
            continue
        found += _split(tokens, Place(file, line))
    return tuple(found)


def words(text: str) -> tuple[str, ...]:
    """A text of options as its words; without quoting where quotes do not close."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return tuple(text.split())


def _logical_lines(text: str, first: int) -> Iterator[tuple[int, str]]:
    numbers, lines = _joined(text, first)
    at = 0
    while at < len(lines):
        start, logical = at, lines[at]
        at += 1
        while at < len(lines) and at - start < _LONGEST and _quote_is_open(logical):
            logical += "\n" + lines[at]
            at += 1
        if _quote_is_open(logical):
            at = start + 1  # a quote that never closes concerns its own line only
            continue
        document = _HEREDOC.search(logical)
        if document:
            logical = logical[: document.start()] + logical[document.end() :]
            while at < len(lines) and lines[at].strip("\t" if document[1] else "") != document[3]:
                at += 1
            at += 1
        if logical.strip() and not logical.lstrip().startswith("#"):
            yield numbers[start], logical


def _joined(text: str, first: int) -> tuple[list[int], list[str]]:
    """The lines with those that end in a backslash joined to their next one, and the number of each."""
    numbers: list[int] = []
    lines: list[str] = []
    held: list[str] = []
    for number, line in enumerate(text.split("\n"), first):
        if not held:
            numbers.append(number)
        if line.endswith("\\") and not line.endswith("\\\\"):
            held.append(line[:-1])
            continue
        lines.append(" ".join([*held, line]))
        held = []
    if held:
        lines.append(" ".join(held))
    return numbers, lines


def _quote_is_open(line: str) -> bool:
    """Whether a quote is open at the end."""
    quote, place = "", 0
    while place < len(line):
        char = line[place]
        if char == "\\" and quote != "'":
            place += 1
        elif quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "#" and (place == 0 or line[place - 1].isspace()):
            newline = line.find("\n", place)
            if newline < 0:
                return False
            place = newline
        place += 1
    return bool(quote)


def _split(tokens: list[str], place: Place) -> Iterator[Command]:
    words: list[str] = []
    writes: list[str] = []
    piped: Command | None = None
    rest = iter([*tokens, ";"])
    for token in rest:
        if set(token) <= {">", "&"} and ">" in token:
            file = next(rest, "")
            if not file.isdigit():  # `>&1` names a descriptor
                writes.append(file)
        elif set(token) == {"<"}:
            next(rest, "")
        elif set(token) <= _SEPARATORS and token:
            command = _command(words, tuple(writes), place)
            if command is not None:
                command = _tee(command, piped)
                yield command
            piped = command if token == "|" else None
            words, writes = [], []
        else:
            words.append(token)


def _command(words: list[str], writes: tuple[str, ...], place: Place) -> Command | None:
    environment: list[Setting] = []
    rest = list(words)
    while rest:
        assignment = _ASSIGNMENT.fullmatch(rest[0])
        if assignment:
            environment.append(Setting(assignment[1], assignment[2], place))
        elif rest[0] not in (*_PREFIXES, "env", "export"):
            break
        prefix = rest.pop(0)
        while prefix == "sudo" and rest and rest[0].startswith("-"):
            if rest.pop(0) in _SUDO_VALUES and rest:
                rest.pop(0)
    if not rest and not environment:
        return None
    return Command(tuple(rest), tuple(environment), writes, place)


def _tee(command: Command, piped: Command | None) -> Command:
    """`echo 1 | tee FILE` writes what echo says: the command becomes that echo."""
    if command.name != "tee" or piped is None or piped.name not in ("echo", "printf"):
        return command
    files = tuple(word for word in command.words[1:] if not word.startswith("-"))
    return Command(piped.words, (), files, command.place)
