"""Autoscalers: the scale point stays where it was, or the request does."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.actuators.kubernetes.autoscalers import (
    DRIFT,
    autoscalers,
    budgets,
    crowded,
    moved_metrics,
    moved_target,
    selects,
    steady,
    vertical,
    waits,
)
from domain.errors import Misconfigured

Json = dict[str, Any]
LABELS = {"app": "shop", "trimtab.dev/arm": "a"}
CPU, MEMORY = "k8s.cpu_request", "k8s.memory_request"


def resource(name: str = "cpu", target: int = 70, container: str = "") -> Json:
    kind, key = ("ContainerResource", "containerResource") if container else ("Resource", "resource")
    source: Json = {"name": name, "target": {"type": "Utilization", "averageUtilization": target}}
    return {"type": kind, key: source | ({"container": container} if container else {})}


def hpa(*metrics: Json, name: str = "shop", **metadata: Any) -> Json:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "shop"}, "minReplicas": 2, "maxReplicas": 30}
    return {"metadata": {"name": name, **metadata}, "spec": {**spec, "metrics": list(metrics)}}


def test_an_hpa_on_utilisation_ties_the_request() -> None:
    """Of the pod or of our container; what is measured in other ways hangs on no request."""
    custom = {
        "type": "Pods",
        "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "9"}},
    }
    absolute = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1"}},
    }
    metrics = (resource(), custom, resource("memory", 80, "web"), resource("cpu", 60, "side"), absolute)
    (found,) = autoscalers([hpa(*metrics), hpa(name="x") | {"spec": {}}], "Deployment", "shop", "web")
    assert [(each.parameter, each.target, each.index, each.container) for each in found.points] == [
        (CPU, 70, 0, ""),
        (MEMORY, 80, 2, "web"),
    ]
    assert found.others == ("Pods rps", "ContainerResource cpu", "Resource cpu")
    assert (found.least, found.most, found.held, found.frozen) == (2, 30, "", {})


def managed(manager: str, operation: str) -> Json:
    return {"managedFields": [{"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:metrics": {}}}}]}


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"labels": {"scaledobject.keda.sh/name": "shop"}}, "KEDA"),
        ({"ownerReferences": [{"kind": "ScaledObject", "name": "so"}]}, "ScaledObject so"),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "managed-by: Helm"),
        (managed("argocd-controller", "Apply"), "argocd"),
        (managed("kubectl", "Update"), "take_over: [kubectl]"),
    ],
)
def test_a_target_that_is_not_ours_freezes_the_request(metadata: Json, text: str) -> None:
    """Whoever owns the HPA would put its target back, and the scale point would have moved."""
    (found,) = autoscalers([hpa(resource(), **metadata)], "Deployment", "shop", "web")
    assert text in found.held
    assert found.frozen.keys() == {CPU}
    assert text in found.frozen[CPU]


def test_a_target_may_be_taken_over() -> None:
    """From a manager that acts once and is named."""
    (found,) = autoscalers([hpa(resource(), **managed("kubectl", "Update"))], "Deployment", "shop", "web", ["kubectl"])
    assert (found.held, found.force) == ("", True)


@pytest.mark.parametrize(
    "spec", [None, {}, {"metrics": None}, {"metrics": ["x", {}, {"type": None}, {"type": "Resource"}]}]
)
def test_an_hpa_with_missing_parts_ties_nothing(spec: Json | None) -> None:
    """Nor does it fall over."""
    bare = {"metadata": None, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "shop"}, **(spec or {})}}
    (found,) = autoscalers([bare], "Deployment", "shop", "web")
    assert found.points == ()
    assert (found.least, found.most) == (1, 1)


@pytest.mark.parametrize(
    ("old", "new", "target", "moved"),
    [
        (0.5, 0.25, 70, 140),
        (0.5, 1.0, 70, 35),
        (1.0, 3.0, 70, 23),
        (1.0, 1.0, 70, 70),
        (1.0, 13.0, 20, None),
        (1, 2000.0, 1, None),
    ],
)
def test_the_target_moves_against_the_request(old: float, new: float, target: int, moved: int | None) -> None:
    """20 % of one core is 1.54 % of 13: neither 1 % nor 2 % is near enough."""
    assert moved_target(old, new, target) == moved


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_requests_that_are_none_are_told(bad: float) -> None:
    """An HPA would divide by them."""
    with pytest.raises(Misconfigured, match="above 0"):
        moved_target(bad, 1.0, 50)
    with pytest.raises(Misconfigured, match="above 0"):
        moved_target(1.0, bad, 50)
    with pytest.raises(Misconfigured, match="above 0"):
        moved_target(1.0, 1.0, 0)


def test_a_target_beyond_the_api_is_none() -> None:
    """A millicore instead of a thousand cores."""
    assert moved_target(1e6, 1e-3, 100) is None


@given(st.floats(0.01, 64), st.integers(1, 200), st.lists(st.floats(0.01, 64), min_size=1, max_size=40))
def test_many_moves_do_not_drift(request_: float, target: int, moves: list[float]) -> None:
    """Each one is held against the original product, not against the last one."""
    original, at = request_ * target, (request_, target)
    for new in moves:
        moved = moved_target(at[0], new, at[1], original=original)
        if moved is not None:
            at = (new, moved)
        assert abs(at[0] * at[1] / original - 1) <= DRIFT + 1e-12


def test_without_the_original_moves_would_ratchet() -> None:
    """Which is why it is passed through: 10 % cannot follow 4 % more request, so each move adds its 4 %."""
    request_, target = 1.0, 10
    for _ in range(4):
        moved = moved_target(request_, request_ * 1.04, target)
        assert moved == 10
        request_ *= 1.04
    assert request_ * target / 10 - 1 > 3 * DRIFT
    assert moved_target(request_, request_, target, original=10.0) is None


@given(st.floats(0.05, 8), st.integers(20, 95), st.floats(0.05, 8), st.floats(0.1, 20), st.integers(2, 19))
def test_the_same_load_wants_the_same_replicas(
    request_: float, target: int, new: float, load: float, replicas: int
) -> None:
    """ceil(load / scale point) for up to 19 replicas: 5 % move it by one at most."""
    moved = moved_target(request_, new, target)
    if moved is not None and load / (request_ * target / 100) <= replicas:
        before, after = (math.ceil(load / (r * t / 100) - 1e-9) for r, t in ((request_, target), (new, moved)))
        assert steady(before, after)
    assert not steady(3, 5)


def test_metrics_are_written_as_a_whole() -> None:
    """The list has one owner: what does not move is passed on unchanged, and what was given is not touched."""
    metrics = [resource(), resource("memory", 80, "web"), {"type": "External", "external": {"metric": {"name": "q"}}}]
    before = copy.deepcopy(metrics)
    found = moved_metrics(metrics, {1: 40})
    assert found[1]["containerResource"]["target"] == {"type": "Utilization", "averageUtilization": 40}
    assert found[1]["containerResource"]["container"] == "web"
    assert (found[0], found[2], metrics) == (before[0], before[2], before)
    with pytest.raises(Misconfigured, match="metric 2"):
        moved_metrics(metrics, {2: 40})


def test_arms_that_an_hpa_counts_are_a_tenth_at_most() -> None:
    """Two among 20, or labels that the workload does not select."""
    (found,) = autoscalers([hpa(resource())], "Deployment", "shop", "web")
    selector = {"matchLabels": {"app": "shop"}}
    assert crowded(found, selector, LABELS, 2, 20) == ""
    assert "at least 20 are needed" in crowded(found, selector, LABELS, 2, 19)
    assert crowded(found, {"matchLabels": {"app": "other"}}, LABELS, 2, 3) == ""


def vpa(mode: str | None = "Recreate", *policies: Json, name: str = "shop") -> Json:
    spec: Json = {
        "targetRef": {"kind": "Deployment", "name": name},
        "resourcePolicy": {"containerPolicies": list(policies)},
    }
    return {"metadata": {"name": "v"}, "spec": spec | ({"updatePolicy": {"updateMode": mode}} if mode else {})}


ALL = {"cpu_request", "cpu_limit", "memory_request", "memory_limit"}
EVERY, OURS = {"containerName": "*"}, {"containerName": "web"}
BARE: Json = {"spec": {"targetRef": {"kind": "Deployment", "name": "shop"}, "updatePolicy": None}}


@pytest.mark.parametrize(
    ("manifest", "names"),
    [
        (vpa("Off"), set()),
        (vpa(None), ALL),
        (vpa("Initial"), ALL),
        (vpa("InPlaceOrRecreate", EVERY | {"controlledValues": "RequestsOnly"}), {"cpu_request", "memory_request"}),
        (vpa("Auto", OURS | {"controlledResources": ["memory"]}), {"memory_request", "memory_limit"}),
        (vpa("Auto", EVERY, OURS | {"mode": "Off"}), set()),
        (vpa("Auto", EVERY | {"mode": "Off"}, OURS | {"controlledResources": ["cpu"]}), {"cpu_request", "cpu_limit"}),
        (vpa("Auto", EVERY | {"mode": "Off"}), set()),
        (vpa("Auto", name="other"), set()),
        ({}, set()),
        (BARE, ALL),
    ],
)
def test_a_vertical_autoscaler_owns_what_it_controls(manifest: Json, names: set[str]) -> None:
    """By the container's own policy, then that for all; in every mode but Off."""
    found = vertical([manifest], "Deployment", "shop", "web")
    assert found.keys() == {f"k8s.{each}" for each in names}
    assert all("VPA" in why for why in found.values())


