"""What was measured, by purpose: slots and their pairs, and the trials and gates that they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from domain.events import GateOpened, Judged
from domain.evidence import Pair, Window, paired
from domain.space import Settings


@dataclass(slots=True)
class Block:
    """Slots measured for one purpose: a trial, a gate, a look, the watch. `exposed` are the user-weighted seconds in
    which its challenger served: time times the share of the arms that carried it."""

    began: float
    slots: list[tuple[Window, ...]] = field(default_factory=list)
    exposed: float = 0.0
    exposed_at_last: float = 0.0  # when the last window, and the one before it, had been read
    exposed_before_last: float = 0.0
    down: float = 0.0  # user-weighted seconds in which arms were restarted for it
    placements: int = 0  # how often the arms were put onto new ones
    places: list[int] = field(default_factory=list)  # the placement of each pair
    _pairs: list[Pair] = field(default_factory=list)
    _open: Window | None = None

    def add(self, windows: tuple[Window, ...]) -> None:
        """One slot more. A duet's slot is a pair; interleaved, two slots of one arm make a pair."""
        self.slots.append(windows)
        for window in windows:
            if self._open is None or self._open.role == window.role:
                self._open = window
            else:
                self._pairs.append(paired(self._open, window))
                self.places.append(self.placements)
                self._open = None

    def pairs(self) -> list[Pair]:
        """The pairs so far, oldest first. The list grows with the block: do not change it."""
        return self._pairs


@dataclass(slots=True)
class Trial:
    """One candidate. `effect` is against the run's original settings, `variance` its variance."""

    number: int
    settings: Settings
    block: Block
    status: Literal["open", "measured", "aborted", "refused"] = "open"
    effect: float | None = None
    variance: float | None = None
    gated: bool = False
    expected: tuple[float | None, float | None] = (None, None)  # effect against the incumbent of then, and its sd
    beyond: bool = False  # stopped because its users were beyond what the target allows


@dataclass(slots=True)
class Gate:
    opened: GateOpened
    block: Block
    judged: Judged | None = None
    beyond: bool = False


@dataclass(slots=True)
class Noise:
    """Squares and degrees of freedom of the pairs' d around their own means, A/A and trials pooled."""

    squares: float = 0.0
    freedom: int = 0
