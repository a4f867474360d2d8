"""The events of a run: everything that a journal can say, in the past tense.

Decisions use only what stands here, so the same journal gives the same next step on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from domain.allowance import Allowance
from domain.evidence import Pair, Window
from domain.signal import Signal
from domain.space import Settings
from domain.target import Target

Purpose = Literal["screen", "gate", "promote", "watch", "keep", "restore", "look"]
Verdict = Literal["Keep", "RollBack", "Inconclusive", "NothingToGain"]
Outcome = Literal[
    "kept", "recommended", "nothing_to_gain", "inconclusive", "restored", "recovered", "refused", "conflict", "failed"
]
Json = dict[str, Any]
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
class Surveyed:
    """What the place of a workload allows, with the reasons: see `domain.ports.Allowance`."""

    allowance: Allowance


@dataclass(frozen=True, slots=True)
class Imaged:
    """The before-image was read from every arm (label → settings) and lies on the target."""

    settings: Mapping[str, Settings]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Preparing:
    """The intention to make the arms of this run."""

    generation: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """The arms serve. With a `fault` they do not come up."""

    fault: str = ""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Counters of the target, read when the run began: the first half of its diagnosis."""

    sample: Json


@dataclass(frozen=True, slots=True)
class Diagnosed:
    """Where the bottleneck is, on what evidence, and which parameters can matter. With a `refusal` nothing is tuned."""

    layer: str
    headline: str
    evidence: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A/A: identical arms compared before the first trial. `sd`, `r1`, `correlation`, `offset` of the pairs' d;
    `levels` are the guardrails' values under the original settings; `uneasy` if correlation over time, skew or outliers
    ask for longer gates; `bias` is what the first arm shows above the second; `mei` the minimum effect of interest that
    a gate can show in this noise; `fault` says why it is not safe to measure here. `healthy` and `noticed` are the
    objective before the regression and at the signal, where both could be read."""

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
    bias: float = 0.0
    mei: float | None = None


@dataclass(frozen=True, slots=True)
class Advised:
    """What the strategy said (effects against the original, log difference). `p_bad` is the chance that the proposal is
    beyond the headroom, `proposal_mu` and `proposal_sd` what is expected of it. `simpler` are the recommended settings
    without what does not seem to matter; `replicate` are settings to measure again before the choice is final."""

    recommend: Settings
    mu: float
    sd: float
    max_ei: float
    why: str
    proposal: Settings | None = None  # None: the space is exhausted
    p_bad: float | None = None
    proposal_mu: float | None = None
    proposal_sd: float | None = None
    simpler: Settings | None = None
    replicate: Settings | None = None


@dataclass(frozen=True, slots=True)
class Proposed:
    """Trial number `trial` (from 1) will try `settings`; `mu` and `sd` is what the strategy expects, against the
    original settings."""

    trial: int
    settings: Settings
    seed: int
    strategy: str
    why: str
    mu: float | None = None
    sd: float | None = None


@dataclass(frozen=True, slots=True)
class Applying:
    """The intention to put these settings on the arms (label → settings), and each arm onto a new placement if
    `renew`."""

    arms: Mapping[str, Settings]
    generation: int
    purpose: Purpose
    renew: bool = False


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
    """The candidate was stopped early by `rule`: `seen` against `limit`, in words with numbers. `beyond`: its users
    were beyond what the target allows, so all of its time is charged to the harm budget."""

    rule: str
    seen: str
    limit: str
    beyond: bool = True


@dataclass(frozen=True, slots=True)
class Screened:
    """A trial is measured: `effect` against the incumbent (log difference, below 0 better) and its variance."""

    trial: int
    effect: float
    variance: float
    pairs: int


@dataclass(frozen=True, slots=True)
class GateOpened:
    """Gate number `gate` (from 1) tests the settings of trial `trial` on fresh pairs at level `alpha`, after `after`
    trials in all."""

    gate: int
    trial: int
    settings: Settings
    alpha: float
    after: int = 0


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
    """The settings are in force on `arms` arms, and tested there; on every one of them if `everywhere`."""

    settings: Settings
    arms: int = 0
    everywhere: bool = True


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
    """The reported effect: original against kept on `units` fresh pairs, with its confidence sequence. Not `confirmed`:
    the gate was lucky, and nothing is kept."""

    effect: float | None
    interval: Interval
    units: int
    harmful: bool
    why: str
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Looking:
    """The original settings go to every arm, to see whether the signal went away by itself."""

    why: str


@dataclass(frozen=True, slots=True)
class Looked:
    """The end of a look. `level` is the objective under the original settings on every arm, a plain value; `log_e` the
    evidence, over all looks, that it is back beyond half of the way to healthy."""

    level: float | None
    log_e: float
    recovered: bool
    why: str


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The end of the hold-back: original against kept, measured now and then long after the watch."""

    effect: float | None
    interval: Interval
    pairs: int
    harmful: bool
    why: str


@dataclass(frozen=True, slots=True)
class Adopting:
    """The intention to put proven settings into the workload that the arms were made from."""

    settings: Settings
    generation: int


@dataclass(frozen=True, slots=True)
class Adopted:
    """The workload carries `settings`; `proposed` were only proposed, as `patch` says. With a `fault` it did not come
    up with them and carries what it did before."""

    settings: Settings
    proposed: Settings
    patch: str = ""
    fault: str = ""


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
    Opened | Heard | Imaged | Sampled | Diagnosed | Calibrated | Advised | Proposed | Applying | Applied | Refused
    | Measured | Aborted | Screened | GateOpened | Judged | Promoted | Restoring | Restored | Watched | HeldBack
    | Looking | Looked | Surveyed | Preparing | Prepared | Adopting | Adopted | Conflicted | Closed
)  # fmt: skip
