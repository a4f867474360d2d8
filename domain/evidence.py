"""What was seen: readings, windows, pairs. A missing value is a value of its own, and never a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["candidate", "control"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A finite number that Prometheus vouched for: no warning, enough samples."""

    value: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"a reading must be finite, not {self.value}; use Missing(reason)")


@dataclass(frozen=True, slots=True)
class Missing:
    """No number, and why: empty result, NaN, warning, too few samples, timeout."""

    reason: str


Seen = Reading | Missing


@dataclass(frozen=True, slots=True)
class Window:
    """One measurement slot on one arm. `start` and `end` are Unix seconds on Prometheus' clock."""

    arm: str
    role: Role
    start: float
    end: float
    objective: Seen
    guards: Mapping[str, Seen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """A candidate window with its control window."""

    candidate: Window
    control: Window

    @property
    def d(self) -> float | None:
        """log(candidate) - log(control) of a positive objective to minimise; None when either is missing."""
        ours, theirs = self.candidate.objective, self.control.objective
        if isinstance(ours, Missing) or isinstance(theirs, Missing):
            return None
        if ours.value <= 0 or theirs.value <= 0:
            return None
        return math.log(ours.value) - math.log(theirs.value)

    @property
    def harmful_gap(self) -> bool:
        """Missing on the candidate's side only: that is harm, not bad luck."""
        return isinstance(self.candidate.objective, Missing) and isinstance(self.control.objective, Reading)
