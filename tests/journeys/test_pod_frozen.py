"""A worker that freezes before a write to the cluster, and thaws when its run is over by another's hand."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest

from domain.errors import TrimtabError
from domain.events import Applied, Prepared
from tests.journeys.pod_stories import STORIES, as_it_says, closed, in_template, part_of, phase, told, writes
from tests.journeys.pods import Photo, PodWorld
from tests.kubernetes_api.server import Call
from workers.advance import advance

PATIENCE = 60.0  # real seconds; a thread that does not come to rest is a mistake of the test


@dataclass(frozen=True)
class Moment:
    """A write: the world when its step began, and which write of the step it is."""

    kind: tuple[str, ...]
    began: Photo
    number: int


class Frozen:
    """A worker in a thread that stops before its `number`-th write until it is thawed."""

    def __init__(self, world: PodWorld, number: int) -> None:
        self._world, self._left = world, number
        self._stopped, self._thawed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._run, self._ports = world.run, world.ports()
        world.cluster.api.noticed = self._notice
        self._thread.start()

    def _work(self) -> None:
        try:
            with contextlib.suppress(TrimtabError):
                advance(self._run, self._ports)
        finally:
            self._stopped.set()

    def _notice(self, call: Call, done: bool) -> None:
        if threading.current_thread() is not self._thread or done or not writes(call):
            return
        self._left -= 1
        if self._left == 0:
            self._stopped.set()
            assert self._thawed.wait(PATIENCE)

    def stops(self) -> None:
        assert self._stopped.wait(PATIENCE)
        assert self._thread.is_alive(), "it made fewer writes this time"

    def thaws(self) -> None:
        self._thawed.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._world.cluster.api.noticed = lambda call, done: None


def moments(world: PodWorld) -> list[Moment]:
    """One of each kind of write of an undisturbed journey."""
    found: list[Moment] = []
    began = world.photo()
    number = 0

    def notice(call: Call, done: bool) -> None:
        nonlocal number
        if writes(call) and not done:
            number += 1
            part = part_of(call)
            kind = phase(world) if part != "before" else "-", call.method, call.path, part
            found.append(Moment(kind, began, number))

    world.cluster.api.noticed = notice
    ports = world.ports()
    while world.ledger.open_run(world.target.name) is not None:
        for name in world.ledger.due(world.clock.time, 30.0):
            began, number = world.photo(), 0
            advance(name, ports)
            world.note_settings()
        world.tick()
    world.cluster.api.noticed = lambda call, done: None
    kinds: dict[tuple[str, ...], list[Moment]] = {}
    for moment in found:
        kinds.setdefault(moment.kind, []).append(moment)
    chance = Random(3)
    return [chance.choice(each) for each in kinds.values()]


@contextlib.contextmanager
def frozen(world: PodWorld, moment: Moment) -> Iterator[Frozen]:
    """A worker that is stopped at this moment."""
    world.back(moment.began)
    worker = Frozen(world, moment.number)
    try:
        worker.stops()
        yield worker
    finally:
        worker.thaws()


def ours(world: PodWorld) -> set[str]:
    """What belongs to arms."""
    records = world.cluster.server.store.state.records
    return {f"{place.plural}/{place.name}" for place in records} & set(ARMS)


@pytest.mark.parametrize("name", ["kept", "stuck"])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_worker_that_thaws_after_its_run_is_over_changes_nothing(name: str, stopped: bool) -> None:
    """Another worker went on to the end, or was told to stop. A thawed one at most makes an arm or its file, which the
    watchdog then removes."""
    orphans = set()
    with told(name) as world:
        found = [each for each in moments(world) if STORIES[name].since in _kinds(each)]
        assert len(found) >= 5
        for moment in found:
            try:
                with frozen(world, moment) as worker:
                    if stopped:
                        world.ledger.hear(world.run, {"kind": "stop", "text": "enough"}, world.clock.time)
                    world.go()
                    as_it_says(world)
                    before, records = in_template(world), world.records()
                    worker.thaws()
                if not ours(world):
                    world.reap()
                else:
                    made = moment.kind[2].partition("/default/")[2]
                    assert ours(world) == {made}
                    orphans.add(made)
                    world.reap()
                assert world.records() == records
                assert in_template(world) == before
                as_it_says(world)
            except Exception as failure:
                raise AssertionError(f"frozen at {' '.join(moment.kind)}: {failure!r}") from failure
        assert orphans == (set(ARMS) if name == "kept" else set())


ARMS = [f"{plural}/shop-trimtab-{label}" for plural in ("pods", "configmaps") for label in "ab"]


def _kinds(moment: Moment) -> set[str]:
    return {record.kind for record in moment.began.ledger.read("shop-1").records} | {moment.kind[0]}


def test_a_worker_that_thaws_while_its_run_goes_on_changes_no_arm() -> None:
    """It froze before it resized an arm, wrote its file or its notes; the next worker is well ahead of it by then: what
    the arms carry stays what their journal says."""
    with told("kept") as world:
        for moment in moments(world):
            if "/shop-trimtab-" not in moment.kind[2] or moment.kind[0] != "Applying":
                continue
            with frozen(world, moment) as worker:
                length = len(world.records())
                world.go(until=lambda length=length: len(world.records()) >= length + 4)  # type: ignore[misc]
                carried = {label: world.in_pod(label) for label in world.arms}
                versions = {label: arm.read().version for label, arm in world.arms.items()}
                worker.thaws()
            assert {label: world.in_pod(label) for label in world.arms} == carried, moment.kind
            assert {label: arm.read().version for label, arm in world.arms.items()} == versions, moment.kind
            world.go()
            as_it_says(world)


def test_a_worker_that_thaws_in_the_next_run_changes_no_arm_of_it() -> None:
    """Its run was stopped while it was frozen, and the next run has arms of the same names by now."""
    with told("kept") as world:
        for moment in moments(world):
            if "/shop-trimtab-" not in moment.kind[2]:
                continue
            world.run = "shop-1"
            with frozen(world, moment) as worker:
                world.ledger.hear(world.run, {"kind": "stop", "text": "enough"}, world.clock.time)
                world.go()
                world.run = "shop-2"
                world.open()
                # The same thing in the next run: an arm that was made as the frozen worker would make it, or a write.
                there = Prepared if moment.kind[0] == "Preparing" else Applied
                world.go(until=lambda there=there: any(isinstance(event, there) for event in world.events()))  # type: ignore[misc]
                before = shown(world)
                worker.thaws()
            assert shown(world) == before, moment.kind
        world.go()
        assert closed(world) == "kept"
        as_it_says(world)


def shown(world: PodWorld) -> list[object]:
    """The arms and their files, their status aside."""
    there = sorted(ours(world))
    found = [world.cluster.server.get(f"/api/v1/namespaces/default/{each}") for each in there]
    return [
        [each["metadata"].get("annotations"), each["metadata"]["uid"], each.get("spec"), each.get("data")]
        for each in found
    ]
