"""Listings: runs, history, audit, targets, report."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from console.history import moment
from console.output import cell, plain
from domain.errors import Misconfigured
from domain.journal import load, verify
from tests import journal_factory as factory
from tests.console.desk import Desk, Screen


@pytest.fixture
def stocked(desk: Desk) -> Desk:
    for make in (factory.kept, factory.null, factory.conflict, factory.failed, factory.refused):
        desk.store(make())
    return desk


def test_runs_list_shows_every_run_newest_first(stocked: Desk, screen: Screen) -> None:
    """`runs list` names all runs, the newest first, in each form."""
    assert screen("runs", "list", "-o", "json") == 0
    rows = json.loads(screen.out)
    assert [row["outcome"] for row in rows] == ["refused", "failed", "conflict", "nothing_to_gain", "kept"]
    assert rows[-1]["opened"] == "2026-11-24T14:15:00+00:00"
    assert screen("runs", "list") == 0
    assert factory.RUN in screen.out
    assert screen("runs", "list", "--outcome", "kept", "-o", "csv") == 0
    assert screen.out.splitlines()[0] == "run,target,opened,closed,outcome"
    assert len(screen.out.splitlines()) == 2


def test_history_gives_settings_effect_verdicts_and_hashes(stocked: Desk, screen: Screen) -> None:
    """`history -o json` holds everything that must be provable about a kept run."""
    assert screen("history", "--outcome", "kept", "-o", "json") == 0
    (row,) = json.loads(screen.out)
    assert row["signal"]["kind"] == "alert"
    assert row["settings_before"]["gzip_comp_level"] == 6
    assert row["settings_after"]["gzip_comp_level"] == 1
    assert row["changed"]["gzip_comp_level"] == {"before": 6, "after": 1}
    assert row["effect_percent"] == pytest.approx(-38.6, abs=3)
    assert row["interval_percent"][0] < row["effect_percent"] < row["interval_percent"][1]
    assert row["verdicts"] == ["Keep"]
    assert len(row["hashes"]) == row["records"]
    assert row["last_hash"] == row["hashes"][-1]


def test_history_as_csv_has_a_stable_header_and_one_line_a_run(stocked: Desk, screen: Screen) -> None:
    """CSV of the history is RFC 4180: fixed header, CRLF, nested values as JSON in one cell."""
    assert screen("history", "-o", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(screen.out, newline="")))
    assert len(rows) == 5
    assert "\r\n" in screen.out
    assert json.loads(rows[-1]["settings_before"])["gzip_comp_level"] == 6
    assert float(rows[-1]["effect"]) < 0


def test_history_since_and_limit(stocked: Desk, screen: Screen) -> None:
    """`--since` and `--limit` cut the list; a wrong time is refused with exit code 4 and examples."""
    assert screen("history", "--since", "2026-11-24T18:00", "-o", "json") == 0
    assert [row["outcome"] for row in json.loads(screen.out)] == ["refused"]
    assert screen("history", "--limit", "2", "-o", "json") == 0
    assert len(json.loads(screen.out)) == 2
    assert screen("history", "--since", "yesterday") == 4
    assert "24h" in screen.err


def test_runs_show_tells_the_story(stocked: Desk, screen: Screen) -> None:
    """`runs show` gives the trials and what changed; `last` is the newest run."""
    assert screen("runs", "show", factory.RUN) == 0
    assert "gzip_comp_level" in screen.out
    assert "6 → 1" in screen.out
    assert screen("runs", "show", factory.RUN, "-o", "json") == 0
    told = json.loads(screen.out)
    assert [trial["result"] for trial in told["trial_list"]] == [
        "measured",
        "measured",
        "aborted",
        "refused",
        "measured",
    ]
    assert told["trial_list"][1]["changed"] == {"gzip_comp_level": 4}
    assert screen("runs", "show", "last", "-o", "json") == 0
    assert json.loads(screen.out)["outcome"] == "refused"


def test_unknown_run_is_one_line_with_a_next_step(stocked: Desk, screen: Screen) -> None:
    """An unknown run ends with exit code 1 and no traceback."""
    assert screen("runs", "show", "nobody") == 1
    assert screen.out == ""
    assert screen.err.strip() == "trimtab: no run 'nobody'; `trimtab runs list` shows the known ones"


def test_audit_is_clean_and_then_names_run_and_record(stocked: Desk, screen: Screen) -> None:
    """Untouched journals pass; after one changed byte the run and the record are named, exit code 1."""
    stocked.ledger.ignore("shop-front", {"id": "x", "reason": "cool-down"})
    assert screen("audit", "verify", "-o", "json") == 0
    assert {row["run"] for row in json.loads(screen.out)} >= {factory.RUN, "ignored:shop-front"}
    lines = stocked.ledger._runs[factory.RUN].lines  # type: ignore[attr-defined]
    lines[3] = lines[3].replace("original", "originaL")
    assert screen("audit", "verify", "-o", "json") == 1
    broken = [row for row in json.loads(screen.out) if not row["intact"]]
    assert [(row["run"], row["record"]) for row in broken] == [(factory.RUN, 3)]
    assert f"journal of run {factory.RUN} is broken at record 3" in screen.err
    assert screen("audit", "verify", "last") == 0


def test_audit_finds_a_journal_without_its_end(stocked: Desk, screen: Screen) -> None:
    """A chain whose last records are gone still fits together; the index gives it away."""
    del stocked.ledger._runs[factory.RUN].lines[-1]  # type: ignore[attr-defined]
    assert screen("audit", "verify", factory.RUN) == 1
    assert "the record Closed is missing" in screen.err


def test_history_survives_a_broken_journal(stocked: Desk, screen: Screen) -> None:
    """A broken journal keeps its line in the history, told on stderr, and hides no other run."""
    lines = stocked.ledger._runs[factory.RUN].lines  # type: ignore[attr-defined]
    lines[3] = "{"
    assert screen("history", "-o", "json") == 0
    assert len(json.loads(screen.out)) == 5
    assert "broken at record 3" in screen.err


def test_audit_export_can_be_verified_elsewhere(stocked: Desk, screen: Screen) -> None:
    """The JSON Lines of one run are its records, whole and in order; --all names the run on each line."""
    assert screen("audit", "export", factory.RUN) == 0
    verify(factory.RUN, [load(line) for line in screen.out.splitlines()])
    assert screen("audit", "export", "--all") == 0
    first = json.loads(screen.out.splitlines()[0])
    assert first["run"] == factory.RUN
    assert first["record"]["seq"] == 0
    assert screen("audit", "export") == 2


def test_targets_list(stocked: Desk, screen: Screen) -> None:
    """`targets list` says mode, arms and the last outcome."""
    assert screen("targets", "list", "-o", "json") == 0
    (row,) = json.loads(screen.out)
    assert (row["target"], row["mode"], row["arms"]) == ("shop-front", "act", ["a", "b"])
    assert row["last_outcome"] == "refused"


def test_report_is_written_and_named(stocked: Desk, screen: Screen, tmp_path: Path) -> None:
    """`report` writes the page where it is told, and prints only the path."""
    assert screen("report", factory.RUN) == 0
    assert Path(screen.out.strip()).read_text().startswith("<!doctype html>")
    out = tmp_path / "mine.html"
    assert screen("report", factory.RUN, "--out", str(out)) == 0
    assert factory.RUN in out.read_text()
    assert screen("report", factory.RUN, "--out", str(tmp_path / "no" / "where.html")) == 1
    assert screen("report", factory.RUN, "--out", "-") == 0
    assert "</html>" in screen.out


def test_empty_listings_are_valid_data(screen: Screen) -> None:
    """Without runs JSON is an empty list, CSV a header, and a table says so on stderr only."""
    assert screen("history", "-o", "json") == 0
    assert json.loads(screen.out) == []
    assert screen("runs", "list", "-o", "csv") == 0
    assert screen.out == "run,target,opened,closed,outcome\r\n"
    assert screen("runs", "list") == 0
    assert screen.out == ""
    assert "no runs yet" in screen.err


def test_cells_that_a_spreadsheet_would_run_are_quoted() -> None:
    """Formula injection is defused in text; numbers stay numbers."""
    assert cell("=1+1") == "'=1+1"
    assert cell("@SUM(A1)") == "'@SUM(A1)"
    assert cell("-2+3") == "'-2+3"
    assert cell(-0.4) == -0.4
    assert cell(None) == ""
    assert cell({"b": 1}) == '{"b": 1}'


def test_control_characters_never_reach_the_terminal(desk: Desk, screen: Screen) -> None:
    """What an alert says cannot move the cursor or colour the screen."""
    journal = factory.Journalist()
    journal.open(factory.target(), summary="\x1b[2Jgone\x07 [red]really[/red]")
    desk.store(journal)
    assert screen("runs", "show", "last") == 0
    assert "\x1b" not in screen.out
    assert "[red]really[/red]" in screen.out
    assert plain("a\x1b[0m\nb") == "a [0m b"


def test_times_of_since() -> None:
    """Spans count back from now, dates are UTC, anything else is refused."""
    assert moment("90m", 10000.0) == 10000.0 - 5400
    assert moment("2026-11-24T14:15", 0.0) == factory.START
    with pytest.raises(Misconfigured, match="7d"):
        moment("soon", 0.0)


def test_wrong_usage_and_missing_policy_have_their_own_codes(tmp_path: Path) -> None:
    """Exit code 2 for a wrong command, 4 and one helpful line for a missing policy; start-up loads nothing heavy."""

    def trimtab(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "console", *arguments], capture_output=True, text=True, timeout=30)

    assert trimtab("runs", "fly").returncode == 2
    lost = trimtab("--policy", str(tmp_path / "none.yaml"), "history")
    assert lost.returncode == 4
    assert "--policy" in lost.stderr
    assert "Traceback" not in lost.stderr
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, console.__main__; print(*sys.modules)"],
        capture_output=True, text=True, timeout=30, check=True,
    ).stdout.split()  # fmt: skip
    assert not {"celery", "skopt", "numpy", "redis", "pydantic", "jinja2", "fastapi"} & set(loaded)
