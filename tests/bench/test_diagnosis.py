"""The staged diagnosis: what its page says of its runs, and what it kept, diagnosed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.diagnosis.page import page, told
from bench.diagnosis.situations import SITUATIONS
from diagnosis.diagnose import diagnose
from diagnosis.rules import RULES
from domain.evidence import Missing, Reading

FOLDER = Path(__file__).parents[2] / "bench" / "results" / "diagnosis"
KEPT = sorted(FOLDER.glob("*.json"), reverse=True)


def run(situation: str, truth: str, layer: str, *, refusal: str = "", right: bool = True) -> dict[str, Any]:
    evidence = [{"fact": "cpu.throttled_share", "value": 0.3, "limit": 0.05, "says": "30 % of periods"}]
    return {
        "situation": situation,
        "about": "something",
        "truth": truth,
        "tunable": True,
        "run": 1,
        "attempts": 2,
        "foreign_cpu": 0.3,
        "target": "service",
        "right": right,
        "took": 12.3,
        "layer": layer,
        "headline": f"it is {layer}",
        "evidence": evidence,
        "parameters": [],
        "refusal": refusal,
        "others": [],
        "follows": ["io_storage"],
        "facts": {},
    }


def test_twelve_situations() -> None:
    """Each has a truth of its own that some rule can name, and one of them is that nothing is wrong."""
    assert len(SITUATIONS) == 12
    assert len({situation.truth for situation in SITUATIONS}) == 12
    refusing = {rule.layer: rule.refuses for rule in RULES} | {"none": True}
    for situation in SITUATIONS:
        assert situation.tunable == (not refusing[situation.truth]), situation.name


def test_the_page_counts_what_is_right_and_what_was_tuned_without_need() -> None:
    """Wrong answers are marked, and a proposal where nothing was wrong is counted."""
    runs = [
        run("cpu-quota", "cpu_quota", "cpu_quota"),
        run("nothing-wrong", "none", "gc", right=False),
        run("nothing-wrong", "none", "none", refusal="nothing is wrong here"),
    ]
    text = page([{"command": "python -m x", "grade": "mild", "versions": {"Linux": "6"}, "runs": runs}])
    assert "`python -m x`, with Linux 6." in text
    assert "Right: **2 of 3** runs" in text
    assert "nothing was wrong: **1 of 2**" in text
    assert "| nothing-wrong | something | `none` | yes | 1 of 2 | gc, none | io_storage |" in text
    assert "3 of the counted ones were disturbed" in text
    assert "3 further runs were repeated" in text
    assert text.count("(wrong: it was `none`)") == 1
    assert "not to be tuned: nothing is wrong here" in text
    assert told(runs[1]) == "nothing-wrong 1: gc: it is gc (WRONG, it was none, 12.3 s)"


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_kept_facts_are_diagnosed_as_they_were(path: Path) -> None:
    """Whoever changes a rule sees at once which real situation it would name otherwise."""
    for each in json.loads(path.read_text())["runs"]:
        facts = {
            name: Missing(value) if isinstance(value, str) else Reading(value) for name, value in each["facts"].items()
        }
        answer = diagnose(facts)
        assert (answer.layer, answer.refusal) == (each["layer"], each["refusal"]), f"{each['situation']} {each['run']}"


@pytest.mark.skipif(not KEPT, reason="no result is kept; python -m bench.diagnosis --keep")
def test_the_kept_page_is_that_of_the_kept_runs() -> None:
    """Nobody edits a figure."""
    results = [json.loads(path.read_text()) for path in KEPT]
    assert (FOLDER.with_suffix(".md")).read_text() == page(results)
