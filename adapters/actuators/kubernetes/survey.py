"""What a cluster allows for one target, read before anything is touched: bounds with reasons, owners, refusals."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from adapters.actuators.kubernetes.admission import narrowed
from adapters.actuators.kubernetes.api import Absent, Api, Json, path
from adapters.actuators.kubernetes.autoscalers import Autoscaler, autoscalers, budgets, crowded, vertical
from adapters.actuators.kubernetes.config import Config
from adapters.actuators.kubernetes.manifest import arm_labels, arm_name, arm_pod, refusals, template, with_config_map
from adapters.actuators.kubernetes.owning import owned
from adapters.actuators.kubernetes.reverted import reverts
from adapters.actuators.kubernetes.room import NAMES, room, steps, surge_of
from adapters.actuators.kubernetes.scaling import ceilings, moving
from adapters.actuators.kubernetes.shape import Shape
from adapters.actuators.kubernetes.workload import Place, Sight, tuned
from domain.allowance import Allowance, Bound
from domain.errors import Misconfigured, Rejected
from domain.space import Settings
from domain.target import Workload

LEAST_REPLACED = 3  # replicas from which on arms may stand in for some of them
_SECRET = re.compile(r"(?i)password|passwd|secret|token|credential|private.?key")


@dataclass(frozen=True, slots=True)
class Around:
    """What lies around a workload in its namespace."""

    hpas: Sequence[Json] = ()
    vpas: Sequence[Json] = ()
    budgets: Sequence[Json] = ()
    quotas: Sequence[Json] = ()
    ranges: Sequence[Json] = ()
    nodes: Sequence[Json] = ()

    def scalers(self, sight: Sight, workload: Workload) -> tuple[Autoscaler, ...]:
        """The HPAs of this workload."""
        container = str(tuned(sight, workload)["name"])
        return autoscalers(self.hpas, workload.kind, workload.name, container, workload.take_over)

    def vertical(self, sight: Sight, workload: Workload) -> dict[str, str]:
        """The parameters that a VPA of this workload sets, and why."""
        return vertical(self.vpas, workload.kind, workload.name, str(tuned(sight, workload)["name"]))

    def metrics(self, scaler: str) -> list[Json]:
        """The metrics of an HPA, by its name."""
        return next((each["spec"].get("metrics") or [] for each in self.hpas if each["metadata"]["name"] == scaler), [])

    @property
    def told(self) -> tuple[str, ...]:
        return () if self.nodes else ("nodes may not be read here, so their size bounds nothing",)


def around(api: Api, workload: Workload) -> Around:
    """Read it. A kind that this cluster does not have, or that may not be read, counts as none."""

    def listed(kind: str) -> list[Json]:
        try:
            return api.items(path(kind, "" if kind == "Node" else workload.namespace))
        except Absent:
            return []
        except Misconfigured:
            if kind == "Node":
                return []
            raise

    kinds = ("HorizontalPodAutoscaler", "VerticalPodAutoscaler", "PodDisruptionBudget", "ResourceQuota", "LimitRange")
    return Around(*(listed(kind) for kind in (*kinds, "Node")))


class Survey:
    """For one target; see `domain.ports.Stage.survey`."""

    def __init__(self, place: Place, shape: Shape, labels: tuple[str, ...]) -> None:
        self._place, self._shape, self._labels = place, shape, labels
        self._workload = place.workload

    def make(self) -> Allowance:
        sight, seen = self._place.look(), around(self._place.api, self._workload)
        cloned = self._workload.kind != "StatefulSet"
        refused = [*(refusals(sight.owner, self._workload) if cloned else held_up(sight, seen, self._workload))]
        refused += self._secrets(sight)
        if refused:
            return Allowance(refusal="; ".join(refused))
        searched = [name for name in NAMES if name in self._shape.ordered]
        on_top = cloned and not replaces(sight, seen)
        arms = len(self._labels) if cloned else 0
        allowed = room(
            template(sight.owner),
            self._workload.container,
            quotas=seen.quotas,
            ranges=seen.ranges,
            nodes=seen.nodes,
            steps=steps(sight.replicas, arms, surge_of(sight.owner), leave=arms if on_top else 0),
            tuned=searched,
        )
        tied = [name for name in sorted(allowed.tied) if name in searched]
        if tied:
            names = ", ".join(tied)
            follows = "follow the others here, so that the pod keeps its class of service"
            return Allowance(refusal=f"{names} {follows}; leave them out of the parameters")
        scalers = seen.scalers(sight, self._workload)
        labels = arm_labels(self._place.service())
        crowd = [crowded(each, sight.owner["spec"]["selector"], labels, arms, sight.replicas) for each in scalers]
        if cloned and any(crowd):
            return Allowance(refusal="; ".join(each for each in crowd if each))
        spec = template(sight.owner)["spec"]
        held = {
            name: each.frozen[point.parameter]
            for each in scalers
            if each.held
            for name, point in moving(each, spec, self._workload, searched).items()
        }
        vpa = seen.vertical(sight, self._workload)
        advised = {**vpa, **owned(sight, self._workload, self._shape, Config(self._place.api, self._workload))}
        bounds = {name: Bound(each.low, each.high, "; ".join(each.reasons)) for name, each in allowed.bounds.items()}
        for name, (most, why) in ceilings(scalers, seen.hpas, spec, self._workload, searched).items():
            if name in bounds and most < bounds[name].low:
                held.setdefault(name, why)
            elif name in bounds and most < bounds[name].high:
                bounds[name] = Bound(
                    bounds[name].low, most, "; ".join(each for each in (bounds[name].reason, why) if each)
                )
        if cloned:
            try:
                bounds = self._admitted(sight, bounds, {*allowed.frozen, *held})
            except Rejected as refusal:
                return Allowance(refusal=f"admission refuses a pod like those that serve: {refusal}")
        return Allowance(
            bounds={name: each for name, each in bounds.items() if each.reason},
            frozen=_searched({**allowed.frozen, **held}, searched),
            advised=_searched(advised, self._shape.ordered),
            share=1 / (sight.replicas + (arms if on_top else 0)),
            on_top=on_top,
            constraints=allowed.constraints,
            notes=(
                *allowed.told,
                *seen.told,
                *budgets(seen.budgets, labels),
                *(() if cloned else order_of(sight)),
                *(each.words for each in reverts(sight, self._workload)),
            ),
        )

    def _admitted(self, sight: Sight, bounds: Mapping[str, Bound], frozen: Collection[str]) -> dict[str, Bound]:
        """The bounds within what a dry run lets through; as they are while an arm of another run is still there."""
        label, service = self._labels[0], self._place.service()
        if self._place.pod(label) is not None:
            return dict(bounds)
        spec = template(sight.owner)["spec"]
        config = Config(self._place.api, self._workload)
        name = arm_name(self._workload, label)

        def ask(settings: Settings) -> None:
            wanted = self._shape.spec(spec, settings)
            if config:
                wanted = with_config_map(wanted, config.named(sight.owner), name)
            pod = arm_pod(
                sight.owner, service, self._workload, label, wanted, run="dry-run", seconds=60.0, annotations={}
            )
            self._place.api.apply(path("Pod", self._workload.namespace, name), pod, dry=True)

        original = self._shape.settings(spec, config.body(config.named(sight.owner)))
        searched = [each for each in self._shape.space.parameters if each.name not in frozen]
        return narrowed(ask, original, searched, bounds)

    def _secrets(self, sight: Sight) -> list[str]:
        """What must not be copied into a before-image or a journal."""
        variables = self._shape.variables(tuned(sight, self._workload))
        return [
            f"variable {name} seems to hold a secret; move it to a variable of its own, or leave its parameters out"
            for name in sorted(self._shape.names)
            if _SECRET.search(variables.get(name, ""))
        ]


def _searched(reasons: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    return {name: why for name, why in reasons.items() if name in names}


def replaces(sight: Sight, seen: Around) -> bool:
    """Whether arms stand in for replicas, so that the load of each pod stays what it was: nothing scales them, and
    enough of them are left."""
    return not _scaled_by(sight, seen) and sight.replicas >= LEAST_REPLACED


def held_up(sight: Sight, seen: Around, workload: Workload) -> list[str]:
    """Why no candidate may be tried on the highest ordinal of a StatefulSet, in words; empty if one may."""
    spec, status, told = sight.owner["spec"], sight.owner.get("status") or {}, []
    kind = (spec.get("updateStrategy") or {}).get("type", "RollingUpdate")
    if kind != "RollingUpdate":
        told.append(f"its updateStrategy is {kind}: its pods take a new template only when somebody deletes them")
    if sight.replicas < 1:
        told.append("it has 0 replicas, so nothing serves that could be tuned")
    if sight.replicas == 1 and "single-replica" not in workload.opt_in:
        told.append("it has 1 replica, so its only pod would carry every candidate; opt in with single-replica")
    if status.get("currentRevision") != status.get("updateRevision"):
        told.append(
            f"only {status.get('updatedReplicas', 0)} of its {sight.replicas} pods carry its template; "
            "finish that rollout, or take the template back"
        )
    told += [
        f"HorizontalPodAutoscaler {name} scales it, and every pod that it adds would carry the candidate too; "
        "take it away for the time of a run"
        for name in _scaled_by(sight, seen)
    ]
    return told


def order_of(sight: Sight) -> tuple[str, ...]:
    """How the pods of a StatefulSet come and go, to be told."""
    if sight.owner["spec"].get("podManagementPolicy", "OrderedReady") == "Parallel":
        return ("podManagementPolicy is Parallel: a pod that does not become Ready holds up no other one",)
    return ("podManagementPolicy is OrderedReady: while one pod is not Ready, no other one is made anew",)


def _scaled_by(sight: Sight, seen: Around) -> list[str]:
    """The HPAs that scale a workload."""
    name, kind = sight.owner["metadata"]["name"], sight.owner.get("kind", "")
    return [
        each["metadata"]["name"]
        for each in seen.hpas
        if each["spec"]["scaleTargetRef"].get("name") == name and each["spec"]["scaleTargetRef"].get("kind") == kind
    ]
