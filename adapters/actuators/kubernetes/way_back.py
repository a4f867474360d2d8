"""The way back of a workload: its template as it was, its replicas, and then the arms leave.

Needs nothing but the API server and what lies on the workload; the worker, `trimtab restore` and the watchdog go it
alike. Every step may be taken again by whoever comes next.
"""

from __future__ import annotations

from dataclasses import replace

from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.config import Config
from adapters.actuators.kubernetes.manifest import arm_name, container_of, showing, template
from adapters.actuators.kubernetes.pods import Pods
from adapters.actuators.kubernetes.record import BEFORE, KEPT, SET_ASIDE, STATE, Before, State, text
from adapters.actuators.kubernetes.reverted import Reverts
from adapters.actuators.kubernetes.scaling import Scaling
from adapters.actuators.kubernetes.story import Story
from adapters.actuators.kubernetes.workload import Place, Sight, wait
from domain.errors import Conflict, Transient

ROLLOUT_SECONDS = 25.0  # of waiting within one step
HOLD_OUT = 600.0  # seconds past the deadline for which arms serve on while the replicas do not come up


class WayBack:
    """For one workload and the labels of its arms."""

    def __init__(self, place: Place, labels: tuple[str, ...]) -> None:
        self._place, self._labels = place, labels
        self._pods, self._config = Pods(place.api, place.workload), Config(place.api, place.workload)
        self._story, self._scaling = Story(place.api, place.workload), Scaling(place)
        self._reverts = Reverts(place, self._story)

    def take(self, sight: Sight, *, force: bool = False) -> None:
        """The before-image is in force again and the arms are gone. Raises Conflict if the template is neither the
        original nor ours (`force`: whatever it is), Transient while it comes about."""
        before = sight.before
        if before is None:
            raise Conflict(f"there is no before-image on {self._place.workload.name}")
        if not sight.known and not force:
            raise Conflict(f"{self._place.workload.kind} {self._place.workload.name} was changed by somebody else")
        self._scaling.back(before, falling=True)
        if sight.print != before.original:
            sight = self._place.set_template(sight, fields_of(sight, before, self._place), force=True)
        if sight.kept is not None and sight.kept.run == before.run and sight.kept != before.kept:
            note = text(before.kept) if before.kept is not None else None
            sight = self._place.annotate(sight, lambda now: {KEPT: note})
        self.retire(sight)
        self._scaling.back(before)

    def finish(self, sight: Sight) -> None:
        """The end of a run: the arms leave; and whoever comes first carries through what the watchdog began."""
        if sight.known and sight.before is not None and sight.before.reaped and not sight.before.back:
            self.take(sight)
        else:
            self.end(sight)

    def end(self, sight: Sight) -> None:
        """The end of a run that leaves the template as it is."""
        self.retire(sight)

    def retire(self, sight: Sight) -> None:
        """What the arms replaced serves again; then they leave. The template stays as it is."""
        if sight.before is not None and sight.before.replaced:
            if sight.scaled:
                words = f"somebody scaled to {sight.replicas} replicas while arms stood in for some; it stays so"
                self._story.tell(sight.owner, "Scaled", words, sight.before.run)
            self._place.give_back(sight)
        wait(self._unserved, ROLLOUT_SECONDS)
        self._leave()

    def _unserved(self) -> str:
        """What the replicas still lack, in words. Where their controller has given up, the arms need not stay: they may
        take the room that a replica needs."""
        sight = self._place.look()
        left = self._place.unfinished(sight)
        return "" if left and (self._place.stuck(sight) or self._place.refused(sight)) else left

    def _leave(self) -> list[str]:
        """Remove the arms and what is theirs; their names, of those that there were."""
        gone = []
        for label in self._labels:
            pod = self._place.pod(label)
            if pod is not None:
                self._pods.remove(pod)
            if self._config.remove_arm(label) or pod is not None:
                gone.append(arm_name(self._place.workload, label))
        return gone

    def reap(self, now: float, *, force: bool = False) -> str | None:
        """The watchdog's look: take the way back of a run that was silent past its deadline (`force`: of any), remove
        arms that belong to no run, and tell which kept values were taken back since. Returns what was done or found, in
        words; None if there was nothing."""
        workload, sight = self._place.workload, self._place.look()
        before, name = sight.before, f"{workload.kind} {workload.name}"
        if before is None or before.back:
            told = (self._orphans(sight), self._reverts.tell(sight))
            return "; ".join(each for each in told if each) or None
        if now <= before.deadline and not force:
            return None
        if not sight.known:
            return self._stand_back(sight, before)
        # Told before done: a run that comes back in between finds its restore wanted, not a foreign hand.
        if not before.reaped:
            sight = self._place.annotate(
                sight, lambda each: {BEFORE: text(_reaped(each, back=False)), STATE: text(self._grown(each))}
            )
        try:
            self.take(sight)
        except Transient:
            if now > before.deadline + HOLD_OUT:
                self._leave()
            raise
        seen = self._place.look()
        if seen.before is not None and seen.before.run == before.run:  # else the run came back, and has closed
            self._place.annotate(seen, lambda each: {BEFORE: text(_reaped(each, back=True))})
        self._story.tell(sight.owner, "RolledBack", "the run was silent past its deadline", before.run)
        silent = "is stopped" if force and now <= before.deadline else "was silent past its deadline"
        return f"{name}: run {before.run} {silent}; the original settings are back"

    def _grown(self, sight: Sight) -> State:
        """The next generation of every arm: a worker that froze before its write finds that it is late."""
        known = sight.state.generations
        return replace(sight.state, generations={label: known.get(label, 0) + 1 for label in self._labels})

    def _stand_back(self, sight: Sight, before: Before) -> str:
        """Somebody changed the template while the run was silent: it stays so, and what is ours leaves."""
        name = f"{self._place.workload.kind} {self._place.workload.name}"
        self.retire(sight)
        self._place.annotate(self._place.look(), lambda now: {BEFORE: None, SET_ASIDE: text(before)})
        self._story.tell(sight.owner, "Conflict", "the template was changed by somebody else and stays so", before.run)
        return f"{name}: run {before.run} is over; its template was changed by somebody else and stays so"

    def _orphans(self, sight: Sight) -> str | None:
        """Arms without an open run: a worker froze before it made them, and thawed after the end. What it kept of the
        owner's file goes, too, unless it was set aside for a person."""
        workload, config, notes = self._place.workload, self._config, sight.owner["metadata"].get("annotations") or {}
        if sight.before is None and SET_ASIDE not in notes:
            config.remove_before()
        found = any(self._place.pod(label) is not None or config.arm_body(label) is not None for label in self._labels)
        if not found:
            return None
        before = self._place.look().before  # once more: these may be of a run that began meanwhile
        if before is not None and not before.back:
            return None
        names = ", ".join(self._leave())
        return f"{workload.kind} {workload.name}: {names} belonged to no open run; removed"


