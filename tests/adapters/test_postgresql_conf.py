"""The text of postgresql.auto.conf, read and edited without a server, and what the lines of ours in it say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.actuators.postgresql_conf import (
    BEFORE,
    GENERATION,
    Before,
    Content,
    edited,
    parse,
    settled,
    writing,
)
from domain.errors import Misconfigured
from domain.ports import Stamp

STAMP = Stamp("r1", 7)
LINE_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30)


@given(st.dictionaries(st.sampled_from(["work_mem", "jit", "trimtab.before"]), LINE_TEXT))
def test_what_is_put_in_is_read_back(lines: dict[str, str]) -> None:
    """Any text, quotes and backslashes included, survives the file."""
    assert parse(edited("# kept\nport = 5432\n", lines)) == {"port": "5432", **lines}


def test_an_edit_keeps_the_other_lines_and_takes_out_its_own() -> None:
    """Comments and other parameters stay as they were, whatever the case of a name."""
    text = "# kept\nWork_Mem = '4MB'\njit=off # why\nport 5432\n"
    assert edited(text, {"work_mem": None, "jit": "on"}) == "# kept\nport 5432\njit = 'on'\n"


@pytest.mark.parametrize(
    ("line", "value"),
    [("a = 'it''s'", "it's"), ("a 5", "5"), ("a=on#x", "on"), (r"a = 'b\\c\'d\101'", "b\\c'dA"), ("a='' # none", "")],
)
def test_lines_that_people_write_are_read(line: str, value: str) -> None:
    """All forms that the server accepts."""
    assert parse(f"a = 1\n{line}\n") == {"a": value}


@pytest.mark.parametrize("line", ["= 3", "a = = 3", "a = 'open", "include 'x' 'y'"])
def test_a_line_that_cannot_be_read_is_named(line: str) -> None:
    """Nothing is guessed about a file that decides whether a server starts."""
    with pytest.raises(Misconfigured, match="line 2"):
        parse(f"a = 1\n{line}\n")


def test_a_line_break_cannot_be_put_in() -> None:
    """It would end the line and begin another one."""
    with pytest.raises(Misconfigured, match="line break"):
        edited("", {"a": "1\nfsync = off"})


def content(auto: dict[str, str], below: dict[str, str] | None = None) -> Content:
    return Content(auto, below or {}, ("work_mem", "jit"))


def test_lines_are_ours_until_one_is_touched() -> None:
    """Changed, taken out, or put in: each breaks the stamp, other lines do not."""
    lines = {"work_mem": "8MB", "jit": None}
    auto = {"work_mem": "8MB", GENERATION: settled(STAMP, lines).text, "port": "1"}
    assert content(auto).stamp == STAMP
    for touched in ({"work_mem": "9MB"}, {"jit": "off"}):
        assert content({**auto, **touched}).stamp is None
        assert content({**auto, **touched}).generation == 7
        assert content({**auto, **touched}).version != content(auto).version
    assert content({**auto, "port": "2"}).stamp == STAMP
    assert content({**auto, "port": "2"}).version == content(auto).version


def test_half_written_lines_are_ours_and_nothing_else_is() -> None:
    """Each line is what stood there or what is to stand there."""
    mark = writing(STAMP, {"work_mem": "2MB", "jit": None}, {"work_mem": "8MB", "jit": "off"})
    states = [
        {"work_mem": "2MB"},
        {"work_mem": "8MB"},
        {"work_mem": "8MB", "jit": "off"},
        {"work_mem": "2MB", "jit": "off"},
    ]
    seen = [content({**state, GENERATION: mark.text}) for state in states]
    assert [each.stamp for each in seen] == [STAMP] * 4
    assert len({each.version for each in seen}) == 4
    for foreign in ({"work_mem": "3MB"}, {"work_mem": "8MB", "jit": "on"}, {}):
        assert content({**foreign, GENERATION: mark.text}).stamp is None


def test_a_value_of_another_file_counts_only_where_there_is_no_line() -> None:
    """Somebody who edits postgresql.conf changes an untouched target, and not one whose line covers it."""
    bare: dict[str, str] = {}
    covered = {"work_mem": "8MB"}
    assert content(bare, {"work_mem": "1MB"}).version != content(bare, {"work_mem": "2MB"}).version
    assert content(covered, {"work_mem": "1MB"}).version == content(covered, {"work_mem": "2MB"}).version


@pytest.mark.parametrize(
    "spoiled", ["", "x", "7", "null", "{}", '{"run": 1}', '{"was": "x", "run": "r", "generation": 1}']
)
def test_a_spoiled_mark_is_nobodys(spoiled: str) -> None:
    """Whatever a person leaves there: the content counts as foreign."""
    assert content({GENERATION: spoiled}).stamp is None


def test_the_before_image_is_kept_whole() -> None:
    """Lines that were not there are remembered as such; one that cannot be read is told."""
    before = Before("r1", 100.5, {"work_mem": "it's", "jit": None})
    assert content({BEFORE: before.text}).before == before
    assert content({BEFORE: replace(before, reaped=True).text}).before == replace(before, reaped=True)
    assert content({}).before is None
    with pytest.raises(Misconfigured, match=r"trimtab\.before"):
        _ = content({BEFORE: "oops"}).before
