"""Autoscalers that scale at a share of a request: when the request moves, their target moves along, so that the number
of replicas at one load stays what it was."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from adapters.actuators.kubernetes.api import Api, Json, Outdated, path
from adapters.actuators.kubernetes.autoscalers import DRIFT, Autoscaler, ScalePoint, lower, moved_metrics, moved_target
from adapters.actuators.kubernetes.demand import containers, pod_sum, tuned
from adapters.actuators.kubernetes.manifest import DOMAIN
from adapters.actuators.kubernetes.quantity import value_of
from adapters.actuators.kubernetes.record import BEFORE, Before, text
from adapters.actuators.kubernetes.workload import TRIES, Place, Sight
from domain.errors import Rejected, Transient
from domain.target import Workload

COARSE = 0.5 / DRIFT  # per cent; a lower target may be off by more, as it is a whole number
POINTS = f"{DOMAIN}/scale-points"  # on the HPA: request x target of each metric, as people had set it


class Scaling:
    """The HPAs of one workload."""

    def __init__(self, place: Place) -> None:
        self._api: Api = place.api
        self._place, self._workload = place, place.workload

    def moves(
        self, hpas: Sequence[Json], found: Sequence[Autoscaler], old: Json, new: Json, before: Before
    ) -> dict[str, list[Json]]:
        """The metrics that each HPA must have for pods of spec `new` in the place of `old`, by name; none for those
        that stay, or that have them already. Raises Rejected where no whole per cent keeps the scale point."""
        by_name = {each["metadata"]["name"]: each for each in hpas}
        moved: dict[str, list[Json]] = {}
        for scaler in found:
            hpa, targets = by_name[scaler.name], {}
            if hpa["spec"].get("metrics") == before.autoscalers.get(scaler.name, (None, None))[1]:
                continue  # moved by this run
            known = _points(hpa)
            for point in scaler.points:
                was, is_now = (_request(spec, self._workload, point) for spec in (old, new))
                if was is None or is_now is None or was == is_now:
                    continue
                target = moved_target(was, is_now, point.target, original=_original(known, point, was))
                if target is None:
                    raise Rejected(
                        f"HPA {scaler.name} scales at {point.target} % of the request for {point.resource}: with "
                        f"{is_now:g} in the place of {was:g} no whole per cent keeps that point within {DRIFT:.0%}"
                    )
                targets[point.index] = target
            if targets:
                moved[scaler.name] = moved_metrics(hpa["spec"]["metrics"], targets)
        return moved

    def write(
        self,
        sight: Sight,
        hpas: Sequence[Json],
        found: Sequence[Autoscaler],
        moved: Mapping[str, list[Json]],
        old: Json,
    ) -> Sight:
        """Write moved metrics; what they were is told on the workload before. Raises Transient where somebody moved
        them meanwhile: they are reckoned again then; Stale, Conflict."""
        by_name = {each["metadata"]["name"]: each for each in hpas}
        for scaler in found:
            if scaler.name not in moved:
                continue
            hpa = by_name[scaler.name]
            metrics = {scaler.name: [hpa["spec"]["metrics"], moved[scaler.name]]}
            sight = self._tell(sight, metrics)
            known = _points(hpa)
            points = {
                str(point.index): _original(known, point, request)
                for point in scaler.points
                if (request := _request(old, self._workload, point)) is not None
            }
            notes = {POINTS: json.dumps(points, sort_keys=True)}
            if not self._set(scaler.name, hpa["spec"]["metrics"], moved[scaler.name], notes):
                raise Transient(f"the metrics of HPA {scaler.name} were changed meanwhile")
        return sight

    def _tell(self, sight: Sight, metrics: Mapping[str, list[list[Json]]]) -> Sight:
        return self._place.annotate(sight, lambda now: {BEFORE: text(_told(now, metrics))})

    def back(self, before: Before, *, falling: bool = False) -> None:
        """Metrics that are still as we wrote them get what they had before; what somebody changed since is theirs. With
        `falling` only where a target falls by that: those go before the request grows again."""
        for name, (original, ours) in before.autoscalers.items():
            if not falling or lower(original, ours):
                self._set(name, ours, original, {})

    def _set(self, name: str, was: list[Json], metrics: list[Json], notes: Mapping[str, str]) -> bool:
        """Write metrics where they are as they `was`, however often the HPA's status moves on; False where they are
        not, or the HPA is gone."""
        place = path("HorizontalPodAutoscaler", self._workload.namespace, name)
        for _ in range(TRIES):
            hpa = self._api.get(place)
            if hpa is None or hpa["spec"].get("metrics") != was:
                return False
            metadata = {"resourceVersion": hpa["metadata"]["resourceVersion"], "annotations": dict(notes)}
            try:
                self._api.merge(place, {"metadata": metadata, "spec": {"metrics": metrics}})
                return True
            except Outdated:
                continue
        raise Transient(f"HPA {name} changes too often to be written to")


def moving(scaler: Autoscaler, spec: Json, workload: Workload, names: Collection[str]) -> dict[str, ScalePoint]:
    """Those of the parameters that move a request which the HPA counts from: the request itself, and a limit where the
    request is the same and not searched for itself."""
    container = tuned(containers(spec, ()), workload.container)
    found: dict[str, ScalePoint] = {}
    for point in scaler.points:
        request, limit = (container.resources[which].get(point.resource) for which in ("requests", "limits"))
        if point.parameter in names:
            found[point.parameter] = point
        elif request is not None and request == limit and f"k8s.{point.resource}_limit" in names:
            found[f"k8s.{point.resource}_limit"] = point
    return found


def ceilings(
    found: Sequence[Autoscaler], hpas: Sequence[Json], spec: Json, workload: Workload, names: Collection[str]
) -> dict[str, tuple[float, str]]:
    """Up to where parameters may grow (in cores or bytes), so that a whole per cent keeps each scale point, and why."""
    by_name = {each["metadata"]["name"]: each for each in hpas}
    all_ = containers(spec, ())
    own = tuned(all_, workload.container).resources["requests"]
    highest: dict[str, tuple[float, str]] = {}
    for scaler in found:
        for name, point in moving(scaler, spec, workload, names).items():
            request, of_it = _request(spec, workload, point), own.get(point.resource)
            if request is None or of_it is None:
                continue
            others = request - value_of(point.resource, of_it)
            most = _original(_points(by_name[scaler.name]), point, request) / COARSE - others
            why = (
                f"HPA {scaler.name} scales at {point.target} % of the request: with more, no whole per cent keeps that "
                f"point within {DRIFT:.0%}"
            )
            if name not in highest or most < highest[name][0]:
                highest[name] = most, why
    return highest


def _request(spec: Json, workload: Workload, point: ScalePoint) -> float | None:
    """What a pod of this spec requests, in cores or bytes: the whole pod, or the container that the metric names."""
    all_ = containers(spec, ())
    container = tuned(all_, workload.container)
    own = container.resources["requests"].get(point.resource)
    if point.container:
        return value_of(point.resource, own) if own is not None else None
    total = pod_sum(all_, container, "requests", point.resource)
    if total is None or own is None:
        return None
    return value_of(point.resource, total.at(own))


def _points(hpa: Json) -> dict[str, float]:
    try:
        found = json.loads((hpa["metadata"].get("annotations") or {}).get(POINTS, "{}"))
    except ValueError:
        return {}
    return {str(key): float(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _original(known: Mapping[str, float], point: ScalePoint, request: float) -> float:
    """The product as people set it: the noted one, unless they moved it since."""
    now, noted = request * point.target, known.get(str(point.index))
    return noted if noted is not None and abs(now / noted - 1) <= DRIFT else now


def _told(sight: Sight, metrics: Mapping[str, list[list[Json]]]) -> Before:
    before = sight.way_back
    return replace(before, autoscalers={**before.autoscalers, **metrics})
