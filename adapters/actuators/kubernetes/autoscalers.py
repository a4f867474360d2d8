"""Autoscalers and disruption budgets beside a workload: which parameters hang on them, and what that forbids.

A HorizontalPodAutoscaler (HPA) on utilisation compares usage with the requests of the whole pod (`Resource`) or of one
container (`ContainerResource`), so request x target is the load per pod at which it scales: the scale point. Sources:
Kubernetes documentation, horizontal pod autoscaling; k8s.io/kubernetes pkg/controller/podautoscaler; the documentation
of the vertical one (VPA) and of KEDA.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from adapters.actuators.kubernetes.demand import RESOURCES, Json, mappings, name_of, part
from adapters.actuators.kubernetes.owners import Path, verdict
from adapters.actuators.kubernetes.quantity import Resource
from domain.errors import Misconfigured

DRIFT = 0.05  # by how much a scale point may move, as a share of the original one
ARMS_SHARE = 0.10  # of the replicas that an HPA counts may be arms
METRICS: Path = ("f:spec", "f:metrics")
_KEDA = "scaledobject.keda.sh"


@dataclass(frozen=True, slots=True)
class ScalePoint:
    """A metric of an HPA that hangs on requests: `target` per cent of the request for `resource`, of the whole pod or
    of `container`. `index` is its place in spec.metrics, a list that is written as a whole."""

    resource: Resource
    target: int
    index: int
    container: str = ""

    @property
    def parameter(self) -> str:
        return f"k8s.{self.resource}_request"


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """An HPA of a workload. `others` are metrics that no request moves, in words; `held` says why its targets must not
    be moved by us (empty: they may). `force`: moving them takes a field over from somebody who acts once."""

    name: str
    least: int
    most: int
    points: tuple[ScalePoint, ...]
    others: tuple[str, ...] = ()
    held: str = ""
    force: bool = False

    @property
    def frozen(self) -> dict[str, str]:
        """Parameters whose scale point would move without its target, with the reason."""
        if not self.held:
            return {}
        why = f"HPA {self.name} scales at a share of it, and its target is not ours to move: {self.held}"
        return {each.parameter: why for each in self.points}


def autoscalers(
    hpas: Iterable[Json], kind: str, name: str, container: str, take_over: Iterable[str] = ()
) -> tuple[Autoscaler, ...]:
    """The HPAs of a workload, as far as `container` matters to them."""
    taken = tuple(take_over)
    found = [_autoscaler(each, container, taken) for each in hpas if _scales(part(each, "spec"), kind, name)]
    return tuple(found)


def _scales(spec: Json, kind: str, name: str, key: str = "scaleTargetRef") -> bool:
    target = part(spec, key)
    return target.get("kind") == kind and target.get("name") == name


def _autoscaler(hpa: Json, container: str, take_over: tuple[str, ...]) -> Autoscaler:
    spec = part(hpa, "spec")
    points, others = [], []
    for index, metric in enumerate(mappings(spec.get("metrics"))):
        found = _point(metric, index, container)
        if found is not None:
            points.append(found)
        else:
            others.append(_words(metric))
    owned = verdict(hpa, METRICS, take_over)
    least, most = _whole(spec.get("minReplicas"), 1), _whole(spec.get("maxReplicas"), 1)
    held = _keda(hpa) or owned.reason
    return Autoscaler(name_of(hpa), least, most, tuple(points), tuple(others), held, owned.force and not held)


def _point(metric: Json, index: int, container: str) -> ScalePoint | None:
    """The scale point of a metric; None where no request of this container moves it."""
    kind = metric.get("type")
    source = part(metric, "resource" if kind == "Resource" else "containerResource")
    target, name = part(source, "target"), source.get("name")
    percent = _whole(target.get("averageUtilization"), 0)
    resource = next((each for each in RESOURCES if each == name), None)
    if kind not in ("Resource", "ContainerResource") or resource is None or percent < 1:
        return None
    if kind == "ContainerResource" and source.get("container") != container:
        return None
    return ScalePoint(resource, percent, index, container if kind == "ContainerResource" else "")


def _words(metric: Json) -> str:
    kind = str(metric.get("type", "unknown"))
    source = part(metric, kind[:1].lower() + kind[1:])
    name = source.get("name") or part(source, "metric").get("name") or "without a name"
    return f"{kind} {name}"


def _keda(hpa: Json) -> str:
    metadata = part(hpa, "metadata")
    for label in part(metadata, "labels"):
        if str(label).startswith(_KEDA):
            return f"KEDA makes {name_of(hpa)} from a ScaledObject; change that"
    for each in mappings(metadata.get("ownerReferences")):
        if each.get("kind") == "ScaledObject":
            return f"KEDA makes {name_of(hpa)} from ScaledObject {each.get('name', '')}; change that"
    return ""


# --- the scale point --------------------------------------------------------------------------------------------------


def moved_target(
    old_request: float, new_request: float, old_target: int, *, original: float | None = None
) -> int | None:
    """The target (whole per cent) that keeps request x target when the request moves; None if no whole per cent keeps
    it within 5 %. Requests are those of the whole pod where the HPA looks at the pod.

    `original` is the product before the very first move: with it, many moves do not drift. Raises Misconfigured for
    requests and targets that are not above 0."""
    product = old_request * old_target if original is None else original
    for what, value in (("request", old_request), ("new request", new_request), ("product", product)):
        if not (math.isfinite(value) and value > 0):
            raise Misconfigured(f"{what} {value!r} of an autoscaler's target; above 0 is needed")
    exact = product / new_request
    if exact > 2**31 - 1:  # an int32 in the API
        return None
    target = max(1, round(exact))
    return target if abs(target * new_request / product - 1) <= DRIFT else None


def moved_metrics(metrics: Sequence[Json], moves: Mapping[int, int]) -> list[Json]:
    """spec.metrics with new targets by index; everything else as it was, as the list has one owner. Raises
    Misconfigured for a metric without a utilisation target."""
    found = []
    for index, metric in enumerate(metrics):
        new = dict(metric)
        if index in moves:
            key = "resource" if metric.get("type") == "Resource" else "containerResource"
            source, target = part(metric, key), part(metric, key, "target")
            if "averageUtilization" not in target:
                raise Misconfigured(f"metric {index} of the autoscaler has no averageUtilization to move")
            new[key] = source | {"target": target | {"averageUtilization": moves[index]}}
        found.append(new)
    return found


def lower(moved: Sequence[Json], now: Sequence[Json]) -> bool:
    """Whether moved metrics have a lower target than those of now, in any of them."""
    return any(one < other for one, other in zip(_percents(moved), _percents(now), strict=False))


def _percents(metrics: Sequence[Json]) -> list[int]:
    found = []
    for metric in metrics:
        key = "resource" if metric.get("type") == "Resource" else "containerResource"
        found.append(_whole(part(metric, key, "target").get("averageUtilization"), 0))
    return found


def steady(desired_before: int, desired_after: int) -> bool:
    """Whether an HPA wants the same replicas at the same load, within one."""
    return abs(desired_before - desired_after) <= 1


def crowded(autoscaler: Autoscaler, selector: Json, arm_labels: Mapping[str, str], arms: int, replicas: int) -> str:
    """Why arms would mislead an HPA that counts them among its pods; empty if they are few enough, or not counted.
    `selector` is the workload's."""
    if not selects(selector, arm_labels) or arms <= ARMS_SHARE * replicas:
        return ""
    needed = math.ceil(arms / ARMS_SHARE)
    return (
        f"HPA {autoscaler.name} counts the arms among its pods: {arms} arms of {replicas} replicas are more than "
        f"{ARMS_SHARE:.0%}; at least {needed} are needed, or a Service with other labels than the workload selects"
    )


