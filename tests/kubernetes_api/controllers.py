"""What the controller manager does, as far as the API shows it: rollouts, pods of workloads, garbage collection."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from typing import Any

from tests.kubernetes_api.answers import Answer
from tests.kubernetes_api.kubelet import Kubelet, condition
from tests.kubernetes_api.ownership import Manager
from tests.kubernetes_api.store import Place, Record, Store
from tests.kubernetes_api.values import copied

Json = dict[str, Any]
WHO = Manager("kube-controller-manager", "Update")
TOLD = Manager("kube-controller-manager", "Update", "status")
HASH, REVISION = "pod-template-hash", "controller-revision-hash"


class Controllers:
    """One `tick` is one pass over everything."""

    def __init__(self, store: Store, kubelet: Kubelet) -> None:
        self._store = store
        self._kubelet = kubelet
        self.due = math.inf  # when something happens although nobody wrote anything, by the store's clock

    def tick(self) -> bool:
        """One pass; True if anything changed."""
        before, self.due = self._store.state.version, math.inf
        self._kubelet.always()
        self._kubelet.start()
        for place, record in list(self._store.each("deployments")):
            self._deployment(place, record)
        for place, record in list(self._store.each("statefulsets")):
            self._stateful_set(place, record)
        self._collect()
        return self._store.state.version != before

    def _deployment(self, place: Place, record: Record) -> None:
        body, spec = record.body, record.body["spec"]
        digest = template_hash(spec["template"])
        self._replica_set(place, body, digest)
        for name, other in self._owned(place._replace(plural="replicasets"), body):
            self._adopt(name, other)
        sets = dict(self._owned(place._replace(plural="replicasets"), body))
        new_name = place._replace(plural="replicasets", name=f"{place.name}-{digest}")
        new = [pod for _, pod in self._pods(new_name, sets[new_name])]
        old = [pod for name, other in sets.items() if name != new_name for _, pod in self._pods(name, other)]
        refusal = self._roll(place, new_name, sets[new_name], spec, new, old)
        self._tell(place, sets, new_name, refusal)
        if refusal:
            self.due = min(self.due, self._store.clock() + 1.0)  # it is tried again

    def _roll(self, place: Place, name: Place, owner: Record, spec: Json, new: list[Json], old: list[Json]) -> str:
        """Create and delete pods within surge and unavailability. Why a pod was refused, or nothing."""
        wanted = spec["replicas"]
        rolling = spec["strategy"].get("rollingUpdate", {"maxSurge": 0, "maxUnavailable": "100%"})
        surge = _share(rolling["maxSurge"], wanted, up=True)
        down = _share(rolling["maxUnavailable"], wanted, up=False) or (0 if surge else 1)
        recreates = spec["strategy"]["type"] == "Recreate"
        room = 0 if recreates and old else wanted + (surge if old else 0) - len(new) - len(old)
        refusal = ""
        for _ in range(min(room, wanted - len(new))):
            serial = self._store.state.serial
            try:
                self._pod(place, owner.body, f"{name.name}-{self._store.suffix()}")
            except Answer as answer:
                self._store.state.serial = serial  # the same name again, or the message never comes to rest
                refusal = str(answer)
                break
        spare = len([pod for pod in new + old if ready(pod)]) - (wanted - down)
        for pod in sorted(old, key=ready)[: len(old) if recreates else None]:
            if recreates or not ready(pod) or spare > 0:
                spare -= ready(pod)
                self._drop(pod)
        for pod in sorted(new, key=ready)[: max(0, len(new) - wanted)]:
            self._drop(pod)
        return refusal

    def _tell(self, place: Place, sets: dict[Place, Record], new_name: Place, refusal: str) -> None:
        body = copied(self._store.find(place).body)
        status, wanted = body["status"], body["spec"]["replicas"]
        counts = {name: [pod for _, pod in self._pods(name, other)] for name, other in sets.items()}
        every = [pod for pods in counts.values() for pod in pods]
        serving = len([pod for pod in every if ready(pod)])
        numbers = {"replicas": len(every), "updatedReplicas": len(counts[new_name]), "readyReplicas": serving}
        numbers |= {"availableReplicas": serving, "unavailableReplicas": max(0, wanted - serving)}
        for key, value in numbers.items():
            status.pop(key, None)
            if value:
                status[key] = value  # as the server: zeros are left out
        status["observedGeneration"] = body["metadata"]["generation"]
        condition(status, "Available", serving >= wanted, self._store.stamp(), "MinimumReplicasAvailable")
        done = len(every) == numbers["updatedReplicas"] == serving == wanted
        late = not done and self._late(body, new_name, numbers)
        reason = "NewReplicaSetAvailable" if done else "ProgressDeadlineExceeded" if late else "ReplicaSetUpdated"
        message = f'ReplicaSet "{new_name.name}" has timed out progressing.' if late else ""
        condition(status, "Progressing", not late, self._store.stamp(), reason, message)
        status["conditions"] = [item for item in status["conditions"] if item["type"] != "ReplicaFailure"]
        if refusal:
            condition(status, "ReplicaFailure", True, self._store.stamp(), "FailedCreate", refusal)
        revision = sets[new_name].body["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        body["metadata"].setdefault("annotations", {})["deployment.kubernetes.io/revision"] = revision
        self._put(place, body, TOLD)
        for name, other in sets.items():
            pods = counts[name]
            here = {"replicas": len(pods), "observedGeneration": other.body["metadata"]["generation"]}
            self._put(name, {**copied(other.body), "status": here}, TOLD)

    def _late(self, body: Json, new: Place, numbers: dict[str, int]) -> bool:
        """Whether a rollout has made no progress for longer than it may. A mere change of scale is none."""
        uid, now = body["metadata"]["uid"], self._store.clock()
        told = [each for each in body["status"].get("conditions", []) if each["type"] == "Progressing"]
        settled = bool(told) and told[0].get("reason") == "NewReplicaSetAvailable"
        if settled and numbers["replicas"] == numbers["updatedReplicas"]:
            return False
        came = f"{new.name} {numbers['updatedReplicas']} {numbers['availableReplicas']}"
        if self._store.state.progressed.get(uid, ("", 0.0))[0] != came:
            self._store.state.progressed[uid] = came, now
        end = self._store.state.progressed[uid][1] + float(body["spec"]["progressDeadlineSeconds"])
        self.due = min(self.due, end) if now < end else self.due
        return now >= end

    def _replica_set(self, place: Place, body: Json, digest: str) -> None:
        name = place._replace(plural="replicasets", name=f"{place.name}-{digest}")
        revisions = [
            int(other.body["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
            for _, other in self._owned(name, body)
        ]
        top = max(revisions, default=0)
        if name in self._store.state.records:
            mine = copied(self._store.find(name).body)
            annotations = mine["metadata"]["annotations"]
            if int(annotations["deployment.kubernetes.io/revision"]) < top:
                annotations["deployment.kubernetes.io/revision"] = str(top + 1)
            mine["spec"]["replicas"] = body["spec"]["replicas"]
            self._put(name, mine, WHO)
            return
        template = copied(body["spec"]["template"])
        template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = digest
        made = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name.name,
                "labels": dict(template["metadata"]["labels"]),
                "annotations": {"deployment.kubernetes.io/revision": str(top + 1)},
                "ownerReferences": [owner_of(body)],
            },
            "spec": {
                "replicas": body["spec"]["replicas"],
                "selector": {"matchLabels": {**body["spec"]["selector"]["matchLabels"], HASH: digest}},
                "template": template,
            },
        }
        self._store.create(name._replace(name=""), made, WHO)

    def _stateful_set(self, place: Place, record: Record) -> None:
        body, spec = record.body, record.body["spec"]
        update = f"{place.name}-{template_hash(spec['template'])}"
        status = copied(body["status"])
        current = status.get("currentRevision", update)
        partition = spec["updateStrategy"].get("rollingUpdate", {}).get("partition", 0)
        pods = {int(name.name.rsplit("-", 1)[1]): pod for name, pod in self._pods(place, record)}
        whole = all(ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in pods.values())
        old = [n for n, pod in pods.items() if n >= partition and pod["metadata"]["labels"][REVISION] != update]
        absent = [n for n in range(spec["replicas"]) if n not in pods]
        if whole and absent:  # one at a time, and nothing while a pod is not Ready: a broken one blocks its own undo
            first = absent[0]
            template = spec["template"] if first >= partition or current == update else self._kept(place, current)
            made = {**body, "spec": {**spec, "template": template}}
            revision = update if template is spec["template"] else current
            with contextlib.suppress(Answer):
                self._pod(place, made, f"{place.name}-{first}", {REVISION: revision})
        elif whole and max(pods, default=-1) >= spec["replicas"]:
            self._drop(pods[max(pods)])
        elif whole and old:
            self._drop(pods[max(old)])
        now = [pod for _, pod in self._pods(place, record)]
        fresh = len([pod for pod in now if pod["metadata"]["labels"][REVISION] == update])
        serving = len([pod for pod in now if ready(pod)])
        if fresh == serving == len(now) == spec["replicas"]:
            current = update
        status |= {"replicas": len(now), "readyReplicas": serving, "availableReplicas": serving}
        status |= {"updatedReplicas": fresh, "currentReplicas": len(now) - fresh if current != update else fresh}
        status |= {"currentRevision": current, "updateRevision": update}
        status["observedGeneration"] = body["metadata"]["generation"]
        self._keep(place, update, spec["template"])
        self._put(place, {**copied(body), "status": status}, TOLD)

    def _keep(self, place: Place, revision: str, template: Json) -> None:
        name = place._replace(plural="controllerrevisions", name=revision)
        if name not in self._store.state.records:
            body = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": revision}}
            owner = owner_of(self._store.find(place).body)
            body["metadata"] |= {"ownerReferences": [owner]}  # type: ignore[operator]
            self._store.create(name._replace(name=""), {**body, "data": copied(template)}, WHO)

    def _kept(self, place: Place, revision: str) -> Json:
        found: Json = self._store.find(place._replace(plural="controllerrevisions", name=revision)).body["data"]
        return found

    def _pod(self, place: Place, owner: Json, name: str, labels: Json | None = None) -> None:
        template = copied(owner["spec"]["template"])
        metadata = template.get("metadata", {})
        metadata |= {"name": name, "ownerReferences": [owner_of(owner)]}
        metadata["labels"] = {**metadata.get("labels", {}), **(labels or {})}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        self._store.create(Place("/api/v1", "pods", place.namespace), body, WHO)

    def _put(self, place: Place, body: Json, who: Manager) -> None:
        """A write, unless nothing would change: most looks of a controller end so."""
        if body != self._store.find(place).body:
            self._store.replace(place, body, who)

    def _drop(self, pod: Json) -> None:
        metadata = pod["metadata"]
        self._store.delete(Place("/api/v1", "pods", metadata["namespace"], metadata["name"]))

    def _owned(self, place: Place, owner: Json) -> list[tuple[Place, Record]]:
        uid = owner["metadata"]["uid"]
        return [
            (name, record)
            for name, record in self._store.each(place.plural, place.namespace)
            if any(
                ref["uid"] == uid and ref.get("controller")
                for ref in record.body["metadata"].get("ownerReferences", [])
            )
        ]

    def _pods(self, place: Place, owner: Record) -> list[tuple[Place, Json]]:
        found = self._owned(place._replace(plural="pods"), owner.body)
        return [(name, record.body) for name, record in found if "deletionTimestamp" not in record.body["metadata"]]

    def _adopt(self, place: Place, owner: Record) -> None:
        """Pods that match the selector and have no controller become the ReplicaSet's own."""
        wanted = owner.body["spec"]["selector"]["matchLabels"]
        for name, record in list(self._store.each("pods", place.namespace)):
            metadata = record.body["metadata"]
            refs = metadata.get("ownerReferences", [])
            if wanted.items() <= metadata.get("labels", {}).items() and not any(ref.get("controller") for ref in refs):
                body = copied(record.body)
                body["metadata"]["ownerReferences"] = [*refs, owner_of(owner.body)]
                self._store.replace(name, body, WHO)

    def _collect(self) -> None:
        """Objects all of whose owners are gone."""
        alive = {record.body["metadata"]["uid"] for record in self._store.state.records.values()}
        for place, record in list(self._store.state.records.items()):
            metadata = record.body["metadata"]
            refs = metadata.get("ownerReferences", [])
            if refs and "deletionTimestamp" not in metadata and not any(ref["uid"] in alive for ref in refs):
                self._store.delete(place)


def template_hash(template: Json) -> str:
    """Ten characters that only this template has."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def owner_of(body: Json) -> Json:
    """The reference to a controlling owner."""
    named = {"apiVersion": body["apiVersion"], "kind": body["kind"], "name": body["metadata"]["name"]}
    return {**named, "uid": body["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True}


def ready(pod: Json) -> bool:
    """By its condition."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def _share(number: Any, of: int, up: bool) -> int:
    if isinstance(number, int):
        return number
    exact = of * int(number.rstrip("%")) / 100
    return math.ceil(exact) if up else math.floor(exact)
