"""What the fake's controllers and kubelet do, what it refuses by quota, and what a watch tells."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.actuators.kubernetes.api import Outdated, path
from domain.errors import Rejected, Transient
from tests.kubernetes_api import ApiServer, FakeApi, cluster, quantities
from tests.kubernetes_api.objects import container_of, deployment, pod, wanted
from tests.kubernetes_api.server import TOKEN

Json = dict[str, Any]
WEB = path("Deployment", "default", "web")
PODS = path("Pod", "default")
ARM = path("Pod", "default", "arm")


@pytest.fixture
def fake() -> Iterator[tuple[ApiServer, FakeApi]]:
    with cluster() as running:
        yield running


def ready(body: Json) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in body["status"].get("conditions", []))


def condition(body: Json, name: str) -> Json:
    return next((each for each in body["status"]["conditions"] if each["type"] == name), {})


def names(api: FakeApi, **query: str) -> list[str]:
    return [each["metadata"]["name"] for each in api.items(PODS, **query)]


def stateful_set(replicas: int = 3) -> Json:
    body = deployment(replicas=replicas, serviceName="web")
    return {**body, "kind": "StatefulSet"}


def test_a_deployment_gets_pods_and_a_new_template_rolls_them(fake: tuple[ApiServer, FakeApi]) -> None:
    """Pods of a ReplicaSet with the template's hash; all of them Ready; then all of them new."""
    server, api = fake
    server.add(deployment(replicas=3))
    server.settle()
    before = api.items(PODS, labelSelector="app=web")
    assert len(before) == 3
    assert all(ready(each) for each in before)
    digest = before[0]["metadata"]["labels"]["pod-template-hash"]
    assert all(each["metadata"]["name"].startswith(f"web-{digest}-") for each in before)
    first = api.get(WEB)
    assert first is not None
    numbers = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
    assert [first["status"][name] for name in numbers] == [3, 3, 3, 3, 1]
    changed = api.apply(WEB, wanted(env=[{"name": "B", "value": "2"}]))
    assert changed["status"]["observedGeneration"] < changed["metadata"]["generation"]
    server.settle()
    after = api.items(PODS)
    assert not {each["metadata"]["uid"] for each in before} & {each["metadata"]["uid"] for each in after}
    assert len(after) == 3
    assert container_of(after[0])["env"][1] == {"name": "B", "value": "2"}
    done = api.get(WEB)
    assert done is not None
    assert done["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "2"}
    assert done["status"]["observedGeneration"] == done["metadata"]["generation"]


def test_a_rollout_keeps_enough_pods_and_stops_at_broken_ones(fake: tuple[ApiServer, FakeApi]) -> None:
    """A quarter more and a quarter less, as the defaults say; taken back, the old template serves again."""
    server, api = fake
    server.add(deployment(replicas=4))
    server.settle()
    server.break_pods(lambda body: any(each["name"] == "B" for each in container_of(body).get("env", [])))
    api.apply(WEB, wanted(env=[{"name": "B", "value": "2"}]))
    for _ in range(10):
        server.tick()
        found = api.items(PODS)
        assert len([each for each in found if ready(each)]) >= 3
        assert len(found) <= 5
    assert len([each for each in api.items(PODS) if not ready(each)]) == 2
    api.apply(WEB, wanted())
    server.settle()
    found = api.items(PODS)
    assert len(found) == 4
    assert all(ready(each) for each in found)


def test_what_kubernetes_writes_itself_is_told_by_its_managers(fake: tuple[ApiServer, FakeApi]) -> None:
    """Status and revision belong to kube-controller-manager; they move the version and not the generation."""
    server, api = fake
    server.add(deployment(replicas=1))
    before = server.get(WEB)["metadata"]
    server.settle()
    after = server.get(WEB)["metadata"]
    assert after["resourceVersion"] != before["resourceVersion"]
    assert after["generation"] == before["generation"] == 1
    assert ("kube-controller-manager", "status") in {
        (each["manager"], each.get("subresource")) for each in after["managedFields"]
    }
    with pytest.raises(Outdated):
        api.merge(WEB, {"metadata": {"resourceVersion": before["resourceVersion"], "labels": {"a": "b"}}})


def test_pods_come_and_go_with_their_owner_and_nobody_adopts_an_arm(fake: tuple[ApiServer, FakeApi]) -> None:
    """An arm has no template's hash: no ReplicaSet takes it for its own; it is collected when its workload is gone."""
    server, api = fake
    server.add(deployment(replicas=2))
    server.settle()
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": server.get(WEB)["metadata"]["uid"]}
    arm = pod()
    arm["metadata"]["ownerReferences"] = [{**owner, "controller": False}]
    api.apply(ARM, arm)
    server.settle()
    assert len(names(api)) == 3
    assert ready(server.get(ARM))
    digest = api.items(PODS, fieldSelector="status.phase=Running")[1]["metadata"]["labels"]["pod-template-hash"]
    api.apply(
        path("Pod", "default", "stray"),
        pod("stray") | {"metadata": {"name": "stray", "labels": {"app": "web", "pod-template-hash": digest}}},
    )
    server.settle()
    assert len(names(api, labelSelector=f"pod-template-hash={digest}")) == 2  # adopted, then one too many
    api.delete(WEB)
    server.settle()
    assert names(api) == []


def test_a_stateful_set_goes_by_ordinal_partition_and_readiness(fake: tuple[ApiServer, FakeApi]) -> None:
    """From the highest down to the partition; a broken pod holds up its own undo until somebody deletes it."""
    server, api = fake
    place = path("StatefulSet", "default", "web")
    server.add(stateful_set())
    server.settle()
    assert names(api) == ["web-0", "web-1", "web-2"]
    api.merge(place, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}})
    server.break_pods(lambda body: "env" in container_of(body) and container_of(body)["env"][-1]["value"] == "bad")
    change = {**wanted(env=[{"name": "B", "value": "bad"}]), "kind": "StatefulSet"}
    api.apply(place, change)
    server.settle()
    assert [each["name"] for each in container_of(server.get(f"{PODS}/web-2"))["env"]] == ["A", "B"]
    assert len(container_of(server.get(f"{PODS}/web-1"))["env"]) == 1
    assert not ready(server.get(f"{PODS}/web-2"))
    api.apply(place, {**wanted(), "kind": "StatefulSet"})
    server.settle()
    assert not ready(server.get(f"{PODS}/web-2"))
    api.delete(f"{PODS}/web-2")
    server.settle()
    assert ready(server.get(f"{PODS}/web-2"))
    told = server.get(place)["status"]
    assert told["readyReplicas"] == told["updatedReplicas"] == 3
    assert told["currentRevision"] == told["updateRevision"]


