"""Bayesian optimization in a trust region around the incumbent, with the noise of each trial and a bound on harm.

Failed trials are data: a refused or crashed candidate is remembered as bad and never proposed again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from domain.ports import Advice, Request
from domain.space import SearchSpace, Settings, check
from optimizers.choice import pruned, replicate, simplest
from optimizers.region import Array, decoded, draw, places
from optimizers.seeding import KNOWN_GOOD, as_points, first_proposals, usable
from optimizers.surrogate import PRIOR_SD, Surrogate, encode, log_expected_improvement

UNKNOWN_EI = 0.04  # expected improvement over the incumbent of one draw with the prior's sd
LEARNED = 3  # measured settings, the incumbent among them, up to which nothing is said to be exhausted


@dataclass(frozen=True, slots=True)
class _Place:
    """One place of the pool: its settings and what the surrogate thinks of them."""

    settings: Settings
    mean: float
    sd: float


class Bayesian:
    """See `domain.ports.Optimizer`. Keeps nothing: the surrogate is rebuilt from the history each time."""

    def advise(self, request: Request) -> Advice:
        check(request.space)
        space, history = request.space, usable(request)
        measured = [each for each in history if each.outcome == "measured" and each.effect is not None]
        model = _learned(request)
        visited = [each.settings for each in measured] or [request.incumbent]
        at_visited = encode(space, places(space, visited))
        mean, sd = model.at(at_visited)
        best = simplest(request, visited, mean, sd)
        pool = draw(space, request.incumbent, request.radius, request.seed)
        rows = encode(space, pool)
        means, sds = model.at(rows) if len(pool) else (np.empty(0), np.empty(0))
        scores = log_expected_improvement(means, sds, float(mean.min()))
        seeds, why = first_proposals(request)[: request.n], KNOWN_GOOD
        found = [_valued(model, space, each) for each in seeds]
        if len(found) < request.n:
            more, why = _best(request, pool, means, sds, scores, request.n - len(found), seeds)
            found += more
        gain = _gain(request, scores, means, sds) if found else 0.0
        if len(measured) <= LEARNED and found:
            gain = max(gain, UNKNOWN_EI)  # the surrogate has not seen enough to promise that nothing is left
        first = found[0] if found else None
        return Advice(
            proposals=tuple(each.settings for each in found),
            recommend=visited[best],
            effect=float(mean[best]),
            sd=float(sd[best]),
            max_ei=gain,
            why=why,
            expected=first.mean if first else None,
            expected_sd=first.sd if first else None,
            p_bad=_p_bad(request, first) if first else None,
            simpler=pruned(request, model, visited[best], float(mean[best])),
            replicate=replicate(request, visited, mean, sd),
        )


def _learned(request: Request) -> Surrogate:
    """The surrogate of everything in the history; of a known incumbent where there is none."""
    data = as_points(usable(request)) or [(request.incumbent, 0.0, PRIOR_SD**2)]
    rows = encode(request.space, places(request.space, [each[0] for each in data]))
    return Surrogate(rows, np.array([each[1] for each in data]), np.array([each[2] for each in data]))


def _safe(request: Request, means: Array, sds: Array) -> Array:
    if request.headroom is None:
        return np.ones(len(means), dtype=bool)
    return np.asarray(means + request.safe_sd * sds < request.off + request.safe_share * request.headroom)


def _best(
    request: Request, pool: Array, means: Array, sds: Array, scores: Array, n: int, taken: list[Settings]
) -> tuple[list[_Place], str]:
    """The safe places with the largest expected improvement; where none is safe, the least risky, or none."""
    safe = _safe(request, means, sds)
    why = "largest expected improvement near the incumbent"
    if not safe.any() and len(means):
        if request.careful:
            return [], "nothing near the settings in force is safe enough to try"
        safe, scores, why = (
            np.ones(len(means), dtype=bool),
            -(means + request.safe_sd * sds),
            "the least risk near the incumbent",
        )
    tried = [each.settings for each in request.history] + list(taken)
    rows, worth = encode(request.space, pool), np.where(safe, scores, -np.inf)
    found: list[_Place] = []
    while len(found) < n and np.isfinite(worth).any():
        order = np.argsort(-worth)
        order = order[np.isfinite(worth[order])]
        chosen = next(decoded(request.space, pool[order], tried, request.incumbent), None)
        if chosen is None:
            break
        at, settings = int(order[chosen[0]]), chosen[1]
        found.append(_Place(settings, float(means[at]), float(sds[at])))
        tried.append(settings)
        # A further proposal of the same request should teach something else: a local penalty around each chosen one.
        distance = np.linalg.norm(rows - rows[at], axis=1)
        worth = worth + np.log1p(-np.exp(-((distance / 0.3) ** 2)) + 1e-12)
    return found, why if found else "every setting of the region was tried"


def _gain(request: Request, scores: Array, means: Array, sds: Array) -> float:
    """The largest expected improvement among what is safe to try."""
    safe = _safe(request, means, sds)
    return math.exp(float(scores[safe].max())) if safe.any() else 0.0


def _valued(model: Surrogate, space: SearchSpace, settings: Settings) -> _Place:
    mean, sd = model.at(encode(space, places(space, [settings])))
    return _Place(settings, float(mean[0]), float(sd[0]))


def _p_bad(request: Request, place: _Place) -> float | None:
    if request.headroom is None:
        return None
    return float(ndtr((place.mean - request.off - request.headroom) / place.sd))
