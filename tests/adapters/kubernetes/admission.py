"""A plain reading of what the API server, the scheduler and the kubelet check of a pod, to hold bounds against."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from adapters.actuators.kubernetes.quantity import exact, text_of
from adapters.actuators.kubernetes.room import NAMES, Room, room
from adapters.actuators.kubernetes.rules import Step

Json = dict[str, Any]


def container(name: str = "web", requests: Json | None = None, limits: Json | None = None) -> Json:
    return {"name": name, "resources": {"requests": requests or {}, "limits": limits or {}}}


def template(*containers: Json, **more: Any) -> Json:
    return {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": list(containers), **more}}


def quota(hard: Json, used: Json, **spec: Any) -> Json:
    return {"metadata": {"name": "rq"}, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used}}


def limits(kind: str = "Container", **item: Any) -> Json:
    return {"metadata": {"name": "lr"}, "spec": {"limits": [{"type": kind, **item}]}}


def node(name: str, cpu: str, memory: str) -> Json:
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": cpu, "memory": memory}}}


BURSTABLE = template(container(requests={"cpu": "100m", "memory": "64Mi"}, limits={"cpu": "500m", "memory": "128Mi"}))
GUARANTEED = template(container(requests={"cpu": "1", "memory": "1Gi"}, limits={"cpu": "1", "memory": "1Gi"}))


@dataclass
class Cluster:
    quotas: list[Json] = field(default_factory=list)
    ranges: list[Json] = field(default_factory=list)
    nodes: list[Json] = field(default_factory=list)
    steps: tuple[Step, ...] = ()

    def room(self, of: Json, **more: Any) -> Room:
        return room(of, "web", quotas=self.quotas, ranges=self.ranges, nodes=self.nodes, steps=self.steps, **more)

    def complaint(self, old: Json, new: Json) -> str:
        """Why pods of `new` would not run where those of `old` do; empty if they do."""
        before, after = self.defaulted(old), self.defaulted(new)
        if qos(before) != qos(after):
            return f"class {qos(before)} would be {qos(after)}"
        for each in all_containers(after):
            for name, limit in each["limits"].items():
                if each["requests"].get(name, 0) > limit:
                    return f"request of {name} above its limit"
        for each in self.ranges:
            for item in each["spec"]["limits"]:
                figures = all_containers(after) if item["type"] == "Container" else [pod_sums(after, overhead=False)]
                for figure in figures:
                    if words := against(item, figure):
                        return words
        return self.over_quota(before, after) or self.nowhere(after)

    def defaulted(self, of: Json) -> Json:
        pod: Json = copy.deepcopy(of["spec"])
        for each in [*pod["containers"], *pod.get("initContainers", [])]:
            raw = each.get("resources", {})
            each["limits"] = {name: Fraction(exact(text)) for name, text in raw.get("limits", {}).items()}
            each["requests"] = {name: Fraction(exact(text)) for name, text in raw.get("requests", {}).items()}
            for name, amount in each["limits"].items():
                each["requests"].setdefault(name, amount)
            for item in (item for one in self.ranges for item in one["spec"]["limits"] if item["type"] == "Container"):
                for name, text in item.get("default", {}).items():
                    each["limits"].setdefault(name, Fraction(exact(text)))
                for name, text in item.get("defaultRequest", {}).items():
                    each["requests"].setdefault(name, Fraction(exact(text)))
        return pod

    def over_quota(self, before: Json, after: Json) -> str:
        for each in self.quotas:
            for key, hard in each["status"]["hard"].items():
                if key not in each["status"]["used"]:
                    return f"{key} unknown"
                for step in self.steps:
                    new, old = charged(after, key), charged(before, key)
                    if new is None or old is None:
                        return f"must specify {key}"
                    total = Fraction(exact(each["status"]["used"][key])) + step.new * new + step.old * old
                    if step.new and total > Fraction(exact(hard)):
                        return f"exceeded quota {key}"
        return ""

    def nowhere(self, pod: Json) -> str:
        sums = pod_sums(pod)["requests"]
        for each in self.nodes:
            has = each["status"]["allocatable"]
            if all(amount <= Fraction(exact(has[name])) for name, amount in sums.items()):
                return ""
        return "no node has the room" if self.nodes else ""


def all_containers(pod: Json) -> list[Json]:
    return [*pod["containers"], *pod.get("initContainers", [])]


def qos(pod: Json) -> str:
    listed = all_containers(pod)
    if not any(amount > 0 for each in listed for which in ("requests", "limits") for amount in each[which].values()):
        return "BestEffort"
    for each in listed:
        for name in ("cpu", "memory"):
            if not each["limits"].get(name) or each["requests"].get(name) != each["limits"][name]:
                return "Burstable"
    return "Guaranteed"


def pod_sums(pod: Json, overhead: bool = True) -> Json:
    found: Json = {}
    for which in ("requests", "limits"):
        sums: dict[str, Fraction] = {}
        for each in pod["containers"]:
            for name, amount in each[which].items():
                sums[name] = sums.get(name, Fraction(0)) + amount
        sidecars: dict[str, Fraction] = {}
        most: dict[str, Fraction] = {}
        for each in pod.get("initContainers", []):
            if each.get("restartPolicy") == "Always":
                for name, amount in each[which].items():
                    sums[name] = sums.get(name, Fraction(0)) + amount
                    sidecars[name] = sidecars.get(name, Fraction(0)) + amount
                now = dict(sidecars)
            else:
                names = sidecars.keys() | each[which].keys()
                now = {name: sidecars.get(name, Fraction(0)) + each[which].get(name, Fraction(0)) for name in names}
            most = {name: max(most.get(name, Fraction(0)), now.get(name, Fraction(0))) for name in most.keys() | now}
        sums = {name: max(sums.get(name, Fraction(0)), most.get(name, Fraction(0))) for name in sums.keys() | most}
        more = pod.get("overhead", {}) if overhead else {}
        found[which] = {name: amount + Fraction(exact(more.get(name, 0))) for name, amount in sums.items()}
    return found


def against(item: Json, figure: Json) -> str:
    for name, text in item.get("min", {}).items():
        least = Fraction(exact(text))
        if name not in figure["requests"] or figure["requests"][name] < least:
            return f"below min {name}"
        if figure["limits"].get(name, least) < least:
            return f"limit below min {name}"
    for name, text in item.get("max", {}).items():
        if name not in figure["limits"] or figure["limits"][name] > Fraction(exact(text)):
            return f"above max {name}"
        if figure["requests"].get(name, Fraction(0)) > Fraction(exact(text)):
            return f"request above max {name}"
    for name, text in item.get("maxLimitRequestRatio", {}).items():
        if not figure["requests"].get(name) or not figure["limits"].get(name):
            return f"no ratio of {name}"
        if figure["limits"][name] / figure["requests"][name] > Fraction(exact(text)):
            return f"ratio of {name}"
    return ""


def charged(pod: Json, key: str) -> Fraction | None:
    if key in ("pods", "count/pods"):
        return Fraction(1)
    which, _, name = key.rpartition(".")
    which = which or "requests"
    if any(name not in each[which] for each in all_containers(pod)):
        return None
    amount: Fraction = pod_sums(pod)[which][name]
    return amount


def carried(of: Json, values: Mapping[str, float], found: Room) -> Json:
    """The template with values, and what is tied to them, written into it."""
    new = copy.deepcopy(of)
    everything = dict(values)
    everything |= {name: values[leader] for name, leader in found.tied.items()}
    for name, value in everything.items():
        resource, which = NAMES[name]
        web = next(each for each in new["spec"]["containers"] if each["name"] == "web")
        web.setdefault("resources", {}).setdefault(which, {})[resource] = text_of(resource, value)
    return new
