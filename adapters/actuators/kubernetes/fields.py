"""The fields of a workload's template that carry settings, for server-side apply."""

from __future__ import annotations

import copy
from collections.abc import Callable

from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.config import Config
from adapters.actuators.kubernetes.manifest import container_of, template, with_config_map
from adapters.actuators.kubernetes.record import Before
from adapters.actuators.kubernetes.shape import Shape
from adapters.actuators.kubernetes.way_back import volumes
from adapters.actuators.kubernetes.workload import Sight
from domain.space import Settings
from domain.target import Workload

Keep = Callable[[str, str], str]


def fields_with(
    settings: Settings, sight: Sight, before: Before, workload: Workload, shape: Shape, config: Config, keep: Keep
) -> Json:
    """What the template shall say, as a whole: server-side apply removes what we applied before and leave out. It is
    made from the original template, so that it does not depend on what was tried in between.

    `keep` is given the ConfigMap that the template names and the text of a file; it returns the name of an immutable
    ConfigMap with that text. Raises Rejected for settings that cannot be written."""
    original = spec_before(sight, before, workload, config)
    wanted = container_of(shape.spec(original, settings), workload)
    container: Json = {"name": wanted["name"]}
    if before.resources or wanted.get("resources"):
        container["resources"] = {
            part: each for part, each in (wanted.get("resources") or {}).items() if part != "claims"
        }
    variables = shape.variables(wanted)
    present = {each["name"] for each in container_of(original, workload).get("env") or []}
    entries = [
        {"name": name, "value": variables.get(name, "")}
        for name in sorted(shape.names)
        if name in variables or name in present
    ]
    if entries:
        container["env"] = entries
    fields: Json = {"containers": [container]}
    if config:
        spec, named = template(sight.owner)["spec"], config.named(sight.owner)
        body = shape.body(settings, config.body(before.config_map))
        fields["volumes"] = volumes(spec, named, named if body == config.body(named) else keep(named, body))
    return fields


def spec_before(sight: Sight, before: Before, workload: Workload, config: Config) -> Json:
    """The template's pod spec with the values that the before-image has."""
    spec = template(sight.owner)["spec"]
    changed = with_config_map(spec, config.named(sight.owner), before.config_map) if config else copy.deepcopy(spec)
    container = container_of(changed, workload)
    claims = {part: each for part, each in (container.get("resources") or {}).items() if part == "claims"}
    container["resources"] = {**{part: dict(each) for part, each in before.resources.items()}, **claims}
    others = [each for each in container.get("env") or [] if each["name"] not in before.variables]
    ours = [{"name": name, "value": value} for name, value in before.variables.items() if value is not None]
    container["env"] = [*others, *ours]
    return changed
