"""Owners of fields: who must be asked, who may be overruled, and who took a value back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.actuators.kubernetes.owners import (
    REPLICAS,
    Path,
    env_from_path,
    env_path,
    governed,
    owners,
    projected_path,
    resource_path,
    reverted,
    verdict,
    volume_path,
    words,
)

Json = dict[str, Any]
LIMIT = resource_path("web", "limits", "cpu")
REQUEST = resource_path("web", "requests", "cpu")


def entry(
    manager: str, *paths: Path, operation: str = "Update", time: str = "2026-01-01T00:00:00Z", **more: str
) -> Json:
    """What the API server notes about one manager."""
    tree: Json = {}
    for path in paths:
        at = tree
        for step in path:
            at = at.setdefault(step, {})
            if step.startswith("k:"):
                at["."] = {}
    return {
        "manager": manager,
        "operation": operation,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": tree,
        **more,
    }


def workload(*entries: Json, **metadata: Any) -> Json:
    return {"metadata": {"name": "shop", "managedFields": list(entries), **metadata}}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (LIMIT, 'spec.template.spec.containers[name="web"].resources.limits.cpu'),
        (REPLICAS, "spec.replicas"),
        (env_path("web", "GOGC"), 'spec.template.spec.containers[name="web"].env[name="GOGC"]'),
        (env_from_path("web"), 'spec.template.spec.containers[name="web"].envFrom'),
        (volume_path("conf"), 'spec.template.spec.volumes[name="conf"].configMap.name'),
        (projected_path("conf"), 'spec.template.spec.volumes[name="conf"].projected.sources'),
    ],
)
def test_paths_in_words(path: Path, text: str) -> None:
    """As the API server's own messages have them."""
    assert words(path) == text


@pytest.mark.parametrize(
    ("manager", "operation", "kind"),
    [
        ("kubectl-client-side-apply", "Update", "one-off"),
        ("kubectl-edit", "Update", "one-off"),
        ("kubectl-set", "Update", "one-off"),
        ("kubectl", "Update", "one-off"),
        ("Mozilla", "Update", "one-off"),
        ("OpenAPI-Generator", "Update", "one-off"),
        ("kubectl", "Apply", "asserting"),
        ("somebody", "Apply", "asserting"),
        ("argocd-controller", "Apply", "asserting"),
        ("argocd-application-controller", "Update", "asserting"),
        ("kustomize-controller", "Apply", "asserting"),
        ("helm-controller", "Update", "asserting"),
        ("helm", "Update", "asserting"),
        ("Flux", "Update", "asserting"),
        ("postgres-operator", "Update", "asserting"),
        ("manager", "Update", "asserting"),
        ("kube-controller-manager", "Update", "asserting"),
        ("trimtab", "Apply", "free"),
        ("trimtab-kept", "Apply", "free"),
    ],
)
def test_who_asserts(manager: str, operation: str, kind: str) -> None:
    """Whoever applies, and every controller; a person's client acted once; we do not stand in our own way."""
    found = verdict(workload(entry(manager, LIMIT, operation=operation)), LIMIT)
    assert found.kind == kind
    assert (found.reason == "") is (kind == "free")
    if kind == "asserting":
        assert f"{manager}" in found.reason


def test_take_over_names_who_loses_a_field() -> None:
    """And only for managers that act once; everybody has to be named."""
    shared = workload(entry("kubectl-edit", LIMIT), entry("kubectl-set", LIMIT))
    refused = verdict(shared, LIMIT, ["kubectl-edit"])
    assert not refused.force
    assert refused.reason.endswith("belongs to kubectl-set; add take_over: [kubectl-set] to overrule that")
    allowed = verdict(shared, LIMIT, ["kubectl-edit", "kubectl-set"])
    assert (allowed.kind, allowed.force, allowed.reason) == ("one-off", True, "")
    argo = verdict(workload(entry("argocd-controller", LIMIT, operation="Apply")), LIMIT, ["argocd-controller"])
    assert argo.kind == "asserting"
    assert not argo.force


def test_other_fields_do_not_matter() -> None:
    """Nor the container next door, nor an empty `resources: {}` that a client sent along."""
    other = entry("argocd-controller", resource_path("side", "limits", "cpu"), REQUEST, operation="Apply")
    empty = entry("kubectl-client-side-apply", LIMIT[:-2])
    assert verdict(workload(other, empty), LIMIT).kind == "free"


