"""Which parameters of a target somebody else owns in its workload, and what is proposed then instead of applied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.config import Config
from adapters.actuators.kubernetes.manifest import container_of, showing, template
from adapters.actuators.kubernetes.owners import (
    Path,
    env_path,
    projected_path,
    resource_path,
    verdict,
    volume_path,
)
from adapters.actuators.kubernetes.patches import Patch, Values, helm, kustomize, plain
from adapters.actuators.kubernetes.proposal import propose
from adapters.actuators.kubernetes.shape import RESOURCES, Shape
from adapters.actuators.kubernetes.workload import Sight
from domain.errors import TrimtabError
from domain.target import Workload


def fields_of_parameter(name: str, owner: Json, workload: Workload, shape: Shape, config: Config) -> Iterator[Path]:
    """The fields of the workload that carry a parameter."""
    spec = template(owner)["spec"]
    container = str(container_of(spec, workload)["name"])
    if name in RESOURCES:
        part, resource = RESOURCES[name]
        yield resource_path(container, part, resource)
    elif shape.touched(name):
        for variable in sorted(shape.touched(name)):
            yield env_path(container, variable)
    else:
        named = config.named(owner)
        for volume in showing(spec, named):
            yield volume_path(volume["name"]) if "configMap" in volume else projected_path(volume["name"])


def owned(sight: Sight, workload: Workload, shape: Shape, config: Config) -> dict[str, str]:
    """Why parameters may only be proposed, by name: who asserts their fields, or owns them without being named in
    take_over."""
    found: dict[str, str] = {}
    for name in shape.ordered:
        for path in fields_of_parameter(name, sight.owner, workload, shape, config):
            seen = verdict(sight.owner, path, workload.take_over)
            if seen.reason:
                found.setdefault(name, seen.reason)
    return found


def proposal(workload: Workload, run: str, fields: Json, file: str, metrics: Mapping[str, list[Json]]) -> str:
    """The fields that were proven, as patches in words; committed on a branch where the target names one. `file` is the
    text of the configuration, empty if it stays; `metrics` are those of autoscalers that have to move along. Raises
    Misconfigured, Transient of the repository."""
    container = fields["containers"][0]
    scaler = next(iter(metrics), "")
    values = Values(
        kind=workload.kind,
        namespace=workload.namespace,
        name=workload.name,
        container=container["name"],
        resources=container.get("resources") or {},
        env={each["name"]: each["value"] for each in container.get("env") or []},
        config_map=workload.config_map if file else "",
        files={workload.key: file} if file else {},
        autoscaler=scaler,
        metrics=tuple(metrics.get(scaler, ())),
    )
    made = {"kubectl": plain(values), "kustomize": kustomize(values), "Helm": helm(values)}
    words = "\n".join(f"# --- {name} ---\n{_text(each)}" for name, each in made.items())
    if workload.propose is None:
        return words
    try:
        commit = propose(
            workload.propose, _text(made["kustomize"]), run, f"{workload.name}: settings proven by Trimtab"
        )
    except TrimtabError as error:
        return f"# The branch {workload.propose.branch} was not written: {error}\n{words}"
    return f"# Commit {commit} on branch {workload.propose.branch} of {workload.propose.repository}\n{words}"


def _text(patch: Patch) -> str:
    files = "".join(f"# {name}\n{content}" for name, content in patch.files.items())
    return f"{patch.how}{files}"
