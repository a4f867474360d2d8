"""The report: what it refuses, what it calls met, and a picture that is drawn whatever is missing."""

from __future__ import annotations

import itertools
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench.gate import __main__ as bench
from bench.gate import bars, live_gate, picture, report
from bench.gate.collected import Kept, load
from bench.gate.live_book import Job, append_line, jobs, parse_plan
from bench.gate.page import page
from bench.gate.picture import Bar, Dots, Point, draw
from bench.gate.suites import SUITES, constants
from bench.gate.words import short
from domain.errors import Misconfigured

SVG = "{http://www.w3.org/2000/svg}"


def cell(runs: int, **changes: Any) -> dict[str, Any]:
    """The figures of a cell, or of a whole suite."""
    found = {
        "runs": runs,
        "kept": 0,
        "true_keeps": 0,
        "false_keeps": 0,
        "false_keeps_upper95": 0.1,
        "false_gates": 0,
        "gates": 10,
        "unsafe_windows": 0.004,
        "first_verified_window": 38.0,
        "true_gain": 12.0,
        "claim_bias": 0.1,
        "coverage": 1.0,
        "intervals": 100,
        "open_intervals": 0,
        "harm_seconds_most": 30.0,
        "harm_over_60": 0,
        "searched_windows": 100.0,
        "trials": 20.0,
        "candidates": runs,
        "stopped_within_1": runs,
        "stopped_within_2": runs,
        "outcomes": {"kept": 1, "nothing_to_gain": 2},
    }
    return {**found, **changes}


