"""The shop of the fake cluster with an autoscaler on its CPU requests, and runs of its stage without measuring."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from adapters.actuators.kubernetes.api import path
from domain.allowance import Adoption
from domain.ports import Stamp
from domain.space import Parameter, SearchSpace, Settings
from tests.pods import CPU_LIMIT, TARGET, WORKLOAD, Shop, shop

Json = dict[str, Any]
REQUEST = "k8s.cpu_request"
SPACE = SearchSpace(
    (
        Parameter(REQUEST, "real", 0.05, low=0.01, high=1.0, log=True, unit="cores", cost="live"),
        Parameter(CPU_LIMIT, "real", "unset", low=0.1, high=2.0, log=True, unit="cores", cost="live"),
    )
)
SCALED = replace(TARGET, space=SPACE, actuator="kubernetes", workload=replace(WORKLOAD, config_map="", key=""))
HPA, DEPLOYMENT = path("HorizontalPodAutoscaler", "default", "shop"), path("Deployment", "default", "shop")
FAR = 10_000_000_000.0  # a deadline that is far away


def metric(percent: int, resource: str = "cpu", container: str = "") -> Json:
    kind, key = ("ContainerResource", "containerResource") if container else ("Resource", "resource")
    source: Json = {"name": resource, "target": {"type": "Utilization", "averageUtilization": percent}}
    return {"type": kind, key: source | ({"container": container} if container else {})}


def hpa(*metrics: Json, **metadata: Any) -> Json:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}
    spec = {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 30, "metrics": list(metrics)}
    metadata = {"name": "shop", "namespace": "default", **metadata}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}


def budget(allowed: int) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "quorum", "namespace": "default"},
        "spec": {"minAvailable": 3, "selector": {"matchLabels": {"traffic": "shop"}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 3, "desiredHealthy": 3, "expectedPods": 4},
    }


@contextlib.contextmanager
def scaled(
    *metrics: Json, replicas: int = 4, target: Any = SCALED, counted: bool = False, **workload: Any
) -> Iterator[Shop]:
    """Traffic follows a label that the workload does not select by, so that an HPA does not count the arms; `counted`:
    it does. Without metrics there is no HPA."""
    if workload:
        target = replace(target, workload=replace(target.workload, **workload))
    with shop(replicas, target, http=False) as cluster:
        if not counted:
            label = {"spec": {"template": {"metadata": {"labels": {"traffic": "shop"}}}}}
            cluster.api.merge(DEPLOYMENT, label, manager="kubectl-client-side-apply")
            selector = {"spec": {"selector": {"app": None, "traffic": "shop"}}}
            cluster.api.merge(path("Service", "default", "shop"), selector, manager="kubectl-client-side-apply")
        if metrics:
            cluster.server.add(hpa(*metrics))
        cluster.server.settle()
        yield cluster


def settings(request: float, limit: float = 2.0) -> Settings:
    return {REQUEST: request, CPU_LIMIT: limit}


def begun(cluster: Shop, run: str = "r1", deadline: float = FAR) -> Stamp:
    """The arms of a run serve, and its way back lies on the workload; the stamp of its next step."""
    arms = cluster.arms()
    for arm in arms.values():
        arm.protect(run, deadline)
    generation = max(arm.read().generation for arm in arms.values()) + 1
    cluster.stage().prepare(Stamp(run, generation), FAR)
    return Stamp(run, generation + 1)


def ended(cluster: Shop, run: str = "r1") -> None:
    cluster.stage().retire(run)
    for arm in cluster.arms().values():
        arm.release(run)


def kept(cluster: Shop, wanted: Settings, run: str = "r1") -> Adoption:
    """A run that keeps these settings, from its begin to its end."""
    stamp = begun(cluster, run)
    done = cluster.stage().adopt(wanted, stamp)
    ended(cluster, run)
    return done


def target_of(cluster: Shop) -> int:
    """The HPA's target in per cent."""
    found: int = cluster.server.get(HPA)["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"]
    return found


def set_target(cluster: Shop, percent: int, who: str = "kubectl-edit") -> None:
    """Somebody moves the HPA's target."""
    cluster.api.merge(HPA, {"spec": {"metrics": [metric(percent)]}}, manager=who)


def request_of(cluster: Shop) -> str:
    return cluster.in_template("requests", "cpu")
