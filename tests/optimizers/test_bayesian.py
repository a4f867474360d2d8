"""The Bayesian strategy: what is safe, what is simple, what is measured again."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ports import Observation, Request
from domain.space import Parameter, SearchSpace, distance, same, sample
from optimizers.bayesian import Bayesian, _learned
from optimizers.choice import pruned, replicate, simplest
from optimizers.region import draw, places
from optimizers.seeding import known
from optimizers.surrogate import encode
from tests.optimizers.requests import MIXED, requests, simple

RISK = "the least risk near the incumbent"
PROMISE = "largest expected improvement near the incumbent"


def beyond(request: Request, means: np.ndarray, sds: np.ndarray) -> np.ndarray:
    """Places that use up more of the headroom than a candidate may."""
    assert request.headroom is not None
    return means + request.safe_sd * sds >= request.off + request.safe_share * request.headroom


# --- headroom --------------------------------------------------------------------------------------------------------


@given(request=requests() | requests(space=MIXED), headroom=st.sampled_from([0.05, 0.1823, 0.5]))
@settings(max_examples=100, deadline=None)
def test_no_proposal_uses_up_more_than_its_share_of_the_headroom(request: Request, headroom: float) -> None:
    """mu + 1.5 sd of whatever is proposed stays within the share, unless nothing near does; a careful strategy then
    proposes nothing."""
    asked = replace(request, headroom=headroom)
    advice = Bayesian().advise(asked)
    model = _learned(asked)
    pool = draw(asked.space, asked.incumbent, asked.radius, asked.seed)
    none_safe = bool(beyond(asked, *model.at(encode(asked.space, pool))).all()) if len(pool) else True
    if advice.proposals:
        mean, sd = model.at(encode(asked.space, places(asked.space, list(advice.proposals))))
        # A proposal is judged at its place in the pool, which rounding may move within the value's own cell.
        share = asked.off + asked.safe_share * headroom
        first = advice.expected + asked.safe_sd * advice.expected_sd  # type: ignore[operator]
        assert (advice.why == PROMISE) == (first < share)
        assert (advice.why == RISK) == none_safe
        assert np.isfinite(mean).all()
        assert np.isfinite(sd).all()
    if none_safe:
        assert not (asked.careful and advice.proposals)
        assert advice.max_ei == 0.0 or sum(each.outcome == "measured" for each in asked.history) <= 3


def test_a_careful_strategy_proposes_nothing_where_nothing_is_safe() -> None:
    """Everything near was far slower: stop; without care, the least risk."""
    told = [(0.5, 0.0, 0.01), (0.45, 0.5, 0.02), (0.55, 0.5, 0.02), (0.4, 0.6, 0.02), (0.6, 0.6, 0.02)]
    asked = simple(told, headroom=0.02, careful=True, radius=0.1, off=-0.2)
    stopped = Bayesian().advise(asked)
    assert stopped.proposals == ()
    assert "safe" in stopped.why
    going_on = Bayesian().advise(replace(asked, careful=False))
    assert len(going_on.proposals) == 1
    assert going_on.why == RISK


def test_the_chance_of_harm_is_told() -> None:
    """Near a cliff it is large, on the good side small; without a headroom there is none."""
    told = [(0.5, 0.0, 0.01), (0.35, -0.3, 0.01), (0.65, 0.4, 0.01)]
    advice = Bayesian().advise(simple(told, headroom=0.1823))
    assert advice.p_bad is not None
    assert advice.p_bad < 0.05
    assert Bayesian().advise(simple(told)).p_bad is None


def test_it_goes_where_the_gain_is() -> None:
    """A slope: the next candidate lies further down it."""
    told = [(0.5, 0.0, 0.01), (0.4, -0.1, 0.01), (0.6, 0.1, 0.01), (0.45, -0.05, 0.01)]
    advice = Bayesian().advise(simple(told, radius=0.15))
    assert float(advice.proposals[0]["x"]) < 0.45
    assert advice.recommend == {"x": 0.4}


def test_several_proposals_of_one_request_are_not_the_same_place() -> None:
    """The second should teach something else."""
    told = [(0.5, 0.0, 0.01), (0.4, -0.1, 0.01), (0.6, 0.1, 0.01)]
    first, second = Bayesian().advise(simple(told, n=2, radius=0.3)).proposals
    assert abs(float(first["x"]) - float(second["x"])) > 0.05


# --- simple ----------------------------------------------------------------------------------------------------------


@given(request=requests() | requests(space=MIXED))
@settings(max_examples=60, deadline=None)
def test_pruning_only_ever_reverts_to_the_incumbent(request: Request) -> None:
    """Each parameter of the simpler settings has the recommended value or the incumbent's, at least one of them the
    incumbent's where the recommended one differs, and one change is left; it was not measured yet."""
    advice = Bayesian().advise(request)
    if advice.simpler is None:
        return
    reverted = 0
    for parameter in request.space.parameters:
        value, name = advice.simpler[parameter.name], parameter.name
        kept = same(value, advice.recommend[name])
        assert kept or same(value, request.incumbent[name])
        reverted += not kept
    assert reverted >= 1
    assert distance(request.space, advice.simpler, request.incumbent) >= 1
    assert not known(advice.simpler, [each.settings for each in request.history])


