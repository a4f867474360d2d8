"""A Deployment to make arms of on a real cluster, with no more rights than the chart gives, and hands that use them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import yaml

from adapters.actuators import registry
from adapters.actuators.kubernetes import api as real
from adapters.actuators.kubernetes.api import Json, path
from adapters.actuators.kubernetes.arm import PodArm
from adapters.actuators.kubernetes.stage import Cluster as Stage
from domain.errors import Transient
from domain.ports import Image, Stamp
from domain.space import Parameter, SearchSpace, Settings, Value
from domain.target import Target
from tests.cluster.cluster import Cluster, ControlGroup, until
from tests.pods import TARGET, WORKLOAD

RULES = Path(__file__).parents[2] / "helm" / "trimtab" / "files" / "rbac"
CPU, REQUEST, MEMORY, LEVEL = "k8s.cpu_limit", "k8s.cpu_request", "k8s.memory_limit", "nginx.gzip_comp_level"
MI = 2**20
SPACE = SearchSpace(
    (
        Parameter(REQUEST, "real", "unset", low=0.01, high=4.0, log=True, unit="cores", cost="live"),
        Parameter(CPU, "real", "unset", low=0.05, high=4.0, log=True, unit="cores", cost="live"),
        Parameter(MEMORY, "real", "unset", low=16.0 * MI, high=2048.0 * MI, log=True, unit="bytes", cost="live"),
        Parameter(LEVEL, "integer", 1, low=1, high=9),
    )
)
ORIGINAL: Settings = {REQUEST: 0.02, CPU: 0.15, MEMORY: 96.0 * MI, LEVEL: 6}
CONFIG = """
daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
worker_processes 1;
events {}
http {
  access_log off;
  include /etc/trimtab/tuned.conf;
  server { listen 8080; location / { return 200 ok; } }
}
"""
TUNED = "gzip on;\ngzip_comp_level 6;\n"
T = TypeVar("T")


def shop(name: str = "shop", *, replicas: int = 2, sub_path: bool = False) -> str:
    """The Deployment of an nginx with its configuration, its ConfigMap and its headless Service, as YAML."""
    mounts = [{"name": "config", "mountPath": "/etc/trimtab"}]
    if sub_path:
        mounts = [
            {"name": "config", "mountPath": f"/etc/trimtab/{key}", "subPath": key}
            for key in ("nginx.conf", "tuned.conf")
        ]
    container = {
        "name": "web",
        "image": "localhost/web:1",
        "imagePullPolicy": "Never",
        "command": ["nginx", "-c", "/etc/trimtab/nginx.conf"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "150m", "memory": "96Mi"}},
        "volumeMounts": mounts,
    }
    volume = {"name": "config", "configMap": {"name": f"{name}-nginx"}}
    pod = {"terminationGracePeriodSeconds": 1, "containers": [container], "volumes": [volume]}
    labels = {"app": name}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": 10,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    data = {"nginx.conf": CONFIG, "tuned.conf": TUNED}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-nginx"}, "data": data}
    spec = {"clusterIP": "None", "selector": labels, "ports": [{"port": 8080}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
    return yaml.safe_dump_all([config, service, deployment])


ACT = ("look", "config-map", "service", "act")


def rights(namespace: str, name: str, account: str, rules: tuple[str, ...] = ACT) -> str:
    """An account with rules of the chart for one Deployment, those of a worker or others, as YAML."""
    text = "\n".join((RULES / f"{each}.yaml").read_text() for each in rules)
    for word, value in (
        ("WORKLOAD", name),
        ("PLURAL", "deployments"),
        ("CONFIG_MAP", f"{name}-nginx"),
        ("SERVICE", name),
    ):
        text = text.replace(word, value)
    group, metadata = "rbac.authorization.k8s.io", {"name": account, "namespace": namespace}
    subjects = [{"kind": "ServiceAccount", **metadata}]
    role = {"apiGroup": group, "kind": "Role", "name": metadata["name"]}
    return yaml.safe_dump_all(
        [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
            {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": yaml.safe_load(text)},
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": role,
                "subjects": subjects,
            },
        ]
    )


def again(call: Callable[[], T], seconds: float = 90.0) -> T:
    """As a run does: a step that is not there yet is made again."""
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except Transient:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@dataclass
class Hands:
    """Steps of a run on one Deployment, with ever newer stamps. What tests look at is read as administrator."""

    cluster: Cluster
    namespace: str
    target: Target
    ours: Any
    run: str = "run-1"
    generation: int = 0
    took: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        assert self.target.workload is not None
        return self.target.workload.name

    @property
    def arms(self) -> dict[str, PodArm]:
        return {label: arm for label, arm in registry.actuators_for(self.target).items() if isinstance(arm, PodArm)}

    @property
    def stage(self) -> Stage:
        made = registry.stage(self.target)
        assert isinstance(made, Stage)
        return made

    def stamp(self) -> Stamp:
        self.generation += 1
        return Stamp(self.run, self.generation)

    def timed(self, what: str, call: Callable[[], T]) -> T:
        """Seconds that it took are noted, and shown by `pytest -s`."""
        began = time.monotonic()
        try:
            return call()
        finally:
            self.took[what] = time.monotonic() - began
            print(f"{what}: {self.took[what]:.1f} s")

    def begin(self, until: float | None = None) -> None:
        """A run with both arms."""
        end = time.time() + 1800.0
        again(lambda: next(iter(self.arms.values())).protect(self.run, end))
        again(lambda: self.stage.prepare(self.stamp(), end if until is None else until))

    def end(self) -> None:
        again(lambda: self.stage.retire(self.run))
        for arm in self.arms.values():
            again(lambda arm=arm: arm.release(self.run))  # type: ignore[misc]

    def write(self, label: str, settings: Mapping[str, Value]) -> Image:
        """These settings and the others as they are. Transient is tried again, as a run does."""

        def once() -> Image:
            arm = self.arms[label]
            seen = arm.read()
            return arm.write({**seen.settings, **settings}, self.stamp(), seen.version)

        return again(once)

    # --- looking -----------------------------------------------------------------------------------------------------

    def get(self, kind: str, name: str) -> Json:
        found = self.cluster.api().get(path(kind, self.namespace, name))
        assert found is not None, f"{kind} {name} is not there"
        return found

    def there(self, kind: str, name: str) -> bool:
        return self.cluster.api().get(path(kind, self.namespace, name)) is not None

    def owner(self) -> Json:
        return self.get("Deployment", self.name)

    def pod(self, label: str) -> Json:
        return self.get("Pod", f"{self.name}-trimtab-{label}")

    def group(self, label: str) -> ControlGroup:
        return self.cluster.cgroup(self.namespace, f"{self.name}-trimtab-{label}", "web")

    def production(self) -> set[str]:
        """The uids of the pods of the workload's ReplicaSets that are not on their way out."""
        pods = self.cluster.api().items(path("Pod", self.namespace), labelSelector=f"app={self.name}")
        return {
            each["metadata"]["uid"]
            for each in pods
            if "deletionTimestamp" not in each["metadata"] and "trimtab.dev/arm" not in each["metadata"]["labels"]
        }

    def inside(self, label: str, *command: str) -> str:
        """stdout of a command in an arm's container."""
        ran = self.cluster.api().run(self.namespace, f"{self.name}-trimtab-{label}", "web", list(command))
        assert ran.code == 0, ran.out
        return ran.out


