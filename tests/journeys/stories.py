"""The journeys that are repeated with a crash at every call and with every message doubled: worlds, just opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from domain.ports import Examination
from domain.space import Parameter, SearchSpace, Settings
from domain.target import Arm, Limits, Target
from tests.journeys.world import ORIGINAL, SMALL, START, World, make_target

BETTER: Settings = {"level": 1}


def small(**changes: Any) -> Target:
    """The small target with other constants."""
    return make_target(profile=replace(SMALL, **changes))


def opened(world: World) -> World:
    world.open()
    return world


def good() -> World:
    return opened(World())


def bad() -> World:
    return opened(World(proposals=({"level": 9},), speed=lambda s: 0.05 if s["level"] == 6 else 0.3))


def refused() -> World:
    world = World(proposals=({"level": 9},))
    for arm in world.arms.values():
        arm.refuse({"level": 9})
    return opened(world)


def stopped() -> World:
    world = opened(World(proposals=({"level": 9}, {"level": 8}), speed=lambda s: 0.1))
    world.go(until=lambda: any(s != ORIGINAL for s in world.settings().values()))
    world.ledger.hear(world.run, {"kind": "stop", "text": "enough"}, world.clock.time)
    return world


def blind() -> World:
    return opened(World(blind=lambda arm, at: at > START))


def interleaved() -> World:
    return opened(World(target=make_target(design="interleave")))


def foreign() -> World:
    world = opened(World())
    world.go(until=lambda: any(s != ORIGINAL for s in world.settings().values()))
    for _ in range(4):
        world.tick()
    for arm in world.arms.values():
        arm.edit({"level": 3})
    return world


def resolved() -> World:
    world = opened(World())
    world.ledger.hear(world.run, {"kind": "resolved", "text": "gone"}, world.clock.time)
    return world


def lasting() -> World:
    """Twice as slow as an hour ago, and it stays so: the original is looked at before the first trial and after it."""
    return opened(World(kind="alert", course=lambda at: 1.0 if at < START - 9 else 2.0))


def passing() -> World:
    """The alert's cause goes away before anything is tried."""
    return opened(World(kind="alert", course=lambda at: 2.0 if START - 9 <= at < START else 1.0))


def in_steps() -> World:
    """Four arms: the kept settings go to one of them, to two, to all."""
    target = replace(small(promotion_pairs=1), arms=tuple(Arm(label) for label in "abcd"))
    return opened(World(target=target))


def harmful() -> World:
    """What was a gain in the gate is slow as soon as it was proven: the first step of the promotion finds it."""
    return opened(World(turn="Judged", later=lambda s: 0.17 if s == ORIGINAL else 0.4))


def unconfirmed() -> World:
    """What was a gain in the gate is none in the watch."""
    return opened(World(turn="Judged", later=lambda s: 0.17 if s == ORIGINAL else 0.172, noise=0.005))


def held() -> World:
    return opened(World(target=small(hold_back=20.0)))


def fading() -> World:
    """The kept settings become slow after the watch: the hold-back finds it."""
    later = World(target=small(hold_back=200.0), turn="Watched", later=lambda s: 0.17 if s == ORIGINAL else 0.9)
    return opened(later)


def overspent() -> World:
    """The harm budget has room for one bad candidate, not for two."""
    world = bad()
    target = replace(world.target, limits=Limits(cooldown=0.0, harm=7.0))
    return opened(World(target=target, proposals=({"level": 9}, {"level": 8}), speed=world.speed))


def glancing() -> World:
    """A bad candidate is stopped in the middle of its first window."""
    bad = lambda s: 0.1 if s["level"] == 6 else 0.17  # noqa: E731
    return opened(World(target=small(glance=1.0), proposals=({"level": 9},), speed=bad))


def renewed() -> World:
    """The candidate needs a restart, so the gate puts the arms onto new placements again and again."""
    space = SearchSpace((Parameter("level", "integer", 1, low=1, high=9, cost="restart"),))
    return opened(World(target=replace(small(replace_every=1, least_placements=4, most_placements=14), space=space)))


def diagnosed() -> World:
    """The diagnosis names the parameter that can matter; the search goes on with it alone."""
    found = Examination("nginx_cpu", "the workers are busy", ("97 % busy, limit 90 %",), ("level", "other"))
    return opened(World(target=make_target(diagnose=True), examination=found))


def not_tuned() -> World:
    """The diagnosis finds that no setting could help: nothing is written, and the reason is on record."""
    found = Examination(
        "dependency", "a dependency got slower", refusal="a dependency got slower: 210 ms, usually 8 ms"
    )
    return opened(World(target=make_target(diagnose=True), examination=found))


# What each of them ends with: outcome, settings in force, a word of the reason, kinds of records on the way.
JOURNEYS: dict[str, tuple[Callable[[], World], str, Settings, str, tuple[str, ...]]] = {
    "good": (good, "kept", BETTER, "against the original settings", ("Promoted", "Watched")),
    "bad": (bad, "nothing_to_gain", ORIGINAL, "no candidate was better", ("Aborted",)),
    "refused": (refused, "failed", ORIGINAL, "no trial could be measured", ("Refused",)),
    "stopped": (stopped, "restored", ORIGINAL, "stopped", ("Restoring",)),
    "blind": (blind, "failed", ORIGINAL, "could not be measured", ("Aborted",)),
    "interleaved": (interleaved, "kept", BETTER, "against the original settings", ("Promoted", "Watched")),
    "foreign": (foreign, "conflict", {"level": 3}, "changed by somebody else", ("Conflicted",)),
    "resolved": (resolved, "recovered", ORIGINAL, "before anything was tried", ()),
    "lasting": (lasting, "kept", BETTER, "against the original settings", ("Looking", "Looked", "Promoted")),
    "passing": (passing, "recovered", ORIGINAL, "resolved without a change", ("Looking", "Looked")),
    "in steps": (in_steps, "kept", BETTER, "against the original settings", ("Promoted", "Watched")),
    "harmful": (harmful, "restored", ORIGINAL, "slower", ("Aborted", "Watched", "Restored")),
    "unconfirmed": (unconfirmed, "inconclusive", ORIGINAL, "did not confirm", ("Promoted", "Watched", "Restored")),
    "held": (held, "kept", BETTER, "the hold-back", ("Watched", "HeldBack")),
    "fading": (fading, "restored", ORIGINAL, "times the control", ("Watched", "HeldBack", "Restored")),
    "overspent": (overspent, "inconclusive", ORIGINAL, "the harm budget", ("Aborted",)),
    "renewed": (renewed, "kept", BETTER, "against the original settings", ("Promoted", "Watched")),
    "diagnosed": (diagnosed, "kept", BETTER, "against the original settings", ("Sampled", "Diagnosed", "Watched")),
    "not tuned": (not_tuned, "refused", ORIGINAL, "a dependency got slower", ("Sampled", "Diagnosed")),
    "glancing": (glancing, "nothing_to_gain", ORIGINAL, "no candidate was better", ("Aborted",)),
}
