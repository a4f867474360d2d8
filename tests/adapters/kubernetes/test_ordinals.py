"""The highest pod of a StatefulSet as an arm: what is written, what a late worker may do, what people do meanwhile."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest

from adapters.actuators.kubernetes.api import path
from domain.errors import Conflict, Rejected, Stale, Transient, TrimtabError
from domain.ports import Stamp
from domain.space import Settings
from tests.kubernetes_api import Died
from tests.ordinals import Sets, protected, sets
from tests.pods import CPU_LIMIT, LEVEL, deployment

ORIGINAL: Settings = {CPU_LIMIT: 0.15, LEVEL: 6}
FAST: Settings = {CPU_LIMIT: 0.4, LEVEL: 1}
OTHER: Settings = {CPU_LIMIT: 0.3, LEVEL: 2}
BROKEN: Settings = {CPU_LIMIT: 0.2, LEVEL: 4711}
WAS = ("150m", "gzip_comp_level 6;")
SET = path("StatefulSet", "default", "shop")


def budget(allowed: int) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "quorum", "namespace": "default"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "shop"}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 3, "desiredHealthy": 3, "expectedPods": 3},
    }


# --- writing ----------------------------------------------------------------------------------------------------------


def test_the_original_written_as_a_candidate_is_the_original_to_the_letter() -> None:
    """Its pod is of the revision of those below, which were never touched."""
    with sets(http=False) as cluster:
        arm, uids = protected(cluster), [cluster.at(n)["metadata"]["uid"] for n in (0, 1)]
        template = cluster.owner()["spec"]["template"]
        arm.write(FAST, Stamp("r1", 2), arm.read().version)
        status = cluster.owner()["status"]
        assert status["updateRevision"] != status["currentRevision"]
        arm.write(ORIGINAL, Stamp("r1", 3), arm.read().version)
        assert cluster.owner()["spec"]["template"] == template
        assert [cluster.at(n)["metadata"]["uid"] for n in (0, 1)] == uids


def test_a_limit_that_was_not_there_comes_and_goes() -> None:
    """It is taken out of the template again, though no running pod could lose it."""
    container = {**deployment()["spec"]["template"]["spec"]["containers"][0], "resources": {}}
    spec = {"containers": [container], "volumes": [{"name": "config", "configMap": {"name": "shop-nginx"}}]}
    with sets(http=False, template={"metadata": {"labels": {"app": "shop"}}, "spec": spec}) as cluster:
        arm = protected(cluster)
        assert arm.read().settings == {CPU_LIMIT: "unset", LEVEL: 6}
        arm.write(FAST, Stamp("r1", 2), arm.read().version)
        arm.write({**FAST, CPU_LIMIT: "unset"}, Stamp("r1", 3), arm.read().version)
        assert not cluster.at(2)["spec"]["containers"][0].get("resources")


def test_many_candidates_need_few_config_maps() -> None:
    """What earlier runs kept stays, and so does the file that the before-image names."""
    with sets(http=False) as cluster:
        arm = cluster.arms()["a"]
        arm.protect("r0", 100.0)
        arm.write(OTHER, Stamp("r0", 1), arm.read().version)
        cluster.stage().adopt(OTHER, Stamp("r0", 2))
        arm.release("r0")
        arm = cluster.arms()["a"]
        arm.protect("r1", 100.0)
        for generation, level in enumerate([1, 3, 4, 5, 7, 8, 9, 1, 3, 4, 5, 7, 8, 9], start=3):
            arm.write({**OTHER, LEVEL: level}, Stamp("r1", generation), arm.read().version)
        names = [each["metadata"]["name"] for each in cluster.api.items(path("ConfigMap", "default"))]
        kept = [f"shop-trimtab-kept-{slot}" for slot in range(3)]
        assert sorted(names) == ["shop-nginx", "shop-trimtab-before", *kept]
        arm.restore(Stamp("r1", 99), arm.read().version)
        assert cluster.carried() == [("300m", "gzip_comp_level 2;")] * 3


def test_a_budget_without_room_is_waited_for() -> None:
    """While no disruption is allowed nothing is written; the way back does not ask."""
    with sets(http=False) as cluster:
        arm = protected(cluster)
        arm.write(FAST, Stamp("r1", 2), arm.read().version)
        cluster.server.add(budget(0))
        image = arm.read()
        with pytest.raises(Transient, match="quorum allows no disruption now"):
            arm.write(OTHER, Stamp("r1", 3), image.version)
        assert arm.read() == image
        arm.restore(Stamp("r1", 4), image.version)
        assert cluster.carried() == [WAS] * 3


def test_a_pod_that_was_changed_when_it_was_made_proves_nothing() -> None:
    """What admission gave it is not what the template says."""
    with sets(http=False) as cluster:
        arm = protected(cluster)
        arm.write(FAST, Stamp("r1", 2), arm.read().version)
        pod = cluster.at(2)
        pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "1"
        with (
            mock.patch.object(type(arm._set), "pod_at", return_value=pod),
            pytest.raises(Transient, match=r"limits\.cpu 1, and its template says 400m"),
        ):
            arm.effective()


def test_a_new_placement_is_the_pod_made_anew() -> None:
    """Once: a pod that is younger than the wish stays."""
    with sets(http=False) as cluster:
        arm = protected(cluster)
        uid = cluster.at(2)["metadata"]["uid"]
        arm.renew(0.0)
        assert cluster.at(2)["metadata"]["uid"] == uid
        arm.renew(1e12)
        assert cluster.at(2)["metadata"]["uid"] != uid


def test_a_pod_that_moved_by_itself_disturbs_its_window() -> None:
    """A window in which it was made anew shows that, and not its settings."""
    with sets(http=False) as cluster:
        arm = protected(cluster)
        assert arm.disturbed(10.0, 20.0) == ""
        with mock.patch("adapters.actuators.kubernetes.ordinal.born", return_value=15.0):
            assert arm.disturbed(10.0, 20.0) == ""  # its container began later
        cluster.server.store.wall = lambda: 15.0
        cluster.api.delete(path("Pod", "default", "shop-2"))
        cluster.server.settle()
        assert arm.disturbed(10.0, 20.0) == "pod shop-2 was made anew"


# --- who is late ------------------------------------------------------------------------------------------------------


def thawed(cluster: Sets, act: Callable[[], object]) -> Iterator[int]:
    """Does `act` again and again from the same beginning, frozen before each of its API calls in turn while another
    worker restores the set and ends the run. Yields the number of that call when all is over."""
    state, real, call = cluster.server.snapshot(), cluster.api._call, 0
    left = 1

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            other = cluster.arms()["a"]
            other.restore(Stamp("r1", 50), None)
            other.release("r1")
        return real(*args, **kwargs)

    while left <= 0 or call == 0:
        call += 1
        cluster.server.restore(state)
        left = call
        with mock.patch.object(cluster.api, "_call", counted), contextlib.suppress(TrimtabError):
            act()
        if left <= 0:
            cluster.server.settle()
            yield call


@pytest.mark.parametrize("candidate", [FAST, BROKEN], ids=["good", "broken"])
def test_a_worker_that_thaws_after_the_end_changes_nothing(candidate: Settings) -> None:
    """The set is original, whenever the worker was frozen."""
    with sets(http=False) as cluster:
        arm, call = protected(cluster), 0
        version = arm.read().version
        for call in thawed(cluster, lambda: cluster.arms()["a"].write(candidate, Stamp("r1", 2), version)):
            assert cluster.carried() == [WAS] * 3, call
            assert cluster.partition == 0, call
            assert arm.read().settings == ORIGINAL, call
        assert call > 20


def test_an_adoption_that_thaws_after_the_end_changes_nothing() -> None:
    """The partition is written on what was seen only."""
    with sets(http=False) as cluster:
        arm, call = protected(cluster), 0
        arm.write(FAST, Stamp("r1", 2), arm.read().version)
        for call in thawed(cluster, lambda: cluster.stage().adopt(FAST, Stamp("r1", 3))):
            assert cluster.carried() == [WAS] * 3, call
            assert cluster.partition == 0, call
        assert call > 20


def test_preparations_that_thaw_after_the_end_change_nothing() -> None:
    """Updates are not held for a run that is over."""
    with sets(http=False) as cluster:
        cluster.arms()["a"].protect("r1", 100.0)
        for call in thawed(cluster, lambda: cluster.stage().prepare(Stamp("r1", 2), 1000.0)):
            assert cluster.partition == 0, call


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("candidate", [FAST, BROKEN], ids=["good", "broken"])
def test_a_worker_may_die_at_any_call(candidate: Settings, after: bool) -> None:
    """Before a call was sent, or before its answer came: past the deadline the watchdog needs nothing but the API."""
    with sets(http=False) as cluster:
        version = protected(cluster).read().version
        state, call, made = cluster.server.snapshot(), 0, 1
        cluster.api.after = after
        while made >= call:
            call += 1
            cluster.server.restore(state)
            cluster.api.count, cluster.api.die_at = 0, call
            with contextlib.suppress(Died, Rejected):
                cluster.arms()["a"].write(candidate, Stamp("r1", 2), version)
            made, cluster.api.die_at = cluster.api.count, 0
            assert "the original settings are back" in cluster.arms()["a"].reap(1e12)
            assert cluster.carried() == [WAS] * 3, call
            assert cluster.partition == 0, call
        assert call > 20


# --- what people do meanwhile -----------------------------------------------------------------------------------------


def test_a_set_that_was_scaled_up_goes_back_as_a_whole() -> None:
    """The new pod took the candidate, as it is above the partition; the arm stays the one that it was."""
    with sets(http=False) as cluster:
        arm = protected(cluster)
        arm.write(FAST, Stamp("r1", 2), arm.read().version)
        cluster.api.merge(SET, {"spec": {"replicas": 5}}, manager="kubectl")
        cluster.server.settle()
        arm.write(OTHER, Stamp("r1", 3), arm.read().version)
        assert cluster.partition == 2
        arm.restore(Stamp("r1", 4), arm.read().version)
        assert cluster.carried() == [WAS] * 5
        assert cluster.partition == 0


def test_a_set_that_was_scaled_down_has_no_arm() -> None:
    """The trial is refused, and the way back is open."""
    with sets(http=False) as cluster:
        arm = protected(cluster)
        arm.write(FAST, Stamp("r1", 2), arm.read().version)
        cluster.api.merge(SET, {"spec": {"replicas": 2}}, manager="kubectl")
        cluster.server.settle()
        with pytest.raises(Rejected, match="scaled to 2, and its pod shop-2, which is the arm, is gone"):
            arm.write(OTHER, Stamp("r1", 3), arm.read().version)
        arm.restore(Stamp("r1", 4), arm.read().version)
        assert cluster.carried() == [WAS] * 2


def test_a_moved_partition_is_a_foreign_hand() -> None:
    """Somebody who rolls a candidate out by hand is told so, and the set is left as it is."""
    with sets(http=False) as cluster:
        arm = protected(cluster)
        image = arm.write(FAST, Stamp("r1", 2), arm.read().version)
        cluster.api.merge(SET, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}}, manager="kubectl")
        with pytest.raises(Conflict):
            arm.write(OTHER, Stamp("r1", 3), image.version)
        cluster.stage().retire("r1")
        assert cluster.partition == 1


def test_after_a_foreign_hand_nothing_of_ours_reaches_more_pods() -> None:
    """The template holds a candidate and somebody's image: its partition stays, and an event says so."""
    with sets(http=False) as cluster:
        arm = protected(cluster)
        arm.write(FAST, Stamp("r1", 2), arm.read().version)
        cluster.edit("350m")
        arm.reap(1e12)
        cluster.stage().retire("r1")
        arm.release("r1", keep=True)
        cluster.server.settle()
        assert cluster.partition == 2
        assert cluster.carried()[:2] == [WAS] * 2
        told = [each["message"] for each in cluster.api.items(path("Event", "default")) if each["reason"] == "Conflict"]
        assert any("only pods from ordinal 2 on are updated; the partition was 0" in each for each in told)


def test_a_stamp_of_the_past_is_stale() -> None:
    """Also for the stage."""
    with sets(http=False) as cluster:
        arm = protected(cluster)
        arm.write(FAST, Stamp("r1", 5), arm.read().version)
        with pytest.raises(Stale):
            arm.write(OTHER, Stamp("r1", 4), arm.read().version)
        with pytest.raises(Stale):
            cluster.stage().adopt(OTHER, Stamp("r1", 4))


def test_the_end_of_a_run_carries_through_what_the_watchdog_began() -> None:
    """A watchdog that died right after it had said what it does: the candidate must not stay in the template."""
    with sets(http=False) as cluster:
        arm = protected(cluster)
        arm.write(OTHER, Stamp("r1", 2), arm.read().version)
        place = cluster.api
        owner = place.get(path("StatefulSet", "default", "shop"))
        assert owner is not None
        before = json.loads(owner["metadata"]["annotations"]["trimtab.dev/before"])
        note = {"trimtab.dev/before": json.dumps({**before, "reaped": True})}
        place.merge(path("StatefulSet", "default", "shop"), {"metadata": {"annotations": note}})
        cluster.stage().retire("r1")
        assert cluster.carried() == [("150m", "gzip_comp_level 6;")] * 3