@contextmanager
def hands(
    cluster: Cluster, namespace: str, directory: Path, text: str, name: str = "shop", **target: Any
) -> Iterator[Hands]:
    """The Deployment of this YAML, all Ready, and somebody with the chart's rights on it."""
    cluster.need_own("its images are loaded into the node")
    cluster.apply(namespace, text)
    cluster.apply(namespace, rights(namespace, name, f"trimtab-{name}"))
    cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=90s")
    workload = replace(WORKLOAD, namespace=namespace, name=name, service=name, config_map=f"{name}-nginx")
    whole = replace(TARGET, name=name, space=SPACE, workload=workload)
    ours = cluster.api(cluster.account(namespace, f"trimtab-{name}", directory))
    with mock.patch.object(real, "connect", return_value=ours):
        yield Hands(cluster, namespace, replace(whole, **target), ours)


def settled(hands: Hands) -> None:
    """All replicas are new and available."""

    def whole() -> bool:
        owner = hands.owner()
        status, wanted = owner["status"], owner["spec"]["replicas"]
        seen = status.get("observedGeneration", 0) >= owner["metadata"]["generation"]
        return bool(seen) and status.get("availableReplicas") == status.get("updatedReplicas") == wanted

    until(whole, 60, "the Deployment comes to rest")
