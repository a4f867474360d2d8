"""Plain JSON values."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def copied(value: T) -> T:
    """A copy that shares nothing; several times as fast as `copy.deepcopy`, which looks for cycles."""
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}  # type: ignore[return-value]
    if isinstance(value, list):
        return [copied(item) for item in value]  # type: ignore[return-value]
    return value