def pdb(allowed: int | None, selector: Json | None) -> Json:
    status = {} if allowed is None else {"disruptionsAllowed": allowed, "currentHealthy": 3, "desiredHealthy": 3}
    return {"metadata": {"name": "p"}, "spec": {"selector": selector}, "status": status}


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        (pdb(0, {"matchLabels": {"app": "shop"}}), "p allows no disruption now (3 pods are healthy, 3 are wanted)"),
        (pdb(1, {"matchLabels": {"app": "shop"}}), ""),
        (pdb(0, {"matchLabels": {"app": "other"}}), ""),
        (pdb(0, {}), "allows no disruption"),
        (pdb(0, None), ""),
        (pdb(None, {}), "(? pods are healthy, ? are wanted)"),
        ({}, ""),
        ({"spec": None, "status": None}, ""),
    ],
)
def test_a_budget_without_room_makes_us_wait(manifest: Json, text: str) -> None:
    """One that selects the arms; one that was not counted yet allows nothing."""
    found = waits([manifest], LABELS)
    assert text in found
    assert bool(found) is bool(text)
    assert not text or budgets([manifest], LABELS) == (
        f"PodDisruptionBudget {manifest['metadata']['name']} counts the arms among its pods",
    )


@pytest.mark.parametrize(
    ("expression", "matches"),
    [
        ({"key": "app", "operator": "In", "values": ["shop", "x"]}, True),
        ({"key": "app", "operator": "In", "values": []}, False),
        ({"key": "app", "operator": "NotIn", "values": ["shop"]}, False),
        ({"key": "none", "operator": "NotIn", "values": ["shop"]}, True),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "none", "operator": "Exists"}, False),
        ({"key": "app", "operator": "DoesNotExist"}, False),
        ({"key": "app", "operator": "Gt", "values": None}, True),
    ],
)
def test_label_expressions(expression: Json, matches: bool) -> None:
    """The four operators; a stranger one counts as a match, which is the careful answer."""
    assert selects({"matchLabels": None, "matchExpressions": [expression]}, LABELS) is matches
