"""What LimitRanges, ResourceQuotas, nodes and the kubelet say about the resources of one container, one rule at a time.

Sources: k8s.io/kubernetes 1.34, plugin/pkg/admission/limitranger; pkg/quota/v1/evaluator/core/pods.go;
pkg/kubelet/allocation. Amounts are millicores and bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from adapters.actuators.kubernetes.demand import (
    RESOURCES,
    WHICH,
    Container,
    Json,
    Sum,
    Which,
    mappings,
    name_of,
    overhead,
    part,
    pod_sum,
)
from adapters.actuators.kubernetes.quantity import Resource, exact, text_of, units, value_of

Variable = tuple[Resource, Which]
_QUOTA: dict[str, Variable] = {f"{which}.{resource}": (resource, which) for resource in RESOURCES for which in WHICH}
_QUOTA |= {resource: (resource, "requests") for resource in RESOURCES}
_COUNTS = ("pods", "count/pods")


@dataclass(frozen=True, slots=True)
class Cut:
    """A variable must be at most, or at least, `value`. A `soft` one binds values that are chosen, not those that are
    there already."""

    variable: Variable
    side: str  # "low" or "high"
    value: int
    reason: str
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """`small` must be at most `factor` * `big` + `offset`, or at most `least` where that is more."""

    small: Variable
    big: Variable
    factor: Fraction
    offset: Fraction
    reason: str
    least: Fraction | None = None

    def most(self, big: int) -> int:
        """What `small` may be at most beside `big`."""
        value = self.factor * big + self.offset
        return floor(value if self.least is None else max(value, self.least))

    def needed(self, small: int) -> int:
        """What `big` must be at least beside `small`."""
        if self.least is not None and small <= self.least:
            return 0
        return ceil((small - self.offset) / self.factor)


@dataclass(frozen=True, slots=True)
class Refusal:
    """No pod of this template is admitted, whatever the values."""

    reason: str


Rule = Cut | Relation | Refusal


@dataclass(frozen=True, slots=True)
class Step:
    """A moment at which there are `new` more pods with the values to come, and `old` more (or fewer, if below 0) with
    the present ones, than when the quotas were read."""

    new: int
    old: int
    words: str


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod of a template, and the one container in it that is tuned."""

    spec: Json
    containers: tuple[Container, ...]
    container: Container

    def sum_of(self, variable: Variable, *, whole: bool = True) -> Sum | None:
        """The pod's sum; `whole` with what its runtime class adds."""
        resource, which = variable
        found = pod_sum(self.containers, self.container, which, resource)
        more = overhead(self.spec, resource) if whole else 0
        return found and Sum(found.others + more, found.floor + more, found.varies)

    def present(self, variable: Variable) -> int | None:
        """What the container has now."""
        resource, which = variable
        return self.container.resources[which].get(resource)


def shown(resource: Resource, amount: int) -> str:
    """An amount as people write it."""
    return text_of(resource, value_of(resource, amount)) if amount > 0 else "nothing"


# --- LimitRange -------------------------------------------------------------------------------------------------------


def of_range(pod: Pod, limit_range: Json) -> Iterator[Rule]:
    """`min`, `max` and `maxLimitRequestRatio` for every container and for the pod."""
    for item in mappings(part(limit_range, "spec").get("limits")):
        whose = f"LimitRange {name_of(limit_range)}"
        if item.get("type") == "Container":
            for each in pod.containers:
                for resource in RESOURCES:
                    sums = {which: _own(pod, each, which, resource) for which in WHICH}
                    yield from _of_item(item, resource, sums, f"{whose}, container {each.name}")
        elif item.get("type") == "Pod":
            for resource in RESOURCES:
                sums = {which: pod.sum_of((resource, which), whole=False) for which in WHICH}
                yield from _of_item(item, resource, sums, f"{whose}, pod")


def _own(pod: Pod, container: Container, which: Which, resource: Resource) -> Sum | None:
    amount = container.resources[which].get(resource)
    if amount is None:
        return None
    return Sum(0) if container is pod.container else Sum(amount, varies=False)


def _of_item(item: Json, resource: Resource, sums: dict[Which, Sum | None], whose: str) -> Iterator[Rule]:
    least, most = part(item, "min").get(resource), part(item, "max").get(resource)
    ratio = part(item, "maxLimitRequestRatio").get(resource)
    asked, limit = sums["requests"], sums["limits"]
    if least is not None:
        words = f"{whose}: at least {least} {resource}"
        if asked is None:
            yield Refusal(f"{words}, and no request is set")
        for which, each in sums.items():
            if each is not None:
                yield from _at_least(each, (resource, which), units(resource, least), words)
    if most is not None:
        words = f"{whose}: at most {most} {resource}"
        if limit is None:
            yield Refusal(f"{words}, and no limit is set")
        for which, each in sums.items():
            if each is not None:
                yield from _at_most(each, (resource, which), units(resource, most, down=True), words)
    if ratio is not None:
        words = f"{whose}: the {resource} limit is at most {ratio} times the request"
        if asked is None or limit is None:
            yield Refusal(f"{words}, and one of them is not set")
        else:
            yield from _ratio(resource, asked, limit, Fraction(exact(ratio)), words)


