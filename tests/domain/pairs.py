"""Builders of windows and pairs for tests of the rules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from domain.evidence import Missing, Pair, Reading, Role, Seen, Window


def window(role: Role, value: float | None, guards: Mapping[str, Seen] | None = None, arm: str = "a") -> Window:
    """A window of 4 s; value None is missing."""
    seen: Seen = Missing("blank") if value is None else Reading(value)
    return Window(arm, role, 0.0, 4.0, seen, guards or {})


def pair(d: float | None, control: float = 0.1) -> Pair:
    """A pair whose log difference is `d`; None: the candidate's window is missing."""
    value = None if d is None else control * math.exp(d)
    return Pair(window("candidate", value), window("control", control, arm="b"))


def pairs(ds: Sequence[float | None]) -> list[Pair]:
    return [pair(d) for d in ds]
