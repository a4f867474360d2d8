"""Runs in words."""

from __future__ import annotations

import pytest

from console.output import value_text
from console.telling import difference
from domain.space import Parameter, SearchSpace


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3_015_680, "bytes", "2.876 MiB"),
        (512, "bytes", "512 bytes"),
        (2**64 - 2, "ms", "not limited"),
        (400, "ms", "400 ms"),
        (True, "", "on"),
        ("auto", "processes", "auto"),
        (None, "bytes", "(absent)"),
        ("a\x1b[2Jb", "", "a [2Jb"),
    ],
)
def test_values_are_told_for_people(value: object, unit: str, text: str) -> None:
    """Sizes in binary units, switches as on and off, nothing that steers the terminal."""
    assert value_text(value, unit) == text


def test_only_what_differs_is_told() -> None:
    """With its unit; a parameter that nobody knows any more without one."""
    memory = Parameter("pg.work_mem", "integer", 2**22, low=2**20, high=2**30, unit="bytes", cost="reload")
    before = {"pg.work_mem": 2**22, "pg.jit": True, "gone": 1}
    after = {"pg.work_mem": 2**24, "pg.jit": True, "gone": 2}
    space = SearchSpace((memory,))
    assert difference(space, before, after) == "gone 1 → 2, pg.work_mem 4 MiB → 16 MiB"
    assert difference(space, before, before) == "the original settings"
