"""`trimtab lint`: what is printed where, and the exit code that a pipeline sees."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from console.lint import Level
from linting.finding import SEVERITIES
from linting.rules import RULES
from tests.console.desk import Screen
from tests.linting.desk import CORRECTED, GUIDE


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A file with a note and, from 16 on, an error."""
    path = tmp_path / "postgresql.conf"
    path.write_text("work_mem = 4MB\nforce_parallel_mode = off\n")
    return path


def test_findings_go_to_stdout_and_the_count_to_stderr(screen: Screen, config: Path) -> None:
    """The table has the line, the rule, the reason and the better value."""
    assert screen("lint", str(config), "--version", "postgresql=17") == 1
    assert all(word in screen.out for word in ("postgresql-unknown", "postgresql-default", "FATAL", "Renamed"))
    assert screen.err == "trimtab: 2 findings (1 error, 1 note) in 1 file\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--fail-on", "note"], 1),
        (["--fail-on", "error"], 0),
        (["--version", "postgresql=17", "--fail-on", "error"], 1),
        (["--version", "postgresql=17"], 1),
        (["--fail-on", "nothing"], 2),
        (["--version", "postgresql"], 2),
        (["-o", "yaml"], 2),
        (["--version", "postgresql=new"], 4),
        (["--version", "mysql=8"], 4),
        (["/nowhere"], 4),
    ],
)
def test_exit_codes(screen: Screen, config: Path, arguments: list[str], code: int) -> None:
    """0 nothing at or above the limit, 1 findings, 2 wrong usage, 4 what cannot be read or be right."""
    assert screen("lint", str(config), *arguments) == code


def test_without_files_it_says_what_is_missing(screen: Screen) -> None:
    """No files is wrong usage, and no silent success."""
    assert screen("lint") == 2
    assert "name at least one file or directory" in screen.err


def test_json_and_csv_carry_everything(screen: Screen, config: Path) -> None:
    """The same fields in both, with the source and the rows of the guide."""
    assert screen("lint", str(config), "-o", "json") == 0
    (found,) = json.loads(screen.out)
    assert found["file"] == str(config)
    assert (found["line"], found["severity"], found["rule"]) == (1, "note", "postgresql-default")
    assert found["rows"] == ["S9.2-03"]
    assert all(found[key] for key in ("seen", "why", "better", "source"))
    assert screen("lint", str(config), "-o", "csv") == 0
    (row,) = csv.DictReader(io.StringIO(screen.out))
    assert row["rule"] == found["rule"]
    assert list(row) == list(found)


def test_sarif_is_one_document(screen: Screen) -> None:
    """With results for the guide's folder, and with none for the corrected one."""
    assert screen("lint", str(GUIDE), "-o", "sarif") == 1
    assert len(json.loads(screen.out)["runs"][0]["results"]) > 100
    assert screen("lint", str(CORRECTED), "-o", "sarif", "--fail-on", "note") == 0
    assert json.loads(screen.out)["runs"][0]["results"] == []


def test_a_directory_tells_what_it_left_out(screen: Screen, config: Path) -> None:
    """Silence about a skipped file would look like a clean one."""
    (config.parent / "notes.txt").write_text("hello")
    assert screen("lint", str(config.parent)) == 0
    assert "left out: 1 of other kinds" in screen.err
    assert screen("lint", str(config.parent / "notes.txt")) == 4
    assert screen.err.startswith("trimtab: misconfigured: ")


def test_text_of_a_file_cannot_steer_the_terminal(screen: Screen, tmp_path: Path) -> None:
    """Escape sequences are blanked in the table."""
    path = tmp_path / "postgresql.conf"
    path.write_text("work_mem = '\x1b[31m'\n")
    assert screen("lint", str(path)) == 1
    assert "\x1b" not in screen.out + screen.err


def test_the_rules_can_be_listed(screen: Screen) -> None:
    """All of them, for documents and for whoever configures a pipeline."""
    assert screen("lint", "--rules", "-o", "json") == 0
    assert [each["rule"] for each in json.loads(screen.out)] == [rule.id for rule in RULES]
    assert screen("lint", "--rules") == 0
    assert "conflict-hpa-vpa" in screen.out
    assert screen("lint", "--rules", "-o", "sarif") == 2


def test_levels_are_the_severities() -> None:
    """The option's words are those of the rules."""
    assert tuple(level.value for level in Level) == SEVERITIES
