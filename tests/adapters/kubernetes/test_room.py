"""What a cluster allows, rule by rule, each with its reason in words."""

from __future__ import annotations

import pytest

from adapters.actuators.kubernetes.quantity import bytes_of, cpu_text, memory_text
from adapters.actuators.kubernetes.room import NAMES, steps, surge_of
from adapters.actuators.kubernetes.rules import Step
from domain.errors import Misconfigured
from tests.adapters.kubernetes.admission import (
    BURSTABLE,
    GUARANTEED,
    Cluster,
    Json,
    container,
    limits,
    node,
    quota,
    template,
)

MI, GI = 2**20, 2**30
CPU_REQUEST, CPU_LIMIT, MEMORY_REQUEST, MEMORY_LIMIT = NAMES


def test_a_free_pod_is_bounded_by_the_largest_node_alone() -> None:
    """Requests may use all that it has for pods; a limit above it would bound nothing."""
    found = Cluster(nodes=[node("small", "2", "4Gi"), node("big", "4", "8Gi")]).room(BURSTABLE)
    assert found.qos == "Burstable"
    assert not found.frozen
    assert found.bounds[MEMORY_REQUEST].high == 8 * GI
    assert found.bounds[CPU_REQUEST].high == 3.999
    assert found.bounds[MEMORY_LIMIT].high == 8 * GI
    assert found.bounds[CPU_LIMIT].reasons == ("node big, the largest, has 4 cpu for pods",)
    assert set(found.constraints) == {
        "k8s.cpu_request <= k8s.cpu_limit",
        "k8s.memory_request <= k8s.memory_limit",
        "round(1000*k8s.cpu_request) <= round(1000*k8s.cpu_limit) - 1",
    }


def test_a_quota_is_shared_by_the_arms_and_by_a_rollout() -> None:
    """900m are left: 450m for each of two arms; 4 replicas at 100m may become 4 at 300m with one old one beside."""
    full = quota({"requests.cpu": "1300m"}, {"requests.cpu": "400m"})
    arms = Cluster(quotas=[full], steps=steps(4, 2, 0)[:1]).room(BURSTABLE).bounds[CPU_REQUEST]
    assert arms.high == 0.45
    assert arms.reasons == ("ResourceQuota rq: requests.cpu 1300m, 400m of it used, leaves 450m a pod for 2 arms",)
    both = Cluster(quotas=[full], steps=steps(4, 2, 1)).room(BURSTABLE).bounds[CPU_REQUEST]
    assert both.high == 0.3
    assert "a rollout of 4 replicas with 1 more" in both.reasons[0]


def test_a_quota_without_room_freezes_everything() -> None:
    """Not even the present values can run once more."""
    full = Cluster(quotas=[quota({"requests.cpu": "400m"}, {"requests.cpu": "400m"})], steps=steps(4, 2, 0))
    found = full.room(BURSTABLE)
    assert not found.bounds
    assert found.frozen.keys() == set(NAMES)
    assert "leaves nothing a pod for 2 arms" in found.frozen[MEMORY_LIMIT]


def test_a_count_of_pods_can_be_full() -> None:
    """One pod is left, and two arms are wanted."""
    found = Cluster(quotas=[quota({"pods": "5"}, {"pods": "4"})], steps=steps(4, 2, 0)).room(BURSTABLE)
    assert found.frozen[CPU_LIMIT] == "no pod is admitted: ResourceQuota rq: pods 5, 4 of it used: no room for 2 arms"


def test_scopes_are_told() -> None:
    """A quota for other pods may be taken to bind ours, and a person should know."""
    scoped = quota({"limits.cpu": "4"}, {"limits.cpu": "2"}, scopes=["Terminating", "Moonlit"])
    scoped["spec"]["scopeSelector"] = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}
    found = Cluster(quotas=[scoped], steps=steps(4, 2, 0)).room(BURSTABLE)
    assert found.bounds[CPU_LIMIT].high == 1.0
    assert "for Terminating, Moonlit, PriorityClass only, which is not looked at" in found.told[0]


