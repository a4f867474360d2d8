"""What the API server fills in, and how it writes values down, before anything is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.kubernetes_api import quantities
from tests.kubernetes_api.schema import STRUCTS, Type
from tests.kubernetes_api.values import copied

Json = dict[str, Any]
TEMPLATE: Json = {"metadata": {}, "spec": {"containers": None}}
SKELETONS: dict[str, Json] = {  # the fields that are structs in Go, not pointers: they are there in an empty object
    "Deployment": {"spec": {"strategy": {}, "template": TEMPLATE}, "status": {}},
    "StatefulSet": {"spec": {"updateStrategy": {}, "template": TEMPLATE}, "status": {}},
    "ReplicaSet": {"spec": {"template": TEMPLATE}, "status": {}},
    "Pod": {"spec": {"containers": None}, "status": {}},
    "ConfigMap": {},
    "Event": {"involvedObject": {}, "source": {}},
}
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


def skeleton(kind: str) -> Json:
    """The object that a new one is compared with."""
    return {"metadata": {}, **copied(SKELETONS.get(kind, {"spec": {}, "status": {}}))}


def decoded(kind: Type, value: Any) -> Any:
    """The value without nulls, with every quantity in its canonical form. Raises ValueError."""
    if kind == "quantity":
        return quantities.canonical(value)
    if isinstance(value, dict):
        fields = STRUCTS[kind[1:]] if isinstance(kind, str) and kind.startswith("#") else {}
        inner = kind[1] if isinstance(kind, list) else "*"
        if isinstance(kind, list) and kind[0] == "atomic":
            return decoded(inner, value)
        found = {
            name: decoded(fields.get(name, "*") if fields else inner, item)
            for name, item in value.items()
            if item is not None
        }
        return {name: item for name, item in found.items() if not (fields and _omitted(fields.get(name), item))}
    if isinstance(value, list):
        if isinstance(kind, list):
            return decoded(kind[1], value) if kind[0] == "atomic" else [decoded(kind[2], item) for item in value]
        return [decoded("*", item) for item in value]
    return value


def _omitted(kind: Type, value: Any) -> bool:
    """Whether a struct's field is left out for being empty: maps, lists and text are, structs are not."""
    inner = kind[1] if isinstance(kind, list) and kind[0] == "atomic" else kind
    return value == "" or (value in ({}, []) and isinstance(inner, list))


def known(kind: Type, value: Any) -> Any:
    """The value without the fields that its type does not have."""
    if isinstance(kind, list) and kind[0] == "atomic":
        return known(kind[1], value)
    if isinstance(value, dict) and isinstance(kind, str) and kind.startswith("#"):
        fields = STRUCTS[kind[1:]]
        return {name: known(fields[name], item) for name, item in value.items() if name in fields}
    if isinstance(value, dict):
        return {name: known(kind[1] if isinstance(kind, list) else "*", item) for name, item in value.items()}
    if isinstance(value, list) and isinstance(kind, list):
        return [known(kind[2], item) for item in value]
    return value


def containers(spec: Json) -> Iterator[tuple[str, Json]]:
    """Every container of a pod's spec, with its field."""
    for part in ("initContainers", "containers"):
        for place, item in enumerate(spec.get(part, [])):
            yield f"{part}[{place}]", item


