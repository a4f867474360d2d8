"""Command-line options that stand in one variable of the environment: the owner's stay where they are, as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from domain.errors import Misconfigured

_OPTION = re.compile(r"(?:[^\s\"']|\"[^\"]*\"|'[^']*')+")


def split(text: str, where: str) -> list[str]:
    """The options, with their quotes. Raises Misconfigured for a quote that is never closed."""
    found = _OPTION.findall(text)
    if "".join(found) != re.sub(r"\s+(?=(?:[^\"']|\"[^\"]*\"|'[^']*')*$)", "", text):
        raise Misconfigured(f"{where} has a quote that is never closed: {text[:120]!r}")
    return found


def merged(present: Sequence[str], ours: Sequence[str], mine: Callable[[str], bool]) -> list[str]:
    """The owner's options in their order, those that are `mine` replaced by `ours` at the end."""
    return [*(option for option in present if not mine(option)), *ours]


def not_on_command_line(argv: Sequence[str], mine: Callable[[str], bool], where: str) -> None:
    """Raises Misconfigured if the program's own command line says what is to be written to `where`: it would win."""
    for word in argv:
        if mine(word):
            raise Misconfigured(f"restart.argv has {word!r}, which wins over {where}; move it to {where}")