def test_a_quota_that_counts_what_is_not_set_admits_no_pod() -> None:
    """The API server says `must specify limits.cpu`, and so do we."""
    bare = template(container(requests={"cpu": "100m", "memory": "64Mi"}))
    found = Cluster(quotas=[quota({"limits.cpu": "4"}, {"limits.cpu": "0"})], steps=steps(2, 1, 1)).room(bare)
    assert "wants cpu limits on every container, and web has none" in found.frozen[CPU_REQUEST]


def test_limit_ranges_bound_a_container_and_a_pod() -> None:
    """For the pod, what its other containers have is taken off."""
    two = template(BURSTABLE["spec"]["containers"][0], container("side", {"cpu": "200m"}, {"cpu": "300m"}))
    ranges = [limits(max={"cpu": "800m"}, min={"cpu": "50m"}), limits("Pod", max={"cpu": "1"})]
    found = Cluster(ranges=ranges).room(two)
    assert found.bounds[CPU_LIMIT].high == 0.7
    assert found.bounds[CPU_LIMIT].reasons == (
        "LimitRange lr, container web: at least 50m cpu",
        "LimitRange lr, pod: at most 1 cpu, 300m of it for what else is in the pod",
    )
    assert found.bounds[CPU_REQUEST].low == 0.05


def test_a_ratio_ties_limit_and_request() -> None:
    """Where both are searched it is a constraint, counted in millicores; where one is, a bound."""
    ranges = [limits(maxLimitRequestRatio={"cpu": "6"})]
    assert (
        "round(1000*k8s.cpu_limit) <= 6*round(1000*k8s.cpu_request)"
        in Cluster(ranges=ranges).room(BURSTABLE).constraints
    )
    alone = Cluster(ranges=ranges).room(BURSTABLE, tuned={CPU_LIMIT})
    assert (alone.bounds[CPU_LIMIT].low, alone.bounds[CPU_LIMIT].high) == (0.1, 0.6)
    assert alone.constraints == ()


def test_a_ratio_of_the_pod_counts_its_other_containers() -> None:
    """limit + 500m is at most 4 times (100m + 200m), so the limit at most 700m."""
    two = template(BURSTABLE["spec"]["containers"][0], container("side", {"cpu": "200m"}, {"cpu": "500m"}))
    ranges = [limits("Pod", maxLimitRequestRatio={"cpu": "4"})]
    both = Cluster(ranges=ranges).room(two)
    assert "round(1000*k8s.cpu_limit) <= 4*round(1000*k8s.cpu_request) + 300" in both.constraints
    assert Cluster(ranges=ranges).room(two, tuned={CPU_LIMIT}).bounds[CPU_LIMIT].high == 0.7


def test_a_ratio_of_the_pod_counts_what_init_containers_ask_for() -> None:
    """400m while it starts allow 1600m, however small the request is; with both together the ratio is 4 or less."""
    first = [container("migrate", {"cpu": "400m"}, {"cpu": "400m"})]
    busy = template(BURSTABLE["spec"]["containers"][0], initContainers=first)
    ranges = [limits("Pod", maxLimitRequestRatio={"cpu": "4"})]
    both = Cluster(ranges=ranges).room(busy)
    assert "round(1000*k8s.cpu_limit) <= max(4*round(1000*k8s.cpu_request), 1600)" in both.constraints
    one = Cluster(ranges=[limits("Pod", maxLimitRequestRatio={"cpu": "1"})]).room(busy)
    assert "round(1000*k8s.cpu_limit) <= max(round(1000*k8s.cpu_request), 400)" in one.constraints
    assert Cluster(ranges=ranges).room(busy, tuned={CPU_LIMIT}).bounds[CPU_LIMIT].high == 1.6
    assert Cluster(ranges=ranges).room(busy, tuned={CPU_REQUEST}).bounds[CPU_REQUEST].low == 0.001
    assert not Cluster(ranges=ranges).room(busy, tuned={MEMORY_LIMIT}).frozen


def test_init_containers_run_beside_the_sidecars_before_them() -> None:
    """600m and 300m at once need 900m of the 800m that a pod may have, however small the container is."""
    first = [container("log", {"cpu": "300m"}) | {"restartPolicy": "Always"}, container("migrate", {"cpu": "600m"})]
    busy = template(container(requests={"cpu": "100m"}), initContainers=first)
    refused = Cluster(nodes=[node("n", "800m", "1Gi")]).room(busy)
    assert "init containers need 900m" in refused.frozen[CPU_REQUEST]
    assert Cluster(nodes=[node("n", "900m", "1Gi")]).room(busy).bounds[CPU_REQUEST].high == 0.6


