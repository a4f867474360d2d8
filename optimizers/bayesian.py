"""Bayesian optimization in a trust region around the incumbent, with the noise of each trial.

Failed trials are data: a refused or crashed candidate is remembered as bad and never proposed again.
"""

from __future__ import annotations

import math
from random import Random

import numpy as np

from domain.ports import Advice, Request
from domain.space import SearchSpace, Settings, allowed, check, from_unit, points, sample, size, to_unit
from optimizers.seeding import as_points, first_proposals, known, usable
from optimizers.surrogate import Surrogate, encode, log_expected_improvement

POOL = 1000  # points that the acquisition chooses from
FEW = 3  # with probability 1/2 at most this many parameters change
MOST_FLIPS = 2  # categories that may change at once
LEAST_TRIALS = 2  # measured candidates before the surrogate chooses
WIDE = 0.5  # from this radius on, the whole space is the region
UNKNOWN_SD = 0.1
UNKNOWN_EI = 0.04  # expected improvement over the incumbent of one draw with that sd
LEARNED = 3  # measured settings, the incumbent among them, up to which nothing is said to be exhausted


class Bayesian:
    """See `domain.ports.Optimizer`. Keeps nothing: the surrogate is rebuilt from the history each time."""

    def advise(self, request: Request) -> Advice:
        check(request.space)
        rng = Random(f"{request.seed}/{len(request.history)}")
        history = usable(request)
        measured = [each for each in history if each.outcome == "measured" and each.effect is not None]
        proposals = first_proposals(request)[: request.n]
        if not measured:
            more = _explore(request, rng, request.n - len(proposals), proposals)
            return Advice((*proposals, *more), request.incumbent, 0.0, UNKNOWN_SD, UNKNOWN_SD, "nothing is known yet")
        data = as_points(history)
        rows = encode(request.space, [each[0] for each in data])
        effects, variances = np.array([each[1] for each in data]), np.array([each[2] for each in data])
        model = Surrogate(rows, effects, variances, request.seed % 2**31)
        visited = encode(request.space, [each.settings for each in measured])
        mean, sd = model.at(visited)
        best = int(np.argmin(mean + 0.5 * sd))
        pool = _pool(request, rng)
        if not pool:
            return Advice(
                tuple(proposals),
                measured[best].settings,
                float(mean[best]),
                float(sd[best]),
                0.0,
                "the space is exhausted",
            )
        scores = log_expected_improvement(*model.at(encode(request.space, pool)), float(mean.min()))
        gain = math.exp(float(scores.max()))
        if len(measured) <= LEARNED:
            gain = max(gain, UNKNOWN_EI)  # the surrogate has not seen enough to promise that nothing is left
        why = "settings that are known to be good elsewhere"
        if len(proposals) < request.n:
            wanted = request.n - len(proposals)
            if len(measured) + len(proposals) <= LEAST_TRIALS:
                proposals += _explore(request, rng, wanted, proposals)
                why = "far from what was tried, to learn"
            else:
                proposals += _chosen(request.space, pool, scores, wanted, proposals)
                why = f"largest expected improvement near the incumbent, {100 * gain:.1f} %"
        return Advice(tuple(proposals), measured[best].settings, float(mean[best]), float(sd[best]), gain, why)


