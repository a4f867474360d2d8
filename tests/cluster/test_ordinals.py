"""A StatefulSet on a real cluster: its highest pod is the arm, with the rights of the chart's worker and under its
admission policies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import yaml

from adapters.actuators.kubernetes import api as real
from adapters.actuators.kubernetes.api import Api, Json, path
from domain.errors import Rejected, Transient
from domain.events import Refused
from domain.ports import Image, Stamp
from domain.space import Settings
from helm.values import CHART
from tests.cluster.cluster import Cluster, until
from tests.helm.chart import installed
from tests.journeys.pods import BEFORE, TUNED, WINNER
from tests.journeys.test_ordinals import ORIGINAL, WON, SetWorld
from tests.ordinals import ORDINAL, Sets
from tests.pods import CPU_LIMIT, LEVEL, TARGET

pytestmark = pytest.mark.slow_cluster
BAD: Settings = {CPU_LIMIT: 0.2, LEVEL: 4711}
SHOP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: shop-nginx}
data:
  nginx.conf: |
    daemon off;
    pid /tmp/nginx.pid;
    error_log /dev/stderr warn;
    events {}
    http {
      access_log off;
      include /etc/trimtab/tuned.conf;
      server { listen 8080; location / { return 200 ok; } }
    }
  tuned.conf: |
    gzip on;
    gzip_comp_level 6;
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {clusterIP: None, selector: {app: shop}, ports: [{port: 8080}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: shop}
spec:
  replicas: 3
  serviceName: shop
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: localhost/web:1
        command: [sh, -c, "BROKEN exec nginx -c /etc/trimtab/nginx.conf"]
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
        resources: {requests: {cpu: 20m, memory: 32Mi}, limits: {cpu: 150m, memory: 96Mi}}
        volumeMounts: [{name: config, mountPath: /etc/trimtab}]
      volumes: [{name: config, configMap: {name: shop-nginx}}]
"""
BREAKS_BELOW = 'case $HOSTNAME in shop-[01]) grep -q "comp_level 1;" /etc/trimtab/tuned.conf && exit 3;; esac;'


REFUSED = {**BEFORE, LEVEL: 9}
BREAKS_NINE = 'grep -q "comp_level 9;" /etc/trimtab/tuned.conf && exit 3;'


class RealWorld(SetWorld):
    """Scripted telemetry on its own clock, and pods on theirs."""

    cluster: RealSets

    def tick(self, seconds: float = 0.5) -> None:
        self.clock.time += seconds


@dataclass
class RealSets(Sets):
    """The same on a real API server: what tests look at is read as administrator, all else with the chart's rights."""

    admin: Any = None

    def get(self, kind: str, name: str) -> Json:
        return until(lambda: self.admin.get(path(kind, self.namespace, name)), 60, f"{kind} {name} is there")

    def uids(self) -> list[str]:
        return [self.at(ordinal)["metadata"]["uid"] for ordinal in range(3)]


def chart_values(namespace: str) -> Json:
    """The chart's values for this StatefulSet as its only target."""
    values: Json = yaml.safe_load((CHART / "ci" / "one-target.yaml").read_text("utf-8"))
    (target,) = values["config"]["targets"]
    target.update(name="shop", allow={"reload": True, "restart": True}, measure={"design": "interleave"})
    target["workload"].update(kind="StatefulSet", namespace=namespace, container="web", config_map="shop-nginx")
    return {**values, "rbac": {"targets": {"shop": {"replicas": 3}}}}


@contextmanager
def worker(cluster: Cluster, namespace: str, directory: Path) -> Iterator[Api]:
    """The API as the worker of the chart, whose rights and admission policies are in force."""
    with installed(cluster, namespace, directory, chart_values(namespace)):
        ours = cluster.api(cluster.account(namespace, "trimtab-worker", directory))
        metadata = {"name": "shop", "namespace": namespace, "labels": {"foreign": "label"}}
        body = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata}

        def in_force() -> bool:
            try:
                ours.apply(path("StatefulSet", namespace, "shop"), body, manager="foreign", dry=True)
            except Rejected as error:
                return "only annotations under trimtab.dev/ may" in str(error)
            return False

        until(in_force, 20, "the admission policy takes effect")
        yield ours


@pytest.fixture
def made(
    request: pytest.FixtureRequest, cluster: Cluster, namespace: str, held: None, tmp_path: Path
) -> Iterator[RealSets]:
    """The StatefulSet, all Ready, and the chart's worker. Its parameter is a piece of shell that runs before nginx."""
    cluster.need_own("its images are loaded into the node")
    cluster.apply(namespace, SHOP.replace("BROKEN", getattr(request, "param", "").replace('"', '\\"')))
    cluster.kubectl("rollout", "status", "statefulset/shop", "-n", namespace, "--timeout=90s")
    assert ORDINAL.workload is not None
    target = replace(
        ORDINAL,
        profile=TARGET.profile,
        workload=replace(ORDINAL.workload, namespace=namespace),
    )
    with worker(cluster, namespace, tmp_path) as ours, mock.patch.object(real, "connect", return_value=ours):
        nothing: Any = SimpleNamespace(store=SimpleNamespace())
        yield RealSets(nothing, ours, target, namespace=namespace, admin=cluster.api())


def again(call: Any, seconds: float = 120.0) -> Any:
    """As a run does: a step that is not there yet is made again."""
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Transient:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