def suite(name: str, runs: int, cells: dict[str, dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    """A kept result."""
    return {
        **cell(runs),
        "suite": name,
        "strategy": "bayesian",
        "cells": cells or {each.name: cell(runs // len(SUITES[name])) for each in SUITES[name]},
        "constants": constants(),
        "rivals": {},
        "command": f"python -m bench.gate {name} --runs {runs} --seed 1 --strategy bayesian",
        "versions": {"python": "3.11.7", "numpy": "2.4.6", "scipy": "1.17.1"},
        **changes,
    }


def gate(job: Job, verdict: str, **changes: Any) -> dict[str, Any]:
    """A finished live gate."""
    line = {
        "verdict": verdict,
        "interval": [-0.12, -0.08],
        "effect_seen": -0.1,
        "proven_no_gain": False,
        "truth": None if job.effect is None else math.log1p(-job.effect),
        "seconds": 80.0,
        "pairs": 10,
        "pair_sd": 0.02,
        "uneasy": False,
        "mei": 0.03,
        "code": live_gate.CODE,
        "constants": {"nginx": "1.22", "profile": asdict(live_gate.live_profile())},
    }
    return {**job.key(), **line, **changes}


def gates(plan: str, verdict: str, **changes: Any) -> list[dict[str, Any]]:
    return [gate(job, verdict, **changes) for job in jobs(parse_plan(plan), 1)]


def write(folder: Path, *suites: dict[str, Any]) -> None:
    for data in suites:
        (folder / f"{data['suite']}.json").write_text(json.dumps(data))


def met(kept: Kept, words: str) -> bars.Row:
    """The one row of the table whose figure has these words."""
    (row,) = (row for row in bars.bars(kept) if words in row.figure)
    return row


# --- what it refuses -------------------------------------------------------------------------------------------------


def test_results_of_other_constants_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the file and the command that measures it anew; nothing is written."""
    write(tmp_path, suite("gain", 20), suite("cliff", 30, constants="0123456789ab", rivals={"naive": {"runs": 7}}))
    assert report.main(["--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "cliff.json has 0123456789ab" in said
    assert "cliff --runs 30 --seed 1 --strategy bayesian --rivals 7 --keep" in said
    assert "gain" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cliff.json", "gain.json"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "no result"),
        ('{"suite": "gain"}', "no result"),
        (json.dumps(suite("cliff", 3)), "no result of suite gain"),
        (json.dumps(suite("gain", 3, {"20 % to gain": cell(3)})), "20 % to gain"),
    ],
)
def test_a_file_that_is_no_result_of_its_suite_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """Broken, foreign, incomplete, of another suite, or of a suite that has changed since."""
    (tmp_path / "gain.json").write_text(text)
    with pytest.raises(Misconfigured, match=words):
        load(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """It says what writes results."""
    with pytest.raises(Misconfigured, match="--keep"):
        load(tmp_path)


def test_live_gates_of_other_constants_are_refused(tmp_path: Path) -> None:
    """They must have run with the profile `live` as it is here."""
    changed = {**asdict(live_gate.live_profile()), "alpha": 0.1}
    append_line(tmp_path, gate(Job("aa", 0.0, 0, 1), "Keep"))
    assert len(load(tmp_path).live) == 1
    append_line(tmp_path, gate(Job("aa", 0.0, 1, 2), "Keep", constants={"profile": changed}))
    with pytest.raises(Misconfigured, match="1 of 2 gates"):
        load(tmp_path)


# --- the bars --------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_not_measured() -> None:
    """Every bar stays in the table, with the command that measures it."""
    rows = bars.bars(Kept({}))
    assert len(rows) == 17
    assert {row.met for row in rows} == {"not measured"}
    assert not any(row.is_met for row in rows)
    assert "abort --runs 2000" in next(row.command for row in rows if "twice" in row.figure)


@pytest.mark.parametrize(
    ("hits", "of", "need", "said"),
    [
        (6, 100, 0, bars.NO),
        (5, 100, 0, bars.NOT_PROVEN),
        (5, 1000, 0, bars.YES),
        (0, 20, 0, bars.NOT_PROVEN),
        (0, 100, 500, "too few: 100 of 500"),
        (50, 100, 500, bars.NO),
    ],
)
def test_a_share_below_a_bar(hits: int, of: int, need: int, said: str) -> None:
    """The share decides, the bound says whether that is proven; too few runs fulfil nothing, but can fail."""
    assert bars.at_most(hits, of, 0.05, need)[1] == said
    assert bars.at_least(of - hits, of, 0.95, need)[1] == said


def test_the_bound_is_the_exact_one() -> None:
    """0 of n: 1 - 0.05^(1/n)."""
    assert bars.at_most(0, 20, 0.05)[0] == f"0 % (0 of 20; ≤ {short(1 - 0.05 ** (1 / 20))})"
    assert bars.at_least(20, 20, 0.95)[0] == f"100 % (20 of 20; ≥ {short(0.05 ** (1 / 20))})"


def test_the_worst_cell_is_held_against_its_own_bar() -> None:
    """A suite may pass while one of its cells does not; a part of the cells is not the suite."""
    names = [each.name for each in SUITES["null"]]
    cells = {name: cell(100) for name in names} | {names[3]: cell(100, false_keeps=6)}
    kept = Kept({"null": suite("null", 1200, cells, false_keeps=6)})
    assert (met(kept, "worst").met, met(kept, "overall").met) == (bars.NO, bars.YES)
    assert names[3] in met(kept, "worst").reached
    part = Kept({"null": suite("null", 200, {name: cell(100) for name in names[:2]})})
    assert met(part, "worst").met == "too few: 2 of 12 cells"


def test_cells_are_read_where_the_bar_is_about_a_cell() -> None:
    """`transient` has two kinds of alerts, `abort` two sizes of harm."""
    transient = suite("transient", 100, {"transient": cell(90, kept=3), "fixable": cell(10, true_keeps=9)}, kept=12)
    abort = suite(
        "abort",
        2000,
        {
            "twice": cell(1000, stopped_within_1=500, stopped_within_2=999),
            "tenfold": cell(1000, stopped_within_1=999, stopped_within_2=1000),
        },
    )
    kept = Kept({"transient": transient, "abort": abort})
    assert met(kept, "go away by themselves").met == bars.NO
    assert met(kept, "can fix").reached.startswith("90 % (9 of 10")
    assert met(kept, "twice as slow").met == bars.YES
    assert met(kept, "ten times as slow").met == bars.NO


def test_cliff_figures() -> None:
    """Bars with a stretch say which of both is reached; most runs without a verified improvement is no."""
    kept = Kept({"cliff": suite("cliff", 50, unsafe_windows=0.006, first_verified_window=40.0, claim_bias=-0.6)})
    assert met(kept, "guardrail").met == "yes, stretch not"
    assert met(kept, "first verified").met == "yes, stretch too"
    assert met(kept, "reported minus true").met == bars.NO
    assert "−0.60 points" in met(kept, "reported minus true").reached
    never = Kept({"cliff": suite("cliff", 50, first_verified_window=None, claim_bias=None)})
    assert met(never, "first verified").met == bars.NO
    assert met(never, "reported minus true").met == bars.NOT_MEASURED


@pytest.mark.parametrize(
    ("naive", "said"),
    [
        ({"runs": 50, "true_gain": 12.0}, bars.YES),
        ({"runs": 50, "true_gain": 12.1}, bars.NO),
        ({"runs": 20, "true_gain": 5.0}, "not comparable: rerun with --rivals 50"),
    ],
)
def test_gains_are_compared_on_the_same_services(naive: dict[str, Any], said: str) -> None:
    """The means of different services say nothing about who is better."""
    kept = Kept({"cliff": suite("cliff", 50, rivals={"naive": naive})})
    assert met(kept, "true gain at the end").met == said


def test_coverage_counts_all_suites() -> None:
    """Sums of intervals, not means of shares; rare harm counts and is shown alone; a part of the suites is no whole."""
    suites = {name: suite(name, 24, coverage=0.96, intervals=1000) for name in SUITES}
    suites["rare-harm"] = suite("rare-harm", 24, coverage=0.5, intervals=10)
    suites["abort"] = suite("abort", 24, coverage=None, intervals=0)
    row = met(Kept(suites), "intervals")
    assert "(6725 of 7010" in row.reached.replace(",", "")
    assert "rare-harm alone 50 % (5 of 10)" in row.reached
    assert row.met == bars.YES
    del suites["drift"]
    assert met(Kept(suites), "intervals").met == "incomplete: without drift"
    assert met(Kept({"gain": suite("gain", 9, coverage=0.9)}), "intervals").met == bars.NO


def test_live_gates() -> None:
    """Counts as promised; gates that never opened are told and not counted."""
    good = [
        *gates("aa:38", "Inconclusive"),
        *gates("aa:2", "Keep"),
        *gates("10:9", "Keep"),
        *gates("10:1", "RollBack"),
        *gates("3:5", "Keep"),
        *gates("3:5", "Inconclusive"),
        *gates("10:1", "NoGate", interval=[None, None]),
    ]
    kept = Kept({}, good)
    rows = [row for row in bars.bars(kept) if row.figure.startswith("live")]
    assert [row.met for row in rows] == [bars.YES] * 3
    assert "1 more never opened a gate" in rows[1].reached
    assert rows[0].command.endswith("--plan aa:40,3:10,10:11")
    for bad, words in (
        (gates("aa:1", "Keep"), "A/A"),
        (gates("10:1", "Inconclusive"), "10 %"),
        (gates("3:1", "RollBack"), "3 %"),
        (gates("3:1", "Inconclusive", interval=[0.01, 0.02]), "3 %"),
    ):
        row = next(
            row for row in bars.bars(Kept({}, [*good, *bad])) if row.figure.startswith("live") and words in row.figure
        )
        assert row.met == bars.NO
    few = Kept({}, gates("aa:20", "Inconclusive"))
    assert met(few, "A/A gates").met == "too few: 20 of 40"


# --- the page --------------------------------------------------------------------------------------------------------


def test_real_results_become_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the bench writes today is what the report reads; the same results give the same page."""
    for name, runs, rivals in (("null", 12, 1), ("abort", 4, 0)):
        write(tmp_path, bench.run(name, runs, 1, "random", rivals, 1))
    for line in gates("aa:2,10:1,gzip:1", "Keep"):
        append_line(tmp_path, line)
    assert report.main(["--results", str(tmp_path)]) == 0
    text = (tmp_path / "gate.md").read_text()
    assert constants() in text
    assert "nginx 1.22" in " ".join(text.split())
    assert "`python -m bench.gate null --runs 12 --seed 1 --strategy random --rivals 1`" in text
    assert all(each.name in text for each in SUITES["null"])
    assert "](gate.svg)" in text
    assert "rules have changed" not in text
    assert "of 17 bars met" in capsys.readouterr().out
    written = (text, (tmp_path / "gate.svg").read_text())
    assert report.main(["--results", str(tmp_path)]) == 0
    assert ((tmp_path / "gate.md").read_text(), (tmp_path / "gate.svg").read_text()) == written
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 5
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_page_of_live_gates_alone() -> None:
    """Says so in every other place, and tells that the rules are not those that the gates ran with."""
    text = page(Kept({}, gates("aa:2", "Keep"), code="another"))
    assert text.count("not measured") >= 14
    assert "rules have changed" in text
    assert live_gate.CODE in text


def test_strategies_that_differ_are_told() -> None:
    """Figures of random search must not pass for those of the optimizer."""
    kept = Kept({"gain": suite("gain", 9), "cliff": suite("cliff", 9, strategy="random")})
    assert "bayesian in gain; random in cliff" in " ".join(page(kept).split())


# --- the picture -----------------------------------------------------------------------------------------------------

BARS = [Bar("Trimtab", 0, 1000, 0.003, True), Bar("naive & <co>", 880, 1000, 0.9, False)]
POINTS = [Point("Trimtab", 0.003, 12.0, True), *(Point(f"r{n}", 0.16 + n / 1000, 12.0, False) for n in range(6))]
DOTS = [Dots("A/A", 1, 30, 9, wrong_to_keep=True), Dots("10 %", 10, 0, 0)]


def test_every_gate_has_its_mark() -> None:
    """Kept is a disc, not proven a ring, everything else a cross; nothing is drawn beyond the edge."""
    root = ElementTree.fromstring(draw([], [], DOTS))
    discs = [each for each in root.iter(f"{SVG}circle") if each.get("fill") != "none"]
    rings = [each for each in root.iter(f"{SVG}circle") if each.get("fill") == "none"]
    assert (len(discs), len(rings), len(list(root.iter(f"{SVG}path")))) == (11, 30, 9)
    assert [each.get("fill") for each in discs].count(picture.BAD) == 1
    many = ElementTree.fromstring(draw([], [], [Dots("many", 100, 100, 100, 5)]))
    assert max(float(each.get("x", 0)) + 7.4 * len(each.text or "") for each in many.iter(f"{SVG}text")) < picture.WIDTH


def test_bars_are_in_order_of_their_shares() -> None:
    """0 and 88 % are both there, with whiskers up to their bounds; names are escaped."""
    root = ElementTree.fromstring(draw(BARS, [], []))
    widths = [float(each.get("width", "")) for each in root.iter(f"{SVG}rect") if each.get("height") == "16.0"]
    assert widths[0] == 0.0
    assert widths[1] == pytest.approx(math.sqrt(0.88) * (picture.RIGHT - picture.LEFT), abs=0.1)
    said = [each.text for each in root.iter(f"{SVG}text")]
    assert "naive & <co>" in said
    assert "880 of 1000; at most 90 %" in said
    assert said.count("not measured") == 2


def test_labels_of_close_points_do_not_overlap() -> None:
    """Each has its own line of text, and the lines that lead there do not cross."""
    root = ElementTree.fromstring(draw([], POINTS, []))
    heights = sorted(float(each.get("y", "")) for each in root.iter(f"{SVG}text") if (each.text or "").startswith("r"))
    assert len(heights) == 6
    assert all(b - a > 17 for a, b in itertools.pairwise(heights))
    places = [(100.0 + 10 * n, 50.0) for n in range(5)]
    lines = [(*place, at) for place, at in zip(places, picture._labels(places, 300, 18, 0, 400), strict=True)]
    assert not any(picture._cross(a, b, 300) for a in lines for b in lines if a != b)


@pytest.mark.parametrize("gains", [[0.0, 0.0], [-4.3, -0.1], [-2.0, 12.0], [30.0, 5.0]])
def test_points_lie_within_the_axes(gains: list[float]) -> None:
    """Also losses, and nothing at all."""
    root = ElementTree.fromstring(draw([], [Point(str(g), 0.0, g, n == 0) for n, g in enumerate(gains)], []))
    for circle in root.iter(f"{SVG}circle"):
        assert 86.0 <= float(circle.get("cy", "")) <= 316.0


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0, "0 %"), (0.0034, "0.34 %"), (0.05, "5 %"), (0.123, "12.3 %"), (0.9996, "99.96 %"), (1.0, "100 %")],
)
def test_shares_in_words(share: float, said: str) -> None:
    """Digits where they matter: what is nearly never or nearly always does not become never or always."""
    assert short(share) == said
