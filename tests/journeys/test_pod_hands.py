"""What others do to a workload, its arms and the API server in the middle of a run."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from adapters.actuators.kubernetes.api import path
from domain.events import Adopted, Applied, Applying, Conflicted, Event, GateOpened, Imaged, Measured, Prepared, Watched
from tests.journeys.pod_stories import (
    DEPLOYMENT,
    as_it_says,
    clean,
    closed,
    in_template,
    limit_of,
    told,
    unprotected,
    until_reaped,
)
from tests.journeys.pods import BEFORE, WINNER, PodWorld
from tests.kubernetes_api.ownership import Manager
from tests.kubernetes_api.server import Call, placed
from tests.pods import CPU_LIMIT

AT = (Imaged, Prepared, Applied, GateOpened, Watched, Adopted)


def until(world: PodWorld, kind: type[Event]) -> None:
    """The run goes on until this was written down."""
    world.go(until=lambda: any(isinstance(event, kind) for event in world.events()))


def edited(world: PodWorld) -> None:
    """Somebody's template and nothing of ours beside it."""
    assert limit_of(world.cluster.owner()["spec"]["template"]["spec"]) == "300m"
    clean(world)
    unprotected(world)


@pytest.mark.parametrize("kind", AT)
def test_an_edit_in_the_middle_wins(kind: type[Event]) -> None:
    """Somebody edits the template: the run ends as a conflict, the edit stays, replicas come back, the arms leave, and
    the before-image is set aside."""
    with told("kept") as world:
        until(world, kind)
        world.cluster.edit("300m")
        world.go()
        assert closed(world) == "conflict"
        assert isinstance(world.events()[-2], Conflicted)
        edited(world)
        assert "trimtab.dev/conflict" in world.cluster.owner()["metadata"]["annotations"]


@pytest.mark.parametrize("kind", AT)
def test_an_edit_wins_although_no_worker_lives(kind: type[Event]) -> None:
    """Past the deadline the watchdog leaves the template alone, too, and gives back replicas; a late worker only says
    so."""
    with told("kept") as world:
        until(world, kind)
        world.cluster.edit("300m")
        until_reaped(world)
        edited(world)
        world.go()
        assert closed(world) == "conflict"
        edited(world)


def go_and_before_write(world: PodWorld, number: int, act: Callable[[], None]) -> bool:
    """The run goes on to its end; right before its write to the workload of this number somebody acts. Whether there
    were as many."""
    left = number

    def notice(call: Call, done: bool) -> None:
        nonlocal left
        if call.path == DEPLOYMENT and call.writes and not done:
            left -= 1
            if left == 0:
                act()

    world.cluster.api.noticed = notice
    world.go()
    world.cluster.api.noticed = lambda call, done: None
    return left <= 0


def test_an_edit_between_a_look_and_a_write_is_seen() -> None:
    """The edit comes while a step is at its writes, right before one of them to the workload: every third in turn."""
    with told("kept") as world:
        until(world, Prepared)
        photo = world.photo()
        for number in range(1, 60, 3):
            world.back(photo)
            came = go_and_before_write(world, number, lambda: world.cluster.edit("300m"))
            if not came:
                assert closed(world) == "kept"
                break
            if closed(world) == "kept":  # it came with the very last write, which is no longer of the run's
                assert number > 15
                continue
            assert closed(world) == "conflict", number
            edited(world)
        assert number > 15


def scale(world: PodWorld, replicas: int) -> None:
    """As `kubectl scale` does, or an autoscaler that somebody made meanwhile."""
    hand = Manager("kubectl", "Update", "scale")
    world.cluster.server.store.merge(placed(DEPLOYMENT)[0], {"spec": {"replicas": replicas}}, hand)


def test_scaling_in_between_makes_the_pair_missing() -> None:
    """The load of every pod changed with the replicas: no window that saw it counts. The replicas stay as said."""
    with told("kept") as world:
        until(world, Applied)
        world.clock.time += 5.0
        scale(world, 3)
        world.go()
        windows = [window for event in world.events() if isinstance(event, Measured) for window in event.windows]
        spoilt = [window for window in windows if "number of replicas" in window.disturbed]
        assert spoilt
        assert len(spoilt) < len(windows)
        assert closed(world) == "kept"
        assert in_template(world) == WINNER
        clean(world, replicas=3)
        unprotected(world)


