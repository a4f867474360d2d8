"""Uniform sampling inside the region and the constraints: the honest baseline."""

from __future__ import annotations

import math
from random import Random

from domain.ports import Advice, Observation, Request
from domain.space import Settings, check
from optimizers.region import decoded, draw
from optimizers.seeding import KNOWN_GOOD, equal, first_proposals, known, usable

POOL = 200
PRIOR_SD = 0.1  # of effects over a space nobody knows


class RandomSearch:
    """See `domain.ports.Optimizer`."""

    def advise(self, request: Request) -> Advice:
        check(request.space)
        proposals, why = first_proposals(request)[: request.n], KNOWN_GOOD
        if len(proposals) < request.n:
            proposals += _fresh(request, request.n - len(proposals), proposals)
            why = "drawn at random inside the constraints" if proposals else "every setting was tried"
        best, effect, sd = _best(request)
        return Advice(tuple(proposals), best, effect, sd, _max_ei(request, effect) if proposals else 0.0, why)


def _fresh(request: Request, n: int, taken: list[Settings]) -> list[Settings]:
    tried = [each.settings for each in request.history] + list(taken)
    rows = draw(request.space, request.incumbent, request.radius, request.seed, POOL)
    order = list(range(len(rows)))
    Random(request.seed).shuffle(order)
    fresh: list[Settings] = []
    for _, settings in decoded(request.space, rows[order], tried, request.incumbent):
        if len(fresh) == n:
            break
        if not known(settings, fresh):
            fresh.append(settings)
    return fresh


def _best(request: Request) -> tuple[Settings, float, float]:
    """The measured settings with the lowest effect + sd/2, and their shrunken estimate."""
    measured = [each for each in usable(request) if each.outcome == "measured" and each.effect is not None]
    if not measured:
        return request.incumbent, 0.0, PRIOR_SD
    estimates = [(each, *_shrunken(each, request)) for each in measured]
    best, effect, sd = min(estimates, key=lambda each: each[1] + 0.5 * each[2])
    return best.settings, effect, sd


def _shrunken(seen: Observation, request: Request) -> tuple[float, float]:
    """Posterior of one effect under a normal prior around the incumbent's; the incumbent itself needs none."""
    effect, variance = seen.effect or 0.0, max(seen.variance or 0.0, 1e-6)
    if equal(seen.settings, request.incumbent):
        return effect, math.sqrt(variance)
    spread = max(PRIOR_SD, *(abs(each.effect) for each in request.history if each.effect is not None)) ** 2
    weight = spread / (spread + variance)
    return weight * effect, math.sqrt(weight * variance)


def _max_ei(request: Request, best: float) -> float:
    """Expected improvement over the best of one more draw from the spread that was seen so far."""
    seen = [each.effect for each in usable(request) if each.effect is not None]
    mean = sum(seen) / len(seen) if len(seen) >= 3 else 0.0
    sd = math.sqrt(sum((each - mean) ** 2 for each in seen) / len(seen)) if len(seen) >= 3 else PRIOR_SD
    if sd <= 0:
        return 0.0
    z = (best - mean) / sd
    return sd * (z * 0.5 * math.erfc(-z / math.sqrt(2)) + math.exp(-z * z / 2) / math.sqrt(2 * math.pi))
