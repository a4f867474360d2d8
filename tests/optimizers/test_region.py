"""Where candidates may come from: region, restarts, flips, single steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ports import Request
from domain.space import Parameter, SearchSpace, Settings, allowed, from_unit, same, to_unit
from optimizers.bayesian import Bayesian
from optimizers.random_search import RandomSearch
from optimizers.region import CELLS, MOST_FLIPS, decoded, draw
from tests.optimizers.requests import MIXED, requests


def moved(space: SearchSpace, a: Settings, b: Settings) -> list[Parameter]:
    """Parameters whose values differ by more than the rounding of a place."""
    return [p for p in space.parameters if abs(to_unit(p, a[p.name]) - to_unit(p, b[p.name])) > 1e-9]


def cell(parameter: Parameter, value: object) -> float:
    """The room that one value owns in the unit interval, at most: what rounding may add to a radius."""
    if parameter.choices:
        return 1 / len(parameter.choices)
    if parameter.special:
        return 0.2 / len(parameter.special)
    if parameter.type == "real":
        return 1e-9
    here = to_unit(parameter, value)  # type: ignore[arg-type]
    near = [from_unit(parameter, float(u)) for u in np.linspace(0, 1, 2001)]
    owned = [u for u, each in zip(np.linspace(0, 1, 2001), near, strict=True) if each == value]
    return max(owned) - min(owned) + 0.001 if owned else 0.001 + 0 * here


@given(request=requests() | requests(space=MIXED))
@settings(max_examples=60, deadline=None)
def test_proposals_stay_inside_the_region(request: Request) -> None:
    """At most the radius away in each parameter, or one value, or another category."""
    for each in (Bayesian(), RandomSearch()):
        for proposal in each.advise(request).proposals:
            assert allowed(request.space, proposal)
            if request.radius >= 0.5:
                continue
            for parameter in moved(request.space, request.incumbent, proposal):
                if parameter.type == "categorical":
                    continue
                there, here = proposal[parameter.name], request.incumbent[parameter.name]
                step = abs(to_unit(parameter, there) - to_unit(parameter, here))
                room = cell(parameter, there) + cell(parameter, here)
                assert step <= max(request.radius, 0.0) + room + 1e-9


@given(request=requests() | requests(space=MIXED))
@settings(max_examples=60, deadline=None)
def test_few_categories_change_at_once(request: Request) -> None:
    """Inside a region, at most two of them."""
    for each in (Bayesian(), RandomSearch()):
        for proposal in each.advise(request).proposals:
            flips = [p for p in moved(request.space, request.incumbent, proposal) if p.type == "categorical"]
            assert request.radius >= 0.5 or len(flips) <= MOST_FLIPS


@given(request=requests(space=MIXED), radius=st.sampled_from([0.03, 0.15, 0.3]))
@settings(max_examples=60, deadline=None)
def test_at_most_one_parameter_that_needs_a_restart_changes(request: Request, radius: float) -> None:
    """In a region of a large space, whatever the strategy likes best."""
    for row, proposal in decoded(
        MIXED, draw(MIXED, request.incumbent, radius, request.seed, 300), [], request.incumbent
    ):
        restarts = [p for p in moved(MIXED, request.incumbent, proposal) if p.cost == "restart"]
        assert len(restarts) <= 1, row


def test_what_does_not_move_keeps_its_value_to_the_last_digit() -> None:
    """A parameter that stays where it is must not be written anew, let alone restart anything."""
    space = SearchSpace(
        (
            Parameter("timeout", "real", 5.0, low=0.1, high=100.0, log=True, cost="restart"),
            *(Parameter(name, "integer", 8, low=1, high=5000) for name in "abcde"),
        )
    )
    centre = {"timeout": 0.3928821712133643, **dict.fromkeys("abcde", 100)}
    proposals = [proposal for _, proposal in decoded(space, draw(space, centre, 0.1, 1), [], centre)]
    assert len(moved(space, centre, proposals[0])) > 0
    assert all(same(p["timeout"], centre["timeout"]) for p in proposals if abs(p["timeout"] - 0.39288) < 1e-4)


@pytest.mark.parametrize("wide", [False, True])
def test_at_most_one_restart_also_where_the_space_is_small_or_the_region_wide(wide: bool) -> None:
    """Three parameters that need a restart: listed all (27 settings), or drawn over the whole cube."""
    high = 10**6 if wide else 2
    space = SearchSpace(tuple(Parameter(n, "integer", 1, low=0, high=high, cost="restart") for n in "abc"))
    centre = dict.fromkeys("abc", 1)
    for _, proposal in decoded(space, draw(space, centre, 0.5, 1), [], centre):
        assert len(moved(space, centre, proposal)) <= 1


def test_a_number_with_few_values_moves_by_at_least_one() -> None:
    """A radius smaller than a step would otherwise never leave the value."""
    space = SearchSpace(
        (Parameter("x", "integer", 5, low=0, high=9), *(Parameter(f"r{i}", "real", 0.5, low=0, high=1) for i in "ab"))
    )
    centre = {"x": 5, "ra": 0.5, "rb": 0.5}
    seen = {int(s["x"]) for _, s in decoded(space, draw(space, centre, 0.03, 1), [], centre)}
    assert seen == {4, 5, 6}


def test_a_long_range_moves_inside_its_radius() -> None:
    """Beyond so many values a number is as good as real."""
    space = SearchSpace(
        (Parameter("x", "integer", 5000, low=0, high=10000), Parameter("r", "real", 0.5, low=0, high=1))
    )
    centre = {"x": 5000, "r": 0.5}
    seen = [int(s["x"]) for _, s in decoded(space, draw(space, centre, 0.1, 1), [], centre)]
    assert CELLS < 10000
    assert 3900 <= min(seen) < 4200
    assert 5800 < max(seen) <= 6100


def test_special_values_can_be_reached_and_left() -> None:
    """Off is next to the low end of the range; from there the way back is open."""
    space = SearchSpace(
        (
            Parameter("cache", "integer", 16, low=16, high=4096, log=True, special=("off",)),
            Parameter("r", "real", 0.5, low=0, high=1),
        )
    )
    low: Settings = {"cache": 16, "r": 0.5}
    off: Settings = {"cache": "off", "r": 0.5}
    from_low = {s["cache"] for _, s in decoded(space, draw(space, low, 0.15, 1), [], low)}
    from_off = {s["cache"] for _, s in decoded(space, draw(space, off, 0.15, 1), [], off)}
    assert "off" in from_low
    assert from_off - {"off"}
