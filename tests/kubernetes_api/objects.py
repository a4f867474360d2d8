"""Objects that tests put into the fake, and readers of what comes back."""

from __future__ import annotations

from typing import Any

from adapters.actuators.kubernetes.api import Api, path

Json = dict[str, Any]
KUBECTL = "kubectl-client-side-apply"


def pod(name: str = "arm", **container: Any) -> Json:
    limits = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
    item = {"name": "web", "image": "nginx:1", "resources": limits, **container}
    spec = {"automountServiceAccountToken": False, "nodeSelector": {"no": "node"}, "containers": [item]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec}


def deployment(**spec: Any) -> Json:
    item: Json = {
        "name": "web",
        "image": "nginx:1",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "A", "value": "1"}],
    }
    item |= {"resources": {"limits": {"cpu": "0.2", "memory": "64Mi"}}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [item]}}
    whole = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": whole}


def wanted(metadata: Json | None = None, **container: Any) -> Json:
    """An apply of fields of the container `web`."""
    body: Json = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", **(metadata or {})}}
    if container:
        body["spec"] = {"template": {"spec": {"containers": [{"name": "web", **container}]}}}
    return body


def made(api: Api, space: str) -> str:
    """The deployment, made by kubectl."""
    query = {"fieldManager": KUBECTL}
    api._call("POST", path("Deployment", space), deployment(), query=query, kind="application/json")
    return path("Deployment", space, "web")


def container_of(body: Json) -> Json:
    found: Json = body["spec"].get("template", body)["spec"]["containers"][0]
    return found


def owners(body: Json) -> dict[str, Json]:
    return {f"{e['manager']}/{e['operation']}": e["fieldsV1"] for e in body["metadata"]["managedFields"]}
