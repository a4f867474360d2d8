"""What `next_step` may answer: decisions as values. Acting on them is the worker's part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from domain.events import Event, Json, Outcome, Purpose
from domain.evidence import Role
from domain.ports import Request
from domain.space import Settings


@dataclass(frozen=True, slots=True)
class Done:
    """The run is closed; nothing will ever happen again."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again at `until` (Unix seconds)."""

    until: float


@dataclass(frozen=True, slots=True)
class Decide:
    """Nothing to do in the world: journal these events and go on."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """Ask what the place of the workload allows."""


@dataclass(frozen=True, slots=True)
class TakeImages:
    """Read every arm; in mode act put the before-images on the target."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Make the arms; they leave by themselves some time after `until` (Unix seconds)."""

    until: float


@dataclass(frozen=True, slots=True)
class Span:
    """One window to be read: which arm, in which role, from when to when (Unix seconds)."""

    arm: str
    role: Role
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Examine:
    """Read the target's counters; with those of `first`, say where its bottleneck is."""

    first: Json | None = None


@dataclass(frozen=True, slots=True)
class Calibrate:
    """Read past windows of identical arms, newest last: each inner tuple is one pair."""

    pairs: tuple[tuple[Span, Span], ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the strategy what to try next."""

    request: Request


@dataclass(frozen=True, slots=True)
class Apply:
    """Put these settings on the arms (label → settings), conditionally, and read back. With `renew`, every arm is then
    put onto a new placement."""

    arms: Mapping[str, Settings]
    purpose: Purpose
    renew: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """Read these windows, which have ended. `patience`: stop waiting for a silent Prometheus then (Unix seconds)."""

    spans: tuple[Span, ...]
    patience: float


@dataclass(frozen=True, slots=True)
class Glance:
    """Read these slices of an unfinished slot, oldest first, for the abort rules only; look again at `until` (Unix
    seconds)."""

    spans: tuple[Span, ...]
    until: float


@dataclass(frozen=True, slots=True)
class Adopt:
    """Put proven settings into the workload itself."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Bring the before-image back on every arm. The run then closes with `outcome`."""

    outcome: Outcome
    why: str


@dataclass(frozen=True, slots=True)
class Close:
    """Remove the before-images (set them aside after a conflict) and journal the end."""

    outcome: Outcome
    reason: str


Step = (
    Done | Wait | Decide | Survey | TakeImages | Prepare | Examine | Calibrate | Ask | Apply | Measure | Glance
    | Adopt | TakeBack | Close
)  # fmt: skip