def test_a_variable_belongs_to_whoever_set_any_part_of_it() -> None:
    """Its value, or where it comes from."""
    path = env_path("web", "GOGC")
    assert verdict(workload(entry("kubectl-set", (*path, "f:valueFrom"))), path).kind == "one-off"


def test_an_hpa_owns_the_replicas() -> None:
    """Through the scale subresource, which counts; a status does not."""
    found = workload(entry("kube-controller-manager", REPLICAS, subresource="scale"))
    assert verdict(found, REPLICAS).kind == "asserting"
    status = workload(entry("kube-controller-manager", REPLICAS, subresource="status"))
    assert verdict(status, REPLICAS).kind == "free"


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "app.kubernetes.io/managed-by: Helm"),
        ({"annotations": {"meta.helm.sh/release-name": "shop"}}, "meta.helm.sh/release-name: shop"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "a:b"}}, "argocd.argoproj.io/tracking-id: a:b"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "kustomize.toolkit.fluxcd.io/name: apps"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "apps"}}, "helm.toolkit.fluxcd.io/name: apps"),
        ({"ownerReferences": [{"kind": "Shop", "name": "s", "controller": True}]}, "Shop s controls shop"),
        ({"ownerReferences": [{"kind": "Shop", "name": "s", "controller": False}]}, ""),
        ({"labels": {"app.kubernetes.io/managed-by": "me"}}, ""),
        ({"labels": None, "annotations": None, "ownerReferences": None}, ""),
    ],
)
def test_marks_of_the_whole_object(metadata: Json, text: str) -> None:
    """Helm, Argo CD and Flux write a field again even if its managed fields do not say so."""
    manifest = workload(**metadata)
    assert text in governed(manifest)
    assert bool(governed(manifest)) is bool(text)
    assert verdict(manifest, LIMIT, ["helm"]).kind == ("asserting" if text else "free")


def test_keys_are_read_whatever_their_spacing() -> None:
    """They are JSON in a key."""
    tree: Json = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{ "name" : "web" }': {"f:env": {}}}}}}}
    manifest = workload({"manager": "kubectl", "operation": "Update", "fieldsV1": tree})
    assert owners(manifest, env_path("web", "X")[:-1])
    assert not owners(manifest, env_path("web", "X"))


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"metadata": None},
        {"metadata": {"managedFields": None}},
        {"metadata": {"managedFields": []}},
        {
            "metadata": {
                "managedFields": ["text", {}, {"fieldsV1": None}, {"manager": None, "fieldsV1": {"f:spec": None}}]
            }
        },
        {"metadata": {"managedFields": [{"manager": "x", "fieldsV1": {"f:spec": {"f:template": {"k:nonsense": {}}}}}]}},
    ],
)
def test_missing_managed_fields_own_nothing(manifest: Json) -> None:
    """They may be empty, cut off, or from a stranger."""
    assert verdict(manifest, LIMIT).kind == "free"
    assert owners(manifest, LIMIT) == ()
    json.dumps(manifest)


def test_a_value_that_was_taken_back_has_a_name() -> None:
    """The newest owner of the field; the same amount in other words is no change."""
    managed = [
        entry("trimtab", LIMIT, REQUEST, operation="Apply", time="2026-01-01T00:00:00Z"),
        entry("kubectl-edit", LIMIT, time="2026-01-02T00:00:00Z"),
        entry("argocd-controller", LIMIT, time="2026-01-03T00:00:00Z"),
    ]
    kept: dict[Path, str | None] = {LIMIT: "500m", REQUEST: "1"}
    assert reverted({LIMIT: "0.5", REQUEST: "1000m"}, kept, managed) == []
    assert reverted({LIMIT: "200m", REQUEST: "1000m"}, kept, managed) == [(words(LIMIT), "argocd-controller")]


def test_a_removed_value_was_removed_by_whoever_changed_the_object_last() -> None:
    """Nobody owns what is not there; and where nothing is known, that is said."""
    managed = [entry("kubectl-edit", REQUEST, time="2026-01-02T00:00:00Z")]
    assert reverted({}, {LIMIT: "500m"}, managed) == [(words(LIMIT), "kubectl-edit")]
    assert reverted({LIMIT: None}, {LIMIT: "500m"}, []) == [(words(LIMIT), "somebody unknown")]
    assert reverted({LIMIT: "1"}, {LIMIT: None}, [entry("x", LIMIT)]) == [(words(LIMIT), "x")]
    assert reverted({}, {LIMIT: None}, managed) == []
