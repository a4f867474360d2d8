"""A kept value that somebody takes back on a real API server: told once, with the name that it has on record."""

from __future__ import annotations

import time
from pathlib import Path

from adapters.actuators import registry
from adapters.actuators.kubernetes.api import path
from tests.cluster.cluster import Cluster
from tests.cluster.deployed import REAP, SHOP, WORKER, account, get, kept, settings, target_in

LIMIT = 'spec.template.spec.containers[name="web"].resources.limits.cpu'


def test_the_manifest_of_before_is_applied_again(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """By kubectl, as a pipeline does. The watchdog tells it, with the chart's rights; a check and the next run see it,
    and nothing is written over it."""
    cluster.need_own("its images are loaded into the node")
    cluster.apply(namespace, SHOP)
    cluster.kubectl("rollout", "status", "deployment/shop", "-n", namespace, "--timeout=90s")
    target = target_in(namespace)
    with account(cluster, namespace, "worker", WORKER, tmp_path):
        kept(target, {**settings(0.05), "k8s.cpu_limit": 0.2}, "r1")
        assert registry.reverted(target) == ()
    with account(cluster, namespace, "reap", REAP, tmp_path):
        assert registry.reap(target, time.time()) == []
        cluster.apply(namespace, SHOP)
        words = f"{LIMIT} was reverted by kubectl-client-side-apply: kept was 200m, now it is 150m"
        assert registry.reap(target, time.time()) == [f"shop: Deployment shop: {words}"]
        assert registry.reap(target, time.time()) == []
    events = cluster.api().items(path("Event", namespace), fieldSelector="reason=Reverted")
    assert [(each["type"], each["message"], each["involvedObject"]["name"]) for each in events] == [
        ("Warning", f"{words} (run r1)", "shop")
    ]
    limits = get(cluster, namespace, "Deployment")["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["cpu"] == "150m"
    with account(cluster, namespace, "worker", WORKER, tmp_path):
        assert registry.reverted(target) == (words,)
        stage = registry.stage(target)
        assert stage is not None
        assert words in stage.survey().notes
