"""Settings in a pod's spec and in its configuration file, and back. Pure functions over manifests."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from adapters.actuators import nginx_include
from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.manifest import container_of
from adapters.actuators.kubernetes.quantity import Resource, bytes_of, cores, same, text_of
from adapters.actuators.process import Layer
from adapters.catalogue import parameter as catalogue_entry
from domain.errors import Misconfigured, Rejected
from domain.space import SearchSpace, Settings, Value
from domain.target import Workload

FAMILY = "kubernetes"  # in the catalogue
RESOURCES: Mapping[str, tuple[str, Resource]] = {
    "k8s.cpu_request": ("requests", "cpu"),
    "k8s.cpu_limit": ("limits", "cpu"),
    "k8s.memory_request": ("requests", "memory"),
    "k8s.memory_limit": ("limits", "memory"),
}
UNSET = "unset"
_OTHER = {"requests": "limits", "limits": "requests"}


class Shape:
    """How the parameters of one target stand in a pod: `k8s.*` in the container's resources, those of a runtime in its
    environment, nginx's in a configuration file. `layers` know the runtimes, by family of parameters. Raises
    Misconfigured for what the catalogue knows of a cluster and no arm carries: replicas, autoscalers, kubelets."""

    def __init__(self, workload: Workload, space: SearchSpace, layers: Mapping[str, Layer], file: SearchSpace) -> None:
        for each in space.parameters:
            if catalogue_entry(each.name).family == FAMILY and each.name not in RESOURCES:
                raise Misconfigured(
                    f"{each.name} cannot be written: of a workload's settings an arm carries {', '.join(RESOURCES)} "
                    f"only; leave it out, and see `trimtab catalogue show {each.name}`"
                )
        self._workload, self.space, self._families, self.file = workload, space, layers, file
        self._layers: Sequence[Layer] = tuple(layers.values())
        self._at_start = frozenset(each.name for each in space.parameters if each.cost == "restart")
        self.ordered = tuple(each.name for each in space.parameters)
        self.names = frozenset().union(*(layer.names for layer in self._layers))

    def touched(self, name: str) -> frozenset[str]:
        """The variables of the environment that a parameter may change; none for resources and the file."""
        layer = self._families.get(catalogue_entry(name).family)
        return layer.names if layer is not None else frozenset()

    def settings(self, spec: Json, body: str) -> dict[str, Value]:
        """The values that stand in a pod's spec and its file, in the order of the space. Raises Misconfigured naming
        what stands nowhere."""
        container = container_of(spec, self._workload)
        found = {name: value for name in RESOURCES if (value := self._resource(container, name)) is not None}
        variables = self.variables(container)
        for layer in self._layers:
            found |= layer.stored(variables)
        if self.file.parameters:
            found |= nginx_include.settings_of(body, self.file)
        ordered: dict[str, Value] = {}
        for parameter in self.space.parameters:
            known = found.get(parameter.name, parameter.default)
            computed = isinstance(known, str) and known not in (*parameter.choices, *parameter.special)
            if parameter.name not in found and computed:
                raise Misconfigured(
                    f"{parameter.name} does not stand in the template of {self._workload.kind} {self._workload.name}, "
                    "and what is in force instead cannot be seen; write it there, or leave the parameter out"
                )
            ordered[parameter.name] = known
        return ordered

    def spec(self, spec: Json, settings: Settings) -> Json:
        """The pod's spec with these settings in it. Raises Rejected for what cannot stand there."""
        changed = copy.deepcopy(spec)
        container = container_of(changed, self._workload)
        resources = self.resources(container, settings)
        if resources:
            container["resources"] = resources
        self._write_variables(container, settings)
        return changed

    def resources(self, container: Json, settings: Settings) -> Json:
        """The container's resources with these settings. What had one value as request and limit keeps it so, where
        only one of both is searched: the pod's class of service depends on it."""
        before, after = container.get("resources") or {}, copy.deepcopy(container.get("resources") or {})
        for name, (part, resource) in RESOURCES.items():
            if name not in settings:
                continue
            present, beside = (before.get(each, {}).get(resource) for each in (part, _OTHER[part]))
            value = settings[name]
            if value == UNSET:
                if present is not None:
                    raise Rejected(f"{name}: a {part[:-1]} that a pod has cannot be taken away; it is {present}")
                continue
            text = text_of(resource, float(value))
            after.setdefault(part, {})[resource] = text
            if twin(name) not in settings and present is not None and beside is not None and same(present, beside):
                after[_OTHER[part]][resource] = text
        return after

    def body(self, settings: Settings, owners: str) -> str:
        """The configuration file with these settings; what is the owner's stays."""
        return nginx_include.body_for(settings, self.file, owners)

    def remade(self, carried: Json, wanted: Json) -> bool:
        """Whether a pod that was made with `carried` must be made anew for `wanted`: the environment differs, or a
        limit that the program looks at only when it starts, or one that a running pod cannot lose."""
        ours, theirs = (container_of(each, self._workload) for each in (carried, wanted))
        if self.variables(ours) != self.variables(theirs):
            return True
        for name, (part, resource) in RESOURCES.items():
            before, after = (each.get("resources", {}).get(part, {}).get(resource) for each in (ours, theirs))
            if before is not None and after is None:
                return True
            if name in self._at_start and before != after and not (before and after and same(before, after)):
                return True
        return False

    def variables(self, container: Json) -> dict[str, str]:
        """The plain variables of a container's environment. Raises Misconfigured if one of ours comes from elsewhere:
        it could be a secret, and a secret is never read."""
        found: dict[str, str] = {}
        for entry in container.get("env") or []:
            if "valueFrom" in entry:
                if entry["name"] in self.names:
                    raise Misconfigured(
                        f"variable {entry['name']} of {self._workload.name} comes from elsewhere (valueFrom); write "
                        "its value in the template, or leave its parameters out"
                    )
                continue
            if entry.get("value"):  # an empty one is how a template goes without a variable
                found[entry["name"]] = str(entry["value"])
        return found

    def _write_variables(self, container: Json, settings: Settings) -> None:
        if not self._layers:
            return
        variables = self.variables(container)
        wanted: dict[str, str | None] = {}
        for layer in self._layers:
            wanted |= layer.variables(settings, variables)
        entries, left = [], dict(wanted)
        for entry in container.get("env") or []:  # in their places: one may refer to those before it
            text = left.pop(entry["name"], "")
            if entry["name"] not in wanted:
                entries.append(entry)
            elif text is not None:
                entries.append({"name": entry["name"], "value": text})
        entries += [{"name": name, "value": text} for name, text in left.items() if text is not None]
        if entries or container.get("env"):
            container["env"] = entries

    def _resource(self, container: Json, name: str) -> Value | None:
        part, resource = RESOURCES[name]
        resources = container.get("resources") or {}
        text = (resources.get(part) or {}).get(resource)
        if text is None and part == "requests":
            text = (resources.get("limits") or {}).get(resource)  # as the API server fills it in
        if text is None:
            return UNSET if part == "limits" else None
        return cores(text) if resource == "cpu" else bytes_of(text)


def twin(name: str) -> str:
    """The limit of a request, and the request of a limit."""
    return name.replace("request", "limit") if "request" in name else name.replace("limit", "request")
