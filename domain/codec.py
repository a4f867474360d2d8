"""Dataclasses to JSON values and back, driven by their type hints: no pickles, no class names in the data."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Plain JSON value of a dataclass, mapping, tuple or scalar."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    raise TypeError(f"no JSON form for {type(value).__name__}")


def from_json(kind: type[T], data: Any) -> T:
    """The value of type `kind` that `to_json` wrote. Raises ValueError naming the field that does not fit."""
    return typing.cast(T, _read(kind, data, kind.__name__))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _read(kind: Any, data: Any, path: str) -> Any:
    if type(data) is kind and kind in (str, int, float, bool):
        return data
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return data
    if origin in (Union, types.UnionType):
        return _read_union(args, data, path)
    if origin is Literal:
        if data not in args:
            raise ValueError(f"{path}: {data!r} is none of {list(args)}")
        return data
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(typing.cast(type, kind), data, path)
    if origin is tuple:
        items = [args[0]] * len(data) if len(args) == 2 and args[1] is Ellipsis else args
        return tuple(_read(item, each, f"{path}[{i}]") for i, (item, each) in enumerate(zip(items, data, strict=True)))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _read(args[1], each, f"{path}.{key}") for key, each in data.items()}
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if kind in (int, float, str, bool) and type(data) is not kind:
        raise ValueError(f"{path}: expected {kind.__name__}, found {data!r}")
    return data


def _read_union(args: tuple[Any, ...], data: Any, path: str) -> Any:
    if data is None:
        if type(None) in args:
            return None
        raise ValueError(f"{path}: null is not allowed here")
    options = [option for option in args if option is not type(None)]
    exact = [option for option in options if isinstance(option, type) and type(data) is option]
    if exact:
        return data
    fitting = [option for option in options if dataclasses.is_dataclass(option) and _fits(option, data)]
    for option in fitting or [option for option in options if not dataclasses.is_dataclass(option)]:
        return _read(option, data, path)
    raise ValueError(f"{path}: {data!r} fits none of the allowed forms")


def _fits(kind: Any, data: Any) -> bool:
    return isinstance(data, dict) and {field.name for field in dataclasses.fields(kind)} >= set(data)


def _read_dataclass(kind: type, data: Any, path: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"{path}: expected an object, found {data!r}")
    hints = _hints(kind)
    unknown = set(data) - set(hints)
    if unknown:
        raise ValueError(f"{path}: unknown field {sorted(unknown)[0]!r}; known are {sorted(hints)}")
    try:
        return kind(**{name: _read(hints[name], item, f"{path}.{name}") for name, item in data.items()})
    except TypeError as error:
        raise ValueError(f"{path}: {error}") from error
