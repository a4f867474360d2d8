"""The actuator of one arm: a pod that was made for the run, beside the production pods, which are never touched."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, replace

from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.config import Config, digest_of
from adapters.actuators.kubernetes.manifest import (
    DOMAIN,
    GENERATION,
    RUN,
    SETTINGS,
    arm_name,
    arm_pod,
    container_of,
    digest,
    mounted_at,
    template,
    with_config_map,
)
from adapters.actuators.kubernetes.nginx_pod import PodNginx
from adapters.actuators.kubernetes.pods import Pods, born, carried, hopeless, ready, status_of, unix
from adapters.actuators.kubernetes.quantity import same as same_amount
from adapters.actuators.kubernetes.record import BEFORE, SET_ASIDE, STATE, Before, text
from adapters.actuators.kubernetes.shape import Shape
from adapters.actuators.kubernetes.story import Story, words_of
from adapters.actuators.kubernetes.way_back import WayBack
from adapters.actuators.kubernetes.workload import Place, Sight, tuned, with_generation
from domain.errors import Conflict, Misconfigured, Rejected, Stale, Transient
from domain.ports import Image, Stamp
from domain.space import Settings, Value

CONFIG = f"{DOMAIN}/config"  # digest of the file that the pod was told to carry
CARRIED = f"{DOMAIN}/carried"  # ... and since when, by its workers
NEW_RUN_SECONDS = 3600.0  # that an arm lives which was made before anybody said for how long


@dataclass(frozen=True, slots=True)
class _Seen:
    """The workload, this arm's pod and the file that it was given."""

    sight: Sight
    pod: Json | None
    body: str
    settings: dict[str, Value]
    version: str


