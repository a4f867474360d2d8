"""One workload and what is ours on it: looked at as a whole, and changed only where it is still as it was seen.

Every change of the template is told in `trimtab.dev/state` before it is made: a run that died in between finds
its own hand there, not a foreign one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from adapters.actuators.kubernetes.api import Absent, Api, Json, Outdated, path
from adapters.actuators.kubernetes.manifest import arm_name, container_of, template
from adapters.actuators.kubernetes.record import (
    BEFORE,
    STATE,
    Before,
    Kept,
    State,
    before_of,
    fingerprint,
    kept_of,
    state_of,
    text,
)
from domain.errors import Conflict, Misconfigured, Stale, Transient
from domain.target import Workload

LOOK = 0.4  # seconds between two looks at something that comes about
TRIES = 6  # writes that met a change of the status only
NOT_THERE = "1"  # no object ever has this resourceVersion: an apply with it makes one, and never changes one
TEMPLATE_MANAGER = "trimtab-template"  # owner of what is kept, apart from that of our annotations
SCALE_MANAGER = "trimtab-scale"


@dataclass(frozen=True, slots=True)
class Sight:
    """The workload as it was read at one moment."""

    owner: Json
    state: State
    before: Before | None
    kept: Kept | None
    print: str

    @property
    def known(self) -> bool:
        """The template is the original or ours."""
        original = (self.before.original,) if self.before is not None else ()
        return self.print in (*self.state.ours, *original)

    @property
    def way_back(self) -> Before:
        """The before-image. Raises Conflict where there is none any more."""
        if self.before is None:
            raise Conflict(f"the before-image of {self.owner['metadata']['name']} was removed meanwhile")
        return self.before

    @property
    def replicas(self) -> int:
        return int(self.owner["spec"].get("replicas", 1))

    @property
    def scaled(self) -> bool:
        """Whether somebody changed the replicas since arms stand in for some."""
        return self.before is not None and self.before.replaced > 0 and self.replicas != self.before.left


def seen(owner: Json) -> Sight:
    """What an answer of the API server shows."""
    return Sight(owner, state_of(owner), before_of(owner), kept_of(owner), fingerprint(owner))


class Place:
    """A workload in its namespace."""

    def __init__(self, api: Api, workload: Workload) -> None:
        self.api, self.workload = api, workload
        self.path = path(workload.kind, workload.namespace, workload.name)

    # --- reading -----------------------------------------------------------------------------------------------------

    def look(self) -> Sight:
        """Raises Misconfigured if the workload is not there."""
        owner = self.api.get(self.path)
        if owner is None:
            where = f"{self.workload.kind} {self.workload.name} in namespace {self.workload.namespace}"
            raise Misconfigured(f"workload: there is no {where}; create it, or correct the policy")
        return seen(owner)

    def of_run(self, sight: Sight, run: str) -> Sight:
        """The same sight, if the workload is this run's. Raises Conflict."""
        if not sight.known:
            raise Conflict(f"{self.workload.kind} {self.workload.name} was changed by somebody else")
        if sight.before is None or sight.before.run != run:
            raise Conflict(f"{self.workload.kind} {self.workload.name} does not carry the before-image of run {run}")
        return sight

    def pod(self, label: str) -> Json | None:
        """The arm's pod, if it is there."""
        return self.api.get(path("Pod", self.workload.namespace, arm_name(self.workload, label)))

    def config_map(self, name: str) -> Json | None:
        return self.api.get(path("ConfigMap", self.workload.namespace, name)) if name else None

    def service(self) -> Json | None:
        """The Service whose traffic the arms get. Raises Misconfigured if it is named and not there."""
        if not self.workload.service:
            return None
        found = self.api.get(path("Service", self.workload.namespace, self.workload.service))
        if found is None:
            raise Misconfigured(f"workload.service: there is no Service {self.workload.service}; correct the policy")
        return found

    # --- writing -----------------------------------------------------------------------------------------------------

    def annotate(self, sight: Sight, change: Callable[[Sight], dict[str, str | None]]) -> Sight:
        """Write annotations of ours (None removes one) onto what was seen. Where only its status moved on meanwhile it
        is tried again; `change` says what to write from what is there now. Raises Stale if another of ours was faster,
        Conflict if somebody changed the workload."""
        return self._conditionally(
            sight,
            lambda now: self.api.merge(self.path, {"metadata": {"annotations": change(now), **_version(now)}}),
        )

    def expect(self, sight: Sight, digest: str) -> Sight:
        """Tell beforehand that the template will have this digest, by our hand."""
        if digest in sight.state.ours:
            return sight
        return self.annotate(sight, lambda now: {STATE: text(now.state.with_digest(digest))})

    def set_before(self, sight: Sight, before: Before | None) -> Sight:
        return self.annotate(sight, lambda now: {BEFORE: text(before) if before is not None else None})

    def stand_in(self, sight: Sight, arms: int) -> Sight:
        """Scale down by so many replicas, for which arms stand in; the way back is told in the same write."""

        def lent(now: Sight) -> tuple[Before, int]:
            left = now.replicas - arms
            return replace(now.way_back, replaced=arms, left=left), left

        return self._scale(sight, lent)

    def give_back(self, sight: Sight) -> Sight:
        """What arms stood in for serves again. A workload that somebody scaled meanwhile stays as they said."""

        def given(now: Sight) -> tuple[Before, int]:
            before = now.way_back
            return replace(before, replaced=0), now.replicas + (0 if now.scaled else before.replaced)

        return self._scale(sight, given)

    def _scale(self, sight: Sight, change: Callable[[Sight], tuple[Before, int]]) -> Sight:
        """Write the way back and the replicas at once."""

        def write(now: Sight) -> Json:
            if now.replicas != sight.replicas:
                raise Stale(f"{self.workload.name} was scaled from {sight.replicas} to {now.replicas} meanwhile")
            before, replicas = change(now)
            metadata = {"annotations": {BEFORE: text(before)}, **_version(now)}
            body = {"metadata": metadata, "spec": {"replicas": replicas}}
            return self.api.merge(self.path, body, manager=SCALE_MANAGER)

        return self._conditionally(sight, write)

    def set_template(self, sight: Sight, fields: Json, *, force: bool) -> Sight:
        """Apply fields of the pod's spec: all that we ever applied there, or the rest would be removed. Raises Owned
        unless `force`, Rejected."""
        names = {"name": self.workload.name, "namespace": self.workload.namespace}
        spec = {"template": {"spec": fields}}

        def apply(metadata: Json, *, dry: bool = False) -> Json:
            body = {"apiVersion": "apps/v1", "kind": self.workload.kind, "metadata": metadata, "spec": spec}
            return self.api.apply(self.path, body, manager=TEMPLATE_MANAGER, force=force, dry=dry)

        digest = fingerprint(apply(names, dry=True))
        if digest == sight.print:
            return sight
        return self._conditionally(self.expect(sight, digest), lambda now: apply({**names, **_version(now)}))

    def _conditionally(self, sight: Sight, write: Callable[[Sight], Json]) -> Sight:
        """Write while the workload is still as it was seen, its status aside."""
        for _ in range(TRIES):
            try:
                return seen(write(sight))
            except Outdated:
                sight = self._again(sight)
            except Absent as error:
                raise Conflict(f"{self.workload.kind} {self.workload.name} was deleted") from error
        raise Transient(f"{self.workload.kind} {self.workload.name} changes too often to be written to")

    def _again(self, sight: Sight) -> Sight:
        """What is there now, if only its status has changed since `sight`."""
        now = self.look()
        if now.state.generations != sight.state.generations or now.state.run != sight.state.run:
            raise Stale(f"{self.workload.name}: another writer of ours was faster")
        if now.print != sight.print:
            raise Conflict(f"{self.workload.kind} {self.workload.name} was changed by somebody else")
        return now

    # --- rollouts ----------------------------------------------------------------------------------------------------

    def unfinished(self, sight: Sight) -> str:
        """What the workload's controller still has to do, in words; empty when all replicas are new and available."""
        owner, status = sight.owner, sight.owner.get("status") or {}
        if int(status.get("observedGeneration", 0)) < int(owner["metadata"].get("generation", 0)):
            return "its controller has not seen the change yet"
        wanted = sight.replicas
        updated = int(status.get("updatedReplicas", 0))
        ready = int(status.get("availableReplicas", 0))
        total = int(status.get("replicas", 0))
        if updated < wanted or ready < wanted or total > wanted:
            return f"{updated} of {wanted} replicas are new, {ready} available, {total} in all"
        return ""

    def stuck(self, sight: Sight) -> str:
        """Why a rollout will not end, as its controller says; empty while it may, and while it has not seen it."""
        return _condition(sight, "Progressing", "False")

    def refused(self, sight: Sight) -> str:
        """Why the last pod could not be made, as its controller says; it goes on trying."""
        return _condition(sight, "ReplicaFailure", "True")


def _condition(sight: Sight, name: str, value: str) -> str:
    """Reason and message of a condition of the workload, if it is about what is there now and has this value."""
    status = sight.owner.get("status") or {}
    if int(status.get("observedGeneration", 0)) < int(sight.owner["metadata"].get("generation", 0)):
        return ""
    for each in status.get("conditions") or []:
        if each["type"] == name and each["status"] == value:
            return f"{each.get('reason', '')}: {each.get('message', '')}"[:300]
    return ""


def _version(sight: Sight) -> Json:
    return {"resourceVersion": sight.owner["metadata"]["resourceVersion"]}


def wait(done: Callable[[], str], seconds: float) -> None:
    """Look until `done` says nothing more. Raises Transient with what it said last."""
    end = time.monotonic() + seconds
    while True:
        left = done()
        if not left:
            return
        if time.monotonic() >= end:
            raise Transient(left)
        time.sleep(LOOK)


def with_generation(state: State, label: str, run: str, generation: int) -> State:
    """The state after a write of this run on one arm."""
    return replace(state, run=run, generations={**state.generations, label: generation})


def tuned(sight: Sight, workload: Workload) -> Json:
    """The tuned container in the workload's template."""
    return container_of(template(sight.owner)["spec"], workload)
