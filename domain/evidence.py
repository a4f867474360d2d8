"""What was seen: readings, windows, pairs. A missing value is a value of its own, and never a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    """One measurement slot on one arm. `start` and `end` are Unix seconds on Prometheus' clock. `disturbed` says what
    the target did by itself meanwhile (a checkpoint, a vacuum), if that is known."""

    arm: str
    role: Role
    start: float
    end: float
    objective: Seen
    guards: Mapping[str, Seen] = field(default_factory=dict)
    disturbed: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """A candidate window with its control window."""

    candidate: Window
    control: Window

    @property
    def logs(self) -> tuple[float, float] | None:
        """(log candidate, log control) of a positive objective to minimise; None when either is missing."""
        ours, theirs = self.candidate.objective, self.control.objective
        if isinstance(ours, Missing) or isinstance(theirs, Missing):
            return None
        if ours.value <= 0 or theirs.value <= 0:
            return None
        return math.log(ours.value), math.log(theirs.value)

    @property
    def d(self) -> float | None:
        """log(candidate) - log(control); None when either is missing."""
        levels = self.logs
        return None if levels is None else levels[0] - levels[1]

    @property
    def blind(self) -> bool:
        """Something of the candidate could not be read, its objective or a guardrail: such a pair proves nothing for
        it."""
        return self.d is None or any(isinstance(seen, Missing) for seen in self.candidate.guards.values())

    @property
    def side(self) -> int:
        """Which way round the pair was measured: +1 or -1 as the candidate's arm sorts before or behind its control's;
        on one arm, as the candidate came first or second. A bias of arm or order enters d with this sign."""
        if self.candidate.arm != self.control.arm:
            return 1 if self.candidate.arm < self.control.arm else -1
        return 1 if self.candidate.start < self.control.start else -1

    @property
    def harmful_gap(self) -> bool:
        """Something is missing on the candidate's side only, its objective or a guardrail: harm, no bad luck."""
        theirs = {"": self.control.objective, **self.control.guards}
        ours = {"": self.candidate.objective, **self.candidate.guards}
        return any(isinstance(seen, Missing) and isinstance(theirs.get(name), Reading) for name, seen in ours.items())


def paired(first: Window, second: Window) -> Pair:
    """The pair of a candidate's and a control's window, in whichever order they come. What touched only one of them
    would be taken for the candidate's doing, so neither counts."""
    if bool(first.disturbed) != bool(second.disturbed):
        touched = first if first.disturbed else second
        nothing = Missing(f"on arm {touched.arm} only: {touched.disturbed}")
        first, second = (replace(window, objective=nothing) for window in (first, second))
    return Pair(*sorted((first, second), key=lambda window: window.role))


def differences(pairs: Sequence[Pair], bias: float = 0.0) -> list[float]:
    """d of the pairs that have both numbers, with the bias of the arms taken out."""
    return [pair.d - pair.side * bias for pair in pairs if pair.d is not None]
