"""The room that a cluster leaves for the resources of one container: bounds, each with its reason, and what is frozen.

Every value inside the bounds that holds the constraints is admitted, in any combination: a pod with it passes
LimitRange and ResourceQuota, keeps its class of service and fits on a node. What admission webhooks think of it shows
on a dry run.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from adapters.actuators.kubernetes.demand import (
    RESOURCES,
    WHICH,
    Json,
    Qos,
    containers,
    guaranteed,
    mappings,
    name_of,
    part,
    pod_spec,
    qos,
)
from adapters.actuators.kubernetes.demand import tuned as tuned_container
from adapters.actuators.kubernetes.quantity import exact, value_of
from adapters.actuators.kubernetes.rules import (
    Cut,
    Pod,
    Refusal,
    Relation,
    Rule,
    Step,
    Variable,
    largest,
    of_node,
    of_quota,
    of_range,
    of_usage,
    shown,
)

NAMES: Mapping[str, Variable] = {
    "k8s.cpu_request": ("cpu", "requests"),
    "k8s.cpu_limit": ("cpu", "limits"),
    "k8s.memory_request": ("memory", "requests"),
    "k8s.memory_limit": ("memory", "limits"),
}
_NAME = {variable: name for name, variable in NAMES.items()}
# The kubelet gives a CPU limit at least 1 ms of each 100 ms; runc starts nothing in less than 6 MiB.
_LEAST = {("cpu", "requests"): 1, ("cpu", "limits"): 10, ("memory", "requests"): 1, ("memory", "limits"): 6 * 2**20}
_MOST = {"cpu": 100_000 * 1000, "memory": 2**53}  # bytes up to there are exact as floats too
_PASSES = 64  # how often relations may narrow each other before they count as a contradiction
_SHOWN = 3  # reasons in one sentence


@dataclass(frozen=True, slots=True)
class Bound:
    """From `low` to `high`, both allowed, in cores or bytes. `reasons` say what narrowed them."""

    low: float
    high: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """By parameter: `bounds` of what may be searched, why the others are `frozen`, and which one follows another one
    (`tied`: always the same value). `constraints` are expressions of `domain/formula.py` between two searched ones;
    `told` is what a person should know."""

    qos: Qos
    bounds: Mapping[str, Bound]
    frozen: Mapping[str, str]
    tied: Mapping[str, str] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def steps(replicas: int, arms: int, surge: int, *, leave: int = 0) -> tuple[Step, ...]:
    """The moments that take most: all arms beside the replicas (they are ready before a replica that they replace
    goes), and the rollout of what is kept, with `surge` pods on top and `leave` arms that still run."""
    found = [Step(arms, 0, f"{arms} arms")] if arms else []
    beside = f" and {leave} arms" if leave else ""
    if surge + leave:
        found.append(Step(surge + leave, 0, f"the first {surge} pods of a rollout{beside}"))
    words = f"a rollout of {replicas} replicas with {surge} more{beside}"
    return (*found, Step(replicas + leave, surge - replicas, words))


def surge_of(workload: Json) -> int:
    """Pods above the replicas while a Deployment rolls out; 0 for what has none. Raises Misconfigured."""
    spec = part(workload, "spec")
    if workload.get("kind", "Deployment") != "Deployment" or part(spec, "strategy").get("type") == "Recreate":
        return 0
    asked = str(part(spec, "strategy", "rollingUpdate").get("maxSurge", "25%"))
    replicas = int(spec.get("replicas", 1))
    if asked.endswith("%"):
        return math.ceil(replicas * exact(asked[:-1]) / 100)
    return int(exact(asked))


def room(
    template: Json,
    container: str = "",
    *,
    quotas: Sequence[Json] = (),
    ranges: Sequence[Json] = (),
    nodes: Sequence[Json] = (),
    steps: Sequence[Step] = (),
    static_cpu: bool = False,
    usage: int | None = None,
    tuned: Collection[str] = tuple(NAMES),
) -> Room:
    """What may be searched of `tuned` (parameters; others are taken as they are) in the pods of `template`.

    `usage` are the bytes that the container has in use, where its memory limit may be lowered in place. Quotas are
    read before the arms exist. Raises Misconfigured for a container that is not there, and for what is no quantity."""
    spec = pod_spec(template)
    all_ = containers(spec, ranges)
    pod = Pod(spec, all_, tuned_container(all_, container))
    class_ = qos(all_)
    asked = [variable for name, variable in NAMES.items() if name in tuned]
    frozen = {variable: why for variable in asked if (why := _frozen(pod, class_, static_cpu, variable))}
    leaders = _leaders(pod, class_, [each for each in asked if each not in frozen])
    rules, told = _rules(pod, quotas, ranges, nodes, steps, usage)
    search = _Search(pod, leaders, {leader for leader in leaders.values() if leader in asked and leader not in frozen})
    rules += _class_rules(pod, class_, search.free, leaders)
    search.settle(rules)
    refusals = search.refusals(rules)
    if refusals:
        search.frozen = {leader: "no pod is admitted: " + _several(refusals) for leader in leaders.values()}
        search.free.clear()
    return Room(
        class_,
        {_NAME[each]: search.boxes[each].bound() for each in _ordered(search.free)},
        {_NAME[each]: frozen.get(each) or search.frozen[leaders[each]] for each in asked if search.held(each, frozen)},
        {_NAME[each]: _NAME[to] for each, to in leaders.items() if each != to and to in search.free},
        search.constraints(rules),
        (*told, *search.outside()),
    )


# --- what may not change, and what changes together -------------------------------------------------------------------


def _frozen(pod: Pod, class_: Qos, static_cpu: bool, variable: Variable) -> str:
    """Why a parameter may not be tuned at all, whatever the numbers; empty if it may."""
    resource, which = variable
    one, kind = pod.container.name, which.removesuffix("s")
    if part(pod.spec, "resources"):
        return "the pod has resources of its own (spec.resources), which those of its containers share; remove them"
    if class_ == "BestEffort":
        return "the pod is BestEffort, and its class may not change; set requests for its containers first"
    if pod.present(variable) is None:
        return f"container {one} has no {resource} {kind}, and one that is added in place cannot be removed again"
    if variable in pod.container.given:
        return f"the {resource} {kind} of container {one} comes from a LimitRange; write it into the template first"
    if class_ == "Guaranteed" and static_cpu and resource == "cpu":
        return "the pod is Guaranteed and the static CPU manager gives it cores: no kubelet resizes that in place"
    return ""


def _leaders(pod: Pod, class_: Qos, free: Sequence[Variable]) -> dict[Variable, Variable]:
    """Whom each variable that exists follows: itself, or the other one of its resource."""
    found: dict[Variable, Variable] = {}
    for resource in RESOURCES:
        request, limit = (resource, WHICH[0]), (resource, WHICH[1])
        found |= {each: each for each in (request, limit) if pod.present(each) is not None}
        implied = resource in pod.container.follows and request not in free
        if class_ == "Guaranteed" or implied:
            leader = limit if limit in free or request not in free else request
            found |= dict.fromkeys((request, limit), leader)
    return found


def _class_rules(pod: Pod, class_: Qos, free: Collection[Variable], leaders: Mapping[Variable, Variable]) -> list[Rule]:
    """Requests stay at or below limits, and a Burstable pod does not become Guaranteed by their being equal."""
    both = [each for each in RESOURCES if all((each, which) in leaders for which in WHICH)]
    found: list[Rule] = []
    for resource in both:
        reason = f"a request for {resource} is never above its limit"
        found.append(Relation((resource, "requests"), (resource, "limits"), Fraction(1), Fraction(0), reason))
    others = all(guaranteed(each) for each in pod.containers if each is not pod.container)
    found += _upside_down(pod)
    if class_ != "Burstable" or not others or len(both) < len(RESOURCES):
        return found
    apart = [each for each in both if (pod.present((each, "requests")) or 0) < (pod.present((each, "limits")) or 0)]
    if apart:  # one resource on which the two stay apart is enough: the one that is searched least
        one = min(apart, key=lambda each: sum(leaders[each, which] in free for which in WHICH))
        reason = f"with all requests equal to their limits the pod would be Guaranteed; {one} keeps them apart"
        found.append(Relation((one, "requests"), (one, "limits"), Fraction(1), Fraction(-1), reason))
    return found


def _upside_down(pod: Pod) -> Iterator[Rule]:
    """Other containers whose request is above the limit: a default of a LimitRange can make it so."""
    for each in pod.containers:
        for resource, limit in each.resources["limits"].items():
            if each is not pod.container and each.resources["requests"].get(resource, 0) > limit:
                yield Refusal(f"the {resource} request of container {each.name} is above its limit")


def _rules(
    pod: Pod,
    quotas: Sequence[Json],
    ranges: Sequence[Json],
    nodes: Sequence[Json],
    steps: Sequence[Step],
    usage: int | None,
) -> tuple[list[Rule], list[str]]:
    found: list[Rule] = [rule for each in ranges for rule in of_range(pod, each)]
    told = []
    for quota in quotas:
        found += of_quota(pod, quota, steps)
        spec = part(quota, "spec")
        scopes = [str(each) for each in spec.get("scopes") or ()]
        scopes += [str(each.get("scopeName")) for each in mappings(part(spec, "scopeSelector").get("matchExpressions"))]
        if scopes:
            told.append(
                f"ResourceQuota {name_of(quota)} is for {', '.join(scopes)} only, which is not looked at: it is taken "
                "to bind our pods"
            )
    node, words = largest(pod, nodes)
    if node is not None:
        found += of_node(pod, node)
    if usage is not None:
        found.append(of_usage(usage))
    return found, told + ([words] if words else [])


# --- bounds -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Box:
    """A range that is narrowed, and by what."""

    resource: Any
    low: int
    high: int
    why: dict[str, str] = field(default_factory=dict)

    def take(self, side: str, value: int, reason: str) -> bool:
        """Whether this narrows it."""
        if side == "low" and value > self.low:
            self.low = value
        elif side == "high" and value < self.high:
            self.high = value
        else:
            return False
        self.why[side] = reason
        return True

    def bound(self) -> Bound:
        low, high = (value_of(self.resource, each) for each in (self.low, self.high))
        return Bound(low, high, tuple(self.why[side] for side in ("low", "high") if side in self.why))


class _Search:
    """The variables that are `free` (leaders only), and their boxes once it is settled."""

    def __init__(self, pod: Pod, leaders: Mapping[Variable, Variable], free: set[Variable]) -> None:
        self._pod = pod
        self._leaders = leaders
        self.free = free
        self.boxes: dict[Variable, _Box] = {}
        self.frozen: dict[Variable, str] = {}

    def held(self, variable: Variable, frozen: Mapping[Variable, str]) -> bool:
        return variable in frozen or self._leaders[variable] in self.frozen

    def settle(self, rules: Sequence[Rule]) -> None:
        """Narrow every box; what has no value left is frozen, and the rest is narrowed anew with its present value."""
        while True:
            self.boxes = {each: self._widest(each) for each in self.free}
            for rule in rules:
                if isinstance(rule, Cut) and (leader := self._leaders.get(rule.variable)) in self.free:
                    self.boxes[leader].take(rule.side, rule.value, rule.reason)
            related = [each for each in rules if isinstance(each, Relation)]
            stuck = self._relate_all(related)
            empty = [each for each in _ordered(self.free) if self.boxes[each].low > self.boxes[each].high] or stuck
            if not empty:
                return
            for each in empty:
                self.frozen[each] = "no value is allowed: " + _several([*self.boxes[each].why.values()])
                self.free.discard(each)

    def _widest(self, leader: Variable) -> _Box:
        together = [each for each, to in self._leaders.items() if to == leader]
        return _Box(leader[0], max(_LEAST[each] for each in together), _MOST[leader[0]])

    def _relate_all(self, related: Sequence[Relation]) -> list[Variable]:
        """The variables that relations still push ahead of themselves after many passes: they contradict each other."""
        moved: list[Variable] = []
        for _ in range(_PASSES):
            moved = [variable for each in related for variable in self._relate(each)]
            if not moved or any(box.low > box.high for box in self.boxes.values()):
                return []
        return sorted(set(moved), key=list(_NAME).index)

    def _relate(self, rule: Relation) -> Iterator[Variable]:
        """Narrow by one relation. Gives what was narrowed."""
        small, big = self._leaders[rule.small], self._leaders[rule.big]
        if small == big and small in self.free:
            if self._relate_to_itself(rule, self.boxes[small]):
                yield small
            return
        if small in self.free:
            most = self.boxes[big].high if big in self.free else self._present(rule.big)
            if self.boxes[small].take("high", rule.most(most), rule.reason):
                yield small
        if big in self.free:
            least = self.boxes[small].low if small in self.free else self._present(rule.small)
            if self.boxes[big].take("low", rule.needed(least), rule.reason):
                yield big

    def _relate_to_itself(self, rule: Relation, box: _Box) -> bool:
        """The same for two that move together: x <= factor * x + offset, or x <= least. Where both leave a range, the
        upper one is taken."""
        if rule.least is not None and box.high <= rule.least:
            return False
        if rule.factor > 1:
            return box.take("low", math.ceil(-rule.offset / (rule.factor - 1)), rule.reason)
        return rule.offset < 0 and box.take("high", math.floor(rule.least or 0), rule.reason)

    def refusals(self, rules: Sequence[Rule]) -> list[str]:
        """Why not even a pod with the values that stay as they are is admitted."""
        found = []
        for rule in rules:
            if isinstance(rule, Refusal) or self._broken(rule):
                found.append(rule.reason)
        return list(dict.fromkeys(found))

    def _broken(self, rule: Cut | Relation) -> bool:
        concerned = (rule.variable,) if isinstance(rule, Cut) else (rule.small, rule.big)
        if any(each not in self._leaders or self._leaders[each] in self.free for each in concerned):
            return False
        if isinstance(rule, Relation):
            return self._present(rule.small) > rule.most(self._present(rule.big))
        present = self._present(rule.variable)
        return not rule.soft and (present < rule.value if rule.side == "low" else present > rule.value)

    def constraints(self, rules: Sequence[Rule]) -> tuple[str, ...]:
        """Relations between two that are searched, as expressions. Values count as they are written: in millicores."""
        found = []
        for rule in rules:
            if isinstance(rule, Relation):
                small, big = self._leaders[rule.small], self._leaders[rule.big]
                if small != big and small in self.free and big in self.free:
                    found.append(_expression(rule, small, big))
        return tuple(dict.fromkeys(found))

    def outside(self) -> Iterator[str]:
        for each in _ordered(self.free):
            box, present = self.boxes[each], self._present(each)
            if not box.low <= present <= box.high:
                why = box.why.get("low" if present < box.low else "high", "the least that works")
                yield f"{_NAME[each]} is {shown(each[0], present)} now, outside of what is allowed: {why}"

    def _present(self, variable: Variable) -> int:
        return self._pod.present(variable) or 0


def _expression(rule: Relation, small: Variable, big: Variable) -> str:
    if rule.factor == 1 and rule.offset == 0 and rule.least is None:
        return f"{_NAME[small]} <= {_NAME[big]}"
    least = rule.least
    scale = math.lcm(rule.factor.denominator, rule.offset.denominator, least.denominator if least is not None else 1)
    left, right, more = (int(each * scale) for each in (Fraction(1), rule.factor, rule.offset))
    sign = f" {'+' if more > 0 else '-'} {abs(more)}" if more else ""
    most = f"{_term(right, big)}{sign}"
    return f"{_term(left, small)} <= {most if least is None else f'max({most}, {int(least * scale)})'}"


def _term(factor: int, variable: Variable) -> str:
    counted = f"round(1000*{_NAME[variable]})" if variable[0] == "cpu" else f"round({_NAME[variable]})"
    return counted if factor == 1 else f"{factor}*{counted}"


def _ordered(variables: Collection[Variable]) -> list[Variable]:
    return [each for each in _NAME if each in variables]


def _several(reasons: Sequence[str]) -> str:
    more = len(reasons) - _SHOWN
    return "; ".join(reasons[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
