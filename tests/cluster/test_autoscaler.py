"""A real autoscaler beside a workload that is tuned: its scale point stays where people had set it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.actuators.kubernetes.demand import part
from adapters.actuators.kubernetes.quantity import bytes_of, cores
from tests.cluster.cluster import Cluster, until
from tests.cluster.deployed import HPA, SHOP, WORKER, Measured, account, get, settings, target_in
from tests.cluster.metrics_server import GROUP, MetricsServer, serving

Json = dict[str, Any]
REQUESTS = (0.07, 0.09, 0.045, 0.1, 0.06, 0.08, 0.035, 0.055, 0.095, 0.05)  # cores, one for each run
PRODUCT = 50 * 60  # millicores x per cent: what people had set
CALM, BUSY = 0.120, 0.180  # cores of all pods together: those of four and of six at that scale point
BURN = "timeout 20 sh -c 'while :; do :; done'"


@pytest.fixture
def metrics(cluster: Cluster, namespace: str) -> Iterator[MetricsServer]:
    with serving(cluster, namespace) as server:
        yield server


def replicas(cluster: Cluster, namespace: str) -> int:
    return int(get(cluster, namespace, "Deployment")["spec"]["replicas"])


def utilisation(cluster: Cluster, namespace: str) -> int:
    """In per cent of the request, as the autoscaler last saw it; -1 if it has not."""
    status = get(cluster, namespace, "HorizontalPodAutoscaler").get("status") or {}
    found = [
        part(each, "resource", "current").get("averageUtilization", -1) for each in status.get("currentMetrics") or []
    ]
    return int(found[0]) if found else -1


@pytest.mark.slow_cluster
def test_an_autoscaler_follows_what_the_kubelet_measures(
    cluster: Cluster, namespace: str, metrics: MetricsServer
) -> None:
    """A pod that burns its whole limit brings others; when it rests, they leave."""
    cluster.apply(namespace, SHOP.replace("replicas: 4", "replicas: 1") + "---" + HPA.replace("LEAST", "1"))
    (pod,) = until(lambda: cluster.pods(namespace, "app=shop"), 60, "the pod serves")
    until(lambda: utilisation(cluster, namespace) in range(20), 90, "the autoscaler sees a pod that rests")
    assert replicas(cluster, namespace) == 1
    (seen,) = metrics.answer(f"{GROUP}/namespaces/{namespace}/pods", {"labelSelector": "app=shop"})["items"]  # type: ignore[index]
    assert bytes_of(seen["containers"][0]["usage"]["memory"]) > 2**20

    began = time.monotonic()
    command = ["-n", namespace, "exec", pod["metadata"]["name"], "--", "sh", "-c", BURN]
    with subprocess.Popen([cluster.kubectl_path, *command], env=cluster.environment()) as burning:
        until(lambda: replicas(cluster, namespace) >= 2, 60, "the autoscaler brings pods")
        up, most = time.monotonic() - began, utilisation(cluster, namespace)
        burning.wait(60)
    rest = time.monotonic()
    until(lambda: replicas(cluster, namespace) == 1, 90, "the autoscaler takes pods away")
    print(f"up after {up:.0f} s of load (utilisation {most} %), down after {time.monotonic() - rest:.0f} s of rest")


def wanted(cluster: Cluster, namespace: str, metrics: MetricsServer, load: float) -> int:
    """How many replicas the autoscaler wants at this load, once it has come to rest there."""
    metrics.load[namespace, "shop"] = load

    def at_rest() -> int:
        hpa, owner = (get(cluster, namespace, kind) for kind in ("HorizontalPodAutoscaler", "Deployment"))
        status, serving_ = hpa.get("status") or {}, len(cluster.pods(namespace, "app=shop"))
        request = cores(owner["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
        settled = status.get("desiredReplicas") == serving_ == owner["spec"]["replicas"] > 0
        due = 100 * load / max(1, serving_) / request
        return serving_ if settled and abs(utilisation(cluster, namespace) - due) <= 1 + 0.02 * due else 0

    return until(at_rest, 90, f"the autoscaler rests at {load} cores")


@pytest.mark.slow_cluster
def test_ten_runs_leave_the_scale_point(
    cluster: Cluster,
    namespace: str,
    metrics: MetricsServer,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Request x target within 5 % of what people had set, and as many replicas at the same load, within one."""
    metrics.load[namespace, "shop"] = CALM
    cluster.apply(namespace, SHOP + "---" + HPA.replace("LEAST", "2"))
    cluster.kubectl("rollout", "status", "deployment/shop", "-n", namespace, "--timeout=90s")
    before = {load: wanted(cluster, namespace, metrics, load) for load in (BUSY, CALM)}
    assert before == {BUSY: 6, CALM: 4}
    rows: list[tuple[float, int, float, dict[float, int], float]] = []
    with account(cluster, namespace, "worker", WORKER, tmp_path):
        for number, request in enumerate(REQUESTS, 1):
            began = time.monotonic()
            world = Measured(target_in(namespace), f"shop-{number}", settings(request))
            world.open()
            world.go()
            assert world.outcome() == "kept", world.events()[-3:]
            found = get(cluster, namespace, "HorizontalPodAutoscaler")["spec"]["metrics"][0]
            target = found["resource"]["target"]["averageUtilization"]
            took = time.monotonic() - began
            after = {load: wanted(cluster, namespace, metrics, load) for load in (BUSY, CALM)}
            rows.append((request, target, 1000 * request * target, after, took))
            told = (
                f"{1000 * request:.0f}m x {target} % = {rows[-1][2]:.0f}, replicas {list(after.values())}, {took:.0f} s"
            )
            record_property(f"run {number}", told)
    assert all(abs(product / PRODUCT - 1) <= 0.05 for _, _, product, _, _ in rows)
    for _, _, _, after, _ in rows:
        assert all(abs(after[load] - before[load]) <= 1 for load in before), rows
    assert rows[-1][1] == 60  # the request of before, the target of before
    left = get(cluster, namespace, "Deployment")["metadata"]["annotations"]
    assert "trimtab.dev/before" not in left