def test_a_deleted_pod_lasts_for_its_grace(fake: tuple[ApiServer, FakeApi]) -> None:
    """It is on its way out for that long, unless it is deleted at once."""
    server, api = fake
    now = [0.0]
    server.store.clock = lambda: now[0]
    server.store.grace = 3.0
    for name in ("arm", "other"):
        api.apply(f"{PODS}/{name}", pod(name))
    api.delete(ARM)
    assert api.items(PODS)[0]["metadata"]["deletionGracePeriodSeconds"] == 30
    assert "deletionTimestamp" in (api.get(ARM) or {})["metadata"]
    api.delete(f"{PODS}/other", seconds=0)
    assert names(api) == ["arm"]
    now[0] = 3.0
    assert names(api) == []


def test_a_resize_is_in_force_after_a_while(fake: tuple[ApiServer, FakeApi]) -> None:
    """In progress until then; the same container all along."""
    server, api = fake
    now = [0.0]
    server.store.clock, server.kubelet.resize_delay = lambda: now[0], 2.0
    api.apply(ARM, pod())
    server.settle()
    container = server.get(ARM)["status"]["containerStatuses"][0]["containerID"]
    api.resize(ARM, "web", {"limits": {"cpu": "300m"}})
    waiting = api.get(ARM) or {}
    assert condition(waiting, "PodResizeInProgress")["status"] == "True"
    assert "reason" not in condition(waiting, "PodResizeInProgress")
    assert waiting["status"]["containerStatuses"][0]["resources"]["limits"]["cpu"] == "200m"
    now[0] = 2.0
    done = api.get(ARM) or {}
    assert condition(done, "PodResizeInProgress") == {}
    status = done["status"]["containerStatuses"][0]
    assert (status["resources"]["limits"]["cpu"], status["restartCount"]) == ("300m", 0)
    assert status["containerID"] == container
    assert done["status"]["observedGeneration"] == done["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("outcome", "name", "allocated"),
    [
        ("Infeasible", "PodResizePending", "100m"),
        ("Deferred", "PodResizePending", "100m"),
        ("Error", "PodResizeInProgress", "150m"),
    ],
)
def test_a_resize_that_does_not_come_about(
    fake: tuple[ApiServer, FakeApi], outcome: str, name: str, allocated: str
) -> None:
    """The condition says why; the old values stay in force; patching back clears it, and so does room."""
    server, api = fake
    api.apply(ARM, pod())
    server.settle()
    server.script_resize("arm", outcome, "Node didn't have enough capacity: cpu, requested: 3000, capacity: 2000")
    api.resize(ARM, "web", {"requests": {"cpu": "150m"}})
    stuck = api.get(ARM) or {}
    assert condition(stuck, name)["reason"] == outcome
    assert "capacity" in condition(stuck, name)["message"]
    status = stuck["status"]["containerStatuses"][0]
    assert (status["resources"]["requests"]["cpu"], status["allocatedResources"]["cpu"]) == ("100m", allocated)
    api.resize(ARM, "web", {"requests": {"cpu": "100m"}})
    assert condition(api.get(ARM) or {}, name) == {}
    api.resize(ARM, "web", {"requests": {"cpu": "150m"}})
    server.script_resize("arm", "")
    done = api.get(ARM) or {}
    assert condition(done, name) == {}
    assert done["status"]["containerStatuses"][0]["resources"]["requests"]["cpu"] == "150m"


