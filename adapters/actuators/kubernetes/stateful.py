"""The stage of a run on a StatefulSet: its highest pod is the arm, and a winner takes the others one by one."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

from adapters.actuators.kubernetes.adopting import Adopting, Plan
from adapters.actuators.kubernetes.config import Config
from adapters.actuators.kubernetes.fields import fields_with
from adapters.actuators.kubernetes.ordinal import OrdinalArm
from adapters.actuators.kubernetes.ordinals import OrdinalsBack, StatefulPlace, partition_of
from adapters.actuators.kubernetes.record import KEPT, Before, text
from adapters.actuators.kubernetes.reverted import kept_in
from adapters.actuators.kubernetes.shape import Shape
from adapters.actuators.kubernetes.story import Story, words_of
from adapters.actuators.kubernetes.survey import Survey
from adapters.actuators.kubernetes.way_back import ROLLOUT_SECONDS
from adapters.actuators.kubernetes.workload import Sight, wait
from domain.allowance import Adoption, Allowance
from domain.errors import Rejected, Transient
from domain.ports import Stamp
from domain.space import Settings


class StatefulStage:
    """See `domain.ports.Stage`."""

    def __init__(self, place: StatefulPlace, shape: Shape, arm: OrdinalArm) -> None:
        self._place, self._arm, self._workload = place, arm, place.workload
        self._survey, self._shape = Survey(place, shape, (arm.label,)), shape
        self._adopting, self._config = Adopting(place, shape), Config(place.api, place.workload)
        self._back = OrdinalsBack(place, (arm.label,))
        self._story = Story(place.api, place.workload)

    def survey(self) -> Allowance:
        """Every candidate is written into the workload here, so what may only be advised is not searched."""
        allowed = self._survey.make()
        if allowed.advised and set(self._shape.ordered) <= {*allowed.frozen, *allowed.advised}:
            return Allowance(refusal="; ".join(dict.fromkeys(allowed.advised.values())))
        return replace(allowed, frozen={**allowed.frozen, **allowed.advised}, advised={})

    def prepare(self, stamp: Stamp, until: float) -> None:
        sight = self._place.of_run(self._place.look(), stamp.run)
        self._arm.make(stamp)
        name = self._place.name_at(sight, self._place.top(sight))
        self._story.tell(sight.owner, "TuningStarted", f"arm {self._arm.label} is pod {name}", stamp.run)

    def adopt(self, settings: Settings, stamp: Stamp) -> Adoption:
        sight = self._place.of_run(self._place.look(), stamp.run)
        before = sight.way_back
        plan = self._adopting.plan(sight, before, settings)
        if plan.held:
            return self._propose(sight, before, settings, plan, stamp)
        self._adopting.before_rollout(sight, plan)
        try:
            sight = self._lowered(self._arm.put(settings, stamp))
        except Rejected:
            # What is not back in time is waited for by the way back that follows.
            with contextlib.suppress(Transient):
                self._back.take(self._place.look())
            raise
        sight = self._place.of_run(sight, stamp.run)
        before = sight.way_back
        sight = self._place.set_rollout(sight, before.partition, before.strategy)
        sight = self._adopting.after_rollout(sight, plan)
        kept = kept_in(sight, before, settings, time.time(), self._workload, self._config.named(sight.owner))
        sight = self._place.annotate(sight, lambda now: {KEPT: text(kept)})
        self._story.tell(sight.owner, "Kept", words_of(settings), stamp.run)
        return Adoption(dict(settings), {})

    def retire(self, run: str) -> None:
        """No pod leaves."""
        sight = self._place.look()
        if sight.before is not None and sight.before.run == run:
            self._back.finish(sight)

    def _propose(self, sight: Sight, before: Before, settings: Settings, plan: Plan, stamp: Stamp) -> Adoption:
        """Somebody came to own what a candidate of this run has written by now: it goes back first."""
        fields = fields_with(
            settings, sight, before, self._workload, self._shape, self._config, keep=lambda named, body: named
        )
        self._back.take(sight)
        return self._adopting.propose(self._place.look(), before, fields, settings, plan, stamp.run)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _lowered(self, sight: Sight) -> Sight:
        """The partition goes down by one whenever all pods from it on carry the template. Raises Rejected if one of
        them does not come up with it, Transient while it is at it: the next call goes on from there."""
        now = sight

        def left() -> str:
            nonlocal now
            now = self._place.still(now)
            partition = min(partition_of(now.owner), now.replicas)
            told = [self._place.lacking(now, ordinal) for ordinal in range(now.replicas - 1, partition - 1, -1)]
            if any(told):
                return next(words for words in told if words)
            if partition == 0:
                return self._place.unsettled(now)
            words = self._place.forbidden(now)
            if words:
                self._story.tell_waiting(now.owner, words, now.state.run)
                return words
            now = self._place.set_rollout(now, partition - 1)
            return f"pod {self._place.name_at(now, partition - 1)} is the next"

        wait(left, ROLLOUT_SECONDS)
        return now
