"""What the API server refuses: validation (422), and admission by LimitRange and ResourceQuota (403).

Sources: `pkg/apis/core/validation/validation.go`, `plugin/pkg/admission/limitranger/admission.go`,
`apiserver/pkg/admission/plugin/resourcequota/controller.go` of Kubernetes 1.34.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tests.kubernetes_api.defaults import containers, qos
from tests.kubernetes_api.quantities import number, parsed, written

Json = dict[str, Any]
Faults = list[tuple[str, str]]
LABEL = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
MOST_ANNOTATIONS = 256 * 1024  # bytes
MOST_DATA = 1024 * 1024  # bytes of a ConfigMap
POD_FIXED = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
SET_FREE = ("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "minReadySeconds")
SET_FIXED = (
    "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy',"
    " 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def faults(kind: str, new: Json, old: Json | None, door: str) -> Faults:
    """What is invalid in a new object, or in the change of one. `door` is the subresource it came by."""
    found = _metadata(new["metadata"])
    spec = new.get("spec", {})
    if kind in ("Deployment", "StatefulSet", "ReplicaSet"):
        found += _workload(kind, spec, (old or {}).get("spec"))
    if kind == "Pod":
        found += _pod_spec(spec, "spec")
        if old is not None and door == "resize":
            found += _resize(spec, old)
        elif old is not None and not door and _later(spec, old["spec"]):
            value = spec["activeDeadlineSeconds"]
            text = f"Invalid value: {value}: must be less than or equal to previous value"
            found.append(("spec.activeDeadlineSeconds", text))
        elif old is not None and not door and _fixed(spec, old["spec"]) != _fixed(old["spec"], old["spec"]):
            found.append(("spec", POD_FIXED))
    if kind == "ConfigMap":
        found += _config_map(new, old)
    return found


def _metadata(metadata: Json) -> Faults:
    found: Faults = []
    if not NAME.match(metadata.get("name", "")):
        found.append(("metadata.name", f'Invalid value: "{metadata.get("name", "")}": a lowercase RFC 1123 subdomain'))
    for value in metadata.get("labels", {}).values():
        if len(value) > 63 or not LABEL.match(value):
            found.append(("metadata.labels", f'Invalid value: "{value}": a valid label must be an empty string or'))
    size = sum(len(key) + len(value.encode()) for key, value in metadata.get("annotations", {}).items())
    if size > MOST_ANNOTATIONS:
        found.append(("metadata.annotations", f"Too long: may not be more than {MOST_ANNOTATIONS} bytes"))
    return found


def _workload(kind: str, spec: Json, old: Json | None) -> Faults:
    found: Faults = []
    wanted, template = spec.get("selector", {}).get("matchLabels", {}), spec.get("template", {})
    labels = template.get("metadata", {}).get("labels", {})
    if not spec.get("selector"):
        found.append(("spec.selector", "Required value"))
    elif not wanted.items() <= labels.items():
        shown = json.dumps(labels, separators=(",", ":"))
        found.append(
            ("spec.template.metadata.labels", f"Invalid value: {shown}: `selector` does not match template `labels`")
        )
    found += _pod_spec(template.get("spec", {}), "spec.template.spec")
    if "activeDeadlineSeconds" in template.get("spec", {}):
        text = "Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported"
        found.append(("spec.template.spec.activeDeadlineSeconds", text))
    if old is not None and kind != "StatefulSet" and spec.get("selector") != old.get("selector"):
        shown = json.dumps(spec.get("selector"), separators=(",", ":"))
        found.append(("spec.selector", f"Invalid value: {shown}: field is immutable"))
    if old is not None and kind == "StatefulSet":
        rest = [{key: value for key, value in each.items() if key not in SET_FREE} for each in (spec, old)]
        found += [("spec", SET_FIXED)] if rest[0] != rest[1] else []
    return found


def _pod_spec(spec: Json, at: str) -> Faults:
    found: Faults = [] if spec.get("containers") else [(f"{at}.containers", "Required value")]
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    for place, item in containers(spec):
        here = f"{at}.{place}"
        found += [(f"{here}.image", "Required value")] if not item.get("image") else []
        for index, mount in enumerate(item.get("volumeMounts", [])):
            if mount.get("name") not in volumes:
                found.append((f"{here}.volumeMounts[{index}].name", f'Not found: "{mount.get("name")}"'))
        for index, variable in enumerate(item.get("env", [])):
            if variable.get("value") and variable.get("valueFrom"):
                text = 'Invalid value: "": may not be specified when `value` is not empty'
                found.append((f"{here}.env[{index}].valueFrom", text))
        limits = item.get("resources", {}).get("limits", {})
        for name, request in item.get("resources", {}).get("requests", {}).items():
            if name in limits and number(request) > number(limits[name]):
                text = f'Invalid value: "{request}": must be less than or equal to {name} limit of {limits[name]}'
                found.append((f"{here}.resources.requests", text))
    return found


def _later(spec: Json, old: Json) -> bool:
    return float(spec.get("activeDeadlineSeconds", 0)) > float(old.get("activeDeadlineSeconds", "inf"))


def _fixed(spec: Json, old: Json) -> Json:
    """The part of a pod's spec that no update may change."""
    rest = copy.deepcopy(spec)
    for _, item in containers(rest):
        item.pop("image", None)
    if rest.pop("activeDeadlineSeconds", None) is None and "activeDeadlineSeconds" in old:
        rest["activeDeadlineSeconds"] = "it may be set or brought forward, and never removed"
    if all(item in rest.get("tolerations", []) for item in old.get("tolerations", [])):
        rest.pop("tolerations", None)
    return rest


