"""The page that a closed run leaves behind: one HTML file without scripts, network or other files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from adapters.report.story import tell
from domain.ports import Record

__all__ = ["render", "write_report"]


def render(records: Sequence[Record]) -> str:
    """The page of a run as HTML text, from any journal that begins with `Opened`.

    Raises ValueError for an empty journal or one that this version cannot read.
    """
    if not records:
        raise ValueError("a journal without records has no report")
    return _template().render(story=tell(records))


def write_report(directory: Path, run: str, records: Sequence[Record]) -> Path:
    """Write `<run>.html` into `directory` (made if absent), whole or not at all; returns its path.

    Raises ValueError as `render` does, or if `run` is no plain file name; OSError if the directory cannot be written.
    """
    if not run or Path(run).name != run or run.startswith("."):
        raise ValueError(f"run id {run!r} cannot name a file")
    page = render(records)
    directory.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{run}.", suffix=".html", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        os.chmod(draft, 0o644)
        path = directory / f"{run}.html"
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return path


@cache
def _template() -> Template:
    # Autoescape is on for everything: alert texts, labels and settings come from other people.
    environment = Environment(
        loader=PackageLoader("adapters.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    return environment.get_template("page.html")


def _code(text: str) -> Markup:
    """Text with what stands between backticks as code; everything is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )
