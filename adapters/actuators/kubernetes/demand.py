"""What a pod made from a template asks for: the resources of its containers as the API server fills them in, its class
of service, and how the pod's sums depend on one container.

Rules: k8s.io/kubernetes 1.34, pkg/apis/core/v1/defaults.go (a request that is absent equals the limit), plugin/pkg/
admission/limitranger (defaults of a LimitRange), component-helpers/resource/helpers.go (sums with init containers).
Amounts are whole numbers: millicores and bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from adapters.actuators.kubernetes.quantity import Resource, units
from domain.errors import Misconfigured

Json = dict[str, Any]
Which = Literal["requests", "limits"]
Place = Literal["main", "init", "sidecar"]
Qos = Literal["Guaranteed", "Burstable", "BestEffort"]

RESOURCES: tuple[Resource, ...] = ("cpu", "memory")
WHICH: tuple[Which, ...] = ("requests", "limits")


@dataclass(frozen=True, slots=True)
class Container:
    """Resources by `requests` and `limits`, then by name. `follows`: the request is not written anywhere, it is what
    the limit is. `given`: a LimitRange fills it in, the template does not have it."""

    name: str
    place: Place
    resources: Mapping[Which, Mapping[Resource, int]]
    follows: frozenset[Resource] = frozenset()
    given: frozenset[tuple[Resource, Which]] = frozenset()


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum over a pod, as a function of what one container has: max(x + others, floor). Where nothing `varies`, x is
    nothing."""

    others: int
    floor: int = 0
    varies: bool = True

    def at(self, x: int) -> int:
        return max((x if self.varies else 0) + self.others, self.floor)


def pod_spec(template: Json) -> Json:
    """The spec of a pod template; a bare spec is taken too. Raises Misconfigured where there are no containers."""
    spec = template.get("spec", template)
    if not isinstance(spec, dict) or not mappings(spec.get("containers")):
        raise Misconfigured("the pod template has no containers; name a workload that runs some")
    return spec


def containers(spec: Json, ranges: Sequence[Json]) -> tuple[Container, ...]:
    """The containers that run all the time, then those that run before. Raises Misconfigured for what is no
    quantity."""
    found = [_container(each, "main", ranges) for each in mappings(spec.get("containers"))]
    for each in mappings(spec.get("initContainers")):
        found.append(_container(each, "sidecar" if each.get("restartPolicy") == "Always" else "init", ranges))
    return tuple(found)


def tuned(all_: Sequence[Container], name: str) -> Container:
    """The container of that name; without a name the only one. Raises Misconfigured."""
    main = [each for each in all_ if each.place == "main"]
    found = [each for each in main if each.name == name or (not name and len(main) == 1)]
    if len(found) != 1:
        raise Misconfigured(f"container: {name!r}; name one of {', '.join(each.name for each in main)}")
    return found[0]


def qos(all_: Sequence[Container]) -> Qos:
    """The class of service; amounts of 0 count as absent. Source: component-helpers, ComputePodQOS."""
    if not any(value for each in all_ for which in WHICH for value in each.resources[which].values()):
        return "BestEffort"
    return "Guaranteed" if all(guaranteed(each) for each in all_) else "Burstable"


def guaranteed(container: Container) -> bool:
    """Whether this container would let its pod be Guaranteed."""
    asked, most = container.resources["requests"], container.resources["limits"]
    return all(most.get(name, 0) > 0 and asked.get(name) == most[name] for name in RESOURCES)


def pod_sum(all_: Sequence[Container], container: Container, which: Which, resource: Resource) -> Sum | None:
    """How the pod's sum depends on what `container` (one of the main ones) has; None if no container has any."""
    others, floor, sidecars, known = 0, 0, 0, False
    for each in all_:
        amount = each.resources[which].get(resource)
        known = known or amount is not None
        if each.place == "init":  # runs beside the sidecars that were started before it
            floor = max(floor, sidecars + (amount or 0))
            continue
        if each.place == "sidecar":
            sidecars += amount or 0
            floor = max(floor, sidecars)
        others += 0 if each is container else amount or 0
    return Sum(others, floor, resource in container.resources[which]) if known else None


def overhead(spec: Json, resource: Resource) -> int:
    """What the runtime class adds to the pod's sums in quotas and on nodes."""
    return units(resource, _mapping(spec.get("overhead")).get(resource, 0))


def mappings(value: object) -> list[Json]:
    """The objects of a list; none where there is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def name_of(manifest: Json) -> str:
    """The name in an object's metadata."""
    return str(_mapping(manifest.get("metadata")).get("name", "without a name"))


def part(manifest: Json, *keys: str) -> Json:
    """The mapping at a place of a manifest; an empty one where there is none."""
    for key in keys:
        manifest = _mapping(manifest.get(key))
    return manifest


def _container(raw: Json, place: Place, ranges: Sequence[Json]) -> Container:
    resources = _mapping(raw.get("resources"))
    limits = {name: units(name, text) for name, text in _known(resources, "limits")}
    requests = {name: units(name, text) for name, text in _known(resources, "requests")}
    follows = frozenset(limits.keys() - requests.keys())
    requests |= {name: limits[name] for name in follows}
    own = {(name, "requests") for name in requests} | {(name, "limits") for name in limits}
    for each in ranges:
        for item in mappings(part(each, "spec").get("limits")):
            if item.get("type") == "Container":
                limits = {name: units(name, text) for name, text in _known(item, "default")} | limits
                requests = {name: units(name, text) for name, text in _known(item, "defaultRequest")} | requests
    resolved: dict[Which, dict[Resource, int]] = {"requests": requests, "limits": limits}
    given = frozenset((name, which) for which in WHICH for name in resolved[which] if (name, which) not in own)
    return Container(str(raw.get("name", "")), place, resolved, follows, given)


def _known(resources: Json, key: str) -> Iterator[tuple[Resource, object]]:
    for name in RESOURCES:
        text = _mapping(resources.get(key)).get(name)
        if text is not None:
            yield name, text


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}
