"""Builders of windows and pairs for tests of the rules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from domain.evidence import Missing, Pair, Reading, Role, Seen, Window


def window(
    role: Role, value: float | None, guards: Mapping[str, Seen] | None = None, arm: str = "a", start: float = 0.0
) -> Window:
    """A window of 4 s; value None is missing."""
    seen: Seen = Missing("blank") if value is None else Reading(value)
    return Window(arm, role, start, start + 4.0, seen, guards or {})


def pair(d: float | None, control: float = 0.1, *, side: int = 1, start: float = 0.0, bias: float = 0.0) -> Pair:
    """A pair whose log difference is `d`, and the bias of the arms on top; None: the candidate's window is missing. The
    candidate is on arm a where `side` is 1, on arm b where it is -1; arm a shows `bias` above arm b."""
    value = None if d is None else control * math.exp(d + side * bias / 2)
    ours, theirs = ("a", "b") if side == 1 else ("b", "a")
    return Pair(
        window("candidate", value, arm=ours, start=start),
        window("control", control * math.exp(-side * bias / 2), arm=theirs, start=start),
    )


def sides(n: int, every: int = 2) -> list[int]:
    """Which way round the pairs of a duet are measured: swapped every so many."""
    return [1 if i // every % 2 == 0 else -1 for i in range(n)]


def pairs(ds: Sequence[float | None], every: int = 2, bias: float = 0.0) -> list[Pair]:
    """Pairs one after the other, the arms swapped every so many; 0: never."""
    ways = sides(len(ds), every) if every else [1] * len(ds)
    return [pair(d, side=side, start=5.0 * i, bias=bias) for i, (d, side) in enumerate(zip(ds, ways, strict=True))]
