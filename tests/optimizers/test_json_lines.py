"""`python -m optimizers`: one line in, one line out, as docs/json-lines.md says."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from optimizers.__main__ import answer, serve
from optimizers.factory import STRATEGIES, strategy

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "json-lines.md").read_text()
EXAMPLE = re.findall(r"```json\n(.*?)\n```", TEXT, re.S)[0]

SEEN = {"settings": {"level": 6}, "effect": 0.1, "variance": 0.01, "outcome": "measured"}


def changed(**fields: object) -> str:
    return json.dumps({**json.loads(EXAMPLE), **fields})


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_program_answers_the_example_of_the_documentation(name: str) -> None:
    """Twice the same line, a bad one between them: three answers in order, the first and the last equal."""
    command = [sys.executable, "-m", "optimizers", "--strategy", name]
    done = subprocess.run(
        command, cwd=ROOT, input=f"{EXAMPLE}\n\n{{}}\n{EXAMPLE}\n", capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, bad, last = (json.loads(line) for line in done.stdout.splitlines())
    assert first == last
    contract = ["proposals", "recommend", "estimate", "max_ei", "why"]
    assert list(first) == [*contract, "expected", "p_bad", "simpler", "replicate"]
    assert list(first["estimate"]) == ["effect", "sd"]
    assert first["recommend"] == {"level": 6}
    assert len(first["proposals"]) == 1
    assert first["proposals"][0]["level"] in (1, 4, 9)
    assert bad == {"error": "field 'space' is missing"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("no json", "Expecting value"),
        ("[]", "JSON object"),
        (changed(speed=1), "'speed'"),
        (changed(n=0), "n is 0"),
        (changed(seed=1.5), "seed is 1.5"),
        (changed(history=[{**SEEN, "variance": None}]), "history[0]"),
        (changed(history=[{**SEEN, "settings": {}}]), "'level' is missing"),
        (changed(incumbent=7), "incumbent"),
        (changed(space={"parameters": []}), "parameters"),
        (EXAMPLE.replace("0.0001", "NaN"), "NaN"),
        (EXAMPLE.replace('"seed": 1', '"seed": 1, "seed": 2'), "twice"),
    ],
)  # fmt: skip
def test_a_bad_line_is_answered_by_naming_the_field(line: str, says: str) -> None:
    """One error, no traceback, and the program goes on."""
    out = io.StringIO()
    serve(strategy("random"), [line, EXAMPLE], out)
    bad, good = (json.loads(each) for each in out.getvalue().splitlines())
    assert list(bad) == ["error"]
    assert says in bad["error"]
    assert "proposals" in good


def test_optional_fields_are_heard() -> None:
    """Seeds are tried first; a small radius keeps numbers near; several proposals are several."""
    chosen = strategy("bayesian")
    assert answer(chosen, changed(seeds=[{"level": 9}]))["proposals"] == [{"level": 9}]
    assert len(answer(chosen, changed(n=3))["proposals"]) == 3
    near = answer(chosen, changed(radius=0.03, n=3))["proposals"]
    assert sorted(each["level"] for each in near) == [4, 9]
