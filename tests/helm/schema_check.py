"""As much of JSON Schema (draft 7) as the chart's schema uses. A keyword that is not known here fails the
check: nothing passes because it was not looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_SILENT = {"$schema", "definitions", "description", "default", "examples", "title"}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
Problems = Iterator[tuple[str, str]]


def problems(value: Any, schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Everything that does not fit, as (place, keyword); places are written /config/targets/0/name."""
    return list(_check(value, schema, schema, ""))


def _check(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Problems:
    if "$ref" in schema:  # draft 7 looks at nothing beside it
        yield from _check(value, _resolve(schema["$ref"], root), root, place)
        return
    for keyword, wanted in schema.items():
        if keyword in _SILENT or keyword in ("additionalProperties", "required"):
            continue
        if keyword == "anyOf":
            if all(list(_check(value, each, root, place)) for each in wanted):
                yield place, keyword
        elif keyword == "properties":
            for name, inner in wanted.items() if isinstance(value, dict) else ():
                if name in value:
                    yield from _check(value[name], inner, root, f"{place}/{name}")
        elif keyword == "items":
            for index, each in enumerate(value) if isinstance(value, list) else ():
                yield from _check(each, wanted, root, f"{place}/{index}")
        elif not _RULES[keyword](value, wanted):
            yield place, keyword
    if isinstance(value, dict):
        yield from _keys(value, schema, root, place)


def _keys(value: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], place: str) -> Problems:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place}/{name}", "required"
    others = schema.get("additionalProperties", True)
    for name in set(value) - set(schema.get("properties", ())):
        if others is False:
            yield f"{place}/{name}", "additionalProperties"
        elif isinstance(others, dict):
            yield from _check(value[name], others, root, f"{place}/{name}")


def _resolve(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def _typed(value: Any, wanted: Any) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, _TYPES[name]) for name in names)


def _number(rule: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, wanted: not isinstance(value, (int, float)) or isinstance(value, bool) or rule(value, wanted)


def _sized(kind: type[str] | type[list[Any]], rule: Callable[[int, int], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, wanted: not isinstance(value, kind) or rule(len(value), wanted)


_RULES: Mapping[str, Callable[[Any, Any], bool]] = {
    "type": _typed,
    "enum": lambda value, wanted: value in wanted,
    "const": lambda value, wanted: bool(value == wanted),
    "pattern": lambda value, wanted: not isinstance(value, str) or re.search(wanted, value) is not None,
    "minimum": _number(lambda value, wanted: value >= wanted),
    "maximum": _number(lambda value, wanted: value <= wanted),
    "exclusiveMinimum": _number(lambda value, wanted: value > wanted),
    "exclusiveMaximum": _number(lambda value, wanted: value < wanted),
    "minLength": _sized(str, lambda seen, wanted: seen >= wanted),
    "maxLength": _sized(str, lambda seen, wanted: seen <= wanted),
    "minItems": _sized(list, lambda seen, wanted: seen >= wanted),
    "maxItems": _sized(list, lambda seen, wanted: seen <= wanted),
}
