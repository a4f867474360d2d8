"""How the console speaks: data on stdout (table, JSON, CSV), talk on stderr, one exit code per kind of ending."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from adapters.catalogue_reasons import amount
from domain.errors import Misconfigured, Transient, TrimtabError
from domain.ports import Json

if TYPE_CHECKING:
    from rich.console import Console

OK, FINDING, USAGE, UNREACHABLE, MISCONFIGURED = 0, 1, 2, 3, 4
WIDE = 180  # columns of a table that goes into a file or a pipe
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"


FormatOption = Annotated[Format, typer.Option("-o", "--output", help="How to print: for people or for programs.")]


class Finding(Exception):
    """The command did its work, and the answer is bad news: one line for the person, exit code 1."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a listing. `key` is the field's name in JSON and CSV; `show` makes a table's text of its value."""

    key: str
    title: str
    show: Callable[[Any], str] = str
    right: bool = False
    table: bool = True


def listing(rows: Sequence[Json], columns: Sequence[Column], form: Format, empty: str = "nothing to show") -> None:
    """Print rows of plain JSON values on stdout. In CSV every column appears, in this order, also without rows."""
    match form:
        case Format.json:
            print_json([{column.key: row.get(column.key) for column in columns} for row in rows])
        case Format.csv:
            write_csv(rows, columns, sys.stdout)
        case Format.table:
            if not rows:
                say(empty)
                return
            _table(rows, [column for column in columns if column.table])


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def write_csv(rows: Sequence[Json], columns: Sequence[Column], out: TextIO) -> None:
    """RFC 4180: header, CRLF, quotes where needed. Nested values become compact JSON."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.key for column in columns])
    writer.writerows([[cell(row.get(column.key)) for column in columns] for row in rows])


def cell(value: Any) -> str | int | float:
    """A value as a CSV cell. Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return f"'{text}" if text.startswith(_FORMULA) else text


def plain(text: object) -> str:
    """Text without control characters: what an alert says must not steer the terminal."""
    return "".join(char if char.isprintable() else " " for char in str(text))


def when(time: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC, the form of times in JSON and CSV."""
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")


def short_time(text: str | None) -> str:
    """An ISO time for tables."""
    return "" if text is None else text[:19].replace("T", " ")


def settings_text(settings: Mapping[str, Any]) -> str:
    """`name value, name value`; booleans as on and off."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in settings.items())


def value_text(value: Any, unit: str = "") -> str:
    """A value for people: booleans as on and off, and where a unit is told, sizes as MiB."""
    if value is None:
        return "(absent)"
    if unit and not isinstance(value, str):
        return amount(unit, value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return plain(value)


def say(text: str) -> None:
    """Talk: one line on stderr."""
    print(plain(text), file=sys.stderr, flush=True)


def console(stream: TextIO | None = None) -> Console:
    """A Rich console that obeys NO_COLOR and never reads markup out of data."""
    from rich.console import Console

    out = stream or sys.stdout
    width = None if out.isatty() or "COLUMNS" in os.environ else WIDE
    return Console(file=out, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def _table(rows: Sequence[Json], columns: Sequence[Column]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        shown = ["" if row.get(column.key) is None else column.show(row[column.key]) for column in columns]
        table.add_row(*(plain(text) for text in shown))
    console().print(table)


def exit_code(error: Exception) -> int:
    """The documented exit code of an error."""
    if isinstance(error, Transient):
        return UNREACHABLE
    if isinstance(error, Misconfigured):
        return MISCONFIGURED
    return FINDING


def one_line(error: Exception) -> str:
    """An error as the line that a person reads."""
    lead = {UNREACHABLE: "unreachable", MISCONFIGURED: "misconfigured"}.get(exit_code(error), "")
    if not lead and isinstance(error, TrimtabError):
        lead = type(error).__name__.lower()
    return f"trimtab: {lead}: {error}" if lead else f"trimtab: {error}"
