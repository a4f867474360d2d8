"""Journeys of a workload for the tests of what may go wrong, and what must be so at their end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from adapters.actuators.kubernetes.api import path
from domain.errors import TrimtabError
from domain.events import Aborted, Adopted, Applying, Closed, Event, Refused, Restored
from domain.journal import verify
from domain.space import Settings
from tests.journeys.pods import BEFORE, WINNER, Photo, PodWorld, pod_world
from tests.journeys.world import SMALL
from tests.kubernetes_api.server import Call
from tests.pods import CPU_LIMIT, LEVEL, TARGET

Json = dict[str, Any]
SLOW: Settings = {CPU_LIMIT: 0.1, LEVEL: 9}
# As few pairs as a gate and a watch can do with: such a journey makes some 700 calls.
FEW = replace(
    SMALL,
    gate_min_pairs=3,
    swap_every=4,
    watch_units=1,
    rare_harm_pairs=1,
    max_trials=1,
    screening_pairs=1,
    promotion_pairs=0,
)
TUNED = replace(TARGET, profile=FEW, strategy="scripted")
PROGRESS = 40  # seconds after which the workload's controller gives up on a rollout
DEPLOYMENT = path("Deployment", "default", "shop")


@dataclass(frozen=True)
class Story:
    """A journey: what is proposed, how it must end, and what happens on the way. `stuck`: production pods do not come
    up with it; `refusals`: so many of them are refused. `refused`: what becomes of it where an arm is resized. `since`:
    the first record that it does not share with another story."""

    proposal: Settings
    outcomes: tuple[str, ...]
    left: Settings
    seen: type[Event]
    stuck: bool = False
    refused: str = ""
    refusals: int = 0
    since: str = "Opened"


STORIES = {
    "kept": Story(WINNER, ("kept",), WINNER, Adopted),
    "slow": Story(SLOW, ("nothing_to_gain",), BEFORE, Aborted),
    "stuck": Story(WINNER, ("failed",), BEFORE, Restored, stuck=True, since="Adopting"),
    "refused": Story(WINNER, ("failed",), BEFORE, Restored, refusals=10**6, since="Adopting"),
    "a tight quota": Story(WINNER, ("kept",), WINNER, Adopted, refusals=8, since="Adopting"),
    "no room": Story(WINNER, ("failed",), BEFORE, Refused, refused="Infeasible", since="Applying"),
    "no memory": Story(WINNER, ("failed",), BEFORE, Refused, refused="Error", since="Applying"),
}


@contextlib.contextmanager
def told(name: str) -> Iterator[PodWorld]:
    """A world in which this story is about to begin."""
    story = STORIES[name]
    with pod_world(proposals=(story.proposal,), target=TUNED, noise=0.01) as world:
        server = world.cluster.server
        world.cluster.api.merge(DEPLOYMENT, {"spec": {"progressDeadlineSeconds": PROGRESS}}, manager="somebody")
        if story.stuck:
            server.break_pods(lambda pod: not is_arm(pod) and limit_of(pod["spec"]) == "400m")
        if story.refused:
            server.script_resize(
                "shop-trimtab-a", story.refused, "it says why", only=lambda each: limit_of(each) == "400m"
            )
        if story.refusals:
            left = [story.refusals]

            def quota(operation: str, kind: str, made: Json) -> str | None:
                if (operation, kind) != ("CREATE", "Pod") or is_arm(made) or limit_of(made["spec"]) != "400m":
                    return None
                left[0] -= 1
                return "exceeded quota" if left[0] >= 0 else None

            server.refuse(quota)
        world.open()
        yield world


def is_arm(pod: Json) -> bool:
    return "trimtab.dev/arm" in (pod["metadata"].get("labels") or {})


def limit_of(spec: Json) -> str:
    return str(spec["containers"][0]["resources"]["limits"]["cpu"])


# --- the end ----------------------------------------------------------------------------------------------------------


def in_template(world: PodWorld) -> Settings:
    """What new pods of the workload get."""
    with contextlib.ExitStack():
        return world.in_pod("nobody's")


def clean(world: PodWorld, *, replicas: int = 4) -> None:
    """No arm, nothing of an arm, and all the replicas, each made from the template and Ready."""
    server, owner = world.cluster.server, world.cluster.owner()
    assert owner["spec"]["replicas"] == replicas
    names = {place.name for place in server.store.state.records if place.plural in ("pods", "configmaps")}
    assert not names & {"shop-trimtab-a", "shop-trimtab-b"}
    pods = world.cluster.api.items(path("Pod", "default"))
    assert [limit_of(pod["spec"]) for pod in pods] == [limit_of(owner["spec"]["template"]["spec"])] * replicas
    for pod in pods:
        assert any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"]["conditions"])


def unprotected(world: PodWorld) -> None:
    """The way back of no run lies on the workload."""
    notes = world.cluster.owner()["metadata"].get("annotations") or {}
    assert "trimtab.dev/before" not in notes
    if "trimtab.dev/conflict" not in notes:
        assert not world.cluster.server.has(path("ConfigMap", "default", "shop-trimtab-before"))


def closed(world: PodWorld) -> str:
    """The outcome of a run whose journal is whole and ends once."""
    verify(world.run, world.records())
    events = world.events()
    assert isinstance(events[-1], Closed)
    assert sum(isinstance(event, Closed) for event in events) == 1
    return world.outcome()


def check(world: PodWorld, name: str) -> None:
    """The end that this story must have."""
    story = STORIES[name]
    assert closed(world) in story.outcomes, world.events()[-3:]
    assert any(isinstance(event, story.seen) for event in world.events())
    assert in_template(world) == story.left
    clean(world)
    unprotected(world)


def as_it_says(world: PodWorld) -> None:
    """Whatever the outcome is: the workload carries what it says, and nothing is left."""
    outcome = closed(world)
    if outcome != "conflict":  # which restores nothing
        assert in_template(world) == (WINNER if outcome == "kept" else BEFORE), outcome
    clean(world)
    unprotected(world)


def until_reaped(world: PodWorld) -> None:
    """Nobody of ours but the watchdog, which looks in every half minute from the deadline on."""
    world.clock.time += FEW.patience + 60.0
    for _ in range(20):
        with contextlib.suppress(TrimtabError):
            if next(iter(world.cluster.arms().values())).reap(world.clock.time) is None:
                return
        world.clock.time += 30.0
    raise AssertionError("the watchdog does not come to rest")


# --- deaths -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Death:
    """Where a worker died, in words, and what it left. `kind` is what makes it a death of another kind."""

    kind: tuple[str, ...]
    records: tuple[str, ...]  # kinds of those that the journal had
    photo: Photo

    @property
    def words(self) -> str:
        return " ".join(self.kind)


def writes(call: Call) -> bool:
    """Whether a call changes anything that matters: not what is only told."""
    if call.path.endswith("/exec"):
        return "kill" in call.query["command"]
    return call.writes and not call.path.endswith("/events")


def phase(world: PodWorld) -> str:
    last = world.events()[-1]
    return f"{type(last).__name__}{'-renewed' if isinstance(last, Applying) and last.renew else ''}"


def part_of(call: Call) -> str:
    """What of an object a patch writes: one of the workload may be its annotations, its template or its replicas."""
    body = call.body if isinstance(call.body, dict) else {}
    notes = (body.get("metadata") or {}).get("annotations") or {}
    return " ".join([*sorted(body.get("spec") or {}), *sorted(name.rpartition("/")[2] for name in notes)])


class Camera:
    """Copies the world before and after each write of an undisturbed journey, where it differs from the last copy."""

    def __init__(self, world: PodWorld) -> None:
        self.world = world
        self.deaths: list[Death] = []
        self._last: tuple[object, ...] = ()

    def notice(self, call: Call, done: bool) -> None:
        if not writes(call):
            return
        world = self.world
        seen = (world.cluster.server.store.state.version, len(world.records()), dict(world.cluster.served))
        if repr(seen) == repr(self._last):
            return
        self._last = seen
        part = part_of(call)
        # Every step moves the deadline: one death there stands for all.
        last = phase(world) if part != "before" else "-"
        kind = last, "after" if done else "before", call.method, call.path, part
        self.deaths.append(Death(kind, tuple(each.kind for each in world.records()), world.photo()))


def deaths(world: PodWorld, name: str, seed: int = 1) -> list[Death]:
    """Carry the world to its end; one death of each kind that this story has for itself, drawn from all of its kind."""
    camera = Camera(world)
    world.cluster.api.noticed = camera.notice
    world.go()
    world.cluster.api.noticed = lambda call, done: None
    kinds: dict[tuple[str, ...], list[Death]] = {}
    for death in camera.deaths:
        kinds.setdefault(death.kind, []).append(death)
    chance = Random(seed)
    chosen = [chance.choice(each) for each in kinds.values()]
    return [each for each in chosen if STORIES[name].since in each.records]
