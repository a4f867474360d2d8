"""What the API server lets the worker's account do to arms and workload, beyond the names that RBAC knows."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from adapters.actuators.kubernetes.api import Json, path
from domain.errors import Misconfigured, Rejected
from tests.helm.conftest import Release, shop

pytestmark = pytest.mark.cluster
Change = Callable[[Json], object]


def arm(release: Release, name: str = "shop-trimtab-a") -> Json:
    """An arm as it is cloned from the template."""
    workload = shop(release)
    spec = copy.deepcopy(workload["spec"]["template"]["spec"]) | {"activeDeadlineSeconds": 600}
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "uid": workload["metadata"]["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {"app": "shop", "trimtab.dev/arm": "a"},
            "annotations": {"trimtab.dev/run": "r"},
            "ownerReferences": [{**owner, "controller": False}],
        },
        "spec": spec,
    }


def nginx(body: Json) -> Json:
    spec = body["spec"] if body["kind"] == "Pod" else body["spec"]["template"]["spec"]
    found: Json = spec["containers"][0]
    return found


def projected(body: Json) -> list[Json]:
    spec = body["spec"] if body["kind"] == "Pod" else body["spec"]["template"]["spec"]
    found: list[Json] = spec["volumes"][2]["projected"]["sources"]
    return found


def _volume(body: Json, volume: Json, at: str) -> None:
    body["spec"]["volumes"].append(volume)
    nginx(body)["volumeMounts"].append({"name": volume["name"], "mountPath": at})


@pytest.fixture(scope="module", autouse=True)
def _in_force(release: Release) -> None:
    """A policy takes effect a moment after it was made: wait until a foreign image is refused."""
    worker, body = release.speak("worker"), arm(release)
    nginx(body)["image"] = "localhost/foreign:1"
    for _ in range(100):
        try:
            worker.apply(path("Pod", release.namespace, "shop-trimtab-a"), body, dry=True)
        except Rejected:
            return
    pytest.fail("the policy does not take effect")


ALLOWED: dict[str, Change] = {
    "as it is": lambda body: None,
    "resources": lambda body: nginx(body)["resources"]["limits"].update(cpu="400m"),
    "a variable": lambda body: nginx(body)["env"].append({"name": "GOGC", "value": "200"}),
    "a variable's value": lambda body: nginx(body)["env"][0].update(value="slow"),
    "an own ConfigMap": lambda body: body["spec"]["volumes"][0]["configMap"].update(name="shop-trimtab-a"),
    "an own ConfigMap in a projected volume": lambda body: projected(body)[0]["configMap"].update(
        name="shop-trimtab-a"
    ),
    "an own ConfigMap of variables": lambda body: nginx(body)["envFrom"][0]["configMapRef"].update(
        name="shop-trimtab-a"
    ),
    "labels and annotations": lambda body: body["metadata"]["annotations"].update({"trimtab.dev/generation": "2"}),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED.keys())
def test_arms_may_differ_in(release: Release, change: Change) -> None:
    """What a candidate consists of is let through, in an apply that creates the pod under its fixed name."""
    body = arm(release)
    change(body)
    made = release.speak("worker").apply(path("Pod", release.namespace, "shop-trimtab-a"), body, dry=True)
    assert made["metadata"]["name"] == "shop-trimtab-a"


SECRET = {"secretKeyRef": {"name": "crown", "key": "jewels"}}
REFUSED: dict[str, tuple[Change, str]] = {
    "image": (lambda body: nginx(body).update(image="localhost/foreign:1"), "image, command"),
    "init image": (lambda body: body["spec"]["initContainers"][0].update(image="localhost/x:1"), "image, command"),
    "command": (lambda body: nginx(body).update(command=["sh"]), "image, command"),
    "arguments": (lambda body: nginx(body).update(args=[]), "image, command"),
    "privileges": (lambda body: nginx(body).update(securityContext={"privileged": True}), "image, command"),
    "probe": (lambda body: nginx(body).update(livenessProbe={"exec": {"command": ["id"]}}), "image, command"),
    "host port": (lambda body: nginx(body)["ports"][0].update(hostPort=8080), "image, command"),
    "variable from a Secret": (lambda body: nginx(body)["env"].append({"name": "X", "valueFrom": SECRET}), "reference"),
    "another key": (lambda body: nginx(body)["env"][1].update(valueFrom=SECRET), "reference"),
    "all of a Secret": (lambda body: nginx(body)["envFrom"].append({"secretRef": {"name": "crown"}}), "reference"),
    "a foreign ConfigMap": (
        lambda body: nginx(body)["envFrom"].append({"configMapRef": {"name": "foreign"}}),
        "reference",
    ),
    "another container's variable": (
        lambda body: body["spec"]["containers"][1]["env"][0].update(value="debug"),
        "reference",
    ),
    "Secret volume": (lambda body: _volume(body, {"name": "v", "secret": {"secretName": "crown"}}, "/v"), "volumes"),
    "another Secret": (lambda body: body["spec"]["volumes"][1]["secret"].update(secretName="crown"), "volumes"),
    "host path": (lambda body: _volume(body, {"name": "v", "hostPath": {"path": "/"}}, "/v"), "volumes"),
    "claim": (
        lambda body: _volume(body, {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}, "/v"),
        "volumes",
    ),
    "projected Secret": (
        lambda body: _volume(
            body, {"name": "kube-api-access-x", "projected": {"sources": [{"secret": {"name": "crown"}}]}}, "/v"
        ),
        "volumes",
    ),
    "foreign ConfigMap": (lambda body: body["spec"]["volumes"][0]["configMap"].update(name="foreign"), "volumes"),
    "projected foreign ConfigMap": (lambda body: projected(body)[0]["configMap"].update(name="foreign"), "volumes"),
    "another key of a ConfigMap": (lambda body: projected(body)[0]["configMap"]["items"][0].update(key="x"), "volumes"),
    "another projected Secret": (lambda body: projected(body)[1]["secret"].update(name="crown"), "volumes"),
    "mount": (lambda body: nginx(body)["volumeMounts"].append({"name": "tls", "mountPath": "/usr"}), "mounts"),
    "service account": (lambda body: body["spec"].update(serviceAccountName="trimtab-worker"), "service account"),
    "host network": (lambda body: body["spec"].update(hostNetwork=True), "may do on its node"),
    "host processes": (lambda body: body["spec"].update(hostPID=True), "may do on its node"),
    "user": (lambda body: body["spec"].update(securityContext={"runAsUser": 0}), "may do on its node"),
    "token": (lambda body: body["spec"].update(automountServiceAccountToken=True), "may do on its node"),
    "node": (lambda body: body["spec"].update(nodeSelector={"role": "control"}), "may do on its node"),
    "taints": (lambda body: body["spec"].update(tolerations=[{"operator": "Exists"}]), "may do on its node"),
    "priority": (
        lambda body: body["spec"].update(priorityClassName="system-node-critical"),
        "may do on its node",
    ),
    "pull Secret": (lambda body: body["spec"].update(imagePullSecrets=[{"name": "crown"}]), "pulled with"),
    "one container more": (
        lambda body: body["spec"]["containers"].append({"name": "more", "image": "localhost/web:1"}),
        "has the containers",
    ),
    "one container less": (lambda body: body["spec"]["containers"].pop(), "has the containers"),
    "no label": (lambda body: body["metadata"]["labels"].pop("trimtab.dev/arm"), "label trimtab.dev/arm"),
    "template hash": (lambda body: body["metadata"]["labels"].update({"pod-template-hash": "x"}), "another owner"),
    "adoption": (lambda body: body["metadata"]["ownerReferences"][0].update(controller=True), "another owner"),
    "another owner": (lambda body: body["metadata"]["ownerReferences"][0].update(uid="0-0"), "another owner"),
}


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_arms_may_not_differ_in(release: Release, change: Change, words: str) -> None:
    """Whatever would give an arm more than its workload has is refused, by the policy and with its sentence."""
    body = arm(release)
    change(body)
    with pytest.raises(Rejected) as refused:
        release.speak("worker").apply(path("Pod", release.namespace, "shop-trimtab-a"), body, dry=True)
    assert words in str(refused.value)


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_people_are_not_held_to_it(release: Release, change: Change, words: str) -> None:
    """The policy is for our accounts: what an administrator may not make either, Kubernetes itself refuses."""
    body, told = arm(release), ""
    change(body)
    try:
        release.admin.apply(path("Pod", release.namespace, "shop-trimtab-a"), body, manager="person", dry=True)
    except Rejected as other:
        told = str(other)
    assert "ValidatingAdmissionPolicy" not in told


def test_arms_have_fixed_names(release: Release) -> None:
    """An apply that creates is authorised with the name: no pod under another one, and none by a POST."""
    worker, body = release.speak("worker"), arm(release, "shop-trimtab-c")
    with pytest.raises(Misconfigured, match="cannot patch"):
        worker.apply(path("Pod", release.namespace, "shop-trimtab-c"), body, dry=True)
    with pytest.raises(Misconfigured, match="cannot create"):
        worker.create(path("Pod", release.namespace), arm(release), dry=True)


def test_an_arm_that_is_there_changes_by_the_subresource_only(release: Release) -> None:
    """Annotations and resources of a running arm may change, its image may not; then it is deleted."""
    worker, place = release.speak("worker"), path("Pod", release.namespace, "shop-trimtab-b")
    body = arm(release, "shop-trimtab-b")
    worker.apply(place, body)
    try:
        body["metadata"]["annotations"]["trimtab.dev/sync"] = "1"
        assert worker.apply(place, body)["metadata"]["annotations"]["trimtab.dev/sync"] == "1"
        nginx(body)["image"] = "localhost/foreign:1"
        with pytest.raises(Rejected, match="only labels and annotations"):
            worker.apply(place, body)
        wanted = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "300m", "memory": "64Mi"}}
        resized = worker.resize(place, "nginx", wanted)
        assert nginx(resized)["resources"]["limits"]["cpu"] == "300m"
    finally:
        worker.delete(place, seconds=0)
    assert release.admin.get(place) is None


def _patch(release: Release, spec: Json) -> Json:
    """A merge patch of the pod's spec in the template, as the worker sends it."""
    place = path("Deployment", release.namespace, "shop")
    return release.speak("worker").merge(place, {"spec": {"template": {"spec": spec}}}, dry=True)