def test_a_guaranteed_pod_moves_both_together() -> None:
    """The request follows the limit; or the limit the request, if that alone is searched."""
    found = Cluster().room(GUARANTEED)
    assert found.tied == {CPU_REQUEST: CPU_LIMIT, MEMORY_REQUEST: MEMORY_LIMIT}
    assert found.bounds.keys() == {CPU_LIMIT, MEMORY_LIMIT}
    assert Cluster().room(GUARANTEED, tuned={CPU_REQUEST}).tied == {CPU_LIMIT: CPU_REQUEST}


def test_what_follows_a_limit_goes_on_following_it() -> None:
    """A request that nobody wrote is the limit: in a resize it has to move along."""
    found = Cluster().room(template(container(limits={"cpu": "1"})), tuned={CPU_LIMIT})
    assert found.qos == "Burstable"
    assert found.tied == {CPU_REQUEST: CPU_LIMIT}


def test_the_static_cpu_manager_freezes_the_cpu_of_guaranteed_pods() -> None:
    """The kubelet calls such a resize infeasible; a Burstable pod and memory are free."""
    found = Cluster().room(GUARANTEED, static_cpu=True)
    assert found.frozen.keys() == {CPU_REQUEST, CPU_LIMIT}
    assert "static CPU manager" in found.frozen[CPU_LIMIT]
    assert not Cluster().room(BURSTABLE, static_cpu=True).frozen


def test_a_best_effort_pod_stays_one() -> None:
    """Any amount would change its class."""
    found = Cluster().room(template(container()))
    assert found.qos == "BestEffort"
    assert all("BestEffort" in why for why in found.frozen.values())
    assert found.frozen.keys() == set(NAMES)


def test_a_limit_that_is_not_there_is_not_added() -> None:
    """It could not be taken away again."""
    found = Cluster().room(template(container(requests={"cpu": "100m"})))
    assert found.bounds.keys() == {CPU_REQUEST}
    assert "has no cpu limit" in found.frozen[CPU_LIMIT]
    assert "has no memory request" in found.frozen[MEMORY_REQUEST]


def test_what_a_limit_range_fills_in_is_not_ours() -> None:
    """A limit alone, written into the template, would take the request with it: a request defaults to its limit."""
    ranges = [limits(default={"cpu": "1"}, defaultRequest={"cpu": "100m"})]
    found = Cluster(ranges=ranges).room(template(container(requests={"memory": "1Gi"}, limits={"memory": "2Gi"})))
    assert found.frozen.keys() == {CPU_REQUEST, CPU_LIMIT}
    assert "comes from a LimitRange" in found.frozen[CPU_LIMIT]


def test_memory_in_use_is_not_taken_away() -> None:
    """The kubelet refuses to go below it, after many seconds."""
    found = Cluster().room(BURSTABLE, usage=100 * MI)
    assert found.bounds[MEMORY_LIMIT].low == 100 * MI
    assert "100Mi of memory are in use" in found.bounds[MEMORY_LIMIT].reasons[0]
    assert found.bounds[MEMORY_REQUEST].low == 1


def test_resources_of_the_pod_freeze_those_of_its_containers() -> None:
    """They are shared, and a container's own say little."""
    found = Cluster().room(template(container(requests={"cpu": "1"}), resources={"limits": {"cpu": "2"}}))
    assert all("spec.resources" in why for why in found.frozen.values())


def test_a_burstable_pod_does_not_become_guaranteed() -> None:
    """Only the memory request is below its limit, so it has to stay there."""
    close = template(container(requests={"cpu": "1", "memory": "64Mi"}, limits={"cpu": "1", "memory": "128Mi"}))
    alone = Cluster().room(close, tuned={MEMORY_REQUEST}).bounds[MEMORY_REQUEST]
    assert alone.high == 128 * MI - 1
    assert "would be Guaranteed" in alone.reasons[-1]


