"""What goes along when proven settings go into a workload: autoscalers keep their scale point, owners keep theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adapters.actuators.kubernetes.api import path
from domain.errors import Rejected, Transient
from tests.kubernetes_api import Died
from tests.kubernetes_api.server import Call
from tests.pods import CPU_LIMIT, Shop
from tests.scaled import (
    DEPLOYMENT,
    HPA,
    REQUEST,
    SCALED,
    SPACE,
    begun,
    budget,
    ended,
    hpa,
    kept,
    metric,
    request_of,
    scaled,
    set_target,
    settings,
    target_of,
)

Json = dict[str, Any]
PRODUCT = 50 * 60  # millicores x per cent: what people had set


def writes(call: Call) -> bool:
    return call.writes and not call.path.endswith("/events")


def specs_of(cluster: Shop) -> list[str]:
    """Whose specs were written, in order; what met a change of the status is written again."""
    paths = [call.path for call in cluster.server.calls if writes(call) and "spec" in (call.body or {})]
    return list(dict.fromkeys(paths))


def reaped(cluster: Shop) -> None:
    """The watchdog comes after the deadline, until it finds nothing more to do."""
    for _ in range(20):
        if next(iter(cluster.arms().values())).reap(2e10) is None:
            return
    raise AssertionError("the watchdog does not come to rest")


# --- the scale point --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("request_", "percent", "first"), [(0.1, 30, HPA), (0.03, 100, DEPLOYMENT)])
def test_the_target_moves_with_the_request(request_: float, percent: int, first: str) -> None:
    """A falling one before the request grows, a rising one after the rollout: never too few replicas in between."""
    with scaled(metric(60)) as cluster:
        stamp = begun(cluster)
        cluster.server.calls.clear()
        done = cluster.stage().adopt(settings(request_), stamp)
        assert (dict(done.settings), done.patch) == (settings(request_), "")
        assert target_of(cluster) == percent
        assert specs_of(cluster) == [first, DEPLOYMENT if first == HPA else HPA]
        ended(cluster)
        assert target_of(cluster) == percent


def test_a_rising_target_waits_for_the_rollout() -> None:
    """While old pods run with the larger request, the old target is the right one."""
    with scaled(metric(60)) as cluster:
        stamp = begun(cluster)
        cluster.server.break_pods(lambda pod: pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "30m")
        cluster.api.merge(DEPLOYMENT, {"spec": {"progressDeadlineSeconds": 1}}, manager="somebody")
        with pytest.raises(Rejected):
            cluster.stage().adopt(settings(0.03), stamp)
        assert target_of(cluster) == 60


def test_ten_runs_keep_the_scale_point() -> None:
    """Within 5 % of what people had set, wherever the request went in between: nothing ratchets."""
    with scaled(metric(60)) as cluster:
        products = []
        for number, request in enumerate([0.07, 0.09, 0.031, 0.12, 0.21, 0.19, 0.047, 0.29, 0.083, 0.055]):
            kept(cluster, settings(request), f"r{number}")
            products.append(1000 * request * target_of(cluster))
        assert all(abs(product / PRODUCT - 1) <= 0.05 for product in products), products
        kept(cluster, settings(0.05), "last")
        assert (request_of(cluster), target_of(cluster)) == ("50m", 60)


def test_people_set_a_new_scale_point() -> None:
    """From then on theirs is the original one."""
    with scaled(metric(60), take_over=("kubectl-client-side-apply", "kubectl-edit")) as cluster:
        kept(cluster, settings(0.1), "r1")
        set_target(cluster, 50)
        kept(cluster, settings(0.05), "r2")
        assert target_of(cluster) == 100


def test_an_hpa_on_the_container_counts_too() -> None:
    """Where the target does not name its only container, the HPA's metric does."""
    with scaled(metric(60, container="web")) as cluster:
        kept(cluster, settings(0.1))
        (found,) = cluster.server.get(HPA)["spec"]["metrics"]
        assert found["containerResource"]["target"]["averageUtilization"] == 30


def test_the_status_of_an_hpa_moves_on_all_the_time() -> None:
    """Its version changes with it; that is nobody's change of the target."""
    with scaled(metric(60)) as cluster:
        stamp, seen = begun(cluster), []

        def busy(call: Call, done: bool) -> None:
            if not done and call.method == "PATCH" and call.path == HPA and len(seen) < 3:
                seen.append(call)
                note = {"metadata": {"annotations": {"seen": str(len(seen))}}}
                server, cluster.api.noticed = cluster.api.noticed, lambda call, done: None
                cluster.api.merge(HPA, note, manager="kube-controller-manager")
                cluster.api.noticed = server

        cluster.api.noticed = busy
        cluster.stage().adopt(settings(0.1), stamp)
        assert (len(seen), target_of(cluster)) == (3, 30)


