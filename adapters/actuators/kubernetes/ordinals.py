"""The pods of a StatefulSet by their ordinals, and the partition from which on they take its template.

See "Update strategies" and "Forced rollback" in the StatefulSet page of Kubernetes' documentation: pods from the
partition on are made anew from the highest down, one after the other, and one that never becomes Ready holds up even
its own undo until somebody deletes it.
"""

from __future__ import annotations

import contextlib
import datetime
import time

from adapters.actuators.kubernetes.api import Json, path
from adapters.actuators.kubernetes.autoscalers import waits
from adapters.actuators.kubernetes.manifest import template
from adapters.actuators.kubernetes.pods import PATIENCE, hopeless, ready
from adapters.actuators.kubernetes.record import BEFORE, SET_ASIDE, Before, fingerprint, text
from adapters.actuators.kubernetes.way_back import ROLLOUT_SECONDS, WayBack
from adapters.actuators.kubernetes.workload import Place, Sight, wait
from domain.errors import Rejected, Transient

REVISION = "controller-revision-hash"  # label of a pod: which template it was made from
ROLLING = "RollingUpdate"
PARTITION_MANAGER = "trimtab-partition"
NEVER_SECONDS = 600.0  # after which a pod is not going to be Ready: a Deployment's progressDeadlineSeconds


class StatefulPlace(Place):
    """A StatefulSet in its namespace."""

    def top(self, sight: Sight) -> int:
        """The ordinal that is the arm: the highest of when the run began."""
        before = sight.before
        return before.ordinal if before is not None and before.ordinal >= 0 else sight.replicas - 1

    def name_at(self, sight: Sight, ordinal: int) -> str:
        start = int((sight.owner["spec"].get("ordinals") or {}).get("start", 0))
        return f"{self.workload.name}-{start + ordinal}"

    def pod_at(self, sight: Sight, ordinal: int) -> Json | None:
        return self.api.get(path("Pod", self.workload.namespace, self.name_at(sight, ordinal)))

    def delete(self, pod: Json) -> None:
        """End this very pod; its controller makes another one."""
        metadata = pod["metadata"]
        self.api.delete(path("Pod", self.workload.namespace, metadata["name"]), uid=metadata["uid"])

    def forbidden(self, sight: Sight) -> str:
        """Why no pod may be disturbed now, in words; empty if one may."""
        labels = (template(sight.owner).get("metadata") or {}).get("labels") or {}
        return waits(self.api.items(path("PodDisruptionBudget", self.workload.namespace)), labels)

    def still(self, sight: Sight) -> Sight:
        """The workload now. Raises Stale or Conflict if anything but its status changed since `sight`."""
        return self._again(sight)

    # --- the partition -----------------------------------------------------------------------------------------------

    def set_rollout(self, sight: Sight, partition: int, strategy: str = ROLLING) -> Sight:
        """Which pods take the template, conditional on what was seen."""
        spec = {"updateStrategy": {"type": strategy, "rollingUpdate": {"partition": partition}}}

        def write(metadata: Json, *, dry: bool = False) -> Json:
            body = {"metadata": metadata, "spec": spec}
            return self.api.merge(self.path, body, manager=PARTITION_MANAGER, dry=dry)

        digest = fingerprint(write({}, dry=True))
        if digest == sight.print:
            return sight
        return self._conditionally(
            self.expect(sight, digest),
            lambda now: write({"resourceVersion": now.owner["metadata"]["resourceVersion"]}),
        )

    def hold(self, sight: Sight) -> Sight:
        """From here on only the arm's ordinal takes the template. Raises Rejected if it was scaled away, Transient
        while pods still differ: those below would stay as they are then."""
        top = self.top(sight)
        if top >= sight.replicas:
            raise Rejected(
                f"StatefulSet {self.workload.name} was scaled to {sight.replicas}, and its pod "
                f"{self.name_at(sight, top)}, which is the arm, is gone"
            )
        if partition_of(sight.owner) == top:
            return sight
        left = self.unsettled(sight)
        if left:
            raise Transient(f"StatefulSet {self.workload.name} is being rolled out: {left}")
        return self.set_rollout(sight, top)

    def unsettled(self, sight: Sight) -> str:
        """What keeps its pods from being all alike, in words; empty when all of them serve with the template."""
        words = self.unfinished(sight)
        status = sight.owner.get("status") or {}
        if not words and status.get("currentRevision") != status.get("updateRevision"):
            return "its controller has not finished yet"
        return words

    # --- pods --------------------------------------------------------------------------------------------------------

    def lacking(self, sight: Sight, ordinal: int) -> str:
        """Why the pod at this ordinal does not carry the template yet, in words; empty when it does and is Ready.

        One of another revision that is not Ready is deleted, because its controller would wait for it forever. Raises
        Rejected if one of this revision will not become Ready; Stale or Conflict as `still`."""
        pod, name = self.pod_at(sight, ordinal), self.name_at(sight, ordinal)
        owner = self.still(sight).owner  # after the pod: a late look never takes a newer pod for an old one
        words = unlike(owner, pod, name)
        if not words or pod is None or pod["metadata"].get("deletionTimestamp") or not observed(owner):
            return words
        if of_template(owner, pod):
            why = given_up(pod)
            if why:
                raise Rejected(f"pod {name} does not become Ready: {why}")
        elif not ready(pod) and ordinal >= partition_of(owner):
            self.delete(pod)
            return f"pod {name} was not Ready and held up its own replacement; it was deleted"
        return words


