"""The cluster is a real one, and the actuator's API says of it what it should."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.actuators.kubernetes.api import Api, Json, Owned, path
from domain.errors import Misconfigured, Rejected, Transient
from tests.cluster.cluster import Cluster, until

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: localhost/web:1
        ports: [{containerPort: 80}]
        readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
        resources: {requests: {cpu: 50m, memory: 32Mi}, limits: {cpu: 200m, memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: small}
spec: {hard: {requests.cpu: 200m}}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 100Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: writer}
spec:
  securityContext: {runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532}
  restartPolicy: Never
  containers:
  - name: main
    image: localhost/redis:1
    command: [sh, -c, "id -u > /data/user"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
"""


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """A namespace with the Deployment `web` of two Ready replicas and its Service."""
    cluster.need_own("its images are loaded into the node")
    cluster.apply(namespace, WEB)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")
    return namespace


def pod(**resources: dict[str, str]) -> Json:
    """A pod named `one` as a dict."""
    container = {"name": "main", "image": "localhost/web:1", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one"},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }


def name_of(cluster: Cluster, namespace: str) -> str:
    """The first of the Deployment's Ready pods."""
    return str(cluster.pods(namespace, "app=web")[0]["metadata"]["name"])


def test_a_node_is_ready(cluster: Cluster) -> None:
    """The node may take pods: Ready, without a taint, of a version whose pods can be resized in place."""
    cluster.need_own("the nodes of another one are not ours to judge")
    (node,) = cluster.api().items(path("Node", ""))
    assert {each["type"]: each["status"] for each in node["status"]["conditions"]}["Ready"] == "True"
    assert node["spec"].get("taints") is None
    assert int(node["status"]["nodeInfo"]["kubeletVersion"].split(".")[1]) >= 34


def test_a_deployment_rolls_out_and_is_served(cluster: Cluster, web: str) -> None:
    """Two pods become Ready, and one reaches them by the Service's name: pods, network and names work."""
    assert len(cluster.pods(web, "app=web")) == 2
    api, name = cluster.api(), name_of(cluster, web)

    def served() -> bool:
        """kube-proxy may take a moment after the pods are Ready."""
        ran = api.run(web, name, "web", ["curl", "-sS", "--max-time", "5", f"http://web.{web}/"])
        return ran.code == 0 and "Welcome to nginx" in ran.out

    until(served, 10, "an answer by the Service's name")


def test_a_resize_reaches_the_kernel_in_place(cluster: Cluster, web: str) -> None:
    """A new CPU limit holds for the same process: other quota, same container, no restart."""
    api, name = cluster.api(), name_of(cluster, web)
    before = cluster.cgroup(web, name, "web")
    assert (before.quota_us, before.memory_bytes, before.restarts) == (20_000, 64 * 2**20, 0)
    api.resize(path("Pod", web, name), "web", {"requests": {"cpu": "60m"}, "limits": {"cpu": "300m"}})
    until(lambda: cluster.cgroup(web, name, "web").quota_us == 30_000, 20, "quota of 300m")
    after = cluster.cgroup(web, name, "web")
    assert (after.container, after.restarts, after.memory_bytes) == (before.container, 0, before.memory_bytes)


def test_an_apply_over_another_managers_field_is_owned(cluster: Cluster, namespace: str) -> None:
    """Owned names manager and field; with force it is ours, and the same value is no conflict at all."""
    api, place = cluster.api(), path("ConfigMap", namespace, "settings")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"level": "6"}}
    api.apply(place, body, manager="argocd-controller")
    api.apply(place, body)
    other = {**body, "data": {"level": "1"}}
    with pytest.raises(Owned) as caught:
        api.apply(place, other)
    assert caught.value.fields == {"argocd-controller": (".data.level",)}
    assert api.apply(place, other, force=True)["data"] == {"level": "1"}


def test_a_quota_shows_on_a_dry_run_of_a_pod(cluster: Cluster, namespace: str) -> None:
    """A pod beyond the quota is Rejected before anything is made; one within it is accepted and not made either."""
    api, place = cluster.api(), path("Pod", namespace)
    cluster.apply(namespace, QUOTA)
    quota = path("ResourceQuota", namespace, "small")
    until(lambda: (api.get(quota) or {}).get("status", {}).get("used"), 20, "the quota is counted")
    with pytest.raises(Rejected, match=r"exceeded quota: small.*limited: requests.cpu=200m"):
        api.create(place, pod(requests={"cpu": "300m"}), dry=True)
    api.create(place, pod(requests={"cpu": "200m"}), dry=True)
    assert api.items(place) == []


