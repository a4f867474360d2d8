"""What the fields of Kubernetes objects are: `schema.json`, condensed from Kubernetes' published OpenAPI 1.34.

A type is one of
    "str" "int" "num" "bool" "any"   a scalar ("any": integer or text, as a port's name or number)
    "quantity"                       a scalar that the server writes down in its canonical form
    "#Name"                          a struct, listed under "structs"
    ["map", type]                    a map whose keys are free; each key is owned apart
    ["list", [keys], type]           a list whose items are told apart by these keys (no keys: a set of scalars)
    ["atomic", type]                 owned and replaced as a whole
    "*"                              unknown (custom resources): maps are owned key by key, everything else as a whole

`python -m tests.kubernetes_api.schema SWAGGER` writes the file anew from `api/openapi-spec/swagger.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Type = Any  # as above
FILE = Path(__file__).with_name("schema.json")
STRUCTS: Mapping[str, Mapping[str, Type]] = json.loads(FILE.read_text()) if FILE.exists() else {}

KINDS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Pod": "v1",
    "Service": "v1",
    "ConfigMap": "v1",
    "Event": "v1",
    "Node": "v1",
    "ResourceQuota": "v1",
    "LimitRange": "v1",
    "Namespace": "v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
}
KEY_DEFAULTS = {"protocol": "TCP"}  # a port without one is keyed as TCP


@dataclass(frozen=True)
class Shape:
    """How a value is owned: as one leaf, by the keys of a map, or by the items of a list."""

    kind: str  # "leaf", "map" or "list"
    fields: Mapping[str, Type] = field(default_factory=dict)  # of a struct: the names that it has
    element: Type = None
    keys: tuple[str, ...] = ()


def root(api_version: str, kind: str) -> Type:
    """The type of a kind's objects; "*" where the file does not know it."""
    return f"#{kind}" if KINDS.get(kind) == api_version else "*"


LEAF, FREE = Shape("leaf"), Shape("map", element="*")
OF_STRUCTS = {f"#{name}": Shape("map", fields=fields) for name, fields in STRUCTS.items()}


def shape(kind: Type, value: object) -> Shape:
    """How a value of this type is owned."""
    if kind == "*":
        return FREE if isinstance(value, dict) else LEAF
    if isinstance(kind, str):
        return OF_STRUCTS[kind] if kind.startswith("#") else LEAF
    if kind[0] == "map":
        return Shape("map", element=kind[1])
    if kind[0] == "list":
        return Shape("list", element=kind[2], keys=tuple(kind[1]))
    return LEAF


def item_key(keys: tuple[str, ...], item: Any) -> str:
    """The path element of a list's item, as managedFields write it."""
    if not keys:
        return "v:" + json.dumps(item)
    found = {key: item.get(key, KEY_DEFAULTS.get(key)) for key in sorted(keys)}
    return "k:" + json.dumps({key: value for key, value in found.items() if value is not None}, separators=(",", ":"))


def children(form: Shape, value: Any) -> dict[str, tuple[Type, Any]]:
    """What a map or a list holds, by path element."""
    if form.kind == "map":
        return {f"f:{name}": (form.fields.get(name, form.element or "*"), item) for name, item in (value or {}).items()}
    return {item_key(form.keys, item): (form.element, item) for item in value or []}


def errors(kind: Type, value: Any, at: str = "") -> list[str]:
    """Unknown fields, wrong types and doubled keys, worded as the server does."""
    if value is None or kind == "*":
        return []
    if isinstance(kind, list) and kind[0] == "atomic":
        return errors(kind[1], value, at)
    if isinstance(kind, str) and not kind.startswith("#"):
        return _scalar_errors(kind, value, at)
    form = shape(kind, value)
    if not isinstance(value, dict if form.kind == "map" else list):
        return [f"{at}: expected {form.kind}, got {value!r}"]
    if form.kind == "list":
        return _list_errors(form, list(value), at)
    unknown = [
        f"{at}.{name}: field not declared in schema" for name in value if form.fields and name not in form.fields
    ]
    known = {name: form.fields.get(name, form.element) for name in value}
    return unknown + [
        text for name, type_ in known.items() if type_ for text in errors(type_, value[name], f"{at}.{name}")
    ]


def _list_errors(form: Shape, value: list[Any], at: str) -> list[str]:
    found, seen = [], set()
    for item in value:
        key = item_key(form.keys, item) if isinstance(item, dict) or not form.keys else "?"
        if form.keys and isinstance(item, dict) and key in seen:
            found.append(f"{at}: duplicate entries for key {shown((key,))}")
        seen.add(key)
        found += errors(form.element, item, at + shown((key,)) if key != "?" else at)
    return found


def _scalar_errors(kind: str, value: Any, at: str) -> list[str]:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "str": isinstance(value, str),
        "int": number and value == round(value),
        "num": number,
        "bool": isinstance(value, bool),
        "any": isinstance(value, str) or number,
        "quantity": isinstance(value, str) or number,
    }[kind]
    words = {"str": "string", "int": "numeric", "num": "numeric", "bool": "boolean"}
    return [] if fits else [f"{at}: expected {words.get(kind, 'string or number')}, got {value!r}"]


def shown(path: tuple[str, ...]) -> str:
    """A path as conflicts name it: `.spec.containers[name="web"].image`."""
    out = ""
    for element in path:
        sort, _, text = element.partition(":")
        if sort == "f":
            out += f".{text}"
        elif sort == "v":
            out += f"[={text}]"
        else:
            out += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(text).items()) + "]"
    return out


def condense(swagger: Mapping[str, Any]) -> dict[str, dict[str, Type]]:
    """The structs that our kinds are made of."""
    definitions = swagger["definitions"]
    done: dict[str, dict[str, Type]] = {}

    def typed(entry: Mapping[str, Any]) -> Type:
        if "$ref" in entry:
            return referred(entry["$ref"].rsplit("/", 1)[1])
        if entry.get("type") == "array":
            way = entry.get("x-kubernetes-list-type", "atomic")
            inner: Type = ["list", entry.get("x-kubernetes-list-map-keys", []), typed(entry["items"])]
            return inner if way in ("map", "set") else ["atomic", inner]
        if entry.get("type") == "object":
            inner = ["map", typed(entry["additionalProperties"])] if "additionalProperties" in entry else "*"
            return ["atomic", inner] if entry.get("x-kubernetes-map-type") == "atomic" else inner
        names = {"string": "str", "integer": "int", "number": "num", "boolean": "bool"}
        return "any" if entry.get("format") == "int-or-string" else names[entry["type"]]

    def referred(full: str) -> Type:
        entry, name = definitions[full], full.rsplit(".", 1)[1]
        if name == "Quantity":
            return "quantity"
        if "properties" not in entry:
            return "*" if entry.get("type") == "object" else typed(entry)
        if name not in done:
            done[name] = {}
            done[name].update({key: typed(value) for key, value in entry["properties"].items()})
        return ["atomic", f"#{name}"] if entry.get("x-kubernetes-map-type") == "atomic" else f"#{name}"

    for kind, version in KINDS.items():
        place = "api.core.v1" if version == "v1" else "api." + version.replace("/", ".")
        referred(f"io.k8s.{place}.{kind}")
    return done


if __name__ == "__main__":
    made = condense(json.loads(Path(sys.argv[1]).read_text()))
    lines = [f"{json.dumps(name)}: {json.dumps(made[name], separators=(',', ':'))}" for name in sorted(made)]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
