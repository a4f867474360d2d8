"""What a cluster allows: every value inside the bounds is admitted, and what is just outside is not."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.actuators.kubernetes.quantity import bytes_of, cpu_text, exact, memory_text, text_of
from adapters.actuators.kubernetes.room import NAMES, Bound, Room, room, steps, surge_of
from adapters.actuators.kubernetes.rules import Step
from domain.errors import Misconfigured
from domain.formula import parse

Json = dict[str, Any]
MI, GI = 2**20, 2**30
CPU_REQUEST, CPU_LIMIT, MEMORY_REQUEST, MEMORY_LIMIT = NAMES


# --- manifests --------------------------------------------------------------------------------------------------------


def container(name: str = "web", requests: Json | None = None, limits: Json | None = None) -> Json:
    return {"name": name, "resources": {"requests": requests or {}, "limits": limits or {}}}


def template(*containers: Json, **more: Any) -> Json:
    return {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": list(containers), **more}}


def quota(hard: Json, used: Json, **spec: Any) -> Json:
    return {"metadata": {"name": "rq"}, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used}}


def limits(kind: str = "Container", **item: Any) -> Json:
    return {"metadata": {"name": "lr"}, "spec": {"limits": [{"type": kind, **item}]}}


def node(name: str, cpu: str, memory: str) -> Json:
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": cpu, "memory": memory}}}


BURSTABLE = template(container(requests={"cpu": "100m", "memory": "64Mi"}, limits={"cpu": "500m", "memory": "128Mi"}))
GUARANTEED = template(container(requests={"cpu": "1", "memory": "1Gi"}, limits={"cpu": "1", "memory": "1Gi"}))


# --- a plain reading of what the API server, the scheduler and the kubelet check --------------------------------------


@dataclass
class Cluster:
    quotas: list[Json] = field(default_factory=list)
    ranges: list[Json] = field(default_factory=list)
    nodes: list[Json] = field(default_factory=list)
    steps: tuple[Step, ...] = ()

    def room(self, of: Json, **more: Any) -> Room:
        return room(of, "web", quotas=self.quotas, ranges=self.ranges, nodes=self.nodes, steps=self.steps, **more)

    def complaint(self, old: Json, new: Json) -> str:
        """Why pods of `new` would not run where those of `old` do; empty if they do."""
        before, after = self.defaulted(old), self.defaulted(new)
        if qos(before) != qos(after):
            return f"class {qos(before)} would be {qos(after)}"
        for each in all_containers(after):
            for name, limit in each["limits"].items():
                if each["requests"].get(name, 0) > limit:
                    return f"request of {name} above its limit"
        for each in self.ranges:
            for item in each["spec"]["limits"]:
                figures = all_containers(after) if item["type"] == "Container" else [pod_sums(after, overhead=False)]
                for figure in figures:
                    if words := against(item, figure):
                        return words
        return self.over_quota(before, after) or self.nowhere(after)

    def defaulted(self, of: Json) -> Json:
        pod: Json = copy.deepcopy(of["spec"])
        for each in [*pod["containers"], *pod.get("initContainers", [])]:
            raw = each.get("resources", {})
            each["limits"] = {name: Fraction(exact(text)) for name, text in raw.get("limits", {}).items()}
            each["requests"] = {name: Fraction(exact(text)) for name, text in raw.get("requests", {}).items()}
            for name, amount in each["limits"].items():
                each["requests"].setdefault(name, amount)
            for item in (item for one in self.ranges for item in one["spec"]["limits"] if item["type"] == "Container"):
                for name, text in item.get("default", {}).items():
                    each["limits"].setdefault(name, Fraction(exact(text)))
                for name, text in item.get("defaultRequest", {}).items():
                    each["requests"].setdefault(name, Fraction(exact(text)))
        return pod

    def over_quota(self, before: Json, after: Json) -> str:
        for each in self.quotas:
            for key, hard in each["status"]["hard"].items():
                if key not in each["status"]["used"]:
                    return f"{key} unknown"
                for step in self.steps:
                    new, old = charged(after, key), charged(before, key)
                    if new is None or old is None:
                        return f"must specify {key}"
                    total = Fraction(exact(each["status"]["used"][key])) + step.new * new + step.old * old
                    if step.new and total > Fraction(exact(hard)):
                        return f"exceeded quota {key}"
        return ""

    def nowhere(self, pod: Json) -> str:
        sums = pod_sums(pod)["requests"]
        for each in self.nodes:
            has = each["status"]["allocatable"]
            if all(amount <= Fraction(exact(has[name])) for name, amount in sums.items()):
                return ""
        return "no node has the room" if self.nodes else ""


def all_containers(pod: Json) -> list[Json]:
    return [*pod["containers"], *pod.get("initContainers", [])]


def qos(pod: Json) -> str:
    listed = all_containers(pod)
    if not any(amount > 0 for each in listed for which in ("requests", "limits") for amount in each[which].values()):
        return "BestEffort"
    for each in listed:
        for name in ("cpu", "memory"):
            if not each["limits"].get(name) or each["requests"].get(name) != each["limits"][name]:
                return "Burstable"
    return "Guaranteed"


def pod_sums(pod: Json, overhead: bool = True) -> Json:
    found: Json = {}
    for which in ("requests", "limits"):
        sums: dict[str, Fraction] = {}
        for each in pod["containers"]:
            for name, amount in each[which].items():
                sums[name] = sums.get(name, Fraction(0)) + amount
        sidecars: dict[str, Fraction] = {}
        most: dict[str, Fraction] = {}
        for each in pod.get("initContainers", []):
            if each.get("restartPolicy") == "Always":
                for name, amount in each[which].items():
                    sums[name] = sums.get(name, Fraction(0)) + amount
                    sidecars[name] = sidecars.get(name, Fraction(0)) + amount
                now = dict(sidecars)
            else:
                names = sidecars.keys() | each[which].keys()
                now = {name: sidecars.get(name, Fraction(0)) + each[which].get(name, Fraction(0)) for name in names}
            most = {name: max(most.get(name, Fraction(0)), now.get(name, Fraction(0))) for name in most.keys() | now}
        sums = {name: max(sums.get(name, Fraction(0)), most.get(name, Fraction(0))) for name in sums.keys() | most}
        more = pod.get("overhead", {}) if overhead else {}
        found[which] = {name: amount + Fraction(exact(more.get(name, 0))) for name, amount in sums.items()}
    return found


def against(item: Json, figure: Json) -> str:
    for name, text in item.get("min", {}).items():
        least = Fraction(exact(text))
        if name not in figure["requests"] or figure["requests"][name] < least:
            return f"below min {name}"
        if figure["limits"].get(name, least) < least:
            return f"limit below min {name}"
    for name, text in item.get("max", {}).items():
        if name not in figure["limits"] or figure["limits"][name] > Fraction(exact(text)):
            return f"above max {name}"
        if figure["requests"].get(name, Fraction(0)) > Fraction(exact(text)):
            return f"request above max {name}"
    for name, text in item.get("maxLimitRequestRatio", {}).items():
        if not figure["requests"].get(name) or not figure["limits"].get(name):
            return f"no ratio of {name}"
        if figure["limits"][name] / figure["requests"][name] > Fraction(exact(text)):
            return f"ratio of {name}"
    return ""


def charged(pod: Json, key: str) -> Fraction | None:
    if key in ("pods", "count/pods"):
        return Fraction(1)
    which, _, name = key.rpartition(".")
    which = which or "requests"
    if any(name not in each[which] for each in all_containers(pod)):
        return None
    amount: Fraction = pod_sums(pod)[which][name]
    return amount


def carried(of: Json, values: Mapping[str, float], found: Room) -> Json:
    """The template with values, and what is tied to them, written into it."""
    new = copy.deepcopy(of)
    everything = dict(values)
    everything |= {name: values[leader] for name, leader in found.tied.items()}
    for name, value in everything.items():
        resource, which = NAMES[name]
        web = next(each for each in new["spec"]["containers"] if each["name"] == "web")
        web.setdefault("resources", {}).setdefault(which, {})[resource] = text_of(resource, value)
    return new


# --- the properties ---------------------------------------------------------------------------------------------------

CPU = st.sampled_from(["1m", "50m", "100m", "100m", "250m", "300m", "500m", "1"])
MEMORY = st.sampled_from(["1Mi", "64Mi", "100M", "128Mi", "200Mi", "256Mi", "300000001"])
RATIO = st.sampled_from(["2.3", "4", "10", "20", "20.5", "1"])


def amounts(cpu: st.SearchStrategy[str] = CPU, memory: st.SearchStrategy[str] = MEMORY) -> st.SearchStrategy[Json]:
    whole = st.fixed_dictionaries({"cpu": cpu, "memory": memory})
    return st.one_of(whole, whole, st.fixed_dictionaries({}, optional={"cpu": cpu, "memory": memory}))


@st.composite
def resources(draw: st.DrawFn) -> Json:
    asked, most = draw(amounts()), draw(amounts())
    if draw(st.integers(0, 2)) == 0:
        most = dict(asked)
    for name in asked.keys() & most.keys():
        asked[name], most[name] = sorted((asked[name], most[name]), key=exact)
    return {"requests": asked, "limits": most}


@st.composite
def templates(draw: st.DrawFn) -> Json:
    found = [{"name": "web", "resources": draw(resources())}]
    found += [{"name": f"more-{i}", "resources": draw(resources())} for i in range(draw(st.sampled_from([0, 0, 1, 2])))]
    spec: Json = {"containers": draw(st.permutations(found))}
    first = [
        {"name": f"init-{i}", "resources": draw(resources())} | draw(st.sampled_from([{}, {"restartPolicy": "Always"}]))
        for i in range(draw(st.sampled_from([0, 0, 1, 2])))
    ]
    return {"spec": spec | ({"initContainers": first} if first else {}) | draw(st.sampled_from([{}, OVERHEAD]))}


OVERHEAD: Json = {"overhead": {"cpu": "10m", "memory": "4Mi"}}


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    high = amounts(st.sampled_from(["1", "2", "8"]), st.sampled_from(["300Mi", "1Gi", "16Gi"]))
    low = amounts(st.sampled_from(["1m", "1m", "100m"]), st.sampled_from(["1Mi", "1Mi", "64Mi"]))
    item = st.fixed_dictionaries(
        {"type": st.sampled_from(["Container", "Pod"])}, optional={"min": low, "max": high}
    ) | st.fixed_dictionaries(
        {"type": st.sampled_from(["Container", "Pod"]), "maxLimitRequestRatio": amounts(RATIO, RATIO)}
    )
    defaults = st.fixed_dictionaries({"type": st.just("Container"), "default": high, "defaultRequest": low})
    cut = st.lists(item | defaults, max_size=2).map(lambda each: {"metadata": {"name": "lr"}, "spec": {"limits": each}})
    hard: Json = {}
    for name in ("requests.cpu", "limits.cpu", "cpu"):
        if draw(st.integers(0, 4)) == 0:
            hard[name] = draw(st.sampled_from(["4", "20", "100"]))
    for name in ("requests.memory", "limits.memory", "memory"):
        if draw(st.integers(0, 4)) == 0:
            hard[name] = draw(st.sampled_from(["2Gi", "8Gi", "64Gi"]))
    used = {name: draw(st.sampled_from(["0", "1", "1500m"]) if "cpu" in name else MEMORY) for name in hard}
    if draw(st.booleans()):
        hard["pods"], used["pods"] = draw(st.sampled_from([("6", "3"), ("100", "3")]))
    cpus, sizes = st.sampled_from(["2", "8", "16"]), st.sampled_from(["1Gi", "16Gi", "5000000001"])
    return Cluster(
        quotas=[quota(hard, used)],
        ranges=draw(st.lists(cut, max_size=1)),
        nodes=draw(st.lists(st.builds(node, st.just("n"), cpus, sizes), max_size=2)),
        steps=steps(draw(st.integers(1, 4)), draw(st.integers(0, 2)), draw(st.integers(0, 2)), leave=0),
    )


FOUR = st.tuples(*[st.floats(0, 1)] * 4)
TUNED = st.sets(st.sampled_from(list(NAMES)), min_size=1)


@settings(max_examples=250, deadline=None)
@given(templates(), clusters(), TUNED, st.lists(FOUR, min_size=4, max_size=4), st.booleans())
def test_every_value_inside_the_bounds_is_admitted(
    of: Json, cluster: Cluster, tuned: set[str], shares: list[tuple[float, ...]], near: bool
) -> None:
    """Each combination of the four that holds the constraints, and the least of them always does."""
    found = cluster.room(of, tuned=tuned)
    assert found.bounds.keys() | found.frozen.keys() | found.tied.keys() >= tuned
    assert not found.bounds.keys() & found.frozen.keys()
    for four in [(0.0,) * 4, (1.0,) * 4, *shares]:
        values = {}
        for (name, bound), share in zip(found.bounds.items(), four, strict=False):
            high = min(bound.high, max(bound.low * 8, 64 * MI if "memory" in name else 1.0)) if near else bound.high
            value = bound.low + share * (high - bound.low)
            values[name] = float(round(value)) if "memory" in name else value
        if all(parse(each).truth(values) for each in found.constraints):
            assert cluster.complaint(of, carried(of, values, found)) == "" or not values
        else:
            assert any(four), "the lowest corner holds every constraint"


@settings(max_examples=250, deadline=None)
@given(templates(), clusters(), st.sampled_from(list(NAMES)))
def test_what_is_just_outside_a_bound_is_refused(of: Json, cluster: Cluster, name: str) -> None:
    """No bound is narrower than the cluster wants: one millicore or byte beyond it, and the pod is not admitted."""
    cluster.nodes = cluster.nodes[:1]
    found = cluster.room(of, tuned={name})
    bound = found.bounds.get(name, Bound(0, 0))
    unit = 0.001 if "cpu" in name else 1.0
    narrowed = [why for why in bound.reasons if not (why.startswith("node") and name.endswith("_limit"))]
    for why in narrowed:
        sides = [bound.low - unit, bound.high + unit] if len(bound.reasons) == 2 else []
        if not sides:
            sides = [bound.high + unit if bound.high < (1e5 if "cpu" in name else 2**53) else bound.low - unit]
        complaints = [
            cluster.complaint(of, carried(of, {name: value}, found)) for value in sides if value >= unit and value
        ]
        assert any(complaints) or bound.low <= unit, why


# --- single rules -----------------------------------------------------------------------------------------------------


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
