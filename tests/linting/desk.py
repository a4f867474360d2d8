"""The linter over texts, and over the golden files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from adapters import lint_files
from adapters.lint_facts import facts
from linting.facts import Facts
from linting.finding import Finding
from linting.lint import lint

GUIDE = Path(__file__).parents[1] / "golden" / "guide"
CORRECTED = GUIDE.with_name("guide_corrected")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def lint_text(text: str, file: str, **versions: str) -> tuple[Finding, ...]:
    """The findings of one file."""
    return lint(lint_files.parse(text, file), _facts(tuple(versions.items())))


@cache
def _facts(versions: tuple[tuple[str, str], ...] = ()) -> Facts:
    return facts(dict(versions))


def lint_texts(*files: tuple[str, str]) -> tuple[Finding, ...]:
    """The findings of several files that belong together: (name, text)."""
    return lint([part for name, text in files for part in lint_files.parse(text, name)], _facts())


@cache
def lint_golden(folder: Path, file: str = "") -> tuple[Finding, ...]:
    """The findings of one golden file, or of a whole folder."""
    return lint(lint_files.read([folder / file if file else folder]).parts, _facts())


def rules(found: Iterable[Finding]) -> list[str]:
    """The ids of the rules that found something, each once."""
    return list(dict.fromkeys(each.rule for each in found))
