"""A Deployment on a real API server as a target, with the chart's rights; its telemetry is scripted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

from adapters.actuators import registry
from adapters.actuators.kubernetes import api as real
from adapters.actuators.kubernetes.api import path
from domain.ports import Stamp
from domain.space import Settings
from domain.target import Target
from tests.cluster.cluster import Cluster, until
from tests.journeys.pod_stories import FEW
from tests.journeys.world import ReadOnceLedger, Scripted, SimClock, World
from tests.pods import CPU_LIMIT
from tests.scaled import REQUEST, SCALED
from workers.advance import Ports

Json = dict[str, Any]
RULES = Path(__file__).parents[2] / "helm" / "trimtab" / "files" / "rbac"
NAMES = {"PLURAL": "deployments", "WORKLOAD": "shop", "SERVICE": "shop", "AUTOSCALER": "shop"}
WORKER, REAP = ("look", "service", "act", "autoscaler"), ("undo", "autoscaler")
# Traffic follows a label that the Deployment does not select by: its autoscaler does not count the arms.
SHOP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 4
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop, traffic: shop}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: localhost/web:1
        imagePullPolicy: Never
        ports: [{containerPort: 80}]
        resources: {requests: {cpu: 50m, memory: 16Mi}, limits: {cpu: 150m, memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {clusterIP: None, selector: {traffic: shop}, ports: [{port: 80}]}
"""
HPA = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  minReplicas: LEAST
  maxReplicas: 10
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}
"""


def target_in(namespace: str) -> Target:
    assert SCALED.workload is not None
    workload = replace(SCALED.workload, namespace=namespace)
    return replace(SCALED, profile=FEW, strategy="scripted", workload=workload)


@contextlib.contextmanager
def account(cluster: Cluster, namespace: str, name: str, rules: tuple[str, ...], directory: Path) -> Iterator[None]:
    """All that the actuators do goes by an account with these files of the chart's rules."""
    text = "\n".join((RULES / f"{each}.yaml").read_text() for each in rules)
    for each, value in NAMES.items():
        text = text.replace(each, value)
    metadata, group = {"name": name, "namespace": namespace}, "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": yaml.safe_load(text)}
    binding = {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": metadata}
    binding["roleRef"] = {"apiGroup": group, "kind": "Role", "name": name}
    binding["subjects"] = [{"kind": "ServiceAccount", **metadata}]
    made = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, role, binding]
    cluster.apply(namespace, yaml.safe_dump_all(made))
    ours = cluster.api(cluster.account(namespace, name, directory))
    with mock.patch.object(real, "connect", return_value=ours):
        yield


def get(cluster: Cluster, namespace: str, kind: str) -> Json:
    found = cluster.api().get(path(kind, namespace, "shop"))
    assert found is not None, f"{kind} shop is gone"
    return found


def kept(target: Target, wanted: Settings, run: str) -> None:
    """A run that keeps these settings without measuring anything."""
    arms, stage = registry.actuators_for(target), registry.stage(target)
    assert stage is not None
    for arm in arms.values():
        arm.protect(run, time.time() + 600)
    stamp = Stamp(run, max(arm.read().generation for arm in arms.values()) + 1)
    until(lambda: done(lambda: stage.prepare(stamp, time.time() + 600)), 90, "the arms serve")
    until(lambda: done(lambda: stage.adopt(wanted, Stamp(run, stamp.generation + 1))), 90, "it is rolled out")
    until(lambda: done(lambda: stage.retire(run)), 90, "the arms leave")
    for arm in arms.values():
        arm.release(run)


def done(step: Callable[[], object]) -> bool:
    """Whether a step is through; False while it is still at it."""
    from domain.errors import Transient

    try:
        step()
    except Transient:
        return False
    return True


class Measured(World):
    """A world whose arms are real pods. Telemetry and clock are simulated; pods take the time that they take."""

    def __init__(self, target: Target, run: str, wanted: Settings) -> None:
        super().__init__(
            target=target,
            proposals=(wanted,),
            speed=lambda seen: 0.05 if seen == wanted else 0.08,
            noise=0.01,
        )
        self.run = run

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock = SimClock(time.time())
        self.ledger = ReadOnceLedger(self.clock)
        self.arms: Any = registry.actuators_for(self.target)
        self.carried = {label: [(0.0, dict(arm.read().settings))] for label, arm in self.arms.items()}

    def tick(self, seconds: float = 0.5) -> None:
        self.clock.time += seconds

    def ports(self, wrap: Any = lambda name, port: port) -> Ports:
        strategy = Scripted(self.proposals, self.promise)
        return replace(super().ports(wrap), stage=registry.stage, optimizer=lambda name: strategy)


def settings(request: float) -> Settings:
    return {REQUEST: request, CPU_LIMIT: 0.15}