def test_a_target_that_somebody_moves_meanwhile_is_reckoned_again() -> None:
    """The step is taken again, from theirs; and theirs is what a way back brings."""
    with scaled(metric(60), take_over=("kubectl-client-side-apply", "kubectl-edit")) as cluster:
        stamp = begun(cluster)

        def meddle(call: Call, done: bool) -> None:
            if not done and call.method == "GET" and call.path == HPA:
                cluster.api.noticed = lambda call, done: None
                set_target(cluster, 80)

        cluster.api.noticed = meddle
        with pytest.raises(Transient, match="were changed meanwhile"):
            cluster.stage().adopt(settings(0.1), stamp)
        assert target_of(cluster) == 80
        cluster.stage().adopt(settings(0.1), stamp)
        assert target_of(cluster) == 40
        reaped(cluster)
        assert (request_of(cluster), target_of(cluster)) == ("50m", 80)


# --- deaths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [0.1, 0.03])
@pytest.mark.parametrize("meddled", [False, True])
def test_a_death_at_any_write_is_undone(request_: float, meddled: bool) -> None:
    """Before and after each write of an adoption the worker dies; the watchdog brings request and target back, unless
    somebody moved the target since: then it is theirs."""
    with scaled(metric(60)) as cluster:
        stamp, before = begun(cluster, deadline=1e10), cluster.server.snapshot()
        cluster.stage().adopt(settings(request_), stamp)
        moved, last = target_of(cluster), 0
        for number in range(1, 40):
            for after in (False, True):
                cluster.server.restore(before)
                dies = Dying(number, after)
                cluster.api.noticed = dies
                try:
                    cluster.stage().adopt(settings(request_), stamp)
                except Died:
                    last = number
                cluster.api.noticed = lambda call, done: None
                ours = target_of(cluster)
                assert ours in (60, moved)
                if meddled:
                    set_target(cluster, 77)
                reaped(cluster)
                assert (request_of(cluster), target_of(cluster)) == ("50m", 77 if meddled else 60), (number, after)
                assert cluster.pod("a") is None
            if last < number:
                break
        assert last >= 5


@pytest.mark.parametrize("request_", [0.1, 0.03])
def test_a_death_at_any_write_is_gone_on_from(request_: float) -> None:
    """The next worker takes the same step again, and both have moved in the end."""
    with scaled(metric(60)) as cluster:
        stamp, before = begun(cluster), cluster.server.snapshot()
        for number in range(1, 40):
            cluster.server.restore(before)
            cluster.api.noticed = Dying(number, number % 2 == 0)
            try:
                cluster.stage().adopt(settings(request_), stamp)
                break
            except Died:
                cluster.api.noticed = lambda call, done: None
            cluster.stage().adopt(settings(request_), stamp)
            ended(cluster)
            assert target_of(cluster) == round(PRODUCT / (1000 * request_))
        assert number > 5


def test_the_way_back_never_has_too_few_replicas() -> None:
    """The target that falls by it goes before the request grows, as on the way there."""
    with scaled(metric(60)) as cluster:
        cluster.stage().adopt(settings(0.03), begun(cluster, deadline=1e10))
        cluster.server.calls.clear()
        reaped(cluster)
        assert specs_of(cluster)[:2] == [HPA, DEPLOYMENT]
        assert (request_of(cluster), target_of(cluster)) == ("50m", 60)


class Dying:
    """The worker dies at this write (the first is 1), before or after it."""

    def __init__(self, number: int, after: bool) -> None:
        self.left, self.after = number, after

    def __call__(self, call: Call, done: bool) -> None:
        if not writes(call) or done != self.after:
            return
        self.left -= 1
        if self.left == 0:
            raise Died(f"{call.method} {call.path}")


# --- what an autoscaler forbids ---------------------------------------------------------------------------------------


KEDA = {"labels": {"scaledobject.keda.sh/name": "shop"}}
FLUX = {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}


@pytest.mark.parametrize(("metadata", "words"), [(KEDA, "KEDA makes shop"), (FLUX, "kustomize.toolkit.fluxcd.io/name")])
def test_a_target_that_is_not_ours_freezes_the_request(metadata: Json, words: str) -> None:
    """With the reason; what hangs on nothing is searched."""
    with scaled() as cluster:
        cluster.server.add(hpa(metric(60), **metadata))
        seen = cluster.stage().survey()
        assert list(seen.frozen) == [REQUEST]
        assert words in seen.frozen[REQUEST]
        assert "its target is not ours to move" in seen.frozen[REQUEST]


