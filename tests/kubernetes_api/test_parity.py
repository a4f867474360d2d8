"""The fake answers as a real API server does: each of these tests runs on both (the real one with `-m cluster`)."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.actuators.kubernetes.api import Absent, Api, Outdated, Owned, path
from domain.errors import Rejected
from tests.cluster.cluster import find
from tests.kubernetes_api import FakeApi, cluster
from tests.kubernetes_api.objects import KUBECTL, container_of, made, owners, pod, wanted

Json = dict[str, Any]
CPU = '.spec.template.spec.containers[name="web"].resources.limits.cpu'


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.cluster)])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Api, str]]:
    """An API server and a namespace for this test."""
    if request.param == "fake":
        with cluster() as (_, api):
            yield api, "default"
        return
    real, space = find().api(), f"trimtab-test-{uuid.uuid4().hex[:8]}"
    real.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    try:
        with contextlib.suppress(Outdated):
            real.create(f"/api/v1/namespaces/{space}/serviceaccounts", account)
        yield real, space
    finally:
        real.delete(f"/api/v1/namespaces/{space}")


def at_rest(api: Api, place: str) -> Json:
    """The object once the controllers of a real cluster have said what they have to say about it."""
    seen: list[Json | None] = [None]
    for _ in range(20):
        seen.append(api.get(place))
        if seen[-1] == seen[-2]:
            break
        time.sleep(0 if isinstance(api, FakeApi) else 0.5)
    assert seen[-1] is not None
    return seen[-1]


def test_a_field_of_another_manager_is_a_conflict_that_names_both(both: tuple[Api, str]) -> None:
    """409 FieldManagerConflict, in a dry run too, and nothing is changed."""
    api, space = both
    place = made(api, space)
    for dry in (True, False):
        with pytest.raises(Owned, match=f'1 conflict: conflict with "{KUBECTL}" using apps/v1: ') as refused:
            api.apply(place, wanted(resources={"limits": {"cpu": "300m"}}), dry=dry)
        assert refused.value.fields == {KUBECTL: (CPU,)}
    body = api.get(place)
    assert body is not None
    assert "trimtab/Apply" not in owners(body)
    assert container_of(body)["resources"]["limits"]["cpu"] == "200m"
    with pytest.raises(Owned, match="Apply failed with 2 conflicts: conflicts with") as several:
        api.apply(place, wanted(image="nginx:2", env=[{"name": "A", "value": "2"}]))
    assert sorted(several.value.fields[KUBECTL])[0].endswith('.env[name="A"].value')


def test_equal_values_are_co_owned_and_stay_when_one_owner_lets_go(both: tuple[Api, str]) -> None:
    """Ours is added to kubectl's; the same quantity in other words is another value."""
    api, space = both
    place = made(api, space)
    assert f"{KUBECTL}/Update" in owners(api.apply(place, wanted(resources={"limits": {"cpu": "200m"}})))
    left = api.apply(place, wanted())
    assert container_of(left)["resources"]["limits"] == {"cpu": "200m", "memory": "64Mi"}
    assert "trimtab/Apply" not in owners(left)
    with pytest.raises(Owned):
        api.apply(place, wanted(resources={"limits": {"cpu": "0.2"}}))


def test_force_takes_over_and_what_is_left_out_later_is_gone(both: tuple[Api, str]) -> None:
    """Only the field changes hands; dropped by its only owner it is deleted, with the defaults below it."""
    api, space = both
    place = made(api, space)
    probe = {"httpGet": {"port": 80}}
    body = api.apply(place, wanted(resources={"limits": {"cpu": "300m"}}, readinessProbe=probe), force=True)
    key = 'k:{"name":"web"}'
    mine = owners(body)["trimtab/Apply"]["f:spec"]["f:template"]["f:spec"]["f:containers"][key]
    assert mine["f:resources"] == {"f:limits": {"f:cpu": {}}}
    kubectl = owners(body)[f"{KUBECTL}/Update"]["f:spec"]["f:template"]["f:spec"]["f:containers"][key]
    assert kubectl["f:resources"]["f:limits"] == {".": {}, "f:memory": {}}
    assert container_of(body)["readinessProbe"]["periodSeconds"] == 10
    left = container_of(api.apply(place, wanted(env=[{"name": "B", "value": "2"}])))
    assert left["resources"]["limits"] == {"memory": "64Mi"}
    assert "readinessProbe" not in left
    assert [each["name"] for each in left["env"]] == ["A", "B"]