def test_what_does_not_matter_is_pruned() -> None:
    """Only x matters: y goes back."""
    space = SearchSpace(tuple(Parameter(name, "real", 0.5, low=0.0, high=1.0) for name in "xy"))
    lots, told = random.Random(1), []
    for settings_ in [{"x": 0.5, "y": 0.5}, *sample(space, lots, 25), {"x": 0.05, "y": 0.93}]:
        told.append(Observation(settings_, float(settings_["x"]) - 0.5, 1e-4, "measured"))
    asked = Request(space, tuple(told), {"x": 0.5, "y": 0.5}, seed=1)
    model = _learned(asked)
    at = {"x": 0.05, "y": 0.93}
    mean, _ = model.at(encode(space, places(space, [at])))
    assert pruned(asked, model, at, float(mean[0])) == {"x": 0.05, "y": 0.5}


def test_the_simplest_of_the_best_is_recommended() -> None:
    """Within a third of the minimum effect, fewer changes win; a lucky, doubtful sample does not."""
    space = SearchSpace(tuple(Parameter(name, "real", 0.5, low=0.0, high=1.0) for name in "xy"))
    asked = Request(space, (), {"x": 0.5, "y": 0.5}, seed=1, mei=0.03)
    visited = [{"x": 0.5, "y": 0.5}, {"x": 0.1, "y": 0.1}, {"x": 0.1, "y": 0.5}]
    sure = np.full(3, 0.01)
    assert simplest(asked, visited, np.array([0.0, -0.300, -0.295]), sure) == 2
    assert simplest(asked, visited, np.array([0.0, -0.300, -0.250]), sure) == 1
    lucky = np.array([0.01, 0.2, 0.01])
    assert simplest(asked, visited, np.array([-0.1, -0.15, 0.0]), lucky) == 0


# --- measured again --------------------------------------------------------------------------------------------------


@given(
    means=st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=8),
    sds=st.lists(st.floats(0.005, 0.2), min_size=8, max_size=8),
    seed=st.integers(0, 999),
)
@settings(max_examples=200, deadline=None)
def test_only_three_or_more_that_are_close_are_measured_again(means: list[float], sds: list[float], seed: int) -> None:
    """A clear leader, a pair of rivals or a lead too small to matter is no reason; what is measured again is close."""
    mean, sd = np.array(means), np.array(sds[: len(means)])
    visited = [{"x": i / 10} for i in range(len(means))]
    again = replicate(simple([], seed=seed), visited, mean, sd)
    best = int(np.argmin(mean))
    close = [i for i in range(len(means)) if mean[i] - mean[best] <= 2 * np.hypot(sd[i], sd[best])]
    if again is None:
        return
    assert len(close) >= 3
    assert visited.index(dict(again)) in close
    assert min(mean[i] - mean[best] for i in close if i != best) >= 0.03 / 2


def test_close_rivals_are_measured_again_the_least_known_first() -> None:
    """Three within their noise: the one whose share of the pairs is furthest from what it needs."""
    visited = [{"x": i / 10} for i in range(4)]
    mean, sd = np.array([-0.20, -0.17, -0.16, 0.3]), np.array([0.05, 0.05, 0.15, 0.05])
    assert replicate(simple([]), visited, mean, sd) == visited[2]
    assert replicate(simple([]), visited, np.array([-0.5, -0.1, -0.1, 0.3]), np.full(4, 0.05)) is None
    assert replicate(simple([]), visited[:2], mean[:2], sd[:2]) is None


@pytest.mark.parametrize("count", [1, 2])
def test_an_unknown_space_promises_something(count: int) -> None:
    """Before anything was learned, nothing is said to be exhausted."""
    told = [(0.5, 0.0, 0.01), (0.4, 0.3, 0.01)][:count]
    assert Bayesian().advise(simple(told)).max_ei >= 0.04