class PodArm:
    """See `domain.ports.Actuator`."""

    def __init__(self, place: Place, shape: Shape, label: str, labels: tuple[str, ...]) -> None:
        self._place, self._shape, self.label = place, shape, label
        self._workload = place.workload
        self._pods, self._config = Pods(place.api, place.workload), Config(place.api, place.workload)
        self._back = WayBack(place, labels)
        self._story = Story(place.api, place.workload)

    # --- the port ----------------------------------------------------------------------------------------------------

    def read(self) -> Image:
        seen = self._look()
        sight, generation = seen.sight, seen.sight.state.generations.get(self.label, 0)
        ours = generation > 0 and sight.known
        return Image(
            version=seen.version,
            stamp=Stamp(sight.state.run, generation) if ours else None,
            settings=seen.settings,
            generation=generation,
            protected=sight.before.run if sight.before is not None else "",
            reaped=sight.before is not None and sight.before.reaped,
        )

    def protect(self, run: str, deadline: float, expected: str | None = None) -> None:
        seen = self._look() if expected is None else self._expect(expected)
        before = seen.sight.before
        if before is not None and before.run != run and not before.back:
            raise Conflict(
                f"{self._workload.name} carries the before-image of run {before.run}; `trimtab restore` first"
            )
        if before is None or before.run != run:
            image = self._image(seen.sight, run, deadline)
            self._config.put_before(seen.sight.owner, image.config_map)
            state = seen.sight.state.with_digest(seen.sight.print)
            self._place.annotate(seen.sight, lambda now: {BEFORE: text(image), STATE: text(state)})
        elif before.deadline < deadline:
            self._place.annotate(seen.sight, lambda now: {BEFORE: text(_until(now, deadline))})

    def write(self, settings: Settings, stamp: Stamp, expected: str) -> Image:
        seen = self._check(stamp, expected)
        self._shape.spec(template(seen.sight.owner)["spec"], settings)  # what cannot be written changes nothing
        sight = self._claim(seen.sight, stamp)
        try:
            self._bring(replace(seen, sight=sight), settings, stamp)
        except Rejected:
            former = self._look()
            if former.pod is not None or seen.pod is not None:
                self._bring(former, seen.settings, stamp)
            raise
        self._story.tell(sight.owner, "CandidateApplied", f"arm {self.label}: {words_of(settings)}", stamp.run)
        return self.read()

    def effective(self) -> Settings:
        seen = self._look()
        if seen.pod is None:
            return seen.settings
        name = seen.pod["metadata"]["name"]
        if not ready(seen.pod) or not carried(seen.pod, self._workload):
            raise Transient(f"pod {name} is not proven to carry its settings: it is not Ready, or being resized")
        if self._config:
            self._prove_config(seen)
        return seen.settings

    def renew(self, since: float) -> None:
        seen = self._look()
        if seen.pod is not None and born(seen.pod) > since:
            return
        sight = seen.sight
        stamp = Stamp(sight.state.run, sight.state.generations.get(self.label, 0))
        if seen.pod is not None:
            self._pods.remove(seen.pod)
        self._make(replace(seen, pod=None), seen.settings, stamp)

    def disturbed(self, start: float, end: float) -> str:
        """Replicas that changed: the load of every pod did, too."""
        owner = self._place.look().owner
        for entry in owner["metadata"].get("managedFields") or []:
            if "f:replicas" in (entry.get("fieldsV1") or {}).get("f:spec", {}):
                at = unix(entry.get("time", ""))
                if start - 1.0 <= at <= end:
                    return f"{entry.get('manager', 'somebody')} changed the number of replicas"
        return ""

    def restore(self, stamp: Stamp, expected: str | None) -> Image:
        seen = self._look() if expected is None else self._check(stamp, expected)
        if seen.sight.before is None:
            raise Conflict(f"there is no before-image on {self._workload.kind} {self._workload.name}")
        grown = replace(stamp, generation=max(stamp.generation, seen.sight.state.generations.get(self.label, 0) + 1))
        sight = self._claim(seen.sight, grown)
        self._back.take(sight, force=expected is None)
        self._story.tell(sight.owner, "RolledBack", "the original settings are in force again", stamp.run)
        return self.read()

    def release(self, run: str, *, keep: bool = False) -> None:
        seen = self._place.look()
        if seen.before is None or seen.before.run != run:
            return
        if not keep:
            self._config.remove_before()
        aside = text(seen.before) if keep else None
        self._place.annotate(seen, lambda now: {BEFORE: None, **({SET_ASIDE: aside} if aside else {})})

    def reap(self, now: float, *, force: bool = False) -> str | None:
        """See `way_back.WayBack.reap`."""
        return self._back.reap(now, force=force)

    # --- for the stage -----------------------------------------------------------------------------------------------

    def make(self, stamp: Stamp) -> None:
        """Make this arm's pod with the settings in force, if it is not there."""
        seen = self._look()
        if seen.pod is not None and (seen.pod["metadata"].get("labels") or {}).get(RUN) != stamp.run[-63:]:
            self._pods.remove(seen.pod)  # of a run that is over
            seen = self._look()
        sight = (
            self._claim(seen.sight, stamp)
            if seen.sight.state.generations.get(self.label, 0) < stamp.generation
            else seen.sight
        )
        self._bring(replace(seen, sight=sight), seen.settings, stamp)

    # --- inside: looking ---------------------------------------------------------------------------------------------

    def _look(self) -> _Seen:
        sight, pod = self._place.look(), self._place.pod(self.label)
        given = self._config.arm_body(self.label) if pod is not None else None
        body = given if given is not None else self._config.body(self._config.named(sight.owner))
        if pod is None:
            spec, recorded = template(sight.owner)["spec"], sight.kept.settings if sight.kept else None
        else:
            spec, recorded = pod["spec"], _recorded(pod)
        settings = self._exact(spec, body, recorded) or self._shape.settings(spec, body)
        generation = sight.state.generations.get(self.label, 0)
        version = f"{generation}:{sight.print}:{digest([settings, (pod or {}).get('metadata', {}).get('uid')])}"
        return _Seen(sight, pod, body, settings, version)

    def _exact(self, spec: Json, body: str, recorded: Settings | None) -> dict[str, Value] | None:
        """The settings that we remember to have written, if what stands there is just what they look like written."""
        if recorded is None or set(recorded) != {*self._shape.ordered}:
            return None
        try:
            wanted = self._shape.spec(spec, recorded)
            same_body = not self._config or self._shape.body(recorded, body) == body
        except (Rejected, Misconfigured):
            return None
        if not same_body or self._shape.remade(spec, wanted) or not self._same_resources(spec, wanted):
            return None
        return {name: recorded[name] for name in self._shape.ordered}

    def _same_resources(self, one: Json, other: Json) -> bool:
        ours, theirs = (container_of(each, self._workload).get("resources") or {} for each in (one, other))
        return all(
            same_amount((ours.get(part) or {}).get(key, ""), (theirs.get(part) or {}).get(key, ""))
            for part in ("requests", "limits")
            for key in {*(ours.get(part) or {}), *(theirs.get(part) or {})}
        )

    def _expect(self, expected: str) -> _Seen:
        seen = self._look()
        if seen.version != expected:
            if seen.sight.known:
                raise Stale(f"{self._workload.name} is at {seen.version}, not {expected}: another of ours was faster")
            raise Conflict(f"{self._workload.kind} {self._workload.name} was changed by somebody else")
        return seen

    def _check(self, stamp: Stamp, expected: str) -> _Seen:
        seen = self._expect(expected)
        if seen.sight.before is not None and not seen.sight.known:
            raise Conflict(f"{self._workload.kind} {self._workload.name} was changed by somebody else")
        generation = seen.sight.state.generations.get(self.label, 0)
        if stamp.generation <= generation:
            raise Stale(f"generation {stamp.generation} is not above {generation} of arm {self.label}")
        return seen

    # --- inside: writing ---------------------------------------------------------------------------------------------

    def _claim(self, sight: Sight, stamp: Stamp) -> Sight:
        """From here on only this generation may write: conditional on what was seen."""

        def change(now: Sight) -> dict[str, str | None]:
            return {
                STATE: text(
                    with_generation(now.state, self.label, stamp.run, stamp.generation).with_digest(sight.print)
                )
            }

        return self._place.annotate(sight, change)

    def _bring(self, seen: _Seen, settings: Settings, stamp: Stamp) -> None:
        """Bring settings into this arm's pod: in place where that is possible, else into a pod made anew."""
        pod, wanted = seen.pod, self._spec(seen.sight, settings)
        body = self._wanted_body(seen, settings)
        if pod is not None and self._anew(pod, wanted, body):
            self._pods.remove(pod)
            pod = None
        if pod is None:
            self._make(replace(seen, pod=None), settings, stamp)
            return
        if not self._same_resources(pod["spec"], wanted) or not carried(pod, self._workload):
            resources = container_of(wanted, self._workload).get("resources") or {}
            pod = self._pods.resize(pod, resources, lambda: self._may(stamp))
        notes = {SETTINGS: json.dumps(dict(settings)), GENERATION: str(stamp.generation)}
        if self._config and not self._carries(pod, body):
            self._put_file(seen.sight, body, stamp)
            # A change of the pod is what makes the kubelet look at its ConfigMaps now and not in a minute.
            self._annotate(pod, {CONFIG: digest_of(body), CARRIED: ""}, stamp)  # not yet
            notes[CARRIED] = self._reload(pod, body)
        self._annotate(pod, notes, stamp)

    def _make(self, seen: _Seen, settings: Settings, stamp: Stamp) -> None:
        sight = self._may(stamp)
        body = self._wanted_body(seen, settings)
        notes = {RUN: stamp.run, SETTINGS: json.dumps(dict(settings)), GENERATION: str(stamp.generation)}
        if self._config:
            self._put_file(sight, body, stamp)
            notes[CONFIG] = digest_of(body)
        until = sight.before.until if sight.before is not None else 0.0
        manifest = arm_pod(
            sight.owner,
            self._place.service(),
            self._workload,
            self.label,
            self._spec(sight, settings),
            run=stamp.run,
            seconds=max(until - time.time(), NEW_RUN_SECONDS if not until else 0.0),
            annotations=notes,
        )
        self._may(stamp)
        self._pods.make(manifest)

    def _may(self, stamp: Stamp) -> Sight:
        """The workload, if this generation may still write. Raises Stale where somebody went on meanwhile."""
        sight = self._place.look()
        if sight.state.generations.get(self.label, 0) > stamp.generation or sight.state.run != stamp.run:
            raise Stale(f"another writer of ours was faster on arm {self.label}")
        if not sight.known:
            raise Stale(f"{self._workload.kind} {self._workload.name} was changed by somebody else meanwhile")
        return sight

    def _put_file(self, sight: Sight, body: str, stamp: Stamp) -> None:
        named = self._config.named(sight.owner)
        self._config.put_arm(sight.owner, self.label, named, body, lambda: self._may(stamp))

    def _spec(self, sight: Sight, settings: Settings) -> Json:
        """The template's spec with these settings, and with this arm's own ConfigMap."""
        spec = self._shape.spec(template(sight.owner)["spec"], settings)
        if not self._config:
            return spec
        return with_config_map(spec, self._config.named(sight.owner), arm_name(self._workload, self.label))

    def _wanted_body(self, seen: _Seen, settings: Settings) -> str:
        if not self._config:
            return ""
        return self._shape.body(settings, self._config.body(self._config.named(seen.sight.owner)))

    def _anew(self, pod: Json, wanted: Json, body: str) -> bool:
        if hopeless(pod) or pod["metadata"].get("deletionTimestamp") or self._shape.remade(pod["spec"], wanted):
            return True
        if not self._config:
            return False
        _, live = mounted_at(pod["spec"], self._workload, arm_name(self._workload, self.label))
        return not live and (pod["metadata"].get("annotations") or {}).get(CONFIG) != digest_of(body)

    def _file(self, pod: Json) -> str:
        return mounted_at(pod["spec"], self._workload, arm_name(self._workload, self.label))[0]

    def _nginx(self, pod: Json) -> PodNginx:
        return PodNginx(self._place.api, self._workload, pod, container_of(pod["spec"], self._workload)["name"])

    def _reload(self, pod: Json, body: str) -> str:
        """Into the running nginx; what it serves with since, in words for an annotation."""
        workers = self._nginx(pod).carry(self._file(pod), digest_of(body))
        container = status_of(pod, container_of(pod["spec"], self._workload)["name"])
        return json.dumps({"born": min(born for _, born in workers), "container": container.get("containerID", "")})

    def _carries(self, pod: Json, body: str) -> bool:
        """By what was noted when it was proven: the same file, and since its pod began or since our reload."""
        notes = pod["metadata"].get("annotations") or {}
        at_start = CARRIED not in notes
        return notes.get(CONFIG) == digest_of(body) and (at_start or bool(notes[CARRIED]))

    def _prove_config(self, seen: _Seen) -> None:
        """The file in the container is the one that was written, and only workers that read it serve."""
        pod = seen.pod or {}
        nginx, name = self._nginx(pod), pod["metadata"]["name"]
        if nginx.digest(self._file(pod)) != digest_of(seen.body):
            raise Transient(f"pod {name} does not have its file yet")
        noted = json.loads((pod["metadata"].get("annotations") or {}).get(CARRIED) or "{}")
        container = status_of(pod, container_of(pod["spec"], self._workload)["name"])
        workers = nginx.workers()
        old = noted.get("container") == container.get("containerID") and any(
            born < noted["born"] for _, born in workers
        )
        if not workers or old:
            raise Transient(f"the workers of pod {name} are not proven to carry its file")

    def _annotate(self, pod: Json, notes: dict[str, str], stamp: Stamp) -> None:
        def write(place: str, version: str) -> Json:
            return self._place.api.merge(place, {"metadata": {"resourceVersion": version, "annotations": notes}})

        self._pods.change(pod, lambda: self._may(stamp), write)

    # --- inside: the before-image ------------------------------------------------------------------------------------

    def _image(self, sight: Sight, run: str, deadline: float) -> Before:
        container = tuned(sight, self._workload)
        variables = self._shape.variables(container)
        named = self._config.named(sight.owner)
        return Before(
            run=run,
            deadline=deadline,
            original=sight.print,
            resources={
                part: dict(each) for part, each in (container.get("resources") or {}).items() if part != "claims"
            },
            variables={name: variables.get(name) for name in sorted(self._shape.names)},
            config_map=named,
            config_digest=digest_of(self._config.body(named)) if named else "",
            kept=sight.kept,
        )


def _until(sight: Sight, deadline: float) -> Before:
    if sight.before is None:
        raise Stale("the before-image was removed meanwhile")
    return replace(sight.before, deadline=max(deadline, sight.before.deadline))


def _recorded(pod: Json) -> Settings | None:
    raw = (pod["metadata"].get("annotations") or {}).get(SETTINGS)
    with contextlib.suppress(ValueError):
        found = json.loads(raw) if raw else None
        return found if isinstance(found, dict) else None
    return None