def test_a_quota_counts_pods_and_a_deployment_shows_it_only_afterwards(fake: tuple[ApiServer, FakeApi]) -> None:
    """A pod tried beforehand is refused with the sums; a Deployment is taken and fails to make its pods."""
    server, api = fake
    hard = {"requests.cpu": "500m", "limits.memory": "256Mi"}
    server.add({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "rq"}, "spec": {"hard": hard}})
    api.apply(ARM, pod())
    resources = {"requests": {"cpu": "450m"}, "limits": {"memory": "64Mi"}}
    words = "exceeded quota: rq, requested: requests.cpu=450m, used: requests.cpu=100m, limited: requests.cpu=500m"
    with pytest.raises(Rejected, match=words):
        api.create(PODS, pod("b", resources=resources), dry=True)
    with pytest.raises(Rejected, match=r"failed quota: rq: must specify limits.memory for: web; requests.cpu for: web"):
        api.create(PODS, pod("b", resources={}), dry=True)
    with pytest.raises(Rejected, match=r"requested: requests.cpu=450m, used: requests.cpu=100m"):
        api.resize(ARM, "web", {"requests": {"cpu": "550m"}, "limits": {"cpu": "600m"}}, dry=True)
    body = deployment(replicas=3)
    container_of(body)["resources"] = {"requests": {"cpu": "300m"}, "limits": {"memory": "64Mi"}}
    api.apply(WEB, body)
    server.settle()
    told = server.get(WEB)
    assert told["status"]["replicas"] == 1
    assert (condition(told, "ReplicaFailure")["reason"], condition(told, "ReplicaFailure")["status"]) == (
        "FailedCreate",
        "True",
    )
    assert "exceeded quota: rq, requested: requests.cpu=300m" in condition(told, "ReplicaFailure")["message"]


