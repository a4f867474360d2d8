"""The events of a run: everything that a journal can say, in the past tense.

Decisions use only what stands here, so the same journal gives the same next step on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.evidence import Pair, Window
from domain.signal import Signal
from domain.space import Settings
from domain.target import Target

Purpose = Literal["screen", "gate", "promote", "watch", "keep", "restore"]
Verdict = Literal["Keep", "RollBack", "Inconclusive", "NothingToGain"]
Outcome = Literal["kept", "nothing_to_gain", "inconclusive", "restored", "recovered", "refused", "conflict", "failed"]
Interval = tuple[float | None, float | None]  # None: open on that side


@dataclass(frozen=True, slots=True)
class Opened:
    """The run exists. Target, profile and seed are kept as they were, so that a later policy changes nothing here."""

    run: str
    signal: Signal
    target: Target
    seed: int


@dataclass(frozen=True, slots=True)
class Heard:
    """An inbox message was taken up: `kind` is signal, resolved, stop or approve; `text` says it in words."""

    kind: Literal["signal", "resolved", "stop", "approve"]
    text: str


@dataclass(frozen=True, slots=True)
class Imaged:
    """The before-image was read from every arm (label → settings) and lies on the target."""

    settings: Mapping[str, Settings]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A/A: identical arms compared before the first trial. `sd`, `r1`, `correlation`, `offset` of the pairs' d;
    `levels` are the guardrails' values under the original settings; `uneasy` if correlation over time, skew or outliers
    ask for longer gates; `fault` says why it is not safe to measure here. `healthy` and `noticed` are the objective
    before the regression and at the signal, where both could be read."""

    pairs: tuple[Pair, ...]
    sd: float
    r1: float
    correlation: float | None
    offset: float
    levels: Mapping[str, float]
    uneasy: bool
    fault: str = ""
    healthy: float | None = None
    noticed: float | None = None


@dataclass(frozen=True, slots=True)
class Advised:
    """What the strategy said (effects against the original, log difference)."""

    recommend: Settings
    mu: float
    sd: float
    max_ei: float
    why: str
    proposal: Settings | None = None  # None: the space is exhausted
    p_bad: float | None = None


@dataclass(frozen=True, slots=True)
class Proposed:
    """Trial number `trial` (from 1) will try `settings`."""

    trial: int
    settings: Settings
    seed: int
    strategy: str
    why: str


@dataclass(frozen=True, slots=True)
class Applying:
    """The intention to put these settings on the arms (label → settings)."""

    arms: Mapping[str, Settings]
    generation: int
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Applied:
    """The running target was seen to carry the settings."""

    arms: Mapping[str, Settings]
    generation: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The target refused a candidate; it is never proposed again."""

    settings: Settings
    reason: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Windows of one slot, read after its end: two of them in a duet, one when interleaved."""

    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Aborted:
    """The candidate was stopped early by `rule`: `seen` against `limit`, in words with numbers."""

    rule: str
    seen: str
    limit: str


@dataclass(frozen=True, slots=True)
class Screened:
    """A trial is measured: `effect` against the incumbent (log difference, below 0 better) and its variance."""

    trial: int
    effect: float
    variance: float
    pairs: int


@dataclass(frozen=True, slots=True)
class GateOpened:
    """Gate number `gate` (from 1) tests the settings of trial `trial` on fresh pairs at level `alpha`."""

    gate: int
    trial: int
    settings: Settings
    alpha: float


@dataclass(frozen=True, slots=True)
class Judged:
    """The gate's end. `effect` (log difference, below 0 better) with its interval; `log_e` the evidence."""

    gate: int
    verdict: Verdict
    effect: float | None
    interval: Interval
    log_e: float
    units: int
    why: str


@dataclass(frozen=True, slots=True)
class Promoted:
    """The settings are the incumbent now, on every arm."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Restoring:
    """The intention to bring the before-image back on every arm, and what the run will then close with."""

    outcome: Outcome
    why: str
    generation: int


@dataclass(frozen=True, slots=True)
class Restored:
    """The before-image is in force again on every arm, read back; the run will close with `outcome`."""

    by: Literal["worker", "watchdog"]
    why: str
    outcome: Outcome = "restored"


@dataclass(frozen=True, slots=True)
class Watched:
    """The reported effect: original against kept on fresh units, with its confidence sequence."""

    effect: float | None
    interval: Interval
    units: int
    harmful: bool
    why: str


@dataclass(frozen=True, slots=True)
class Conflicted:
    """Somebody else changed the target; nothing was restored."""

    arm: str
    seen: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The run is over."""

    outcome: Outcome
    reason: str


Event = (
    Opened | Heard | Imaged | Calibrated | Advised | Proposed | Applying | Applied | Refused | Measured | Aborted
    | Screened | GateOpened | Judged | Promoted | Restoring | Restored | Watched | Conflicted | Closed
)  # fmt: skip
