"""The stage of a run in a cluster: arms are made, winners go into the template, arms leave."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from adapters.actuators.kubernetes.adopting import Adopting
from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.arm import PodArm
from adapters.actuators.kubernetes.autoscalers import waits
from adapters.actuators.kubernetes.config import Config
from adapters.actuators.kubernetes.fields import fields_with
from adapters.actuators.kubernetes.manifest import arm_labels
from adapters.actuators.kubernetes.record import BEFORE, KEPT, Before, text
from adapters.actuators.kubernetes.reverted import kept_in
from adapters.actuators.kubernetes.shape import Shape
from adapters.actuators.kubernetes.story import Story, words_of
from adapters.actuators.kubernetes.survey import Survey, around, replaces
from adapters.actuators.kubernetes.way_back import ROLLOUT_SECONDS, WayBack, fields_of
from adapters.actuators.kubernetes.workload import LOOK, Place, Sight, wait
from domain.allowance import Adoption, Allowance
from domain.errors import Rejected, Transient
from domain.ports import Stamp
from domain.space import Settings

REFUSED_SECONDS = 10.0  # that pods of a rollout may be refused


class Cluster:
    """See `domain.ports.Stage`."""

    def __init__(self, place: Place, shape: Shape, arms: Mapping[str, PodArm]) -> None:
        self._place, self._shape, self._arms = place, shape, arms
        self._workload, labels = place.workload, tuple(arms)
        self._config = Config(place.api, place.workload)
        self._adopting = Adopting(place, shape)
        self._survey = Survey(place, shape, labels)
        self._back = WayBack(place, labels)
        self._story = Story(place.api, place.workload)

    def survey(self) -> Allowance:
        return self._survey.make()

    def prepare(self, stamp: Stamp, until: float) -> None:
        sight = self._place.of_run(self._place.look(), stamp.run)
        if sight.before is not None and sight.before.until < until:
            sight = self._place.annotate(sight, lambda now: {BEFORE: text(_lasting(now, until))})
        for arm in self._arms.values():
            arm.make(stamp)
        sight, seen = self._place.of_run(self._place.look(), stamp.run), around(self._place.api, self._workload)
        hindrance = waits(seen.budgets, arm_labels(self._place.service()))
        if hindrance:
            self._story.tell_waiting(sight.owner, hindrance, stamp.run)
            raise Transient(f"waiting: {hindrance}")
        if sight.before is not None and not sight.before.replaced and replaces(sight, seen):
            sight = self._place.stand_in(sight, len(self._arms))
        wait(lambda: self._place.unfinished(self._place.look()), ROLLOUT_SECONDS)
        self._story.tell(sight.owner, "TuningStarted", f"arms {', '.join(self._arms)} serve", stamp.run)

    def adopt(self, settings: Settings, stamp: Stamp) -> Adoption:
        sight = self._place.of_run(self._place.look(), stamp.run)
        before = sight.way_back
        plan = self._adopting.plan(sight, before, settings)
        if plan.held:
            fields = fields_with(settings, sight, before, self._workload, self._shape, self._config, _as_it_is)
            return self._adopting.propose(sight, before, fields, settings, plan, stamp.run)
        sight = self._adopting.before_rollout(sight, plan)
        sight = self._place.set_template(sight, self._fields(sight, before, settings), force=True)
        try:
            self._rolled_out()
        except Rejected:
            # Not waited for here: a step that ended so would put the refused settings there again. The run goes back
            # as a whole now, and that waits.
            sight = self._place.of_run(self._place.look(), stamp.run)
            self._place.set_template(sight, fields_of(sight, before, self._place), force=True)
            raise
        sight = self._adopting.after_rollout(self._place.of_run(self._place.look(), stamp.run), plan)
        kept = kept_in(sight, before, settings, time.time(), self._workload, self._config.named(sight.owner))
        sight = self._place.annotate(sight, lambda now: {KEPT: text(kept)})
        self._story.tell(sight.owner, "Kept", words_of(settings), stamp.run)
        return Adoption(dict(settings), {})

    def retire(self, run: str) -> None:
        sight = self._place.look()
        if sight.before is None or sight.before.run != run:
            return
        self._back.finish(sight)
        self._story.tell(sight.owner, "ArmsRetired", "the arms are gone", run)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _fields(self, sight: Sight, before: Before, settings: Settings) -> Json:
        """What the template shall say. A changed file goes into a new ConfigMap."""

        def keep(named: str, body: str) -> str:
            return self._config.put_kept(sight.owner, named, body)

        return fields_with(settings, sight, before, self._workload, self._shape, self._config, keep)

    def _rolled_out(self) -> None:
        """Raises Rejected if its controller gives up or its pods are refused, Transient while it is at it."""
        refused = 0

        def left() -> str:
            nonlocal refused
            sight = self._place.look()
            unfinished = self._place.unfinished(sight)
            stuck, refusal = self._place.stuck(sight), self._place.refused(sight)
            # A quota may refuse a pod for a moment, until one of those before it has gone.
            refused = refused + 1 if refusal else 0
            if refused * LOOK > REFUSED_SECONDS:
                stuck = refusal
            if unfinished and stuck:
                raise Rejected(f"{self._workload.kind} {self._workload.name} does not come up with them: {stuck}")
            return f"rolling out: {unfinished}" if unfinished else ""

        wait(left, ROLLOUT_SECONDS)


def _as_it_is(named: str, body: str) -> str:
    """A proposal makes no ConfigMap."""
    return named


def _lasting(sight: Sight, until: float) -> Before:
    return replace(sight.way_back, until=until)