def test_a_command_in_a_pod_gives_code_and_output(cluster: Cluster, web: str) -> None:
    """The exit code and both outputs of a command; without a shell, so an argument is no script."""
    api, name = cluster.api(), name_of(cluster, web)
    ran = api.run(web, name, "web", ["sh", "-c", "echo seen; echo said >&2; exit 3"])
    assert (ran.code, ran.out) == (3, "seen\nsaid\n")
    assert api.run(web, name, "web", ["echo", "$(id)"]).out == "$(id)\n"


def test_a_delete_with_a_uid_spares_a_namesake(cluster: Cluster, namespace: str) -> None:
    """The uid of an object that is gone deletes no later one of that name."""
    api, place = cluster.api(), path("ConfigMap", namespace, "one")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    old = api.apply(place, body)["metadata"]["uid"]
    api.delete(place, uid=old)
    assert api.get(place) is None
    new = api.apply(place, body)["metadata"]["uid"]
    with pytest.raises(Transient):
        api.delete(place, uid=old)
    found = api.get(place)
    assert found is not None
    assert found["metadata"]["uid"] == new
    api.delete(place, uid=new)
    assert api.get(place) is None


def test_who_lacks_a_right_is_told_so(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """A service account without any Role is Misconfigured, and the message says what it cannot do."""
    api = cluster.api(cluster.account(namespace, "default", tmp_path))
    with pytest.raises(Misconfigured, match="cannot list resource"):
        api.items(path("Pod", namespace))


def test_a_volume_is_for_anybody_who_is_not_root(cluster: Cluster, namespace: str) -> None:
    """A claim is bound, a pod without root writes by its group, and without a claim the volume is emptied and free."""
    volumes = cluster.need_own("its volumes are directories of the node") / "volumes"
    cluster.free_volumes()
    cluster.apply(namespace, CLAIM)
    cluster.kubectl("wait", "pod/writer", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    claim = cluster.api().get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/data")
    assert claim is not None
    name = claim["spec"]["volumeName"]
    assert (volumes / name / "user").read_text() == "65532\n"
    cluster.free_volumes()
    assert (volumes / name / "user").exists()  # not while it is claimed
    cluster.kubectl("delete", "pod/writer", "pvc/data", "-n", namespace, "--timeout=60s")
    place = f"/api/v1/persistentvolumes/{name}"
    until(lambda: (cluster.api().get(place) or {})["status"]["phase"] == "Released", 20, "the volume is let go")
    cluster.free_volumes()
    until(lambda: (cluster.api().get(place) or {})["status"]["phase"] == "Available", 20, "the volume is free")
    assert list((volumes / name).iterdir()) == []


def test_the_image_of_the_project_starts(cluster: Cluster, namespace: str) -> None:
    """Without root, on a read-only file system and under restricted Pod Security, the program finds all its parts."""
    cluster.need_own("its images are loaded into the node")
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    tight = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    body = pod()
    body["spec"]["restartPolicy"] = "Never"
    body["spec"]["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    imports = "import controller.__main__, workers.app, console.__main__, optimizers, skopt, kubernetes; print('fine')"
    (container,) = body["spec"]["containers"]
    container |= {"image": "localhost/trimtab:test", "securityContext": tight, "command": ["python", "-c", imports]}
    cluster.api().create(path("Pod", namespace), body)
    place = path("Pod", namespace, "one")
    ended = until(lambda: _ended(cluster.api(), place), 60, "the pod ends")
    assert (ended, cluster.kubectl("logs", "one", "-n", namespace)) == ("Succeeded", "fine\n")


def test_the_api_server_may_die(cluster: Cluster, web: str) -> None:
    """While it is killed and away, calls are Transient; it comes back with all objects and everything goes on."""
    api, place, name = cluster.api(), path("Deployment", web, "web"), name_of(cluster, web)
    before = api.get(place)
    with ThreadPoolExecutor(1) as threads:
        restart = threads.submit(cluster.restart, "apiserver", pause=2.0)
        until(lambda: _fails(api, place), 10, "a call fails")
        restart.result(timeout=60)
    after = api.get(place)
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert api.run(web, name, "web", ["true"]).code == 0  # by the kubelet, with the same keys
    api.merge(place, {"spec": {"replicas": 1}})
    until(lambda: len(cluster.pods(web, "app=web")) == 1, 60, "the controllers are at work again")


def _fails(api: Api, place: str) -> bool:
    """Whether a call is Transient; another error is the test's."""
    try:
        api.get(place)
    except Transient:
        return True
    return False


def _ended(api: Api, place: str) -> str:
    """`Succeeded` or `Failed` once the pod has ended, else nothing."""
    found = api.get(place)
    phase = str(found["status"].get("phase")) if found else ""
    return phase if phase in ("Succeeded", "Failed") else ""
