"""What every strategy must do."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Misconfigured
from domain.ports import Observation, Optimizer, Request
from domain.space import Parameter, SearchSpace, allowed
from optimizers.factory import STRATEGIES, strategy
from optimizers.seeding import equal, known
from tests.optimizers.requests import MIXED, requests


@pytest.fixture(scope="module", params=STRATEGIES)
def chosen(request: pytest.FixtureRequest) -> Optimizer:
    return strategy(request.param)


@given(request=requests() | requests(space=MIXED))
@settings(max_examples=60, deadline=None)
def test_advice_lies_inside_the_space_and_is_new(chosen: Optimizer, request: Request) -> None:
    """Proposals are inside bounds and constraints, at most `n`, all different, and none was tried before."""
    advice = chosen.advise(request)
    tried = [each.settings for each in request.history]
    assert len(advice.proposals) <= request.n
    for place, settings_ in enumerate(advice.proposals):
        assert allowed(request.space, settings_)
        assert not known(settings_, [*tried, *advice.proposals[:place]])
    measured = [each.settings for each in request.history if each.outcome == "measured"]
    assert any(equal(advice.recommend, each) for each in measured)
    assert all(math.isfinite(each) for each in (advice.effect, advice.sd, advice.max_ei))
    assert advice.sd >= 0
    assert advice.max_ei >= 0
    assert advice.why


@given(request=requests())
@settings(max_examples=40, deadline=None)
def test_the_same_request_gives_the_same_advice_and_is_left_as_it_was(chosen: Optimizer, request: Request) -> None:
    """Deterministic in the request; nothing is kept from one call to the next, nothing that was passed in changes."""
    before = copy.deepcopy(request)
    first = chosen.advise(request)
    chosen.advise(replace(request, seed=request.seed ^ 1))
    assert chosen.advise(request) == first
    assert request == before


def test_the_incumbent_comes_first_then_the_seeds_in_order(chosen: Optimizer) -> None:
    """What is known to be good elsewhere is tried before anything is thought of; what was refused is not."""
    space = SearchSpace((Parameter("x", "integer", 5, low=0, high=99),))
    request = Request(space, (), {"x": 5}, seed=1, n=3, seeds=({"x": 7}, {"x": 200}, {"x": 9}))
    assert [dict(each) for each in chosen.advise(request).proposals] == [{"x": 5}, {"x": 7}, {"x": 9}]
    told = (Observation({"x": 5}, 0.0, 1e-4, "measured"), Observation({"x": 7}, None, None, "refused"))
    assert dict(chosen.advise(replace(request, history=told, n=1)).proposals[0]) == {"x": 9}


def test_an_exhausted_space_has_no_proposals(chosen: Optimizer) -> None:
    """Every setting was tried: nothing is proposed, nothing more is promised, and the reason is said."""
    space = SearchSpace((Parameter("x", "ordinal", 1, choices=(1, 2, 3)),))
    told = tuple(Observation({"x": x}, 0.1 * x, 1e-4, "measured") for x in (1, 2, 3))
    advice = chosen.advise(Request(space, told, {"x": 1}, seed=1))
    assert (advice.proposals, advice.max_ei) == ((), 0.0)
    assert "tried" in advice.why
    assert advice.recommend == {"x": 1}


def test_listed_candidates_are_the_only_ones(chosen: Optimizer) -> None:
    """Where a space lists its settings, proposals are among them."""
    listed = tuple({"x": x, "y": 10 - x} for x in range(10))
    space = SearchSpace(
        (Parameter("x", "integer", 0, low=0, high=9), Parameter("y", "integer", 0, low=0, high=99)), candidates=listed
    )
    told = (Observation(listed[3], 0.0, 1e-4, "measured"),)
    advice = chosen.advise(Request(space, told, listed[3], seed=1, n=20))
    assert len(advice.proposals) == 9
    assert all(each in listed for each in advice.proposals)


def test_a_space_that_makes_no_sense_is_refused(chosen: Optimizer) -> None:
    """Misconfigured, naming the parameter."""
    space = SearchSpace((Parameter("x", "integer", 5, low=9, high=0),))
    with pytest.raises(Misconfigured, match="x"):
        chosen.advise(Request(space, (), {"x": 5}, seed=1))


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_history_outside_the_space_does_not_hurt(chosen: Optimizer, data: st.DataObject) -> None:
    """Bounds may have changed since: what lies outside is forgotten, not an error."""
    request = data.draw(requests(space=MIXED))
    strange = Observation({**request.incumbent, "ratio": 7.0}, -5.0, 1e-4, "measured")
    advice = chosen.advise(replace(request, history=(*request.history, strange)))
    assert not equal(advice.recommend, strange.settings)
