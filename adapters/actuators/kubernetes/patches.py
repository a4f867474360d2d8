"""Values that are not ours to apply, as patches that somebody else can: plain, for kustomize, and for Helm."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from adapters.actuators.kubernetes.api import Json
from domain.errors import Misconfigured

_API = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "ConfigMap": "v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
}


@dataclass(frozen=True, slots=True)
class Values:
    """What should be kept of a workload, as texts of the API. `resources` by `requests` and `limits`; `files` are keys
    of `config_map`; `metrics` is the whole spec.metrics of the HPA `autoscaler` with its moved targets."""

    kind: str
    namespace: str
    name: str
    container: str
    resources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    config_map: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    autoscaler: str = ""
    metrics: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Patch:
    """`files` by name, and `how` to use them, in words and commands."""

    files: Mapping[str, str]
    how: str


def plain(values: Values) -> Patch:
    """Strategic merge patches for `kubectl patch`, one file an object. Raises Misconfigured where there is nothing to
    change, or a kind that is not known."""
    files, commands = {}, []
    for kind, name, body in _bodies(values):
        file = _file(kind, name)
        files[file] = _yaml(body)
        # An HPA's metrics are one list without keys: a merge patch replaces it, as a strategic one does.
        command = ["kubectl", "-n", values.namespace, "patch", kind.lower(), name, "--type", "strategic"]
        commands.append(shlex.join([*command, "--patch-file", file]))
    return Patch(files, "\n".join(commands) + "\n")


def kustomize(values: Values) -> Patch:
    """Patch files and the stanza of kustomization.yaml that names them. Raises Misconfigured as `plain`."""
    files = {}
    for kind, name, body in _bodies(values):
        metadata = {"name": name, "namespace": values.namespace}
        files[_file(kind, name)] = _yaml({"apiVersion": _API[kind], "kind": kind, "metadata": metadata, **body})
    stanza = _yaml({"patches": [{"path": file} for file in files]})
    how = f"# Lay the files beside kustomization.yaml and add to it:\n{stanza}"
    if values.files:
        how += "# Where a configMapGenerator makes the ConfigMap, change its files instead of patching it.\n"
    return Patch(files, how)


def helm(values: Values) -> Patch:
    """A snippet of values.yaml at the places that most charts have. Raises Misconfigured as `plain`."""
    _bodies(values)
    snippet: Json = {}
    if values.resources:
        snippet["resources"] = _resources(values)
    if values.env:
        snippet["env"] = _env(values)
    how = [
        f"# Values for the release of {values.kind} {values.name}, container {values.container}. A chart may keep them",
        "# under other keys: look for resources and env in its own values.yaml.",
    ]
    if values.files:
        how.append(f"# The files of ConfigMap {values.config_map} have no usual place in values.yaml:")
        how += [f"#   {key}: see the plain patch" for key in values.files]
    if values.metrics:
        how.append(f"# HPA {values.autoscaler} scales at a share of the request, so its target has to move along:")
        how += [f"#   {words}" for words in _targets(values.metrics)]
    return Patch({"values-trimtab.yaml": _yaml(snippet)} if snippet else {}, "\n".join(how) + "\n")


# --- parts ------------------------------------------------------------------------------------------------------------


def _bodies(values: Values) -> list[tuple[str, str, Json]]:
    """Kind, name and patch of every object that changes."""
    if values.kind not in ("Deployment", "StatefulSet"):
        raise Misconfigured(f"kind {values.kind!r}; a patch can be made for a Deployment or a StatefulSet")
    found: list[tuple[str, str, Json]] = []
    container: Json = {"name": values.container}
    container |= {"resources": _resources(values)} if values.resources else {}
    container |= {"env": _env(values)} if values.env else {}
    if len(container) > 1:
        found.append((values.kind, values.name, {"spec": {"template": {"spec": {"containers": [container]}}}}))
    if values.files:
        found.append(("ConfigMap", values.config_map, {"data": dict(values.files)}))
    if values.metrics:
        found.append(("HorizontalPodAutoscaler", values.autoscaler, {"spec": {"metrics": list(values.metrics)}}))
    if not found:
        raise Misconfigured(f"nothing to change for {values.kind} {values.name}: no resources, env, files or metrics")
    return found


def _resources(values: Values) -> Json:
    return {which: dict(values.resources[which]) for which in ("requests", "limits") if values.resources.get(which)}


def _env(values: Values) -> list[Json]:
    return [{"name": name, "value": text} for name, text in values.env.items()]


def _targets(metrics: tuple[Json, ...]) -> list[str]:
    found = []
    for metric in metrics:
        for key in ("resource", "containerResource"):
            source = metric.get(key) or {}
            percent = (source.get("target") or {}).get("averageUtilization")
            if percent is not None:
                found.append(f"{source.get('name')}: averageUtilization {percent}")
    return found


def _file(kind: str, name: str) -> str:
    return f"trimtab-{kind.lower()}-{name}.yaml"


_OTHER_BREAKS = "\r\x85\u2028\u2029"


class _Dumper(yaml.SafeDumper):
    """Files of settings as blocks that a person can read and compare."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and not any(line != line.rstrip() for line in text.split("\n")) else None
    if any(each in text for each in _OTHER_BREAKS):
        style = '"'  # line ends that YAML would fold into spaces are escaped there
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(body: Any) -> str:
    text: str = yaml.dump(
        body, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=10_000, allow_unicode=True
    )
    return text
