"""docs/guide.md: every row of the guide, what the program really does about it, and a command that exists."""

from __future__ import annotations

import shlex

import pytest
import typer
import typer.core

from adapters.catalogue import load
from bench.guide import DOES, KIND, PAGE, VERDICTS, page, rows, sections, written
from console.__main__ import app

ROWS = {  # section → how many statements of the guide it has
    "S1.1": 9,
    "S1.2": 9,
    "S1.3": 4,
    "S2.1": 7,
    "S2.2": 6,
    "S2.3": 3,
    "S3.1": 7,
    "S3.2": 6,
    "S3.3": 3,
    "S4.1": 7,
    "S4.2": 8,
    "S4.3": 4,
    "S5.1": 7,
    "S5.2": 6,
    "S5.3": 6,
    "S6.1": 7,
    "S6.2": 11,
    "S6.3": 9,
    "S7.1": 10,
    "S7.2": 5,
    "S7.3": 4,
    "S8.1": 7,
    "S8.2": 5,
    "S8.3": 4,
    "S9.1": 21,
    "S9.2": 15,
    "S9.3": 11,
    "S10.1": 9,
    "S10.2": 11,
    "S10.3": 16,
    "S11": 5,
}
USAGE: type[Exception] = typer.BadParameter.__mro__[1]  # what is wrong with a command line


def test_no_row_is_missing() -> None:
    """242 rows, numbered without a gap in each section, none twice."""
    expected = [f"{section}-{number:02}" for section, count in ROWS.items() for number in range(1, count + 1)]
    assert len(expected) == 242
    assert [row.id for row in rows()] == expected
    assert list(sections()) == list(ROWS)


def test_the_page_is_current() -> None:
    """docs/guide.md is what the program would write now; `python -m bench.guide` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_a_row_says_everything_in_known_words() -> None:
    """Title, finding, verdict and at least one thing that Trimtab does; parameters exist; words are those explained."""
    for row in rows():
        assert row.title, row.id
        assert row.finding.endswith("."), row.id
        assert row.does, row.id
        assert set(row.does) <= set(DOES), row.id
        assert row.verdict, row.id
        assert set(row.verdict) <= set(VERDICTS), row.id
        assert set(row.kind) <= set(KIND), row.id
        assert set(row.parameters) <= set(load().entries), row.id


def test_what_is_claimed_follows_from_policies_and_rules() -> None:
    """What is guarded is never called searched, what nobody writes never applied, and what a rule sees is linted."""
    for row in rows():
        entries = [load().entries[name] for name in row.parameters]
        if entries and {entry.policy for entry in entries} <= {"guard", "never"}:
            assert "refused" in row.does, row.id
            assert "searched" not in row.does, row.id
        if entries and not any(written(entry) for entry in entries):
            assert "applied" not in row.does, row.id
        assert bool(row.rules) <= ("linted" in row.does), row.id


def fault_of(shows: str) -> str:
    """Why a command line is none of `trimtab`: an unknown command, an option that it does not have, a word too many; ""
    if it is one."""
    words = shlex.split(shows)
    if words.pop(0) != "trimtab":
        return "another program"
    command = typer.main.get_command(app)
    while isinstance(command, typer.core.TyperGroup):
        context = command.make_context("trimtab", list(words), resilient_parsing=True)
        found = command.get_command(context, words[0]) if words else None
        if found is None:
            return f"no command {' '.join(words[:1])!r}"
        command, words = found, words[1:]
    context = command.make_context("trimtab", [], resilient_parsing=True)
    context.resilient_parsing = False
    try:
        _, rest, _ = command.make_parser(context).parse_args(words)
    except USAGE as error:
        return str(error)
    return f"a word too many: {rest}" if rest else ""


@pytest.mark.parametrize("shows", sorted({row.shows for row in rows()}))
def test_the_command_that_shows_a_row_exists(shows: str) -> None:
    """Each command is one of `trimtab`, with options that it has and no argument too many."""
    assert fault_of(shows) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        "trimtab catalogue show pg.work_mem --colour red",
        "trimtab improve everything",
        "trimtab catalogue",
        "trimtab runs show last last",
        "docker ps",
    ],
)
def test_a_command_that_does_not_exist_would_be_found(wrong: str) -> None:
    """The check above is able to fail."""
    assert fault_of(wrong) != ""
