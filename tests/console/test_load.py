"""`trimtab load` and `trimtab probe` as a person meets them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.probes import neighbours
from console.load_telling import span
from domain.errors import Misconfigured
from tests.adapters.load.site import Site, site
from tests.console.desk import Screen


@pytest.fixture
def server() -> Iterator[Site]:
    with site() as running:
        yield running


def test_load_run_tells_every_figure(server: Site, screen: Screen) -> None:
    """JSON holds counts, measured time, percentiles with intervals, and why one is refused."""
    options = ("--rate", "400", "--seconds", "700ms", "--warm-up", "0", "--slo", "2s", "--arrivals", "fixed")
    assert screen("load", "run", server.url + "/ok", *options, "--expect", "hello", "-o", "json") == 0
    (row,) = json.loads(screen.out)
    assert row["requests"] == row["good"] == server.seen["/ok"] - 2
    assert row["verdict"] == "met"
    assert 0.7 <= row["elapsed"] < 5
    assert row["p95"]["low"] <= row["p95"]["seconds"]
    assert row["p99"]["seconds"] is None
    assert "p99 needs 1000 requests" in screen.err
    assert "open loop" in screen.err


def test_load_run_with_dropped_connections_is_bad_news(server: Site, screen: Screen) -> None:
    """Exit code 1, a tenth failed, and no rosy percentage anywhere."""
    url = server.url + "/drop"
    assert (
        screen("load", "run", url, "--rate", "200", "--seconds", "1", "--warm-up", "0", "--slo", "1s", "-o", "csv") == 1
    )
    (row,) = csv.DictReader(io.StringIO(screen.out, newline=""))
    assert float(row["failed_share"]) == pytest.approx(0.1, abs=0.01)
    assert "objective was missed" in screen.err


def test_repeated_runs_show_how_they_differ(server: Site, screen: Screen) -> None:
    """Two runs are two rows, and the range of their p95 is told."""
    options = ("--rate", "400", "--seconds", "600ms", "--warm-up", "0", "--repeat", "2", "--arrivals", "fixed")
    assert screen("load", "run", server.url + "/ok", *options) == 0
    assert "p95 of 2 runs" in screen.err


def test_load_goes_to_nobody_else(screen: Screen) -> None:
    """A public address is refused by every command that sends load, with the flag that would allow it."""
    for command in ("run", "ramp", "soak", "wrk", "hey", "ab"):
        assert screen("load", command, "http://8.8.8.8/") == 4
        assert "--i-may-load-this-host" in screen.err
    assert screen("load", "pgbench", "postgresql://8.8.8.8/db") == 4
    assert screen("load", "ramp", "postgresql://8.8.8.8/db") == 4
    assert screen("load", "run", "nonsense") == 4


def test_a_ramp_reports_every_step(server: Site, screen: Screen) -> None:
    """Up to the highest rate that was allowed; rows for each step, and the knee in words."""
    limits = ("--start", "250", "--most", "300", "--step", "900ms", "--slo", "2s", "--seconds", "30s")
    assert screen("load", "ramp", server.url + "/ok", *limits, "-o", "json") == 0
    knee = json.loads(screen.out)
    assert knee["ended"] == "top"
    assert knee["low"] == 300
    assert knee["high"] is None
    assert [step["rate"] for step in knee["steps"] if step["ok"]] == [250, 300]


def test_a_soak_shows_its_slices(server: Site, screen: Screen, tmp_path: Path) -> None:
    """Two short slices prove nothing, which is said; the progress file holds them."""
    path = tmp_path / "soak.jsonl"
    options = ("--rate", "50", "--slice", "300ms", "--seconds", "600ms", "--progress", str(path))
    assert screen("load", "soak", server.url + "/ok", *options, "-o", "csv") == 0
    assert len(screen.out.splitlines()) == 3
    assert "not proven" in screen.err
    assert len(path.read_text().splitlines()) == 3


def test_a_missing_tool_is_an_argument_that_cannot_be_right(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 4 with the package."""
    monkeypatch.setattr("adapters.load.program.installed", lambda program: None)
    for tool in ("wrk", "hey", "ab"):
        assert screen("load", tool, "http://127.0.0.1:1/") == 4
        assert f"{tool} is not installed" in screen.err


def test_times_are_read_with_their_units() -> None:
    """Nothing else is a time."""
    assert [span("--x", text) for text in ("200ms", "10", "1.5s", "2m", "1h")] == [0.2, 10, 1.5, 120, 3600]
    for text in ("", "0", "-1s", "soon", "1 d", "nan", "inf"):
        with pytest.raises(Misconfigured, match="--x"):
            span("--x", text)


def test_probe_prints_verdicts(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was asked for, with a verdict in words; an unknown probe is refused."""
    monkeypatch.setattr(neighbours, "SECONDS", 0.05)
    assert screen("probe", "--only", "neighbours", "-o", "json") == 0
    rows = json.loads(screen.out)
    assert [row["name"] for row in rows] == ["steal", "pressure cpu", "pressure memory", "pressure io"]
    assert all(row["verdict"] for row in rows)
    assert screen("probe", "--only", "gpu") == 4
