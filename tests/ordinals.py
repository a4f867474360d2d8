"""A StatefulSet in the fake cluster: its highest pod is the arm, and nginx in a pod may refuse its file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from adapters.actuators.kubernetes.api import Ran, path
from adapters.actuators.registry import restarting
from domain.ports import Stamp
from domain.space import SearchSpace
from domain.target import Arm, Target
from tests.kubernetes_api import cluster
from tests.pods import SPACE, TARGET, WORKLOAD, Shop, around_it, connected, deployment

Json = dict[str, Any]
SET = path("StatefulSet", "default", "shop")
ORDINAL: Target = replace(
    TARGET,
    arms=(Arm("a"),),
    design="interleave",
    space=SearchSpace(restarting("kubernetes+nginx", SPACE.parameters, "StatefulSet")),
    allow_restart=True,
    workload=replace(WORKLOAD, kind="StatefulSet"),
)


@dataclass
class Sets(Shop):
    """The workload and both ends of the fake."""

    target: Target = ORDINAL
    namespace: str = "default"

    def get(self, kind: str, name: str) -> Json:
        return self.server.get(path(kind, self.namespace, name))

    def owner(self) -> Json:
        return self.get("StatefulSet", "shop")

    def at(self, ordinal: int) -> Json:
        return self.get("Pod", f"shop-{ordinal}")

    @property
    def partition(self) -> int:
        return int(self.owner()["spec"]["updateStrategy"]["rollingUpdate"]["partition"])

    def carried(self) -> list[tuple[str, str]]:
        """CPU limit and line with the level of every pod, by ordinal."""
        return [(self.cpu(pod), self.level(pod)) for pod in map(self.at, range(self.owner()["spec"]["replicas"]))]

    def cpu(self, pod: Json) -> str:
        return str(pod["spec"]["containers"][0]["resources"]["limits"]["cpu"])

    def level(self, pod: Json) -> str:
        named = pod["spec"]["volumes"][0]["configMap"]["name"]
        lines = self.get("ConfigMap", named)["data"]["tuned.conf"].splitlines()
        return next(line for line in lines if line.startswith("gzip_comp_level"))

    def edit(self, cpu: str) -> None:
        """Somebody edits the workload's CPU limit."""
        container = {"name": "web", "resources": {"limits": {"cpu": cpu}}}
        body = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "shop"},
            "spec": {"template": {"spec": {"containers": [container]}}},
        }
        self.api.apply(SET, body, manager="somebody", force=True)

    def run(self, namespace: str, pod: str, container: str, command: list[str]) -> Ran:
        raise AssertionError(f"nothing is run in pods of a StatefulSet: {command} in {pod}")

    def refused(self, pod: Json) -> bool:
        """Whether this pod's nginx refuses its file."""
        return not pod["metadata"]["name"].startswith("other") and self.level(pod) == "gzip_comp_level 4711;"


def stateful_set(replicas: int = 3, **spec: Any) -> Json:
    """The Deployment of the other tests as a StatefulSet."""
    body = deployment(replicas)
    return {**body, "kind": "StatefulSet", "spec": {**body["spec"], "serviceName": "shop", **spec}}


@contextlib.contextmanager
def sets(replicas: int = 3, target: Target = ORDINAL, *, http: bool = True, **spec: Any) -> Iterator[Sets]:
    """The workload with its ConfigMap, all Ready; more fields of its `spec`. Without `http` the fake is called
    directly."""
    with cluster(http=http) as (server, api):
        server.add(*around_it(), stateful_set(replicas, **spec))
        server.settle()
        made = Sets(server, api, target)
        server.break_pods(made.refused)
        server.automatic = True
        api.runner = made.run
        with connected(api):
            yield made


def protected(cluster: Sets) -> Any:
    """The arm, with the before-image of run r1 and updates held at its ordinal."""
    arm = cluster.arms()["a"]
    arm.protect("r1", 100.0)
    cluster.stage().prepare(Stamp("r1", 1), 1000.0)
    return arm