class Steps:
    """Writes with ever newer stamps."""

    def __init__(self, made: RealSets) -> None:
        self.arm, self.stage, self.generation = made.arms()["a"], made.stage(), 0

    def stamp(self) -> Stamp:
        self.generation += 1
        return Stamp("r1", self.generation)

    def write(self, settings: Settings) -> Image:
        image: Image = again(lambda: self.arm.write(settings, self.stamp(), self.arm.read().version))
        assert dict(self.arm.effective()) == settings
        return image

    def prepare(self) -> None:
        self.arm.protect("r1", time.time() + 600)
        again(lambda: self.stage.prepare(self.stamp(), time.time() + 3600))

    def restore(self) -> Image:
        image: Image = again(lambda: self.arm.restore(self.stamp(), self.arm.read().version))
        return image


def as_before(made: RealSets, uids: list[str]) -> None:
    """Original pods, the two lower ones never touched, and updates as before."""
    assert made.carried() == [ORIGINAL] * 3
    assert made.uids()[:2] == uids[:2]
    assert made.partition == 0
    status = made.owner()["status"]
    assert status["currentRevision"] == status["updateRevision"]


def test_candidates_come_and_go_on_the_highest_pod_alone(cluster: Cluster, made: RealSets) -> None:
    """One that serves reaches the kernel; one that cannot start is refused, and the former serves again."""
    steps, uids = Steps(made), made.uids()
    allowed = steps.stage.survey()
    assert (allowed.refusal, allowed.share, allowed.on_top, dict(allowed.frozen)) == ("", 1 / 3, False, {})
    steps.prepare()
    assert made.uids() == uids  # nothing restarts for that
    steps.write(WINNER)
    assert made.carried() == [ORIGINAL, ORIGINAL, WON]
    assert cluster.cgroup(made.namespace, "shop-2", "web").quota_us == 40_000
    began = time.monotonic()
    with pytest.raises(Rejected, match=r"shop-2 does not become Ready: container web: .*exit code 1"):
        again(lambda: steps.arm.write(BAD, steps.stamp(), steps.arm.read().version))
    assert time.monotonic() - began < 60  # within one step
    assert dict(again(steps.arm.effective)) == WINNER
    steps.write(BEFORE)
    assert made.carried() == [ORIGINAL] * 3
    since, uid = time.time(), made.uids()[2]
    again(lambda: steps.arm.renew(since))
    assert made.uids()[2] != uid
    steps.write(WINNER)
    assert dict(steps.restore().settings) == BEFORE
    as_before(made, uids)
    steps.arm.release("r1")
    assert "trimtab.dev/before" not in made.owner()["metadata"]["annotations"]


def test_a_winner_goes_down_pod_by_pod(made: RealSets) -> None:
    """All of them carry it, and the partition is back."""
    steps = Steps(made)
    steps.prepare()
    steps.write(WINNER)
    adopted = again(lambda: steps.stage.adopt(WINNER, steps.stamp()))
    assert adopted.settings == WINNER
    steps.stage.retire("r1")
    assert made.carried() == [WON] * 3
    assert made.partition == 0
    assert "trimtab.dev/kept" in made.owner()["metadata"]["annotations"]


@pytest.mark.parametrize("made", [BREAKS_BELOW], indirect=True, ids=["broken"])
def test_a_winner_that_breaks_a_lower_pod_is_undone(made: RealSets) -> None:
    """The next pod does not start with it: its controller would wait for it forever, and it is deleted."""
    steps, lowest = Steps(made), made.uids()[0]
    steps.prepare()
    steps.write(WINNER)
    with pytest.raises(Rejected, match=r"shop-1 does not become Ready: container web: .*exit code 3"):
        again(lambda: steps.stage.adopt(WINNER, steps.stamp()))
    steps.restore()
    assert made.carried() == [ORIGINAL] * 3
    assert made.uids()[0] == lowest
    assert made.partition == 0


def test_the_watchdog_frees_a_pod_that_cannot_start(made: RealSets) -> None:
    """The worker died with a broken candidate in the template: the annotation alone brings the original back."""
    steps, uids = Steps(made), made.uids()
    steps.prepare()
    steps.arm.protect("r1", time.time() - 1 + 600)
    with (
        mock.patch.object(steps.arm, "_until_carried", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        steps.arm.write(BAD, steps.stamp(), steps.arm.read().version)
    until(lambda: made.at(2)["metadata"]["uid"] != uids[2] and crashed(made.at(2)), 60, "the pod crashes")
    watchdog = made.arms()["a"]
    assert watchdog.reap(time.time()) is None
    told = again(lambda: watchdog.reap(time.time() + 1200))
    assert "silent past its deadline" in told
    as_before(made, uids)


@pytest.mark.parametrize("made", [BREAKS_NINE], indirect=True, ids=["broken"])
def test_a_whole_run_by_interleave(made: RealSets) -> None:
    """With scripted telemetry: candidates one after the other, one of which cannot start; the winner is kept."""
    made.target = replace(made.target, profile=TUNED.profile, strategy="scripted")
    world = RealWorld(made, (REFUSED, WINNER))
    world.open()
    world.go()
    assert world.outcome() == "kept", world.events()[-3:]
    assert [event.settings for event in world.events() if isinstance(event, Refused)] == [REFUSED]
    assert world.below == {ORIGINAL}
    assert made.carried() == [WON] * 3
    assert made.partition == 0
    assert "trimtab.dev/before" not in made.owner()["metadata"]["annotations"]


def crashed(pod: Json) -> bool:
    """Whether its container ended and waits to be started again."""
    found = pod.get("status", {}).get("containerStatuses") or [{}]
    return bool((found[0].get("lastState") or {}).get("terminated"))
