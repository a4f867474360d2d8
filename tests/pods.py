"""A workload in the fake cluster, with an nginx in its pods that behaves: it reads its file and may refuse it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

from adapters.actuators import registry
from adapters.actuators.kubernetes import api as real
from adapters.actuators.kubernetes import workload as waiting
from adapters.actuators.kubernetes.api import Absent, Ran, path
from domain.ports import Stage
from domain.profile import DEMO
from domain.space import Parameter, SearchSpace
from domain.target import Arm, Objective, Target, Workload
from tests.kubernetes_api import ApiServer, FakeApi, cluster

Json = dict[str, Any]
CPU_LIMIT, LEVEL = "k8s.cpu_limit", "nginx.gzip_comp_level"
SPACE = SearchSpace(
    (
        Parameter(CPU_LIMIT, "real", "unset", low=0.1, high=2.0, log=True, unit="cores", cost="live"),
        Parameter(LEVEL, "integer", 1, low=1, high=9),
    )
)
WORKLOAD = Workload(
    "default",
    "shop",
    service="shop",
    config_map="shop-nginx",
    key="tuned.conf",
    take_over=("kubectl-client-side-apply",),
)
TARGET = Target(
    name="shop",
    mode="act",
    actuator="kubernetes+nginx",
    arms=(Arm("a"), Arm("b")),
    space=SPACE,
    objective=Objective("p95", unit="s"),
    profile=DEMO,
    workload=WORKLOAD,
)


@dataclass
class Shop:
    """The workload and both ends of the fake. `served` are the workers of each pod."""

    server: ApiServer
    api: FakeApi
    target: Target = TARGET
    served: dict[str, int] = field(default_factory=dict)

    def arms(self) -> dict[str, Any]:
        return dict(registry.actuators_for(self.target))

    def stage(self) -> Stage:
        found = registry.stage(self.target)
        assert found is not None
        return found

    def owner(self) -> Json:
        return self.server.get(path("Deployment", "default", "shop"))

    def pod(self, label: str) -> Json | None:
        with contextlib.suppress(KeyError):
            return self.server.get(path("Pod", "default", f"shop-trimtab-{label}"))
        return None

    def in_template(self, part: str, resource: str) -> str:
        container = self.owner()["spec"]["template"]["spec"]["containers"][0]
        return str(container["resources"][part][resource])

    def edit(self, cpu: str) -> None:
        """Somebody edits the workload's CPU limit."""
        container = {"name": "web", "resources": {"limits": {"cpu": cpu}}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shop"},
            "spec": {"template": {"spec": {"containers": [container]}}},
        }
        self.api.apply(path("Deployment", "default", "shop"), body, manager="somebody", force=True)

    def run(self, namespace: str, pod: str, container: str, command: list[str]) -> Ran:
        """What nginx, cat and sh answer in a pod. Raises Absent."""
        if not self.server.has(path("Pod", namespace, pod)):
            raise Absent(f'pods "{pod}" not found')
        body = self.server.get(path("ConfigMap", namespace, pod))["data"]["tuned.conf"]
        level = re.search(r"gzip_comp_level (\d+);", body)
        match command:
            case ["cat", _]:
                return Ran(0, body)
            case ["nginx", "-t", "-c", "/etc/nginx.conf"]:
                good = level is not None and 1 <= int(level[1]) <= 9
                return Ran(0, "ok") if good else Ran(1, "nginx: [emerg] value must be between 1 and 9")
            case ["sh", "-c", "kill -HUP 1"]:
                self.served[pod] = self.served.get(pod, 0) + 1
                return Ran(0, "")
        born, zeros = 1000 + self.served.get(pod, 0), " ".join("0" for _ in range(17))
        master = f"1 (nginx) S 0 {zeros} 900 0|nginx: master process nginx -c /etc/nginx.conf\n"
        return Ran(0, f"{master}{born} (nginx) S 1 {zeros} {born} 0|nginx: worker process\n")


def deployment(replicas: int = 4) -> Json:
    """Four replicas of an nginx with a file from a ConfigMap."""
    container = {
        "name": "web",
        "image": "localhost/web:1",
        "ports": [{"containerPort": 8080, "hostPort": 8080}],
        "env": [{"name": "SHOP", "value": "front"}],
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"cpu": "150m", "memory": "96Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/trimtab"}],
    }
    volume = {"name": "config", "configMap": {"name": "shop-nginx"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [container], "volumes": [volume]},
            },
        },
    }


def around_it() -> list[Json]:
    """The ConfigMap with the workload's file, and the Service before it."""
    config = {"nginx.conf": "include tuned.conf;", "tuned.conf": "gzip on;\ngzip_comp_level 6;\n"}
    meta = {"namespace": "default"}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop-nginx", **meta}, "data": config},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "shop", **meta},
            "spec": {"clusterIP": "None", "selector": {"app": "shop"}, "ports": [{"port": 8080}]},
        },
    ]


@contextlib.contextmanager
def connected(api: FakeApi) -> Iterator[None]:
    """The product's own door leads to the fake, and nobody waits long for it."""
    with mock.patch.object(real, "connect", return_value=api), mock.patch.object(waiting, "LOOK", 0.01):
        yield


@contextlib.contextmanager
def shop(replicas: int = 4, target: Target = TARGET, *, http: bool = True, **workload: Any) -> Iterator[Shop]:
    """The workload with its Service and ConfigMap, all Ready. Without `http` the fake is called directly."""
    with cluster(http=http) as (server, api):
        server.add(*around_it(), deployment(replicas))
        server.settle()
        server.automatic = True
        if workload:
            target = replace(target, workload=replace(WORKLOAD, **workload))
        made = Shop(server, api, target)
        api.runner = made.run
        with connected(api):
            yield made