# --- the vertical one -------------------------------------------------------------------------------------------------


def vertical(vpas: Iterable[Json], kind: str, name: str, container: str) -> dict[str, str]:
    """Parameters of a container that a VPA sets, with the reason; none where its mode is Off."""
    found: dict[str, str] = {}
    for vpa in vpas:
        spec = part(vpa, "spec")
        mode = part(spec, "updatePolicy").get("updateMode") or "Recreate"
        if mode == "Off" or not _scales(spec, kind, name, "targetRef"):
            continue
        policy = _policy(spec, container)
        if policy.get("mode") == "Off":
            continue
        resources = policy.get("controlledResources")
        limits = policy.get("controlledValues") != "RequestsOnly"
        for resource in RESOURCES:
            if isinstance(resources, list) and resource not in resources:
                continue
            why = f"VPA {name_of(vpa)} sets it (updateMode {mode}); set that to Off, or take {resource} out of it"
            found.setdefault(f"k8s.{resource}_request", why)
            if limits:
                found.setdefault(f"k8s.{resource}_limit", why)
    return found


def _policy(spec: Json, container: str) -> Json:
    """The policy of a container; the one for `*` is for those without their own."""
    policies = mappings(part(spec, "resourcePolicy").get("containerPolicies"))
    for wanted in (container, "*"):
        for each in policies:
            if each.get("containerName") == wanted:
                return each
    return {}


# --- disruption budgets -----------------------------------------------------------------------------------------------


def budgets(pdbs: Iterable[Json], labels: Mapping[str, str]) -> tuple[str, ...]:
    """The PodDisruptionBudgets that count pods with these labels, to be told."""
    return tuple(f"PodDisruptionBudget {name_of(each)} counts the arms among its pods" for each in _over(pdbs, labels))


def waits(pdbs: Iterable[Json], labels: Mapping[str, str]) -> str:
    """Why nothing may be disturbed now: a budget over pods with these labels that allows no disruption, or has not been
    counted yet. Empty if nothing stands in the way."""
    for each in _over(pdbs, labels):
        status = part(each, "status")
        allowed = _whole(status.get("disruptionsAllowed"), 0)
        if allowed < 1:
            healthy, wanted = status.get("currentHealthy", "?"), status.get("desiredHealthy", "?")
            return (
                f"PodDisruptionBudget {name_of(each)} allows no disruption now "
                f"({healthy} pods are healthy, {wanted} are wanted)"
            )
    return ""


def _over(pdbs: Iterable[Json], labels: Mapping[str, str]) -> list[Json]:
    """A selector that is absent selects nothing, an empty one everything (policy/v1)."""
    found = []
    for each in pdbs:
        selector = part(each, "spec").get("selector")
        if isinstance(selector, dict) and selects(selector, labels):
            found.append(each)
    return found


def selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches. An operator that is not known matches, as that is the careful answer."""
    if any(labels.get(key) != value for key, value in part(selector, "matchLabels").items()):
        return False
    return all(_matches(each, labels) for each in mappings(selector.get("matchExpressions")))


def _matches(expression: Json, labels: Mapping[str, str]) -> bool:
    key, values = expression.get("key", ""), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return True


def _whole(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default
