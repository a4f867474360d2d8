"""What every strategy does before it thinks: the incumbent first, then known-good settings, and never again what the
target refused or what is known already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.ports import Observation, Request
from domain.space import Settings, allowed, same

KNOWN_GOOD = "settings that are known to be good elsewhere"
WORST_EFFECT, WORST_SD = 0.3, 0.1  # a refused or crashed candidate enters the surrogate at least this bad, vaguely


def equal(a: Settings, b: Settings) -> bool:
    return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)


def known(settings: Settings, others: Iterable[Settings]) -> bool:
    return any(equal(settings, other) for other in others)


def usable(request: Request) -> list[Observation]:
    """The history inside the space as it is now: bounds may have changed since."""
    return [each for each in request.history if allowed(request.space, each.settings)]


def first_proposals(request: Request) -> list[Settings]:
    """The incumbent if it was never measured, then seeds that were not tried, in order."""
    tried = [each.settings for each in request.history]
    queue = [request.incumbent, *request.seeds]
    fresh: list[Settings] = []
    for settings in queue:
        if allowed(request.space, settings) and not known(settings, [*tried, *fresh]):
            fresh.append(dict(settings))
    return fresh


def as_points(history: Sequence[Observation]) -> list[tuple[Settings, float, float]]:
    """(settings, effect, variance) of every observation; what could not be measured is bad, and vague about it."""
    measured = [each.effect for each in history if each.effect is not None]
    worst = max([WORST_EFFECT, *measured])
    return [
        (each.settings, each.effect, max(each.variance or 0.0, 1e-6))
        if each.effect is not None
        else (each.settings, worst, WORST_SD**2)
        for each in history
    ]
