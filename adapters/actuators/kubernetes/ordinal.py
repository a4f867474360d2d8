"""The actuator of the one arm of a StatefulSet: its highest pod, which is production's own.

Nothing is cloned, as two databases must not share a directory. A candidate stands in the template, and the partition
lets only the highest ordinal take it; every change makes that pod anew.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.arm import PodArm, _Seen
from adapters.actuators.kubernetes.candidates import Candidates
from adapters.actuators.kubernetes.fields import fields_with, spec_before
from adapters.actuators.kubernetes.manifest import container_of, digest, showing, template
from adapters.actuators.kubernetes.ordinals import (
    OrdinalsBack,
    StatefulPlace,
    born,
    partition_of,
    strategy_of,
    unix,
    unlike,
)
from adapters.actuators.kubernetes.pods import carried, ready, status_of
from adapters.actuators.kubernetes.quantity import same
from adapters.actuators.kubernetes.record import STATE, Before, text
from adapters.actuators.kubernetes.shape import Shape
from adapters.actuators.kubernetes.story import words_of
from adapters.actuators.kubernetes.way_back import fields_of
from adapters.actuators.kubernetes.workload import Sight, wait, with_generation
from domain.errors import Rejected, Stale, Transient
from domain.ports import Image, Stamp
from domain.space import Settings, equal

# One step may last a minute: a candidate that fails late and its undo have to fit into it. What takes longer is looked
# at again by the next step.
READY_SECONDS = 25.0
UNDO_SECONDS = 20.0


class OrdinalArm(PodArm):
    """See `domain.ports.Actuator`. Before-image, conditions and claims are those of every workload."""

    def __init__(self, place: StatefulPlace, shape: Shape, label: str, labels: tuple[str, ...]) -> None:
        super().__init__(place, shape, label, labels)
        self._set = place
        self._config: Candidates = Candidates(place.api, place.workload)
        self._back = OrdinalsBack(place, labels)

    # --- the port ----------------------------------------------------------------------------------------------------

    def write(self, settings: Settings, stamp: Stamp, expected: str) -> Image:
        seen = self._check(stamp, expected)
        before = self._before(seen.sight, stamp.run)
        # What cannot be written changes nothing.
        self._shape.spec(spec_before(seen.sight, before, self._workload, self._config), settings)
        if not equal(seen.settings, settings):
            self._permitted(seen)
        sight = self._claim(seen.sight, stamp, settings)
        try:
            self._until_carried(self._put(sight, settings, stamp.run), READY_SECONDS)
        except Rejected:
            self._undo(seen.settings, stamp)
            raise
        self._story.tell(sight.owner, "CandidateApplied", f"arm {self.label}: {words_of(settings)}", stamp.run)
        return self.read()

    def effective(self) -> Settings:
        seen = self._look()
        owner, name = seen.sight.owner, self._set.name_at(seen.sight, self._set.top(seen.sight))
        words = unlike(owner, seen.pod, name)
        if not words and seen.pod is not None:
            words = self._altered(owner, seen.pod)
        if words:
            raise Transient(f"StatefulSet {self._workload.name}: {words}")
        return seen.settings

    def renew(self, since: float) -> None:
        seen = self._look()
        if seen.pod is not None and born(seen.pod) <= since and not seen.pod["metadata"].get("deletionTimestamp"):
            self._set.delete(seen.pod)
        self._until_carried(seen.sight, READY_SECONDS)

    def disturbed(self, start: float, end: float) -> str:
        """Also that the pod was made anew or its container started again: a StatefulSet's pod may move at any time."""
        words = super().disturbed(start, end)
        sight = self._place.look()
        pod = self._set.pod_at(sight, self._set.top(sight))
        if words or pod is None:
            return words
        name, since = pod["metadata"]["name"], born(pod)
        running = (status_of(pod, container_of(pod["spec"], self._workload)["name"]).get("state") or {}).get("running")
        began = unix((running or {}).get("startedAt") or "")
        if start <= max(since, began) <= end:
            return f"pod {name} was made anew" if since >= start else f"the container of pod {name} started again"
        return ""

    # --- for the stage -----------------------------------------------------------------------------------------------

    def make(self, stamp: Stamp) -> None:
        """Hold updates at this ordinal, with the settings in force, and wait until it serves."""
        sight = self._newest(self._look().sight, stamp)
        self._until_carried(self._set.hold(sight), READY_SECONDS)

    def put(self, settings: Settings, stamp: Stamp) -> Sight:
        """Settings into the template, for the pods from the partition on. Does not wait for them."""
        seen = self._look()
        sight = self._newest(seen.sight, stamp, settings)
        if equal(seen.settings, settings):
            return sight  # they are there, and maybe on more than one pod already
        return self._put(sight, settings, stamp.run)

    # --- inside: looking ---------------------------------------------------------------------------------------------

    def _look(self) -> _Seen:
        sight = self._place.look()
        pod = self._set.pod_at(sight, self._set.top(sight))
        spec, body = template(sight.owner)["spec"], self._config.body(self._config.named(sight.owner))
        settings = (
            self._exact(spec, body, sight.state.settings)
            or self._exact(spec, body, sight.kept.settings if sight.kept is not None else None)
            or self._shape.settings(spec, body)
        )
        generation = sight.state.generations.get(self.label, 0)
        return _Seen(sight, pod, body, settings, f"{generation}:{sight.print}:{digest(settings)}")

    def _altered(self, owner: Json, pod: Json) -> str:
        """What a pod has otherwise than its template says, in words: something changes pods when they are made."""
        name = pod["metadata"]["name"]
        theirs, ours = (container_of(spec, self._workload) for spec in (pod["spec"], template(owner)["spec"]))
        for part, amounts in (ours.get("resources") or {}).items():
            if part == "claims":
                continue
            for resource, amount in amounts.items():
                found = ((theirs.get("resources") or {}).get(part) or {}).get(resource, "nothing")
                if not same(found, amount):
                    return f"pod {name} got {part}.{resource} {found}, and its template says {amount}"
        here, there = self._shape.variables(theirs), self._shape.variables(ours)
        others = [each for each in sorted(self._shape.names) if here.get(each) != there.get(each)]
        if others:
            return f"pod {name} got other variables than its template says: {', '.join(others)}"
        if self._config and not showing(pod["spec"], self._config.named(owner)):
            return f"pod {name} does not mount ConfigMap {self._config.named(owner)}"
        return "" if carried(pod, self._workload) else f"pod {name} is not proven to run with its resources"

    # --- inside: writing ---------------------------------------------------------------------------------------------

    def _permitted(self, seen: _Seen) -> None:
        """Raises Transient while nobody may disturb a pod that serves."""
        if seen.pod is not None and ready(seen.pod):
            words = self._set.forbidden(seen.sight)
            if words:
                self._story.tell_waiting(seen.sight.owner, words, seen.sight.state.run)
                raise Transient(words)

    def _claim(self, sight: Sight, stamp: Stamp, settings: Settings | None = None) -> Sight:
        """From here on only this generation may write; `settings` are those that it will have written."""

        def change(now: Sight) -> dict[str, str | None]:
            state = with_generation(now.state, self.label, stamp.run, stamp.generation).with_digest(sight.print)
            return {STATE: text(state if settings is None else replace(state, settings=dict(settings)))}

        return self._place.annotate(sight, change)

    def _newest(self, sight: Sight, stamp: Stamp, settings: Settings | None = None) -> Sight:
        """The claim of a step of the stage. Raises Stale if somebody of ours went on meanwhile."""
        generation = sight.state.generations.get(self.label, 0)
        if generation > stamp.generation or sight.before is None or sight.before.run != stamp.run:
            raise Stale(
                f"generation {stamp.generation} of run {stamp.run} is late: arm {self.label} is at {generation}"
            )
        return self._claim(sight, stamp, settings)

    def _put(self, sight: Sight, settings: Settings, run: str) -> Sight:
        """Settings into the template, which only this ordinal takes."""
        sight = self._set.hold(sight)
        return self._place.set_template(sight, self._fields(sight, settings, run), force=True)

    def _fields(self, sight: Sight, settings: Settings, run: str) -> Json:
        """What the template shall say. For the original settings that is the original to the letter: a pod with it is
        of the revision of the pods below."""
        before = self._before(sight, run)
        spec, body = spec_before(sight, before, self._workload, self._config), self._config.body(before.config_map)
        written = self._shape.body(settings, body) if self._config else body
        if equal(self._shape.settings(spec, body), self._shape.settings(self._shape.spec(spec, settings), written)):
            return fields_of(sight, before, self._place)

        def keep(named: str, text: str) -> str:
            return self._config.put_candidate(sight.owner, named, text, run, (named, before.config_map))

        return fields_with(settings, sight, before, self._workload, self._shape, self._config, keep)

    def _until_carried(self, sight: Sight, seconds: float) -> None:
        """Raises Rejected if the pod will not become Ready, Transient while it may."""
        top = self._set.top(sight)
        wait(lambda: self._set.lacking(sight, top), seconds)

    def _undo(self, settings: Settings, stamp: Stamp) -> None:
        """The former settings into the template again, and the broken pod away. The next step waits for what is not
        Ready in time."""
        sight = self._look().sight
        generation = sight.state.generations.get(self.label, 0)
        if generation != stamp.generation or sight.state.run != stamp.run:
            raise _late(stamp, generation)
        sight = self._claim(sight, stamp, settings)
        with contextlib.suppress(Rejected, Transient):
            self._until_carried(self._put(sight, settings, stamp.run), UNDO_SECONDS)

    # --- inside: the before-image ------------------------------------------------------------------------------------

    def _before(self, sight: Sight, run: str) -> Before:
        return sight.before if sight.before is not None else self._image(sight, run, 0.0)

    def _image(self, sight: Sight, run: str, deadline: float) -> Before:
        image, owner = super()._image(sight, run, deadline), sight.owner
        return replace(
            image, strategy=strategy_of(owner), partition=partition_of(owner), ordinal=max(0, sight.replicas - 1)
        )


def _late(stamp: Stamp, generation: int) -> Stale:
    return Stale(f"generation {stamp.generation} of run {stamp.run} is late: the arm is at {generation}")
