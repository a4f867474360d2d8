"""What the kubelet does, as far as the API shows it: pods start, are resized, and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from tests.kubernetes_api.ownership import Manager
from tests.kubernetes_api.store import Place, Record, Store
from tests.kubernetes_api.values import copied

Json = dict[str, Any]
Outcome = Literal["Infeasible", "Deferred", "Error", "Stuck"]
WHO = Manager("kubelet", "Update", "status")
NODE = "node-1"


class Kubelet:
    """`broken(pod)` pods never get Ready. `resizes` says what becomes of a resize, by pod name: pending with the reason
    Infeasible or Deferred, in progress with the reason Error, or in progress without one (Stuck), with a message."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.broken: Callable[[Json], bool] = lambda pod: False
        self.resizes: dict[str, tuple[Outcome, str, Callable[[Json], bool]]] = {}
        self.resize_delay = 0.0  # seconds from the request to the status

    def always(self) -> None:
        """What happens by itself, whoever asks: deleted pods vanish, resizes are carried out."""
        for place, record in list(self._store.each("pods")):
            due = self._store.state.dying.get(record.body["metadata"]["uid"])
            if due is not None and self._store.clock() >= due:
                self._store.delete(place, {"gracePeriodSeconds": 0})
            elif record.body["status"].get("phase") == "Running":
                self._resize(place, record)

    def start(self) -> bool:
        """One step of every pod that does not serve yet: scheduled, then Running and Ready. True if one moved."""
        moved = False
        for place, record in list(self._store.each("pods")):
            pod = record.body
            if pod["status"].get("phase") in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]:
                continue
            wanted = self._started(pod)
            if wanted != pod["status"]:
                self._set(place, wanted)
                moved = True
        return moved

    def _started(self, pod: Json) -> Json:
        status: Json = copied(pod["status"])
        broken = self.broken(pod)
        if status.get("phase") == "Pending":
            pod["spec"].setdefault("nodeName", NODE)
            status |= {"phase": "Running", "podIP": "10.244.0.9", "startTime": self._store.stamp()}
            status["containerStatuses"] = [
                {
                    "name": item["name"],
                    "image": item["image"],
                    "imageID": item["image"],
                    "containerID": f"containerd://{pod['metadata']['uid']}-{item['name']}",
                    "restartCount": 0,
                    "resources": copied(item.get("resources", {})),
                    "allocatedResources": copied(item.get("resources", {}).get("requests", {})),
                }
                for item in pod["spec"]["containers"]
            ]
        for item in status.get("containerStatuses", []):
            waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}}
            item |= {"ready": not broken, "started": not broken}
            item["state"] = waiting if broken else {"running": {"startedAt": status["startTime"]}}
        status["observedGeneration"] = pod["metadata"]["generation"]
        for name, true in (("PodScheduled", True), ("Initialized", True), ("ContainersReady", not broken)):
            condition(status, name, true, self._store.stamp())
        condition(status, "Ready", not broken, self._store.stamp(), "ContainersNotReady" if broken else "")
        return status

    def _resize(self, place: Place, record: Record) -> None:
        pod = record.body
        now = pod["status"]
        told = any(item["type"].startswith("PodResize") for item in now["conditions"])
        if not told and now.get("observedGeneration") == pod["metadata"]["generation"]:
            return
        status = copied(now)
        wanted = {item["name"]: item.get("resources", {}) for item in pod["spec"]["containers"]}
        late = [item for item in status["containerStatuses"] if item["resources"] != wanted[item["name"]]]
        scripted = self.resizes.get(place.name) if late else None
        outcome = scripted[:2] if scripted and scripted[2](pod["spec"]) else None
        asked = self._store.state.resized.get(pod["metadata"]["uid"], 0.0)
        waits = outcome is None and bool(late) and self._store.clock() < asked + self.resize_delay
        pending = outcome if outcome and outcome[0] in ("Infeasible", "Deferred") else None
        running = outcome if outcome and pending is None else ("Stuck", "") if waits else None
        conditions = (("PodResizePending", pending), ("PodResizeInProgress", running))
        for name, why in conditions:
            status["conditions"] = [item for item in status["conditions"] if item["type"] != name or why]
            if why:
                reason = "" if why[0] == "Stuck" else why[0]
                condition(status, name, True, self._store.stamp(), reason, why[1])
        for item in late if pending is None else []:
            item["allocatedResources"] = copied(wanted[item["name"]].get("requests", {}))
            if running is None:
                item["resources"] = copied(wanted[item["name"]])
        status["observedGeneration"] = pod["metadata"]["generation"]
        if status != pod["status"]:
            self._set(place, status)

    def _set(self, place: Place, status: Json) -> None:
        body = copied(self._store.find(place).body)
        self._store.replace(place, {**body, "status": status}, WHO)


def condition(status: Json, name: str, true: bool, now: str, reason: str = "", message: str = "") -> None:
    """Set one condition; its time of transition moves only with its value."""
    made: Json = {"type": name, "status": "True" if true else "False", "lastTransitionTime": now}
    made |= {key: text for key, text in (("reason", reason), ("message", message)) if text}
    for item in status.setdefault("conditions", []):
        if item["type"] == name:
            if item["status"] == made["status"]:
                made["lastTransitionTime"] = item["lastTransitionTime"]
            item.clear()
            item.update(made)
            return
    status["conditions"].append(made)
