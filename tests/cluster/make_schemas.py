#!/usr/bin/env python3
"""JSON schemas for kubeconform from Kubernetes' own OpenAPI description, for use offline.

    make_schemas.py SWAGGER.json DIRECTORY

One file per kind and version, named as kubeconform asks for it, complete in itself. Unknown fields are refused.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEXT_OR_INTEGER = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
TEXT_OR_NUMBER = {"oneOf": [{"type": "string"}, {"type": "number"}]}


def strict(node: Any) -> Any:
    """The node with unknown properties refused; a property that is not required may also be null, as in the API."""
    if isinstance(node, list):
        return [strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "int-or-string":
        return TEXT_OR_INTEGER
    words = {key: value for key, value in node.items() if not key.startswith("x-") and key != "description"}
    # names of properties are no words of the language: some are called "description"
    properties = {name: strict(inner) for name, inner in words.pop("properties", {}).items()}
    made = {key: strict(value) for key, value in words.items()}
    if properties:
        made = {"additionalProperties": False, **made, "properties": properties}
    for name, inner in properties.items():
        if name not in node.get("required", ()) and isinstance(inner.get("type"), str):
            inner["type"] = [inner["type"], "null"]
    return made


def definition(name: str, node: Any) -> Any:
    """A named definition; two of them are wider than they are described."""
    if name.endswith(".api.resource.Quantity"):
        return TEXT_OR_NUMBER
    return TEXT_OR_INTEGER if name.endswith(".util.intstr.IntOrString") else strict(node)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].rsplit("/", 1)[1]
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from references(each)


def needed(name: str, known: dict[str, Any]) -> list[str]:
    """This definition and all that it refers to."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each not in seen:
            seen.add(each)
            waiting.extend(references(known[each]))
    return sorted(seen)


def main(swagger: Path, out: Path) -> None:
    described = json.loads(swagger.read_text())["definitions"]
    known = {name: definition(name, node) for name, node in described.items()}
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for name, node in described.items():
        kinds = node.get("x-kubernetes-group-version-kind", ())
        if len(kinds) != 1:  # DeleteOptions and WatchEvent are of every group
            continue
        group, version, kind = kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"]
        versions = {"apiVersion": {"enum": [f"{group}/{version}" if group else version]}, "kind": {"enum": [kind]}}
        schema = {
            **known[name],
            "properties": {**known[name]["properties"], **versions},
            "definitions": {each: known[each] for each in needed(name, known)},
        }
        file = "-".join(part for part in (kind, group.split(".")[0], version) if part).lower()
        (out / f"{file}.json").write_text(json.dumps(schema))
        count += 1
    print(f"{count} schemas made", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