def fields_of(sight: Sight, before: Before, place: Place) -> Json:
    """Every field of the template that a run may have written, with the value that it had. What was not there before is
    left out, and goes: nobody else ever owned it."""
    spec = template(sight.owner)["spec"]
    container: Json = {"name": container_of(spec, place.workload)["name"]}
    if before.resources:
        container["resources"] = {part: dict(each) for part, each in before.resources.items()}
    kept = [{"name": name, "value": value} for name, value in before.variables.items() if value is not None]
    if kept:
        container["env"] = kept
    fields: Json = {"containers": [container]}
    named = Config(place.api, place.workload).named(sight.owner)
    if before.config_map:
        fields["volumes"] = volumes(spec, named, before.config_map)
    return fields


def volumes(spec: Json, named: str, wanted: str) -> list[Json]:
    """The volumes that name one ConfigMap, naming another, for server-side apply."""
    found = []
    for volume in showing(spec, named):
        if "configMap" in volume:
            found.append({"name": volume["name"], "configMap": {"name": wanted}})
            continue
        sources = [
            {**part, "configMap": {**part["configMap"], "name": wanted}}
            if (part.get("configMap") or {}).get("name") == named
            else part
            for part in volume["projected"]["sources"]
        ]
        found.append({"name": volume["name"], "projected": {"sources": sources}})
    return found


def _reaped(sight: Sight, *, back: bool) -> Before:
    return replace(sight.way_back, reaped=True, back=back)
