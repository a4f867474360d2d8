"""The page about lint knows every rule."""

from __future__ import annotations

from pathlib import Path

from linting.rules import markdown

PAGE = Path(__file__).parents[2] / "docs" / "lint.md"


def test_the_tables_of_the_page_are_current() -> None:
    """Print them anew with `python -m linting` when this fails."""
    _, start, rest = PAGE.read_text().partition("<!-- rules -->\n")
    tables, end, _ = rest.partition("<!-- end of rules -->")
    assert start
    assert end
    assert tables.strip() == markdown().strip()
