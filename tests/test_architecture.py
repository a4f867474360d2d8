"""The rooms stand where the design says, and nothing else provides their names."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path

import pytest

ROOMS = [
    "adapters",
    "catalogue",
    "console",
    "controller",
    "detectors",
    "diagnosis",
    "domain",
    "linting",
    "optimizers",
    "workers",
]
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_is_the_one_of_this_repository(room: str) -> None:
    """Import names are folder names: a foreign package of the same name would be a silent stranger."""
    module = importlib.import_module(room)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / room
    owners = importlib.metadata.packages_distributions().get(room, [])
    assert [owner for owner in owners if owner != "trimtab"] == []


def test_files_stay_small() -> None:
    """A file of more than 400 lines has become two things."""
    long = {
        str(path.relative_to(ROOT)): count
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


def test_every_test_says_what_must_hold() -> None:
    """Each test function has a docstring."""
    import ast

    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and ast.get_docstring(node) is None
    ]
    assert silent == []