class OrdinalsBack(WayBack):
    """The way back of a StatefulSet: its template as it was, every pod made from it again, then its partition."""

    def __init__(self, place: StatefulPlace, labels: tuple[str, ...]) -> None:
        super().__init__(place, labels)
        self._set = place

    def retire(self, sight: Sight) -> None:
        """All pods carry the template, whatever it takes; then pods are updated as before the run."""
        now = sight

        def left() -> str:
            nonlocal now
            now = self._set.still(now)
            words = self._set.unsettled(now)
            if words:
                now, words = self._push(now, words)
            return words

        wait(left, ROLLOUT_SECONDS)
        if now.before is not None and now.before.strategy:
            self._set.set_rollout(now, now.before.partition, now.before.strategy)

    def _push(self, sight: Sight, otherwise: str) -> tuple[Sight, str]:
        """What keeps pods from carrying the template, in words. The partition is lowered to a pod that it keeps from
        that, as after somebody scaled the set in the middle of a run."""
        told = []
        for ordinal in range(sight.replicas - 1, -1, -1):  # all of them: a broken pod holds up those above it, too
            try:
                words = self._set.lacking(sight, ordinal)
            except Rejected as refusal:
                words = str(refusal)  # with the original settings: there is nothing to go back to
            if words:
                told.append(words)
                sight = self._reached(sight, ordinal)
        return sight, told[0] if told else otherwise

    def _reached(self, sight: Sight, ordinal: int) -> Sight:
        if ordinal >= partition_of(sight.owner) or not observed(sight.owner):
            return sight
        pod = self._set.pod_at(sight, ordinal)
        if pod is None or of_template(sight.owner, pod):
            return sight
        return self._set.set_rollout(sight, ordinal)

    def end(self, sight: Sight) -> None:
        """Pods are updated as before where that changes none of them; after a foreign hand they are not, as it would
        bring what the template holds of ours to every pod."""
        before = sight.way_back
        if sight.known and not self._set.unsettled(sight):
            self._set.set_rollout(sight, before.partition, before.strategy)
            return
        held = partition_of(sight.owner)
        if held != before.partition:
            words = f"left as it is: only pods from ordinal {held} on are updated; the partition was {before.partition}"
            self._story.tell(sight.owner, "Conflict", words, before.run)

    def _stand_back(self, sight: Sight, before: Before) -> str:
        """Somebody changed the template while the run was silent: it stays so."""
        self.end(sight)
        self._set.annotate(self._set.look(), lambda now: {BEFORE: None, SET_ASIDE: text(before)})
        name = f"StatefulSet {self._set.workload.name}"
        return f"{name}: run {before.run} is over; its template was changed by somebody else and stays so"

    def _orphans(self, sight: Sight | None = None) -> str | None:
        """No pod is made for a run here, so none can be left over."""
        return None


# --- what stands in a StatefulSet and its pods ------------------------------------------------------------------------


def strategy_of(owner: Json) -> str:
    return str((owner["spec"].get("updateStrategy") or {}).get("type") or ROLLING)


def partition_of(owner: Json) -> int:
    return int(((owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0)


def observed(owner: Json) -> bool:
    """Whether its controller has seen the template that it has now."""
    seen = (owner.get("status") or {}).get("observedGeneration", 0)
    return int(seen) >= int(owner["metadata"].get("generation", 0))


def of_template(owner: Json, pod: Json) -> bool:
    """Whether a pod was made from the template; only where the controller has `observed` it."""
    revision = (pod["metadata"].get("labels") or {}).get(REVISION, "")
    return bool(revision) and revision == (owner.get("status") or {}).get("updateRevision")


def unlike(owner: Json, pod: Json | None, name: str) -> str:
    """Why a pod does not serve with its StatefulSet's template, in words; empty if it does."""
    if not observed(owner):
        return "its controller has not seen the change yet"
    if pod is None:
        return f"pod {name} is not there yet"
    if pod["metadata"].get("deletionTimestamp"):
        return f"pod {name} is still ending"
    if not of_template(owner, pod):
        return f"pod {name} was not made anew yet"
    return "" if ready(pod) else f"pod {name} is not Ready yet"


def given_up(pod: Json) -> str:
    """Why a pod will not become Ready, in words; empty while it may."""
    why, waited = hopeless(pod), time.time() - _unready_since(pod)
    if why.startswith("no node") and waited < PATIENCE:
        return ""  # the scheduler says so for a moment whenever one pod leaves for another
    return why or (f"it was not within {NEVER_SECONDS:.0f} s" if waited > NEVER_SECONDS else "")


def _unready_since(pod: Json) -> float:
    for each in (pod.get("status") or {}).get("conditions") or []:
        if each["type"] == "Ready" and each.get("lastTransitionTime"):
            return unix(each["lastTransitionTime"])
    return born(pod)


def born(pod: Json) -> float:
    """When the pod was made, in Unix seconds; 0 if it does not say."""
    return unix(pod["metadata"].get("creationTimestamp", ""))


def unix(when: str) -> float:
    """Unix seconds of a time of the API server; 0 for none."""
    with contextlib.suppress(ValueError):
        return datetime.datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp()
    return 0.0
