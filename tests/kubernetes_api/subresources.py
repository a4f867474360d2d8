"""/resize of pods and /scale of workloads."""

from __future__ import annotations

from typing import Any

from tests.kubernetes_api.answers import stale
from tests.kubernetes_api.ownership import Manager
from tests.kubernetes_api.store import Place, Store, merged
from tests.kubernetes_api.values import copied

Json = dict[str, Any]


def resize(store: Store, place: Place, patch: Json, manager: str, dry: bool) -> Json:
    """A strategic merge patch: containers are matched by name, and of them only the resources count."""
    record = store.find(place)
    new = copied(record.body)
    version = patch.get("metadata", {}).get("resourceVersion")
    if version:
        new["metadata"]["resourceVersion"] = version
    there = {item["name"]: item for item in new["spec"]["containers"]}
    for wanted in patch.get("spec", {}).get("containers", []):
        item = there.get(wanted.get("name", ""))
        if item is None:  # the strategic merge adds it, and validation refuses that
            new["spec"]["containers"].append({"name": wanted.get("name", ""), "image": "", "resources": {}})
        else:
            item["resources"] = merged(item.get("resources", {}), wanted.get("resources", {}))
    made = store.replace(place, new, Manager(manager, "Update", "resize"), dry)
    if not dry and made["spec"] != record.body["spec"]:
        store.state.resized[made["metadata"]["uid"]] = store.clock()
    return made


def scale(store: Store, place: Place) -> Json:
    """The Scale object of a workload."""
    body = store.find(place).body
    count = body["spec"]["replicas"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    labels = body["spec"]["selector"].get("matchLabels", {})
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: body["metadata"][name] for name in names},
        "spec": {"replicas": count} if count else {},  # as the server: zero is left out
        "status": {
            "replicas": body["status"].get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }


def rescale(store: Store, place: Place, patch: Json, manager: str, dry: bool) -> Json:
    """A merge patch of the Scale object."""
    wanted = merged(scale(store, place), patch)
    body = copied(store.find(place).body)
    if wanted["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
        raise stale(place.what)
    body["spec"]["replicas"] = wanted["spec"].get("replicas", 0)
    store.replace(place, body, Manager(manager, "Update", "scale"), dry)
    return scale(store, place) if not dry else wanted
