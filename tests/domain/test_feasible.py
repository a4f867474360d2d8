"""Drawing inside constraints: quick where they are tight, all that they allow, and as ever where there are none."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.constraint import holds
from domain.errors import Misconfigured
from domain.formula import Scalar
from domain.shortfall import shortfall
from domain.space import Parameter, SearchSpace, allowed, sample

PLAIN = (
    Parameter("level", "integer", 1, 1, 1000, log=True, special=(0, "off")),
    Parameter("share", "real", 1.0, 0.0, 1.0),
    Parameter("on", "categorical", True, choices=(False, True)),
    Parameter("power", "ordinal", 1, choices=(1, 2, 4)),
)
UNIT = tuple(Parameter(f"x{number}", "real", 0.5, 0.0, 1.0) for number in range(6))
SIMPLEX = SearchSpace(UNIT, ("x0 + x1 + x2 + x3 + x4 + x5 <= 0.5",))

# Drawn when constraints were met by drawing again alone.
GOLDEN = [
    {"level": 28, "share": 0.7417869892607294, "on": True, "power": 4},
    {"level": 85, "share": 0.922324996665417, "on": False, "power": 2},
    {"level": 584, "share": 0.6489745531369242, "on": True, "power": 1},
    {"level": 6, "share": 0.24657283261983032, "on": True, "power": 2},
]

TEXTS = (
    "a + b <= 10",
    "a < b",
    "a >= b and b > 1 or a == 3",
    "0 < a <= b",
    "a in [1, 2] or b not in [3]",
    "not (a > b)",
    "(a if b > 5 else b) >= 2",
    "kind == 'x' or a != b",
    "kind > 2 or a > 3",
    "missing > 3",
)


@given(
    text=st.sampled_from(TEXTS),
    a=st.floats(-20, 20),
    b=st.integers(-20, 20),
    kind=st.sampled_from(["x", "y"]),
)
def test_nothing_is_missed_exactly_where_the_constraint_holds(text: str, a: float, b: int, kind: str) -> None:
    """The shortfall is 0 if and only if `holds` says yes, and never negative."""
    values: dict[str, Scalar] = {"a": a, "b": b, "kind": kind}
    assert (shortfall(text, values) == 0) is holds(text, values)
    assert shortfall(text, values) >= 0


def test_nearer_misses_by_less() -> None:
    """The shortfall falls on the way to the limit, so that a search can follow it."""
    misses = [shortfall("a + b <= 10", {"a": a, "b": 4}) for a in (100, 40, 10, 7, 6)]
    assert misses == sorted(misses, reverse=True)
    assert misses[-1] == 0


def test_draws_without_constraints_are_what_they_always_were() -> None:
    """Bit by bit: figures measured with these draws stay reproducible."""
    assert sample(SearchSpace(PLAIN), random.Random(5), 4) == GOLDEN
    assert sample(SearchSpace(PLAIN, ("level <= 100 or share > 0.5",)), random.Random(5), 2) == GOLDEN[:2]


def test_a_tight_sum_is_drawn_evenly_and_quickly() -> None:
    """Six shares whose sum is at most half: 1 in 46 000 random settings fits. All of the draws do, and their means are
    those of the uniform distribution on the simplex."""
    began = time.process_time()
    drawn = sample(SIMPLEX, random.Random(1), 400)
    assert time.process_time() - began < 10
    assert all(allowed(SIMPLEX, each) for each in drawn)
    for parameter in UNIT:
        assert statistics.mean(float(each[parameter.name]) for each in drawn) == pytest.approx(0.5 / 7, abs=0.02)
    assert statistics.mean(sum(map(float, each.values())) for each in drawn) == pytest.approx(0.5 * 6 / 7, abs=0.02)


def test_the_same_state_draws_the_same() -> None:
    """Deterministic in the state of the generator, also where the constraints are tight."""
    assert sample(SIMPLEX, random.Random(3), 5) == sample(SIMPLEX, random.Random(3), 5)
    assert sample(SIMPLEX, random.Random(3), 5) != sample(SIMPLEX, random.Random(4), 5)


def test_parts_that_do_not_touch_are_all_reached() -> None:
    """Four small corners far from each other: no corner is forgotten."""
    ends = tuple(f"x{number} < 0.01 or x{number} > 0.99" for number in (0, 1))
    space = SearchSpace(UNIT[:2], (*ends, "x0 + x1 >= 0"))
    corners = Counter(
        (float(each["x0"]) > 0.5, float(each["x1"]) > 0.5) for each in sample(space, random.Random(2), 300)
    )
    assert len(corners) == 4


def test_types_survive_tight_constraints() -> None:
    """Specials, booleans and choices keep their types; equal numbers of another type do not get in through a cache."""
    ties = ("x0 + x1 + x2 + x3 <= 0.1 or on == 2",)
    numbers = SearchSpace((Parameter("on", "ordinal", 0, choices=(0, 1)), *UNIT[:4]), ties)
    words = SearchSpace((Parameter("on", "ordinal", False, choices=(False, True)), *UNIT[:4]), ties)
    assert {type(each["on"]) for each in sample(numbers, random.Random(0), 20)} == {int}
    assert {type(each["on"]) for each in sample(words, random.Random(0), 20)} == {bool}


def test_what_cannot_be_met_is_named() -> None:
    """The constraint that is missed by most stands in the error, with what to do."""
    space = SearchSpace(UNIT, ("x0 + x1 <= 0.5", "x0 + x2 >= 3"))
    with pytest.raises(Misconfigured, match=r"'x0 \+ x2 >= 3' was met by none .* widen their bounds"):
        sample(space, random.Random(0), 1)