def test_a_manager_that_is_not_named_keeps_its_target() -> None:
    """One who acted once: the target moves when take_over names them."""
    with scaled(take_over=("kubectl-client-side-apply",)) as cluster:
        cluster.server.add(hpa(metric(60)), manager="kubectl-edit")
        assert "add take_over: [kubectl-edit]" in cluster.stage().survey().frozen[REQUEST]


def test_a_limit_that_takes_the_request_along_is_frozen() -> None:
    """Where both are one value, moving the limit would move the scale point."""
    target = replace(SCALED, space=replace(SPACE, parameters=SPACE.parameters[1:]))
    with scaled(target=target) as cluster:
        container = {"name": "web", "resources": {"requests": {"cpu": "150m"}}}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}}
        spec = {"spec": {"template": {"spec": {"containers": [container]}}}}
        cluster.api.apply(DEPLOYMENT, {**body, **spec}, manager="kubectl-client-side-apply", force=True)
        cluster.server.add(hpa(metric(60), **KEDA))
        assert "KEDA" in cluster.stage().survey().frozen[CPU_LIMIT]


def test_a_request_grows_as_far_as_a_whole_per_cent_can_follow() -> None:
    """A target of a few per cent cannot be kept within 5 %: that narrows the bound, before anything is tried."""
    with scaled(metric(60)) as cluster:
        kept(cluster, settings(0.05), "r0")  # with a limit above all that
        seen = cluster.stage().survey()
        assert seen.bounds[REQUEST].high == pytest.approx(0.3)
        assert "no whole per cent keeps that point within 5%" in seen.bounds[REQUEST].reason
        kept(cluster, settings(0.3))
        assert target_of(cluster) == 10
        stamp = begun(cluster, "r2")
        with pytest.raises(Rejected, match="no whole per cent"):
            cluster.stage().adopt(settings(1.3), stamp)


def test_arms_that_an_hpa_counts_are_few_or_none() -> None:
    """Two of four replicas would mislead it; two of twenty are a tenth."""
    with scaled(metric(60), counted=True) as cluster:
        refusal = cluster.stage().survey().refusal
        assert "HPA shop counts the arms among its pods: 2 arms of 4 replicas are more than 10%" in refusal
        assert "at least 20 are needed, or a Service with other labels" in refusal
    with scaled(metric(60), counted=True, replicas=20) as cluster:
        seen = cluster.stage().survey()
        assert (seen.refusal, seen.on_top, seen.share) == ("", True, 1 / 22)


VPA = {
    "apiVersion": "autoscaling.k8s.io/v1",
    "kind": "VerticalPodAutoscaler",
    "metadata": {"name": "right-size", "namespace": "default"},
}


@pytest.mark.parametrize("mode", ["Auto", "Off"])
def test_what_a_vpa_sets_is_only_proposed(mode: str) -> None:
    """Unless its mode is Off: then it sets nothing."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    with scaled() as cluster:
        spec = {"targetRef": reference, "updatePolicy": {"updateMode": mode}}
        cluster.server.add({**VPA, "spec": spec})
        advised = cluster.stage().survey().advised
        if mode == "Off":
            assert not advised
            return
        assert "VPA right-size sets it (updateMode Auto)" in advised[REQUEST]
        before = cluster.owner()["spec"]["template"]
        done = kept(cluster, settings(0.1))
        assert (done.settings, dict(done.proposed)) == ({}, settings(0.1))
        assert cluster.owner()["spec"]["template"] == before


def test_a_policy_of_the_vpa_for_another_container_is_not_ours() -> None:
    """It sets requests of the container that it names only, whether or not the target names its own."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    off = {"containerPolicies": [{"containerName": "web", "mode": "Off"}]}
    with scaled() as cluster:
        cluster.server.add({**VPA, "spec": {"targetRef": reference, "resourcePolicy": off}})
        assert not cluster.stage().survey().advised


def test_a_budget_without_room_is_waited_for() -> None:
    """Told with its figures; once it allows a disruption the run goes on."""
    with scaled() as cluster:
        cluster.server.add(budget(0))
        assert "PodDisruptionBudget quorum counts the arms among its pods" in cluster.stage().survey().notes
        with pytest.raises(Transient, match=r"quorum allows no disruption now \(3 pods are healthy, 3 are wanted"):
            begun(cluster)
        events = cluster.api.items(path("Event", "default"))
        assert ["quorum allows no disruption" in each["message"] for each in events if each["reason"] == "Waiting"] == [
            True
        ]
        quorum = path("PodDisruptionBudget", "default", "quorum")
        cluster.api.merge(f"{quorum}/status", {"status": {"disruptionsAllowed": 1}}, manager="kube-controller-manager")
        begun(cluster)
        assert cluster.owner()["spec"]["replicas"] == 2
