"""`values.yaml` read together with its comments: one entry for every key, and the schema that follows from them.

The type of a key is that of its value. The comment right above it is its description, but for a line
`# @schema {...}`, which adds what a value cannot say: bounds, patterns, the items of an empty list.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from adapters.actuators.registry import KINDS
from adapters.policy import schema as policy_schema
from adapters.policy_targets import names_of
from domain.profile import PROFILES

CHART = Path(__file__).parent / "trimtab"
Json = dict[str, Any]
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_QUANTITIES = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
_RESOURCES: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"requests": _QUANTITIES, "limits": _QUANTITIES},
}


@dataclass(frozen=True)
class Entry:
    """One key of `values.yaml`. `inside` are the keys below it; `extra` is what its `@schema` line says."""

    name: str
    value: Any
    about: str
    extra: Json = field(default_factory=dict)
    inside: tuple[Entry, ...] = ()


def entries(text: str) -> tuple[Entry, ...]:
    """The entries of a commented values file. Raises ValueError for a list or an empty mapping without `@schema`."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(node, yaml.MappingNode)
    return _entries(node, text.splitlines(), "")


def values() -> Json:
    """The chart's default values."""
    read: Json = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return read


def schema() -> Json:
    """The JSON Schema of the values (draft 7, which every Helm 3 knows)."""
    policy = _renamed(policy_schema())
    definitions = policy.pop("definitions")
    definitions["Actuator"]["properties"]["kind"]["enum"] = list(KINDS)
    definitions["Target"]["properties"]["strategy"]["enum"] = list(names_of("optimizers.factory", "STRATEGIES", ()))
    definitions["Watch"]["properties"]["detector"]["enum"] = list(names_of("detectors.factory", "DETECTORS", ()))
    definitions["Measure"]["properties"]["profile"]["enum"] = sorted(PROFILES)
    policy = {key: each for key, each in policy.items() if key not in ("$schema", "title")}
    made = _object(entries((CHART / "values.yaml").read_text(encoding="utf-8")))
    made["properties"]["config"] = policy
    made["properties"]["global"] = {"type": "object", "description": "Helm puts it there when this is a subchart"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **made, "definitions": definitions}


def _entries(node: yaml.MappingNode, lines: list[str], place: str) -> tuple[Entry, ...]:
    found = []
    for key, value in node.value:
        name = str(key.value)
        about, extra = _comment(lines, key.start_mark.line, key.start_mark.column)
        content = _plain(value)
        nested = isinstance(value, yaml.MappingNode) and name not in ("config", "resources")
        inside = _entries(value, lines, f"{place}{name}.") if nested and "additionalProperties" not in extra else ()
        bare = isinstance(content, list) and "items" not in extra
        empty = content == {} and "additionalProperties" not in extra
        if bare or empty:
            raise ValueError(f"values.yaml: {place}{name} needs a line `# @schema` that says what may stand in it")
        found.append(Entry(name, content, about, extra, inside))
    return tuple(found)


def _comment(lines: list[str], line: int, column: int) -> tuple[str, Json]:
    """The comment right above a key, as text and as what its `@schema` line says."""
    said: list[str] = []
    while line > 0 and lines[line - 1].startswith(" " * column + "#"):
        line -= 1
        said.insert(0, lines[line].strip().removeprefix("#").strip())
    extra: Json = {}
    for each in said:
        if each.startswith("@schema "):
            extra |= json.loads(each.removeprefix("@schema "))
    return " ".join(each for each in said if not each.startswith("@schema ")), extra


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _object(inside: tuple[Entry, ...]) -> Json:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {entry.name: _schema_of(entry) for entry in inside},
    }


def _schema_of(entry: Entry) -> Json:
    about = {"description": entry.about} if entry.about else {}
    if entry.name == "resources":
        return about | _RESOURCES
    if entry.inside:
        return about | _object(entry.inside) | entry.extra
    return about | {"type": _TYPES[type(entry.value)]} | entry.extra


def _renamed(node: Any) -> Any:
    """`$defs` under the name that draft 7 has for it."""
    if isinstance(node, dict):
        return {
            "definitions" if key == "$defs" else key: each.replace("#/$defs/", "#/definitions/")
            if key == "$ref"
            else _renamed(each)
            for key, each in node.items()
        }
    return [_renamed(each) for each in node] if isinstance(node, list) else node
