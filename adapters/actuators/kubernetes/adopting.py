"""What goes along when proven settings go into a workload: who else owns their fields, and autoscalers that hang on its
requests."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.autoscalers import lower
from adapters.actuators.kubernetes.config import Config
from adapters.actuators.kubernetes.fields import spec_before
from adapters.actuators.kubernetes.owning import owned, proposal
from adapters.actuators.kubernetes.record import Before
from adapters.actuators.kubernetes.scaling import Scaling, moving
from adapters.actuators.kubernetes.shape import Shape
from adapters.actuators.kubernetes.story import Story
from adapters.actuators.kubernetes.survey import Around, around
from adapters.actuators.kubernetes.workload import Place, Sight
from domain.allowance import Adoption
from domain.space import Settings, same


@dataclass(frozen=True, slots=True)
class Plan:
    """`held` are changed parameters that are not ours to write: what was proven was proven as a whole, so that one of
    them holds up all. `moved` are the metrics that autoscalers need, by name; `first` those of which a target falls."""

    held: tuple[str, ...]
    moved: dict[str, list[Json]]
    first: tuple[str, ...]
    original: Json
    seen: Around


class Adopting:
    """For one target."""

    def __init__(self, place: Place, shape: Shape) -> None:
        self._place, self._shape, self._workload = place, shape, place.workload
        self._config = Config(place.api, place.workload)
        self._story, self._scaling = Story(place.api, place.workload), Scaling(place)

    def plan(self, sight: Sight, before: Before, settings: Settings) -> Plan:
        """What these settings would touch. Raises Rejected where an autoscaler cannot follow."""
        seen = around(self._place.api, self._workload)
        original = spec_before(sight, before, self._workload, self._config)
        was = self._shape.settings(original, self._config.body(before.config_map))
        advised = {**seen.vertical(sight, self._workload), **owned(sight, self._workload, self._shape, self._config)}
        held = [name for name in settings if name in advised and not same(settings[name], was[name])]
        scalers = seen.scalers(sight, self._workload)
        wanted = self._shape.spec(original, settings)
        moved = self._scaling.moves(seen.hpas, scalers, original, wanted, before)
        for scaler in scalers:
            if scaler.held and scaler.name in moved:
                moves = moving(scaler, original, self._workload, settings)
                held += [name for name in moves if name not in held and not same(settings[name], was[name])]
        first = [name for name in moved if lower(moved[name], seen.metrics(name))]
        return Plan(tuple(held), moved, tuple(first), original, seen)

    def propose(self, sight: Sight, before: Before, fields: Json, settings: Settings, plan: Plan, run: str) -> Adoption:
        """Nothing is written to the cluster; the patch says how somebody else can."""
        present = self._config.body(before.config_map)
        body = self._shape.body(settings, present) if self._config else ""
        words = proposal(self._workload, run, fields, body if body != present else "", plan.moved)
        self._story.tell(sight.owner, "Proposed", f"proven, and not ours to apply: {', '.join(plan.held)}", run)
        return Adoption({}, dict(settings), words)

    def before_rollout(self, sight: Sight, plan: Plan) -> Sight:
        """Targets that fall move before the request grows, and those that rise after it shrank: in between replicas are
        rather too many than too few."""
        return self._move(sight, plan, {name: plan.moved[name] for name in plan.first})

    def after_rollout(self, sight: Sight, plan: Plan) -> Sight:
        return self._move(sight, plan, {name: each for name, each in plan.moved.items() if name not in plan.first})

    def _move(self, sight: Sight, plan: Plan, moved: dict[str, list[Json]]) -> Sight:
        return self._scaling.write(
            sight, plan.seen.hpas, plan.seen.scalers(sight, self._workload), moved, plan.original
        )
