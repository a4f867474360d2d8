"""The console's desk for every test of this room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.console.desk import Desk, Screen


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as wide as they want to be: a narrow terminal folds run ids."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(reports=tmp_path / "reports")


@pytest.fixture
def screen(desk: Desk, capsys: pytest.CaptureFixture[str]) -> Screen:
    return Screen(desk, capsys)