def _ratio(resource: Resource, asked: Sum, limit: Sum, ratio: Fraction, words: str) -> Iterator[Rule]:
    """limit <= ratio * request, for sums. What init containers ask for is a floor of both."""
    request: Variable = (resource, "requests")
    most: Variable = (resource, "limits")
    if ratio < 1:
        yield Refusal(f"{words}, which no pod can satisfy")
    elif not asked.varies:
        yield from _at_most(limit, most, int(ratio * asked.at(0)), words)
    elif not limit.varies:
        yield from _at_least(asked, request, ceil(Fraction(limit.at(0)) / ratio), words)
    else:
        if limit.floor > ratio * asked.floor:
            yield Cut(request, "low", ceil(Fraction(limit.floor) / ratio) - asked.others, words)
        least = ratio * asked.floor - limit.others if asked.floor else None
        yield Relation(most, request, ratio, ratio * asked.others - limit.others, words, least)


def _at_most(total: Sum, variable: Variable, most: int, words: str) -> Iterator[Rule]:
    if total.floor > most:
        yield Refusal(f"{words}, and init containers need {shown(variable[0], total.floor)}")
    elif total.varies:
        beside = f", {shown(variable[0], total.others)} of it for what else is in the pod" if total.others else ""
        yield Cut(variable, "high", most - total.others, words + beside)
    elif total.others > most:
        yield Refusal(f"{words}, and {shown(variable[0], total.others)} is set")


def _at_least(total: Sum, variable: Variable, least: int, words: str) -> Iterator[Rule]:
    if total.floor >= least:
        return
    if total.varies:
        yield Cut(variable, "low", least - total.others, words)
    elif total.others < least:
        yield Refusal(f"{words}, and {shown(variable[0], total.others)} is set")


# --- ResourceQuota ----------------------------------------------------------------------------------------------------


def of_quota(pod: Pod, quota: Json, steps: Sequence[Step]) -> Iterator[Rule]:
    """What is left of a quota at each step. Scopes are not looked at: the quota counts as binding."""
    hard = part(quota, "status", "hard") or part(quota, "spec", "hard")
    used = part(quota, "status", "used")
    for key, text in hard.items():
        if key not in _QUOTA and key not in _COUNTS:
            continue
        whose = f"ResourceQuota {name_of(quota)}: {key} {text}"
        if key not in used:
            yield Refusal(f"{whose}, and what is used of it is not known yet; look again in a moment")
        elif key in _COUNTS:
            yield from _pods_left(whose, int(exact(text)), int(exact(used[key])), steps)
        else:
            yield from _left(pod, _QUOTA[key], whose, text, used[key], steps)


def _pods_left(whose: str, most: int, used: int, steps: Sequence[Step]) -> Iterator[Rule]:
    for step in steps:
        if step.new + step.old > 0 and used + step.new + step.old > most:
            yield Refusal(f"{whose}, {used} of it used: no room for {step.words}")


def _left(
    pod: Pod, variable: Variable, whose: str, most: object, used: object, steps: Sequence[Step]
) -> Iterator[Rule]:
    resource, which = variable
    without = [each.name for each in pod.containers if resource not in each.resources[which]]
    total = pod.sum_of(variable)
    if without or total is None:
        yield Refusal(f"{whose} wants {resource} {which} on every container, and {', '.join(without)} has none")
        return
    free = units(resource, most, down=True) - units(resource, used)
    now = total.at(pod.present(variable) or 0)
    for step in steps:
        if step.new > 0:
            each = (free - step.old * now) // step.new
            words = f"{whose}, {used} of it used, leaves {shown(resource, each)} a pod for {step.words}"
            yield from _at_most(total, variable, each, words)


# --- nodes, and the kubelet -------------------------------------------------------------------------------------------


def of_node(pod: Pod, node: Json) -> Iterator[Rule]:
    """The pod's requests must fit on it; a limit above what it has bounds nothing."""
    for resource in RESOURCES:
        has = units(resource, part(node, "status", "allocatable")[resource], down=True)
        words = f"node {name_of(node)}, the largest, has {shown(resource, has)} {resource} for pods"
        total = pod.sum_of((resource, "requests"))
        if total is not None:
            yield from _at_most(total, (resource, "requests"), has, words)
        yield Cut((resource, "limits"), "high", has, words, soft=True)


def largest(pod: Pod, nodes: Sequence[Json]) -> tuple[Json | None, str]:
    """The node with the most of both among those that the pod as it is now could go to, and what to tell about it."""
    wanted = part(pod.spec, "nodeSelector")
    sized = [each for each in nodes if part(each, "status", "allocatable").keys() >= set(RESOURCES)]
    if not sized:
        return None, "no node is known: the size of nodes bounds nothing here"
    matching = [each for each in sized if wanted.items() <= part(each, "metadata", "labels").items()]
    told = "" if matching else f"no node known here has the labels of nodeSelector {wanted}: all of them are looked at"
    fitting = [each for each in matching or sized if _fits(pod, each)]
    return max(fitting or matching or sized, key=_size), told


def _fits(pod: Pod, node: Json) -> bool:
    sums = ((resource, pod.sum_of((resource, "requests"))) for resource in RESOURCES)
    has = part(node, "status", "allocatable")
    return all(
        total is None or total.at(pod.present((name, "requests")) or 0) <= units(name, has[name], down=True)
        for name, total in sums
    )


def _size(node: Json) -> tuple[int, str]:
    has = part(node, "status", "allocatable")
    return units("cpu", has["cpu"]) * units("memory", has["memory"]), name_of(node)


def of_usage(memory: int) -> Rule:
    """The kubelet does not lower a limit below what is in use (`cannot decrease memory limits`)."""
    words = f"{shown('memory', memory)} of memory are in use, and a limit is not lowered below that in place"
    return Cut(("memory", "limits"), "low", memory, words, soft=True)
