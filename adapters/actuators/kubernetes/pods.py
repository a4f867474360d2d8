"""One arm's pod: made, resized in place, made anew, and what its status says."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable
from typing import Any

from adapters.actuators.kubernetes.api import Absent, Api, Json, Outdated, path
from adapters.actuators.kubernetes.manifest import container_of
from adapters.actuators.kubernetes.quantity import same
from adapters.actuators.kubernetes.workload import NOT_THERE, TRIES, wait
from domain.errors import Rejected, Transient
from domain.target import Workload

READY_SECONDS = 25.0  # within one step; what takes longer is looked at again by the next
RESIZE_SECONDS = 25.0  # the kubelet takes up to 16 s to say that memory cannot shrink (measured, Kubernetes 1.34)
PATIENCE = 6.0  # that a resize may stay Deferred: room that another arm is just giving up
GONE_SECONDS = 40.0
HOPELESS = (
    "CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "InvalidImageName",
    "ErrImageNeverPull",
)  # fmt: skip


def ready(pod: Json) -> bool:
    return any(
        each["type"] == "Ready" and each["status"] == "True" for each in pod.get("status", {}).get("conditions") or []
    )


def status_of(pod: Json, container: str) -> Json:
    """The status of one container; empty while there is none."""
    found: list[Json] = pod.get("status", {}).get("containerStatuses") or []
    return next((each for each in found if each["name"] == container), {})


def hopeless(pod: Json) -> str:
    """Why a pod will not become Ready, in words; empty while it may."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Failed", "Succeeded"):
        return f"it ended: {status.get('reason') or status['phase']} {status.get('message', '')}".strip()
    for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (each.get("state") or {}).get("waiting") or {}
        ended = (each.get("lastState") or {}).get("terminated") or (each.get("state") or {}).get("terminated") or {}
        if waiting.get("reason") in HOPELESS or (ended and not each.get("ready")):
            code = f" (exit code {ended['exitCode']})" if "exitCode" in ended else ""
            reason = waiting.get("reason") if waiting.get("reason") in HOPELESS else ended.get("reason", "")
            return f"container {each['name']}: {ended.get('reason', reason)}{code} {ended.get('message', '')}".strip()
    for each in status.get("conditions") or []:
        if each["type"] == "PodScheduled" and each["status"] == "False" and each.get("reason") == "Unschedulable":
            return f"no node has room for it: {each.get('message', '')}"[:200]
    return ""


