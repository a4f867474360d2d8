"""What the place of a workload allows, and what became of settings that were proven there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.space import Settings


@dataclass(frozen=True, slots=True)
class Bound:
    """Narrower bounds of one parameter, in its own unit, and why."""

    low: float
    high: float
    reason: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the place of a workload allows. `bounds` are narrower ones, `constraints` tie parameters together; `frozen`
    are parameters that are not searched; `advised` may be searched but not written into the workload, because somebody
    owns them: reasons by parameter. `share` is one arm's share of the traffic; `on_top`: the arms are added to what
    serves, so that the load of each falls. With a `refusal` nothing can be tuned here."""

    bounds: Mapping[str, Bound] = field(default_factory=dict)
    frozen: Mapping[str, str] = field(default_factory=dict)
    advised: Mapping[str, str] = field(default_factory=dict)
    share: float | None = None
    on_top: bool = False
    constraints: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What became of settings that were proven: those that the workload carries now, and those that were only
    proposed, as a patch in words for a person or a Git repository."""

    settings: Settings
    proposed: Settings
    patch: str = ""