def _resize(spec: Json, old: Json) -> Faults:
    found: Faults = []
    was = qos(old["spec"])
    if qos(spec) != was:
        found.append(("spec", f'Invalid value: "{was}": Pod QOS Class may not change as a result of resizing'))
    if len(spec["containers"]) != len(old["spec"]["containers"]):
        return [*found, ("spec.containers", "Forbidden: containers may not be added or removed on resize")]
    for (place, item), (_, before) in zip(containers(spec), containers(old["spec"]), strict=True):
        for part in ("requests", "limits"):
            gone = set(before.get("resources", {}).get(part, {})) - set(item.get("resources", {}).get(part, {}))
            if gone:
                found.append((f"spec.{place}.resources.{part}", f"Forbidden: resource {part} cannot be removed"))
    return found


def _config_map(new: Json, old: Json | None) -> Faults:
    found: Faults = []
    if old is not None and old.get("immutable"):
        for name in ("immutable", "data", "binaryData"):
            if new.get(name) != old.get(name):
                found.append((name, "Forbidden: field is immutable when `immutable` is set"))
    for key in new.get("data", {}):
        if not re.match(r"^[-._a-zA-Z0-9]+$", key) or len(key) > 253:
            found.append((f"data[{key}]", f'Invalid value: "{key}": a valid config key must consist of alphanumeric'))
    if sum(len(value.encode()) for value in new.get("data", {}).values()) > MOST_DATA:
        found.append(("", f"Too long: may not be more than {MOST_DATA} bytes"))
    return found


def fill_limits(ranges: Iterable[Json], spec: Json) -> None:
    """A LimitRange's defaults for containers that say nothing."""
    for item in _entries(ranges):
        lows, highs = item.get("defaultRequest", {}), item.get("default", {})
        for _, container in containers(spec):
            resources = container.setdefault("resources", {})
            for part, values in (("limits", highs), ("requests", lows)):
                missing = {name: value for name, value in values.items() if name not in resources.get(part, {})}
                if missing:
                    resources[part] = {**resources.get(part, {}), **missing}


def outside(ranges: Iterable[Json], spec: Json) -> list[str]:
    """Where a pod's containers break a LimitRange."""
    found = []
    for item in _entries(ranges):
        for _, container in containers(spec):
            requests = container.get("resources", {}).get("requests", {})
            limits = container.get("resources", {}).get("limits", {})
            found += [_below(name, low, requests, limits) for name, low in item.get("min", {}).items()]
            found += [_above(name, high, requests, limits) for name, high in item.get("max", {}).items()]
    return [text for text in found if text]


def _entries(ranges: Iterable[Json]) -> list[Json]:
    return [item for each in ranges for item in each["spec"].get("limits", []) if item.get("type") == "Container"]


def _below(name: str, low: str, requests: Json, limits: Json) -> str:
    text = f"minimum {name} usage per Container is {low}"
    if name not in requests:
        return f"{text}.  No request is specified"
    if number(requests[name]) < number(low):
        return f"{text}, but request is {requests[name]}"
    return f"{text}, but limit is {limits[name]}" if name in limits and number(limits[name]) < number(low) else ""


def _above(name: str, high: str, requests: Json, limits: Json) -> str:
    text = f"maximum {name} usage per Container is {high}"
    if name not in limits:
        return f"{text}.  No limit is specified"
    if number(limits[name]) > number(high):
        return f"{text}, but limit is {limits[name]}"
    over = name in requests and number(requests[name]) > number(high)
    return f"{text}, but request is {requests[name]}" if over else ""


def used(spec: Json) -> dict[str, Decimal]:
    """What one pod counts for in a quota."""
    found = {"pods": Decimal(1)}
    for _, item in containers(spec):
        for part in ("requests", "limits"):
            for name, value in item.get("resources", {}).get(part, {}).items():
                for key in (f"{part}.{name}", *([name] if part == "requests" else [])):
                    found[key] = found.get(key, Decimal(0)) + number(value)
    return found


def beyond(quota: Json, pods: Iterable[Json], spec: Json, old: Json | None) -> str:
    """Why a quota does not admit a pod, or the resize of one; empty if it does."""
    name, hard = quota["metadata"]["name"], quota["spec"].get("hard", {})
    compute = [key for key in hard if re.fullmatch(r"((requests|limits)\.)?(cpu|memory)", key)]
    silent = {key: sorted(item["name"] for _, item in containers(spec) if not _says(item, key)) for key in compute}
    if any(silent.values()):
        words = "; ".join(f"{key} for: {','.join(names)}" for key, names in sorted(silent.items()) if names)
        return f"failed quota: {name}: must specify {words}"
    taken = [used(pod["spec"]) for pod in pods]
    before = used(old) if old else {}
    wanted = {key: value - before.get(key, Decimal(0)) for key, value in used(spec).items()}
    over = []
    for key in sorted(hard):
        total = sum((each.get(key, Decimal(0)) for each in taken), Decimal(0))
        if wanted.get(key, Decimal(0)) > 0 and total + wanted[key] > number(hard[key]):
            way = parsed(hard[key])[1]
            over.append((key, written(wanted[key], way), written(total, way), hard[key]))
    if not over:
        return ""
    columns = [",".join(f"{row[0]}={row[place]}" for row in over) for place in (1, 2, 3)]
    return f"exceeded quota: {name}, requested: {columns[0]}, used: {columns[1]}, limited: {columns[2]}"


def _says(item: Json, key: str) -> bool:
    part, _, name = key.rpartition(".")
    return name in item.get("resources", {}).get(part or "requests", {})
