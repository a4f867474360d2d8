"""The grammar of nginx: words, quotes, comments, blocks. No file is included, nothing is looked up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from linting.finding import Place
from linting.parts import Directive, Problem
from linting.rules_server import NGINX_SYNTAX

_WORD = re.compile(r"(?:\\.|\$\{|[^\s;{}\\])+", re.DOTALL)
_QUOTED = {quote: re.compile(rf"{quote}((?:\\.|[^{quote}\\])*){quote}", re.DOTALL) for quote in "\"'"}
_BLOCKS = frozenset({"events", "http", "stream", "mail", "server", "upstream", "location", "map", "geo", "types", "if"})
_DEEPEST = 40


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    quoted: bool = False


class _Broken(Exception):
    """What is wrong, and where."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def parse(text: str, file: str, first: int = 1) -> tuple[tuple[Directive, ...], tuple[Problem, ...]]:
    """The directives of a configuration whose first line has the number `first`, and what makes it unreadable (then the
    directives are those before it)."""
    found: list[Directive] = []
    try:
        _block(_tokens(text, first), file, found, 0)
    except _Broken as broken:
        return tuple(found), (Problem(NGINX_SYNTAX.id, Place(file, broken.line), str(broken)),)
    return tuple(found), ()


def _tokens(text: str, line: int) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\n":
            line += 1
        elif char == "#":
            at = text.find("\n", at)
            if at < 0:
                return
            continue
        elif char in ";{}":
            yield _Token(char, line)
        elif not char.isspace():
            match = _QUOTED[char].match(text, at) if char in _QUOTED else _WORD.match(text, at)
            if match is None:
                raise _Broken(line, f"a quote that is opened here never closes: {text[at : at + 30]!r}")
            yield _Token(match[1] if char in _QUOTED else match[0], line, quoted=True)
            line += match[0].count("\n")
            at = match.end()
            continue
        at += 1


def _block(tokens: Iterator[_Token], file: str, found: list[Directive], depth: int) -> int:
    """Fill `found` up to the closing brace; returns its line (0 at the end of the text)."""
    words: list[_Token] = []
    for token in tokens:
        if token.quoted:
            words.append(token)
        elif token.text == ";":
            if not words:
                raise _Broken(token.line, "a semicolon without a directive; remove it")
            found.append(_directive(words, file))
            words = []
        elif token.text == "{":
            if not words:
                raise _Broken(token.line, "a brace without a directive; name the block")
            swallowed = any(word.text in _BLOCKS and word.line > words[0].line for word in words[1:])
            if swallowed and words[0].text not in _BLOCKS:
                raise _Broken(words[0].line, f"the directive {words[0].text!r} is not ended; add a semicolon")
            if depth == _DEEPEST:
                raise _Broken(token.line, f"blocks are nested deeper than {_DEEPEST}")
            if words[0].text.endswith("_by_lua_block"):
                _skip(tokens, token.line)
                inner: list[Directive] = []
            else:
                inner = []
                if not _block(tokens, file, inner, depth + 1):
                    raise _Broken(words[0].line, f"the block {words[0].text!r} is never closed; add a brace")
            found.append(_directive(words, file, tuple(inner)))
            words = []
        elif words:
            raise _Broken(words[0].line, f"the directive {words[0].text!r} is not ended; add a semicolon")
        elif not depth:
            raise _Broken(token.line, "a closing brace without a block; remove it")
        else:
            return token.line
    if words:
        raise _Broken(words[0].line, f"the directive {words[0].text!r} is not ended; add a semicolon")
    return 0


def _directive(words: list[_Token], file: str, block: tuple[Directive, ...] | None = None) -> Directive:
    return Directive(words[0].text, tuple(word.text for word in words[1:]), Place(file, words[0].line), block)


def _skip(tokens: Iterator[_Token], line: int) -> None:
    depth = 1
    for token in tokens:
        if not token.quoted:
            depth += {"{": 1, "}": -1}.get(token.text, 0)
        if not depth:
            return
    raise _Broken(line, "the block is never closed; add a brace")