class Pods:
    """The pods of the arms of one workload."""

    def __init__(self, api: Api, workload: Workload) -> None:
        self._api, self._workload = api, workload

    def path(self, name: str) -> str:
        return path("Pod", self._workload.namespace, name)

    def remove(self, pod: Json) -> None:
        """End this very pod and wait until it is gone."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        if not pod["metadata"].get("deletionTimestamp"):
            self._api.delete(self.path(name), uid=uid)

        def there() -> str:
            now = self._api.get(self.path(name))
            return f"pod {name} is still ending" if now is not None and now["metadata"]["uid"] == uid else ""

        wait(there, GONE_SECONDS)

    def make(self, manifest: Json) -> Json:
        """Create the pod and wait until it is Ready. Raises Rejected if it will not be, Stale if somebody of ours made
        it meanwhile."""
        metadata = {**manifest["metadata"], "resourceVersion": NOT_THERE}
        self._api.apply(self.path(manifest["metadata"]["name"]), {**manifest, "metadata": metadata})
        return self.until_ready(manifest["metadata"]["name"])

    def until_ready(self, name: str) -> Json:
        """Raises Rejected if the pod will not become Ready, Transient while it may."""
        seen: Json = {}
        unschedulable = 0

        def unready() -> str:
            nonlocal seen, unschedulable
            seen = self._api.get(self.path(name)) or {}
            if ready(seen) and not seen["metadata"].get("deletionTimestamp"):
                return ""
            why = hopeless(seen)
            # The scheduler says "no room" for a moment whenever one pod leaves for another.
            unschedulable = unschedulable + 1 if why.startswith("no node") else 0
            if why and (not unschedulable or unschedulable * 0.4 > PATIENCE):
                raise Rejected(f"pod {name} does not become Ready: {why}")
            return f"pod {name} is not Ready yet"

        wait(unready, READY_SECONDS)
        return seen

    def change(self, pod: Json, may: Callable[[], object], write: Callable[[str, str], Json]) -> Json:
        """Write to this very pod: `write` gets its path and its version. `may` raises where somebody of ours went on
        meanwhile. It is asked after the version was read: whoever freezes in between writes nothing. Raises Transient
        if the pod was made anew, or changes too often."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        for _ in range(TRIES):
            now = self._api.get(self.path(name))
            if now is None or now["metadata"]["uid"] != uid:
                raise Transient(f"pod {name} is gone, or was made anew meanwhile")
            may()
            try:
                return write(self.path(name), now["metadata"]["resourceVersion"])
            except Outdated:
                continue
            except Absent as error:
                raise Transient(f"pod {name} went meanwhile") from error
        raise Transient(f"pod {name} changes too often to be written to")

    def resize(self, pod: Json, resources: Json, may: Callable[[], object]) -> Json:
        """Change the tuned container's resources in place and wait until the kubelet has done it. Raises Rejected,
        with those that it runs with asked for again, where it cannot. `may` as for `change`."""
        name, container = pod["metadata"]["name"], container_of(pod["spec"], self._workload)

        def ask(wanted: Json) -> None:
            self.change(
                pod, may, lambda place, version: self._api.resize(place, container["name"], wanted, version=version)
            )

        # Not those of the spec: a worker may have died after it asked for what cannot be.
        running = status_of(pod, container["name"]).get("resources") or container.get("resources") or {}
        try:
            ask(resources)
            return self._resized(name, container["name"], resources)
        except Rejected:
            ask({part: each for part, each in running.items() if part != "claims"})
            wait(lambda: self._pending(name), RESIZE_SECONDS)
            raise

    def _resized(self, name: str, container: str, wanted: Json) -> Json:
        seen: Json = {}
        began = time.monotonic()

        def undone() -> str:
            nonlocal seen
            seen = self._api.get(self.path(name)) or {}
            if not seen:
                raise Transient(f"pod {name} is gone")
            reason, message = _resize_condition(seen)
            late = time.monotonic() - began > PATIENCE
            if reason in ("Infeasible", "Error") or (reason == "Deferred" and late):
                raise Rejected(f"the kubelet cannot resize pod {name} in place: {reason}, {message}"[:300])
            if reason or not _carried(status_of(seen, container), wanted):
                return f"pod {name} is being resized"
            return ""

        wait(undone, RESIZE_SECONDS)
        return seen

    def _pending(self, name: str) -> str:
        reason, _ = _resize_condition(self._api.get(self.path(name)) or {})
        return f"pod {name} is being resized back" if reason else ""


def _resize_condition(pod: Json) -> tuple[str, str]:
    """Reason and message of a resize that is not done; an open one without a reason says `InProgress`."""
    for each in pod.get("status", {}).get("conditions") or []:
        if each["type"] in ("PodResizePending", "PodResizeInProgress") and each["status"] == "True":
            return each.get("reason") or "InProgress", each.get("message", "")
    return "", ""


def _carried(status: Json, wanted: Json) -> bool:
    """Whether the container runs with these resources, by the kubelet's own figures."""
    running: dict[str, Any] = status.get("resources") or {}
    return all(
        same(amount, (running.get(part) or {}).get(resource, ""))
        for part in ("requests", "limits")
        for resource, amount in (wanted.get(part) or {}).items()
    )


def carried(pod: Json, workload: Workload) -> bool:
    """Whether the tuned container runs with the resources of its spec, and no resize is open."""
    container = container_of(pod["spec"], workload)
    wanted = container.get("resources") or {}
    if not wanted:
        return True
    return not _resize_condition(pod)[0] and _carried(status_of(pod, container["name"]), wanted)


def born(pod: Json) -> float:
    """When the pod was made, in Unix seconds; 0 if it does not say."""
    return unix(pod["metadata"].get("creationTimestamp", ""))


def unix(text: str) -> float:
    """Unix seconds of a time of the API server; 0 for none."""
    with contextlib.suppress(ValueError):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    return 0.0