def test_an_item_of_a_list_is_removed_by_the_one_who_added_it(both: tuple[Api, str]) -> None:
    """Environment and volumes by name, mounts by path; the rest of the list is untouched."""
    api, space = both
    place = made(api, space)
    body = wanted(env=[{"name": "B", "value": "2"}], volumeMounts=[{"name": "v", "mountPath": "/v"}])
    body["spec"]["template"]["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "web-trimtab-kept-0"}}]
    api.apply(place, body)
    left = api.apply(place, wanted(env=[{"name": "C", "value": "3"}]))
    assert [each["name"] for each in container_of(left)["env"]] == ["A", "C"]
    assert "volumeMounts" not in container_of(left)
    assert "volumes" not in left["spec"]["template"]["spec"]


def test_the_same_apply_again_changes_nothing(both: tuple[Api, str]) -> None:
    """Not even the resourceVersion; a dry run never does."""
    api, space = both
    place = made(api, space)
    api.apply(place, wanted(env=[{"name": "B", "value": "2"}]))
    first = at_rest(api, place)
    again = api.apply(place, wanted(env=[{"name": "B", "value": "2"}]))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    dry = api.apply(place, wanted(env=[{"name": "B", "value": "3"}]), dry=True)
    assert container_of(dry)["env"][1]["value"] == "3"
    assert api.get(place) == first


def test_a_version_that_has_passed_is_refused(both: tuple[Api, str]) -> None:
    """In a merge patch and in an apply; the right one is taken. The generation grows with spec and annotations."""
    api, space = both
    place = made(api, space)
    api.merge(place, {"metadata": {"labels": {"a": "b"}}})
    before = at_rest(api, place)["metadata"]
    now = api.merge(place, {"metadata": {"resourceVersion": before["resourceVersion"], "annotations": {"a": "b"}}})
    assert now["metadata"]["generation"] == before["generation"] + 1  # the server's way with Deployments alone
    words = "the object has been modified; please apply your changes to the latest version and try again"
    for change in (api.merge, api.apply):
        with pytest.raises(Outdated, match=words):
            change(place, wanted({"resourceVersion": before["resourceVersion"]}, env=[{"name": "B", "value": "2"}]))
    scaled = api.merge(place, {"spec": {"replicas": 3, "paused": True}})
    assert scaled["metadata"]["generation"] == now["metadata"]["generation"] + 1
    assert owners(scaled)["trimtab/Update"]["f:spec"] == {"f:paused": {}, "f:replicas": {}}
    assert "a" not in api.merge(place, {"metadata": {"annotations": {"a": None}}})["metadata"].get("annotations", {})


def test_an_apply_makes_what_is_not_there_unless_it_names_a_uid(both: tuple[Api, str]) -> None:
    """A resourceVersion does not keep a deleted object from coming back; its uid does."""
    api, space = both
    place = path("ConfigMap", space, "web-trimtab-a")
    body: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web-trimtab-a"}, "data": {"a": "1"}}
    first = api.apply(place, {**body, "metadata": {**body["metadata"], "resourceVersion": "1"}})["metadata"]
    with pytest.raises(Outdated, match="the UID in the precondition"):
        api.delete(place, uid="another")
    api.delete(place, uid=first["uid"])
    api.delete(place, uid=first["uid"])
    assert api.get(place) is None
    with pytest.raises(Outdated, match=r"uid mismatch: the provided object specified uid .*, and no existing object"):
        api.apply(place, {**body, "metadata": {**body["metadata"], "uid": first["uid"]}})
    with pytest.raises(Absent, match='configmaps "web-trimtab-a" not found'):
        api.merge(place, {"data": {"a": "2"}})
    api.create(path("ConfigMap", space), {**body, "immutable": True})
    with pytest.raises(Outdated, match='configmaps "web-trimtab-a" already exists'):
        api.create(path("ConfigMap", space), body)
    with pytest.raises(Rejected, match="data: Forbidden: field is immutable when `immutable` is set"):
        api.merge(place, {"data": {"a": "2"}})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"imgae": "x"}, r'containers\[name="web"\].imgae: field not declared in schema'),
        ({"env": [{"name": "A", "value": 1}]}, "expected string, got"),
        ({"env": [{"name": "B"}, {"name": "B"}]}, r'env: duplicate entries for key \[name="B"\]'),
        ({"resources": {"limits": {"cpu": "much"}}}, "quantities must match the regular expression"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, 'volumeMounts.0..name: Not found: "v"'),
        ({"resources": {"requests": {"memory": "1Gi"}}}, "must be less than or equal to memory limit of 64Mi"),
    ],
)
def test_what_can_never_be_applied_is_rejected(both: tuple[Api, str], fields: Json, words: str) -> None:
    """The server answers some of it with 500; asking again would never help."""
    api, space = both
    place = made(api, space)
    with pytest.raises(Rejected) as refused:
        api.apply(place, wanted(**fields), force=True)
    assert re.search(words[:60], str(refused.value))


