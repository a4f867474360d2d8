"""Which of the measured settings to keep: the simplest of the best, pruned of what does not matter, told apart from
close rivals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from domain.ports import Request
from domain.space import Settings, allowed, distance, same
from optimizers.region import Array, places
from optimizers.seeding import known
from optimizers.surrogate import Surrogate, encode

CLOSE_SD = 2.0  # rivals are this many sd of the difference from the best
ALIKE = 0.1  # of the minimum effect: what is this close is as good
SURE = 0.9  # chance that the leader is best, from which on nobody else is measured again
DRAWS = 256


def simplest(request: Request, visited: Sequence[Settings], mean: Array, sd: Array) -> int:
    """Index of the recommended settings: of those within a third of the minimum effect of the best posterior mean, the
    one with the fewest changes. The best itself is chosen by mu + sd/2, so that a lucky sample is not. A simplification
    of the best (some of its changes, and no others) may also lie half an sd of the difference behind it; one of
    known-good settings, which nobody chose for this service, the minimum effect in parts of the original level."""
    best = int(np.argmin(mean + 0.5 * sd))
    bundle = known(visited[best], request.seeds)

    def close(i: int) -> bool:
        part = _part_of(request, visited[i], visited[best])
        if part and bundle and math.exp(mean[i]) - math.exp(mean[best]) <= request.mei:
            return True
        doubt = 0.5 * math.hypot(sd[i], sd[best]) if part else 0.0
        return bool(mean[i] - mean[best] <= max(request.mei * ALIKE, doubt))

    near = [i for i in range(len(visited)) if close(i) and (i == best or not _unchanged(request, visited[i]))]
    return min(near, key=lambda i: (distance(request.space, visited[i], request.incumbent), mean[i]))


def pruned(request: Request, model: Surrogate, settings: Settings, mu: float) -> Settings | None:
    """The settings with every parameter back at the incumbent's value that does not seem to matter: together they may
    cost a third of the minimum effect by the surrogate. None if nothing can go, or if it was measured already."""
    space, kept = request.space, dict(settings)
    while True:
        changed = [p.name for p in space.parameters if not same(kept[p.name], request.incumbent[p.name])]
        if len(changed) < 2:
            break
        options = [{**kept, name: request.incumbent[name]} for name in changed]
        options = [each for each in options if allowed(space, each)]
        if not options:
            break
        means, _ = model.at(encode(space, places(space, options)))
        least = int(np.argmin(means))
        if means[least] > mu + request.mei * ALIKE:
            break
        kept = options[least]
    tried = [settings, *(each.settings for each in request.history)]
    if not known(kept, tried):
        return kept
    return _leading(request, settings, tried) if known(settings, request.seeds) else None


def _leading(request: Request, settings: Settings, tried: Sequence[Settings]) -> Settings | None:
    """Known-good settings from elsewhere change many parameters at once, which teaches little about each: only the
    first of those changes, then the first half of them. Spaces name first what is known to matter most."""
    changed = [p.name for p in request.space.parameters if not same(settings[p.name], request.incumbent[p.name])]
    for count in (1, len(changed) // 2):
        part = {**request.incumbent, **{name: settings[name] for name in changed[:count]}}
        if 0 < count < len(changed) and allowed(request.space, part) and not known(part, tried):
            return part
    return None


def _unchanged(request: Request, settings: Settings) -> bool:
    return distance(request.space, settings, request.incumbent) == 0


def _part_of(request: Request, settings: Settings, whole: Settings) -> bool:
    """Whether every change of these settings is one of the whole's."""
    names = [p.name for p in request.space.parameters]
    return all(same(settings[n], whole[n]) or same(settings[n], request.incumbent[n]) for n in names)


def replicate(request: Request, visited: Sequence[Settings], mean: Array, sd: Array) -> Settings | None:
    """Settings to measure again before the choice is final, or None.

    Optimal computing budget allocation (C.-H. Chen et al., 2000): where three or more are close, pairs belong to the
    rivals in proportion to (s/gap)^2, and to the leader as s*sqrt(sum N_i^2/s_i^2). Nothing is measured again once the
    leader is best with 90 %, or where its lead is too small to matter."""
    if len(visited) < 3:
        return None
    best = int(np.argmin(mean))
    gaps = mean - mean[best]
    close = [i for i in range(len(visited)) if gaps[i] <= CLOSE_SD * math.hypot(sd[i], sd[best])]
    rivals = [i for i in close if i != best]
    if len(close) < 3 or min(gaps[i] for i in rivals) < request.mei / 2:
        return None
    lots = np.random.default_rng(request.seed).normal(mean[close], sd[close], (DRAWS, len(close)))
    if float((lots.argmin(axis=1) == close.index(best)).mean()) > SURE:
        return None
    wanted = {i: (sd[i] / max(gaps[i], request.mei / 3)) ** 2 for i in rivals}
    wanted[best] = sd[best] * math.sqrt(sum((wanted[i] / sd[i]) ** 2 for i in rivals))
    has = {i: 1 / sd[i] ** 2 for i in close}
    return visited[max(close, key=lambda i: wanted[i] / sum(wanted.values()) - has[i] / sum(has.values()))]