def test_lists_are_selected_by_labels_and_fields(fake: tuple[ApiServer, FakeApi]) -> None:
    """Equality, existence, a name, the object of an event; other namespaces are not seen."""
    server, api = fake
    for name, space in (("a", "default"), ("b", "default"), ("c", "other")):
        body = pod(name)
        body["metadata"] |= {"namespace": space, "labels": {"app": name, "all": ""}}
        server.add(body)
    involved = {"kind": "Deployment", "name": "web", "namespace": "default"}
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "web.1"}, "involvedObject": involved}
    server.add(event, {**event, "metadata": {"name": "x.1"}, "involvedObject": {**involved, "name": "x"}})
    assert names(api) == ["a", "b"]
    assert names(api, labelSelector="app=a,all=") == ["a"]
    assert names(api, labelSelector="app") == ["a", "b"]
    assert names(api, fieldSelector="metadata.name=b") == ["b"]
    found = api.items(path("Event", "default"), fieldSelector="involvedObject.name=web")
    assert [each["metadata"]["name"] for each in found] == ["web.1"]
    assert len(api.items("/api/v1/pods")) == 3
    server.absent.add("verticalpodautoscalers")
    assert api.get(path("VerticalPodAutoscaler", "default", "web")) is None


def events(server: ApiServer, seconds: str = "0.2", **query: str) -> list[Json]:
    asked = urllib.parse.urlencode({"watch": "true", "timeoutSeconds": seconds, **query})
    connection = http.client.HTTPConnection(server.address.removeprefix("http://"))
    connection.request("GET", f"{PODS}?{asked}", headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    lines = answer.read().splitlines()
    connection.close()
    return [json.loads(line) for line in lines]


def test_a_watch_tells_what_came_after_its_version(fake: tuple[ApiServer, FakeApi]) -> None:
    """Each change once, a bookmark when asked, and 410 for a version that is forgotten."""
    server, api = fake
    first = api.apply(ARM, pod())["metadata"]["resourceVersion"]
    api.merge(ARM, {"metadata": {"labels": {"a": "b"}}})
    api.delete(ARM)
    seen = events(server, resourceVersion=first, allowWatchBookmarks="true")
    assert [each["type"] for each in seen] == ["MODIFIED", "DELETED", "BOOKMARK"]
    assert seen[0]["object"]["metadata"]["labels"] == {"app": "web", "a": "b"}
    assert seen[2]["object"]["metadata"]["resourceVersion"] == seen[1]["object"]["metadata"]["resourceVersion"]
    assert [each["type"] for each in events(server, resourceVersion=first)] == ["MODIFIED", "DELETED"]
    server.compact()
    (gone,) = events(server, resourceVersion=first)
    assert (gone["type"], gone["object"]["code"], gone["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_failures_come_when_they_are_ordered(fake: tuple[ApiServer, FakeApi]) -> None:
    """The next ones, or those that match; every call is on record, and a snapshot forgets both."""
    server, api = fake
    state = server.snapshot()
    server.fail(503, times=2, when=lambda call: call.writes)
    for _ in range(2):
        with pytest.raises(Transient):
            api.apply(ARM, pod())
        assert api.get(ARM) is None
    api.apply(ARM, pod(), dry=True)
    api.apply(ARM, pod())
    writes = [call for call in server.calls if call.writes]
    assert [(call.method, call.path, call.body["metadata"]["name"]) for call in writes] == [("PATCH", ARM, "arm")] * 3
    server.fail(500)
    server.restore(state)
    assert api.get(ARM) is None
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("0.5", "500m"),
        ("1.5Gi", "1536Mi"),
        ("1024Mi", "1Gi"),
        ("1000m", "1"),
        ("0.5Ki", "512"),
        ("1e3", "1e3"),
        (2, "2"),
    ],
)
def test_quantities_are_written_down_in_one_way(text: object, same: str) -> None:
    """As the API server stores them."""
    assert quantities.canonical(text) == same


def test_the_controllers_may_work_by_themselves(fake: tuple[ApiServer, FakeApi]) -> None:
    """One pass before each request, for callers that poll."""
    server, api = fake
    server.automatic = True
    api.apply(ARM, pod())
    assert ready(api.get(ARM) or {})
