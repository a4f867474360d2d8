"""Autoscalers that scale at a share of a request: when the request moves, their target moves along, so that the number
of replicas at one load stays what it was."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from adapters.actuators.kubernetes.api import Api, Json, Outdated, path
from adapters.actuators.kubernetes.autoscalers import DRIFT, Autoscaler, ScalePoint, moved_metrics, moved_target
from adapters.actuators.kubernetes.demand import containers, pod_sum, tuned
from adapters.actuators.kubernetes.manifest import DOMAIN
from adapters.actuators.kubernetes.quantity import value_of
from adapters.actuators.kubernetes.record import BEFORE, Before, text
from adapters.actuators.kubernetes.workload import Place, Sight
from domain.errors import Conflict, Rejected, Stale
from domain.target import Workload

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
        """Write moved metrics; what they were is told on the workload before. Raises Stale, Conflict."""
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
            metadata = {
                "resourceVersion": hpa["metadata"]["resourceVersion"],
                "annotations": {POINTS: json.dumps(points, sort_keys=True)},
            }
            self._patch(scaler.name, {"metadata": metadata, "spec": {"metrics": moved[scaler.name]}})
        return sight

    def _tell(self, sight: Sight, metrics: Mapping[str, list[list[Json]]]) -> Sight:
        return self._place.annotate(sight, lambda now: {BEFORE: text(_told(now, metrics))})

    def back(self, before: Before) -> None:
        """Metrics that are still as we wrote them get what they had before; what somebody changed since is theirs."""
        for name, (original, ours) in before.autoscalers.items():
            hpa = self._api.get(path("HorizontalPodAutoscaler", self._workload.namespace, name))
            if hpa is not None and hpa["spec"].get("metrics") == ours:
                version = hpa["metadata"]["resourceVersion"]
                self._patch(name, {"metadata": {"resourceVersion": version}, "spec": {"metrics": original}})

    def _patch(self, name: str, body: Json) -> None:
        try:
            self._api.merge(path("HorizontalPodAutoscaler", self._workload.namespace, name), body)
        except Outdated as error:
            raise Stale(f"HPA {name} was changed meanwhile") from error


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
    if sight.before is None:
        raise Conflict("the before-image was removed meanwhile")
    # The first image of an HPA is the one that counts.
    kept = {name: [sight.before.autoscalers.get(name, pair)[0], pair[1]] for name, pair in metrics.items()}
    return replace(sight.before, autoscalers={**sight.before.autoscalers, **kept})