def _spec(release: Release, change: Change) -> Json:
    body = shop(release)
    change(body)
    found: Json = body["spec"]["template"]["spec"]
    return {"containers": found["containers"], "volumes": found["volumes"]}


KEPT: dict[str, Change] = {
    "resources": lambda body: nginx(body)["resources"]["limits"].update(cpu="400m"),
    "a variable": lambda body: nginx(body)["env"].append({"name": "GOGC", "value": "200"}),
    "a kept ConfigMap in a projected volume": lambda body: projected(body)[0]["configMap"].update(
        name="shop-trimtab-kept-1"
    ),
    "a kept ConfigMap": lambda body: body["spec"]["template"]["spec"]["volumes"][0]["configMap"].update(
        name="shop-trimtab-kept-3"
    ),
}


@pytest.mark.parametrize("change", KEPT.values(), ids=KEPT.keys())
def test_the_template_may_get(release: Release, change: Change) -> None:
    """What is kept goes into the template."""
    _patch(release, _spec(release, change))


CROWN = {"name": "crown", "secret": {"secretName": "crown"}}
WORKLOAD: dict[str, tuple[Change, str]] = {
    "image": (lambda body: nginx(body).update(image="localhost/foreign:1"), "resources and environment"),
    "command": (lambda body: nginx(body).update(command=["sh"]), "resources and environment"),
    "mount": (
        lambda body: nginx(body)["volumeMounts"].append({"name": "tls", "mountPath": "/x"}),
        "resources and environment",
    ),
    "sidecar": (
        lambda body: body["spec"]["template"]["spec"]["containers"][1].update(
            resources={"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
        ),
        "resources and environment",
    ),
    "Secret": (lambda body: nginx(body)["env"].append({"name": "X", "valueFrom": SECRET}), "reference"),
    "projected Secret": (lambda body: projected(body)[1]["secret"].update(name="crown"), "names of ConfigMaps"),
    "volume": (lambda body: body["spec"]["template"]["spec"]["volumes"].append(CROWN), "names of ConfigMaps"),
    "foreign ConfigMap": (
        lambda body: body["spec"]["template"]["spec"]["volumes"][0]["configMap"].update(name="foreign"),
        "names of ConfigMaps",
    ),
}


@pytest.mark.parametrize(("change", "words"), WORKLOAD.values(), ids=WORKLOAD.keys())
def test_the_template_may_not_get(release: Release, change: Change, words: str) -> None:
    """A patch of a Deployment could change anything; ours cannot."""
    with pytest.raises(Rejected, match=words):
        _patch(release, _spec(release, change))


BODIES: dict[str, tuple[Json, str]] = {
    "a foreign annotation": ({"metadata": {"annotations": {"team": "db"}}}, "metadata only annotations"),
    "an annotation taken away": ({"metadata": {"annotations": {"team": None}}}, "metadata only annotations"),
    "a label": ({"metadata": {"labels": {"x": "y"}}}, "metadata only annotations"),
    "a finalizer": ({"metadata": {"finalizers": ["trimtab.dev/x"]}}, "metadata only annotations"),
    "pausing": ({"spec": {"paused": True}}, "only replicas and template"),
    "strategy": ({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}, "only replicas and template"),
    "the template's annotations": (
        {"spec": {"template": {"metadata": {"annotations": {"trimtab.dev/x": "1"}}}}},
        "only containers and volumes",
    ),
    "service account": ({"spec": {"template": {"spec": {"serviceAccountName": "x"}}}}, "only containers and volumes"),
}


@pytest.mark.parametrize(("body", "words"), BODIES.values(), ids=BODIES.keys())
def test_the_workload_may_not_get(release: Release, body: Json, words: str) -> None:
    """Nor anything outside the template."""
    with pytest.raises(Rejected, match=words):
        release.speak("worker").merge(path("Deployment", release.namespace, "shop"), body, dry=True)


@pytest.mark.parametrize("account", ["worker", "reap"])
def test_lease_and_replicas_are_ours(release: Release, account: str) -> None:
    """Annotations of ours on the workload's metadata, and its scale."""
    speaker, place = release.speak(account), path("Deployment", release.namespace, "shop")
    speaker.merge(place, {"metadata": {"annotations": {"trimtab.dev/run": "r-1"}}}, dry=True)
    assert speaker.merge(f"{place}/scale", {"spec": {"replicas": 2}}, dry=True)["spec"]["replicas"] == 2


def test_a_kept_map_may_be_taken_back(release: Release) -> None:
    """The way back from a kept ConfigMap to the target's own is open to the watchdog."""
    place = path("Deployment", release.namespace, "shop")
    before = shop(release)
    kept = copy.deepcopy(before)
    kept["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] = "shop-trimtab-kept-0"
    volumes = [each["spec"]["template"]["spec"]["volumes"] for each in (kept, before)]
    try:
        release.speak("worker").merge(place, {"spec": {"template": {"spec": {"volumes": volumes[0]}}}})
        release.speak("reap").merge(place, {"spec": {"template": {"spec": {"volumes": volumes[1]}}}})
        assert shop(release)["spec"]["template"]["spec"]["volumes"] == volumes[1]
    finally:
        release.admin.merge(place, {"spec": {"template": {"spec": {"volumes": volumes[1]}}}})
