"""Pods from a workload's template: pure functions over manifests.

An arm is made from the template and never from a pod: a pod carries what admission and controllers put into it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

from adapters.actuators.kubernetes.api import Json
from domain.errors import Misconfigured
from domain.target import Workload

DOMAIN = "trimtab.dev"
ARM, RUN, GENERATION, SETTINGS = f"{DOMAIN}/arm", f"{DOMAIN}/run", f"{DOMAIN}/generation", f"{DOMAIN}/settings"
HASH_LABEL = "pod-template-hash"
LEAVE_AFTER = 300.0  # seconds after the run's latest end at which the kubelet ends an arm by itself
KEPT_SLOTS = 10  # as many as a Deployment keeps revisions, so that a rollback finds what it had


def arm_name(workload: Workload, label: str) -> str:
    """Fixed, so that rights can be given by name."""
    return f"{workload.name}-trimtab-{label}"


def before_name(workload: Workload) -> str:
    return f"{workload.name}-trimtab-before"


def kept_name(workload: Workload, slot: int) -> str:
    return f"{workload.name}-trimtab-kept-{slot}"


def container_of(spec: Json, workload: Workload) -> Json:
    """The tuned container of a pod's spec. Raises Misconfigured naming those that there are."""
    containers: list[Json] = spec.get("containers") or []
    names = [each["name"] for each in containers]
    wanted = workload.container or (names[0] if len(names) == 1 else "")
    found = next((each for each in containers if each["name"] == wanted), None)
    if found is None:
        told = repr(workload.container) if workload.container else "not named"
        raise Misconfigured(
            f"workload.container is {told}; {workload.kind} {workload.name} has {', '.join(names) or 'none'}"
        )
    return found


def template(owner: Json) -> Json:
    """The pod template of a workload."""
    found: Json = owner["spec"]["template"]
    return found


def digest(value: object) -> str:
    """A short, stable fingerprint of plain JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def config_volumes(spec: Json, config_map: str) -> Iterator[Json]:
    """Every place in the volumes that names this ConfigMap; each has `name` or, in the volume itself, `configMap`."""
    for volume in spec.get("volumes") or []:
        source = volume.get("configMap")
        if source is not None and source.get("name") == config_map:
            yield source
        for part in (volume.get("projected") or {}).get("sources") or []:
            if (part.get("configMap") or {}).get("name") == config_map:
                yield part["configMap"]


def showing(spec: Json, config_map: str) -> list[Json]:
    """The volumes that show this ConfigMap."""
    return [each for each in spec.get("volumes") or [] if any(config_volumes({"volumes": [each]}, config_map))]


def mounted_at(spec: Json, workload: Workload, config_map: str) -> tuple[str, bool]:
    """Where the key of a ConfigMap lies in the tuned container, and whether a change gets there by itself: not through
    a subPath, nor from an immutable volume. Raises Misconfigured where it is not mounted."""
    for volume in showing(spec, config_map):
        for mount in container_of(spec, workload).get("volumeMounts") or []:
            if mount["name"] != volume["name"]:
                continue
            file = _file_of(volume, config_map, workload.key)
            if mount.get("subPath"):
                if mount["subPath"] == file:
                    return str(mount["mountPath"]), False
                continue
            return f"{str(mount['mountPath']).rstrip('/')}/{file}", True
    raise Misconfigured(
        f"workload.config_map: {config_map} is no volume of the container; mount it, and include {workload.key} from it"
    )


def _file_of(volume: Json, config_map: str, key: str) -> str:
    sources = [volume.get("configMap") or {}]
    sources += [part.get("configMap") or {} for part in (volume.get("projected") or {}).get("sources") or []]
    for source in sources:
        if source.get("name") == config_map:
            for item in source.get("items") or []:
                if item["key"] == key:
                    return str(item["path"])
    return key


def with_config_map(spec: Json, before: str, after: str) -> Json:
    """The same pod spec with another ConfigMap in the place of one."""
    changed = copy.deepcopy(spec)
    for source in list(config_volumes(changed, before)):
        source["name"] = after
    return changed


def arm_labels(service: Json | None) -> dict[str, str]:
    """What the Service selects its pods by: the arms have it too, and nothing else of the template's labels."""
    return dict((service or {}).get("spec", {}).get("selector") or {})


def arm_pod(
    owner: Json,
    service: Json | None,
    workload: Workload,
    label: str,
    spec: Json,
    *,
    run: str,
    seconds: float,
    annotations: Mapping[str, str],
) -> Json:
    """The pod of one arm, for server-side apply. `spec` is that of the template with this arm's settings in it;
    `seconds` from its start the kubelet ends it.

    Its owner is the workload, but not as controller: garbage collection without adoption. It has the labels that the
    Service selects and none of the ReplicaSet's, so that none counts it as its own and deletes a production pod."""
    made = template(owner).get("metadata") or {}
    pod = copy.deepcopy(spec)
    for container in [*(pod.get("containers") or []), *(pod.get("initContainers") or [])]:
        for port in container.get("ports") or []:
            port.pop("hostPort", None)
    pod["activeDeadlineSeconds"] = max(1, round(seconds + LEAVE_AFTER))
    pod["restartPolicy"] = "Always"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": arm_name(workload, label),
            "namespace": workload.namespace,
            "labels": {**arm_labels(service), ARM: label, RUN: run[-63:]},
            "annotations": {**(made.get("annotations") or {}), **annotations},
            "ownerReferences": [owner_reference(owner, workload)],
        },
        "spec": pod,
    }


def owner_reference(owner: Json, workload: Workload) -> Json:
    """The workload owns it, but not as controller: garbage collection without adoption."""
    return {
        "apiVersion": "apps/v1",
        "kind": workload.kind,
        "name": workload.name,
        "uid": owner["metadata"]["uid"],
        "controller": False,
    }


def refusals(owner: Json, workload: Workload) -> Sequence[str]:
    """Why no pod may be cloned from this workload, in words; empty if one may."""
    spec, told = template(owner)["spec"], []
    if (owner["spec"].get("strategy") or {}).get("type") == "Recreate":
        told.append("its strategy is Recreate: it says that two pods must not run at once")
    if owner["spec"].get("volumeClaimTemplates"):
        told.append("it has volumeClaimTemplates: each pod has a disk of its own; write kind: StatefulSet")
    for volume in spec.get("volumes") or []:
        name = volume["name"]
        if "persistentVolumeClaim" in volume and not _read_only(spec, name, volume["persistentVolumeClaim"]):
            told.append(f"volume {name} is a claim that can be written: two pods on one directory may destroy it")
        if "hostPath" in volume and not _read_only(spec, name, {}):
            told.append(f"volume {name} is a hostPath that can be written: two pods on one directory may destroy it")
    replicas = owner["spec"].get("replicas", 1)
    if replicas <= 1 and "single-replica" not in workload.opt_in:
        told.append(f"it has {replicas} replicas, so it may not bear a second pod; opt in with single-replica")
    if spec.get("initContainers") and "init-containers" not in workload.opt_in:
        names = ", ".join(each["name"] for each in spec["initContainers"])
        told.append(f"it has initContainers ({names}), which would run once more; opt in with init-containers")
    return told


def _read_only(spec: Json, volume: str, claim: Json) -> bool:
    if claim.get("readOnly"):
        return True
    mounts = [
        mount
        for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]
        for mount in container.get("volumeMounts") or []
        if mount["name"] == volume
    ]
    return all(mount.get("readOnly") for mount in mounts)
