"""`trimtab lint`: what is wrong with configuration files, before anything runs with them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.output import Column, Finding, Format, listing, print_json, say
from domain.ports import Json

if TYPE_CHECKING:
    from linting import finding


class LintFormat(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"
    sarif = "sarif"


class Level(StrEnum):
    note = "note"
    warning = "warning"
    error = "error"


COLUMNS = (
    Column("file", "file"),
    Column("line", "line", right=True),
    Column("severity", ""),
    Column("rule", "rule"),
    Column("seen", "seen"),
    Column("why", "why"),
    Column("better", "better"),
    Column("source", "source", table=False),
    Column("rows", "rows of the guide", table=False),
)
RULE_COLUMNS = (
    Column("rule", "rule"),
    Column("severity", ""),
    Column("title", "what it finds"),
    Column("why", "why", table=False),
    Column("better", "better", table=False),
    Column("source", "source"),
    Column("rows", "rows of the guide", ", ".join),
)


def lint(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE...", help="Files and directories.")] = None,
    form: Annotated[LintFormat, typer.Option("-o", "--output", help="How to print.")] = LintFormat.table,
    version: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VERSION", help="Of postgresql, nginx, jvm, linux, ...; may be given several times."),
    ] = None,
    fail_on: Annotated[Level, typer.Option(help="The least severity that gives exit code 1.")] = Level.warning,
    rules: Annotated[bool, typer.Option("--rules", help="List all rules and stop.")] = False,
) -> None:
    """Find what does nothing, what stops the server, what is dangerous, and what contradicts another file. Files that
    are named together count as one system. Exit code 1 if something is at or above --fail-on."""
    if rules:
        _list_rules(form)
        return
    if not files:
        raise typer.BadParameter("name at least one file or directory", param_hint="FILE...")
    from adapters import lint_facts, lint_files
    from linting import lint as linter
    from linting.finding import at_least

    facts = lint_facts.facts(_versions(version or []))
    reading = lint_files.read(files)
    found = linter.lint(reading.parts, facts)
    _print(found, form)
    if reading.skipped:
        say(f"left out: {len(reading.skipped)} of other kinds")
    bad = [each for each in found if at_least(each.severity, fail_on.value)]
    told = f"{_count(found)} in {len(reading.files)} {'file' if len(reading.files) == 1 else 'files'}"
    if bad:
        raise Finding(told)
    say(told)


def _versions(given: Sequence[str]) -> Mapping[str, str]:
    chosen: dict[str, str] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or not name or not text:
            raise typer.BadParameter(f"{each!r} is not NAME=VERSION, postgresql=17 for example", param_hint="--version")
        chosen[name] = text
    return chosen


def _print(found: Sequence[finding.Finding], form: LintFormat) -> None:
    if form is LintFormat.sarif:
        from linting import rules, sarif

        print_json(sarif.report(found, rules.RULES, importlib.metadata.version("trimtab")))
        return
    listing([_row(each) for each in found], COLUMNS, Format(form.value), empty="nothing found")


def _row(each: finding.Finding) -> Json:
    return {
        "file": each.place.file,
        "line": each.place.line,
        "severity": each.severity,
        "rule": each.rule,
        "seen": each.seen,
        "why": each.why,
        "better": each.better,
        "source": each.source,
        "rows": list(each.rows),
    }


def _list_rules(form: LintFormat) -> None:
    from linting.rules import RULES

    if form is LintFormat.sarif:
        raise typer.BadParameter("rules are listed as table, json or csv", param_hint="--output")
    rows: list[Json] = [
        {
            "rule": rule.id,
            "severity": rule.severity,
            "title": rule.title,
            "why": rule.why,
            "better": rule.better,
            "source": rule.source,
            "rows": list(rule.rows),
        }
        for rule in RULES
    ]
    listing(rows, RULE_COLUMNS, Format(form.value))


def _count(found: Sequence[finding.Finding]) -> str:
    """`12 findings (2 errors, 7 warnings, 3 notes)`"""
    if not found:
        return "nothing found"
    numbers = [(level.value, sum(each.severity == level for each in found)) for level in reversed(Level)]
    parts = [f"{number} {word if number == 1 else word + 's'}" for word, number in numbers if number]
    return f"{len(found)} {'finding' if len(found) == 1 else 'findings'} ({', '.join(parts)})"
