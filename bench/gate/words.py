"""How figures are written in the report: shares, signs, paragraphs, tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 120


def short(share: float) -> str:
    """A share in percent, in as few digits as tell it apart from 0 and from 1."""
    percent = 100 * share
    text = f"{percent:.2f}" if percent < 1 or 99 < percent < 100 else f"{percent:.1f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + " %"


def share_of(hits: int, of: int) -> str:
    return f"{short(hits / of)} ({hits} of {of})" if of else "–"


def signed(value: float, places: int) -> str:
    return f"{value:+.{places}f}".replace("-", "−")


def points(value: float | None) -> str:
    return "–" if value is None else f"{signed(value, 2)} points"


def code(text: str) -> str:
    return f"`{text}`" if " " in text and text.startswith("python") else text


def paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