def fill(kind: str, body: Json) -> None:
    """The defaults of a kind, as far as tests may meet them."""
    spec = body.setdefault("spec", {}) if kind not in ("ConfigMap", "Event", "Node", "Namespace") else {}
    if kind == "Deployment":
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxSurge", "25%")
            rolling.setdefault("maxUnavailable", "25%")
        spec.setdefault("progressDeadlineSeconds", 600)
    if kind == "StatefulSet":
        spec.setdefault("podManagementPolicy", "OrderedReady")
        update = spec.setdefault("updateStrategy", {})
        if update.setdefault("type", "RollingUpdate") == "RollingUpdate":
            update.setdefault("rollingUpdate", {}).setdefault("partition", 0)
        spec.setdefault("persistentVolumeClaimRetentionPolicy", {"whenDeleted": "Retain", "whenScaled": "Retain"})
    if kind in ("Deployment", "StatefulSet"):
        spec.setdefault("revisionHistoryLimit", 10)
    if kind in ("Deployment", "StatefulSet", "ReplicaSet"):
        spec.setdefault("replicas", 1)
        _fill_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))
    if kind == "Pod":
        _fill_pod(body, spec)
    for item in spec.get("limits", []) if kind == "LimitRange" else []:
        if item.get("type") == "Container":
            highs = {**item.get("max", {}), **item.get("default", {})}
            lows = {**item.get("min", {}), **highs, **item.get("defaultRequest", {})}
            item |= {key: values for key, values in (("default", highs), ("defaultRequest", lows)) if values}
    if kind == "Service":
        for key, value in {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}.items():
            spec.setdefault(key, value)
        for port in spec.get("ports", []):
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port.get("port"))


def _fill_pod_spec(spec: Json) -> None:
    for key, value in {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
    }.items():
        spec.setdefault(key, value)
    spec.setdefault("securityContext", {})
    if "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
    for volume in spec.get("volumes", []):
        for source in ("configMap", "secret", "projected", "downwardAPI"):
            if source in volume:
                volume[source].setdefault("defaultMode", 420)
    for _, item in containers(spec):
        _fill_container(item)


def _fill_container(item: Json) -> None:
    tag = item.get("image", "").rsplit("/", 1)[-1].partition(":")[2]
    item.setdefault("imagePullPolicy", "Always" if tag in ("", "latest") else "IfNotPresent")
    item.setdefault("terminationMessagePath", "/dev/termination-log")
    item.setdefault("terminationMessagePolicy", "File")
    item.setdefault("resources", {})
    for port in item.get("ports", []):
        port.setdefault("protocol", "TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in item:
            numbers = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
            item[name].update({key: item[name].get(key, value) for key, value in numbers.items()})
            if "httpGet" in item[name]:
                item[name]["httpGet"].setdefault("scheme", "HTTP")
                item[name]["httpGet"].setdefault("path", "/")
    for variable in item.get("env", []):
        if "fieldRef" in variable.get("valueFrom", {}):
            variable["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")


def _fill_pod(body: Json, spec: Json) -> None:
    _fill_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    for _, item in containers(spec):
        resources = item["resources"]
        if resources.get("limits"):  # not in templates: only in pods do requests follow the limits
            resources["requests"] = {**resources["limits"], **resources.get("requests", {})}


def admit_pod(body: Json, suffix: str) -> None:
    """What admission adds to a new pod: its service account's token, tolerations, its priority."""
    spec = body["spec"]
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(item.get("key") == key for item in spec.setdefault("tolerations", [])):
            spec["tolerations"].append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            )
    if spec.get("automountServiceAccountToken") is False:
        return
    name = f"kube-api-access-{suffix}"
    for _, item in containers(spec):
        if not any(mount.get("mountPath") == TOKEN for mount in item.setdefault("volumeMounts", [])):
            item["volumeMounts"].append({"name": name, "readOnly": True, "mountPath": TOKEN})
    token = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    spec.setdefault("volumes", []).append({"name": name, "projected": {"defaultMode": 420, "sources": [token]}})


def qos(spec: Json) -> str:
    """The quality-of-service class of a pod."""
    sets = [item.get("resources", {}) for _, item in containers(spec)]
    if not any(each.get("requests") or each.get("limits") for each in sets):
        return "BestEffort"
    alike = all(
        each.get("limits", {}).get(name) and each.get("requests", {}).get(name) == each["limits"][name]
        for each in sets
        for name in ("cpu", "memory")
    )
    return "Guaranteed" if alike else "Burstable"