def _pool(request: Request, rng: Random) -> list[Settings]:
    """Allowed points of the region that were not tried."""
    tried = [each.settings for each in request.history]
    space = request.space
    count = size(space)
    if space.candidates is not None or (count is not None and count <= POOL):
        drawn = list(points(space))
        if request.radius < WIDE and space.candidates is None:
            drawn = [each for each in drawn if _inside(space, each, request.incumbent, request.radius)]
    elif request.radius >= WIDE:
        drawn = sample(space, rng, POOL // 2)
        drawn += [_near(space, request.incumbent, request.radius / 2, rng) for _ in range(POOL // 2)]
    else:
        drawn = [_near(space, request.incumbent, request.radius, rng) for _ in range(POOL)]
    seen = {_key(each) for each in tried}
    fresh: dict[str, Settings] = {}
    for each in drawn:
        if _key(each) not in seen and allowed(space, each):
            fresh.setdefault(_key(each), each)
    return list(fresh.values())


def _near(space: SearchSpace, centre: Settings, radius: float, rng: Random) -> Settings:
    """The centre with some parameters moved by at most `radius` of their range; at most two categories flip."""
    parameters = list(space.parameters)
    if rng.random() < 0.5:
        parameters = rng.sample(parameters, min(len(parameters), rng.randint(1, FEW)))
    settings, flips = dict(centre), 0
    for parameter in parameters:
        if parameter.type == "categorical":
            if flips < MOST_FLIPS and rng.random() < 0.5:
                others = [choice for choice in parameter.choices if choice != settings[parameter.name]]
                settings[parameter.name] = rng.choice(others) if others else settings[parameter.name]
                flips += 1
            continue
        place = to_unit(parameter, settings[parameter.name]) + rng.uniform(-radius, radius)
        moved = from_unit(parameter, min(1.0, max(0.0, place)))
        if moved == settings[parameter.name] and parameter.type in ("integer", "ordinal"):
            moved = _neighbour(space, parameter.name, settings, rng)  # a step smaller than one value is no step
        settings[parameter.name] = moved
    return settings


def _neighbour(space: SearchSpace, name: str, settings: Settings, rng: Random) -> bool | int | float | str:
    parameter = next(each for each in space.parameters if each.name == name)
    value = settings[name]
    if parameter.choices:
        at = parameter.choices.index(value)
        return parameter.choices[min(len(parameter.choices) - 1, max(0, at + rng.choice((-1, 1))))]
    if isinstance(value, str) or parameter.low is None or parameter.high is None:
        return value
    return int(min(parameter.high, max(parameter.low, int(value) + rng.choice((-1, 1)))))


def _inside(space: SearchSpace, settings: Settings, centre: Settings, radius: float) -> bool:
    flips = 0
    for parameter in space.parameters:
        ours, theirs = settings[parameter.name], centre[parameter.name]
        if ours == theirs:
            continue
        if parameter.type == "categorical":
            flips += 1
        elif abs(to_unit(parameter, ours) - to_unit(parameter, theirs)) > max(radius, _one_step(space, parameter.name)):
            return False
    return flips <= MOST_FLIPS


def _one_step(space: SearchSpace, name: str) -> float:
    parameter = next(each for each in space.parameters if each.name == name)
    if parameter.choices:
        return 1.0 / len(parameter.choices) + 1e-9
    if parameter.type == "integer" and parameter.low is not None and parameter.high is not None:
        return 0.0 if parameter.log else 1.0 / max(1.0, parameter.high - parameter.low + 1) + 1e-9
    return 0.0


def _explore(request: Request, rng: Random, n: int, taken: list[Settings]) -> list[Settings]:
    """Points of the region far from everything tried."""
    pool = _pool(request, rng)
    chosen: list[Settings] = []
    for _ in range(max(0, n)):
        left = [each for each in pool if not known(each, [*taken, *chosen])]
        if not left:
            break
        tried = [each.settings for each in request.history if allowed(request.space, each.settings)] + taken + chosen
        if not tried:
            chosen.append(left[0])
            continue
        rows, others = encode(request.space, left), encode(request.space, tried)
        nearest = np.min(np.linalg.norm(rows[:, None, :] - others[None, :, :], axis=2), axis=1)
        chosen.append(left[int(np.argmax(nearest))])
    return chosen


def _chosen(
    space: SearchSpace, pool: list[Settings], scores: np.ndarray, n: int, taken: list[Settings]
) -> list[Settings]:
    """The best of the pool; further ones lose what they share with those already chosen (a cheap local penalty)."""
    rows, chosen = encode(space, pool), list(taken)
    scores = scores.copy()
    picked: list[Settings] = []
    for _ in range(n):
        order = [int(i) for i in np.argsort(-scores) if not known(pool[int(i)], chosen)]
        if not order:
            break
        first = order[0]
        picked.append(pool[first])
        chosen.append(pool[first])
        distance = np.linalg.norm(rows - rows[first], axis=1)
        scores = scores + np.log1p(-np.exp(-((distance / 0.3) ** 2)) + 1e-12)
    return picked


def _key(settings: Settings) -> str:
    return repr(sorted((name, type(value).__name__, value) for name, value in settings.items()))