def test_unknown_fields_are_refused_and_the_whole_object_is_not_told_back(both: tuple[Api, str]) -> None:
    """By every door; the server's message to a merge patch holds the object with all its values, ours does not."""
    api, space = both
    place = made(api, space)
    with pytest.raises(Rejected, match=r'unknown field "spec.replcas"') as refused:
        api.merge(place, {"metadata": {"annotations": {"a": "hush"}}, "spec": {"replcas": 2}})
    assert "hush" not in str(refused.value)
    with pytest.raises(Rejected, match='unknown field "daat"'):
        api.create(
            path("ConfigMap", space), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "daat": {}}
        )


def test_a_pod_is_changed_by_resize_alone(both: tuple[Api, str]) -> None:
    """Its class stays, no limit goes, nothing but resources is taken; and the resize owns what it wrote."""
    api, space = both
    place = path("Pod", space, "arm")
    api.apply(place, pod())
    with pytest.raises(Rejected, match="pod updates may not change fields other than"):
        api.merge(place, {"spec": {"containers": [{**pod()["spec"]["containers"][0], "env": [{"name": "A"}]}]}})
    with pytest.raises(Rejected, match='"Burstable": Pod QOS Class may not change as a result of resizing'):
        api.resize(
            place, "web", {"limits": {"cpu": "200m", "memory": "64Mi"}, "requests": {"cpu": "0.2", "memory": "64Mi"}}
        )
    with pytest.raises(Rejected, match=r"resources.limits: Forbidden: resource limits cannot be removed"):
        api.resize(place, "web", {"limits": {"cpu": None}})
    with pytest.raises(Rejected, match="containers may not be added or removed on resize"):
        api.resize(place, "other", {"limits": {"cpu": "1"}})
    before = api.resize(place, "web", {"limits": {"cpu": "300m"}}, dry=True)["metadata"]
    body = api.resize(place, "web", {"limits": {"cpu": "300m"}})
    assert container_of(body)["resources"]["limits"] == {"cpu": "300m", "memory": "64Mi"}
    assert body["metadata"]["generation"] == before["generation"] == 2
    with pytest.raises(Owned, match='conflict with "trimtab" with subresource "resize" using v1'):
        api.apply(place, pod())


def test_a_limit_range_speaks_when_a_pod_is_tried(both: tuple[Api, str]) -> None:
    """403 by admission is a rejection, not a missing right."""
    api, space = both
    limits = [{"type": "Container", "max": {"cpu": "800m"}, "min": {"memory": "16Mi"}}]
    made_ = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "lr"}, "spec": {"limits": limits}}
    item = api.create(path("LimitRange", space), made_)["spec"]["limits"][0]
    assert item["defaultRequest"] == {"cpu": "800m", "memory": "16Mi"}
    resources = {"limits": {"cpu": "900m", "memory": "8Mi"}}
    with pytest.raises(Rejected, match="maximum cpu usage per Container is 800m, but limit is 900m") as refused:
        api.create(path("Pod", space), pod(resources=resources), dry=True)
    assert "minimum memory usage per Container is 16Mi, but request is 8Mi" in str(refused.value)
    assert api.get(path("Pod", space, "arm")) is None


def test_scale_is_a_door_of_its_own(both: tuple[Api, str]) -> None:
    """Who scales owns the replicas, by that door."""
    api, space = both
    place = made(api, space)
    at_rest(api, place)
    scale = api.get(f"{place}/scale")
    assert scale is not None
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {}, "app=web")
    version = {"resourceVersion": scale["metadata"]["resourceVersion"]}
    assert api.merge(f"{place}/scale", {"metadata": version, "spec": {"replicas": 3}})["spec"] == {"replicas": 3}
    api.merge(place, {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(Outdated):
        api.merge(f"{place}/scale", {"metadata": version, "spec": {"replicas": 2}})
    api.merge(f"{place}/scale", {"spec": {"replicas": 2}})
    with pytest.raises(Owned, match=r'conflict with "trimtab" with subresource "scale" using apps/v1: .spec.replicas'):
        api.apply(place, {**wanted(), "spec": {"replicas": 4}})