@pytest.mark.parametrize("replicas", [1, 4, 6])  # 4: the manifest is applied again, with the number before the run
@pytest.mark.parametrize("kind", [Prepared, Applied, Adopted])
def test_whoever_scales_in_the_middle_wins(kind: type[Event], replicas: int) -> None:
    """Arms stand in for replicas of what was there before; whoever scales says how many there shall be now."""
    with told("kept") as world:
        until(world, kind)
        scale(world, replicas)
        world.go()
        clean(world, replicas=replicas)
        unprotected(world)


@pytest.mark.parametrize("replicas", [1, 4, 6])
def test_whoever_scales_wins_although_no_worker_lives(replicas: int) -> None:
    """The watchdog leaves the number alone, too."""
    with told("kept") as world:
        until(world, Applied)
        scale(world, replicas)
        until_reaped(world)
        clean(world, replicas=replicas)


def test_scaling_between_a_look_and_the_way_back_is_seen() -> None:
    """Somebody scales while a step is at its writes, right before one of them to the workload: every third in turn."""
    with told("kept") as world:
        until(world, Prepared)
        photo = world.photo()
        for number in range(1, 60, 3):
            world.back(photo)
            came = go_and_before_write(world, number, lambda: scale(world, 7))
            clean(world, replicas=7 if came else 4)
            if not came:
                break
        assert number > 15


def delete(world: PodWorld, label: str) -> None:
    world.cluster.server.store.delete(placed(path("Pod", "default", f"shop-trimtab-{label}"))[0])


def evict(world: PodWorld, label: str) -> None:
    """As the kubelet does under pressure: the pod stays there, and has ended."""
    pod = world.cluster.pod(label)
    assert pod is not None
    conditions = [{**each, "status": "False"} for each in pod["status"]["conditions"]]
    status = {
        **pod["status"],
        "phase": "Failed",
        "reason": "Evicted",
        "message": "low on memory",
        "conditions": conditions,
    }
    place = placed(path("Pod", "default", f"shop-trimtab-{label}"))[0]
    world.cluster.server.store.replace(place, {**pod, "status": status}, Manager("kubelet", "Update", "status"))


@pytest.mark.parametrize("labels", ["b", "ab"])  # both: as when a node is drained
@pytest.mark.parametrize("way", [delete, evict])
@pytest.mark.parametrize("kind", [Prepared, Applying, GateOpened, Watched])
def test_an_arm_that_goes_in_the_middle_is_no_harm(
    kind: type[Event], way: Callable[[PodWorld, str], None], labels: str
) -> None:
    """Somebody deletes an arm, or it is evicted: the run ends well, and the workload is as its end says."""
    with told("kept") as world:
        world.blind = lambda arm, at: not serves(world, arm)
        until(world, kind)
        for label in labels:
            way(world, label)
        world.go()
        as_it_says(world)
        assert closed(world) != "conflict"


def serves(world: PodWorld, label: str) -> bool:
    """Whether an arm's pod answers: one that is not there has no metrics."""
    pod = world.cluster.pod(label)
    return pod is not None and pod["status"].get("phase") == "Running"


@pytest.mark.parametrize("seed", range(5))
def test_an_api_server_that_fails_now_and_then_holds_up_a_run_only(seed: int) -> None:
    """One call in twelve is dropped, lost after it was carried out, or answered by 500, 503 or 429."""
    chance = Random(seed)
    with told("kept") as world:
        for how in ("drop", "lost", 500, 503, 429):
            world.cluster.server.fail(how, times=30, when=lambda call: chance.random() < 1 / 60)
        world.go()
        assert closed(world) in ("kept", "failed", "inconclusive")  # too few windows could be read, at worst
        as_it_says(world)


@pytest.mark.parametrize("kind", AT)
@pytest.mark.parametrize("seconds", [60.0, 600.0])
def test_an_api_server_that_is_away_holds_up_a_run_only(kind: type[Event], seconds: float) -> None:
    """A minute without an answer is waited for; ten are past the deadline, and whoever comes first takes it back."""
    with told("kept") as world:
        until(world, kind)
        back = world.clock.time + seconds
        world.cluster.server.fail("drop", times=10**6, when=lambda call: world.clock.time < back)
        world.go()
        as_it_says(world)
        outcome = closed(world)
        assert outcome in ("kept", "restored", "inconclusive", "failed", "refused")
        assert outcome == "kept" or in_template(world)[CPU_LIMIT] == BEFORE[CPU_LIMIT]