def test_a_present_value_outside_is_told() -> None:
    """A LimitRange that came later."""
    found = Cluster(ranges=[limits(max={"cpu": "400m"})]).room(BURSTABLE)
    assert found.bounds[CPU_LIMIT].high == 0.4
    assert any("k8s.cpu_limit is 500m now, outside of what is allowed" in each for each in found.told)


def test_contradictions_freeze_and_say_why() -> None:
    """At least 2 cores and at most 1 is nothing."""
    found = Cluster(ranges=[limits(min={"cpu": "2"}, max={"cpu": "1"})]).room(BURSTABLE)
    assert "at least 2 cpu" in found.frozen[CPU_LIMIT]
    tight = Cluster(ranges=[limits(max={"memory": "512Mi"})]).room(BURSTABLE, usage=GI)
    assert tight.frozen.keys() == {MEMORY_LIMIT}
    assert "1Gi of memory are in use" in tight.frozen[MEMORY_LIMIT]
    assert "at most 512Mi memory" in tight.frozen[MEMORY_LIMIT]


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ({}, "no containers"),
        ({"spec": None}, "no containers"),
        ({"spec": {"containers": []}}, "no containers"),
        ({"spec": {"containers": "web"}}, "no containers"),
        (template(container("other")), "container: 'web'; name one of other"),
        (template(container(requests={"cpu": "NaN"})), "'NaN' is no quantity"),
        (template(container(requests={"cpu": "-1"})), "none is below 0"),
    ],
)
def test_templates_that_are_none_are_told(of: Json, words: str) -> None:
    """By the field and the value."""
    with pytest.raises(Misconfigured, match=words):
        Cluster().room(of)


def test_objects_with_missing_parts_are_no_trouble() -> None:
    """An empty quota, a LimitRange without items, a node without a size, resources that are null."""
    cluster = Cluster([{}, {"status": None}], [{}, {"spec": {"limits": None}}], [{}, {"status": {"allocatable": {}}}])
    bare = {"spec": {"containers": [{"name": "web", "resources": None}]}}
    assert cluster.room(bare).qos == "BestEffort"
    assert cluster.room(BURSTABLE).told == ("no node is known: the size of nodes bounds nothing here",)


def test_a_quota_whose_use_is_unknown_admits_nothing_yet() -> None:
    """The API server refuses as well, until it has counted."""
    found = Cluster([{"spec": {"hard": {"cpu": "4"}}}], steps=steps(2, 1, 1)).room(BURSTABLE)
    assert "what is used of it is not known yet" in found.frozen[CPU_REQUEST]


def test_huge_amounts_bound_nothing() -> None:
    """Beyond what a quantity can hold they are the most that there is."""
    full = quota({"requests.memory": "9" * 40}, {"requests.memory": "1e3"})
    found = Cluster([full], steps=steps(2, 1, 1)).room(BURSTABLE)
    assert bytes_of(memory_text(found.bounds[MEMORY_REQUEST].high)) >= 2**53


@pytest.mark.parametrize(
    ("spec", "surge"),
    [
        ({}, 1),
        ({"replicas": 4}, 1),
        ({"replicas": 5}, 2),
        ({"replicas": 4, "strategy": {"rollingUpdate": {"maxSurge": "50%"}}}, 2),
        ({"replicas": 4, "strategy": {"rollingUpdate": {"maxSurge": 0}}}, 0),
        ({"replicas": 4, "strategy": {"type": "Recreate"}}, 0),
    ],
)
def test_surge(spec: Json, surge: int) -> None:
    """A share of the replicas is rounded up; a quarter unless something else is said."""
    assert surge_of({"kind": "Deployment", "spec": spec}) == surge
    assert surge_of({"kind": "StatefulSet", "spec": spec}) == 0


def test_cores_at_a_bound_are_written_as_they_are() -> None:
    """Bounds lie on whole millicores, so that writing one does not round it over the edge."""
    found = Cluster(quotas=[quota({"limits.cpu": "1"}, {"limits.cpu": "0"})], steps=(Step(3, 0, "3 arms"),))
    assert cpu_text(found.room(BURSTABLE).bounds[CPU_LIMIT].high) == "333m"
