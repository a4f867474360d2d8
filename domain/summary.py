"""One run in short: what a history line, a result file and the head of a report say about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.allowance import Allowance
from domain.events import (
    Adopted,
    Closed,
    Diagnosed,
    Event,
    GateOpened,
    HeldBack,
    Imaged,
    Interval,
    Judged,
    Opened,
    Promoted,
    Proposed,
    Restored,
    Surveyed,
    Watched,
)
from domain.journal import event_of
from domain.ports import Record, RunInfo
from domain.signal import SignalKind
from domain.space import Settings, Value
from domain.space import equal as same

_READ = frozenset(
    kind.__name__
    for kind in (
        Opened, Surveyed, Imaged, Adopted, Diagnosed, Proposed, GateOpened, Judged, Promoted, Restored, Watched,
        HeldBack, Closed,
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Noticed:
    """The signal that opened the run."""

    kind: SignalKind
    summary: str
    id: str


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate. `verdict` is empty while it is open; `effect` and `interval` are log differences, below 0 better;
    `pairs` are those that had both numbers."""

    gate: int
    trial: int
    alpha: float
    verdict: str = ""
    effect: float | None = None
    interval: Interval = (None, None)
    log_e: float | None = None
    pairs: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A parameter that differs after the run. None: absent on that side."""

    before: Value | None
    after: Value | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Times are Unix seconds; effects log differences of the objective to be minimised, below 0 better.

    `effect` and `interval` are what the run claims: those of the watch that confirmed the kept settings. They are None
    and open where nothing was kept, and where the hold-back did not show the gain any more. `watched` is what the watch
    saw, claimed or not. `settings_before` and `settings_after` hold one mapping (parameter → value) where all arms
    agree; arms that differed are in `arms_before`. `settings_after` is empty while the run is open, and after a
    conflict, when nobody of ours knows. `proposed` are proven values that were not ours to write, as `patch` says;
    `allowance` is what the place of a workload allowed. `windows` counts all measured windows, `unread` records of a
    newer version.
    """

    run: str
    target: str
    opened: float
    closed: float | None
    outcome: str
    reason: str = ""
    signal: Noticed | None = None
    diagnosis: Diagnosed | None = None
    mode: str = ""
    strategy: str = ""
    profile: str = ""
    seed: int | None = None
    minimise: bool = True
    unit: str = ""
    trials: int = 0
    windows: int = 0
    gates: tuple[GateResult, ...] = ()
    effect: float | None = None
    interval: Interval = (None, None)
    watched: Watched | None = None
    held: HeldBack | None = None
    settings_before: Settings = field(default_factory=dict)
    arms_before: Mapping[str, Settings] = field(default_factory=dict)
    settings_after: Settings = field(default_factory=dict)
    proposed: Settings = field(default_factory=dict)
    patch: str = ""
    allowance: Allowance | None = None
    changed: Mapping[str, Change] = field(default_factory=dict)
    records: int = 0
    first_hash: str = ""
    last_hash: str = ""
    hashes: tuple[str, ...] = ()
    unread: int = 0

    @property
    def seconds(self) -> float | None:
        """How long the run took; None while it is open."""
        return None if self.closed is None else self.closed - self.opened


def summarise(info: RunInfo, records: Sequence[Record]) -> Summary:
    """The summary of a run from its index entry and any prefix of its journal, the empty one included.

    Where both speak, the journal wins over the index. Hashes are repeated as they stand, not verified.
    """
    events, windows, unread = [], 0, 0
    for record in records:
        if record.kind == "Measured":
            windows += len(record.data.get("windows", ()))
        if record.kind in _READ:
            try:
                events.append((record.time, event_of(record)))
            except ValueError:
                unread += 1
    seen = _Seen(info)
    for time, event in events:
        seen.take(event, time)
    hashes = tuple(record.hash for record in records)
    return seen.summary(windows=windows, unread=unread, hashes=hashes)


class _Seen:
    """What the events told so far."""

    def __init__(self, info: RunInfo) -> None:
        self.info = info
        self.opened: Opened | None = None
        self.began = info.opened
        self.ended = info.closed
        self.before: Imaged | None = None
        self.diagnosed: Diagnosed | None = None
        self.trials = 0
        self.gates: dict[int, GateResult] = {}
        self.promoted: Settings | None = None
        self.watched: Watched | None = None
        self.held: HeldBack | None = None
        self.closed: Closed | None = None
        self.adopted: Adopted | None = None
        self.allowance: Allowance | None = None

    def take(self, event: Event, time: float) -> None:
        match event:
            case Opened():
                self.opened, self.began = event, time
            case Imaged():
                self.before = event
            case Surveyed():
                self.allowance = event.allowance
            case Adopted():
                self.adopted = event
                self.promoted = {**common(dict(self.before.settings) if self.before else {}), **event.settings}
            case Diagnosed():
                self.diagnosed = event
            case Proposed():
                self.trials += 1
            case GateOpened():
                self.gates[event.gate] = GateResult(event.gate, event.trial, event.alpha)
            case Judged():
                self.gates[event.gate] = _judged(self.gates.get(event.gate), event)
            case Promoted():
                self.promoted = event.settings
            case Restored():
                self.promoted = None
            case Watched():
                self.watched = event
            case HeldBack():
                self.held = event
            case Closed():
                self.closed, self.ended = event, time

    def summary(self, *, windows: int, unread: int, hashes: tuple[str, ...]) -> Summary:
        opened, outcome = self.opened, self.closed.outcome if self.closed else self.info.outcome
        arms = dict(self.before.settings) if self.before else {}
        before = common(arms)
        after: Settings = {}
        if outcome and outcome != "conflict":
            after = self.promoted if self.promoted is not None else before
        watched = self.watched if outcome in ("kept", "recommended", "") and claimed(self.watched, self.held) else None
        return Summary(
            run=opened.run if opened else self.info.run,
            target=opened.target.name if opened else self.info.target,
            opened=self.began,
            closed=self.ended,
            outcome=outcome,
            reason=self.closed.reason if self.closed else "",
            signal=Noticed(opened.signal.kind, opened.signal.summary, opened.signal.id) if opened else None,
            diagnosis=self.diagnosed,
            proposed=self.adopted.proposed if self.adopted else {},
            patch=self.adopted.patch if self.adopted else "",
            allowance=self.allowance,
            mode=opened.target.mode if opened else "",
            strategy=opened.target.strategy if opened else "",
            profile=opened.target.profile.name if opened else "",
            seed=opened.seed if opened else None,
            minimise=opened.target.objective.minimise if opened else True,
            unit=opened.target.objective.unit if opened else "",
            trials=self.trials,
            windows=windows,
            gates=tuple(self.gates.values()),
            effect=watched.effect if watched else None,
            interval=watched.interval if watched else (None, None),
            watched=self.watched,
            held=self.held,
            settings_before=before,
            arms_before={} if before or not arms else arms,
            settings_after=after,
            changed=changes(before, after) if after else {},
            records=len(hashes),
            first_hash=hashes[0] if hashes else "",
            last_hash=hashes[-1] if hashes else "",
            hashes=hashes,
            unread=unread,
        )


def claimed(watched: Watched | None, held: HeldBack | None) -> bool:
    """Whether an effect may be claimed: the watch confirmed the gate, and the hold-back, if there was one, agrees."""
    if watched is None or watched.harmful or not watched.confirmed:
        return False
    return held is None or (not held.harmful and held.interval[1] is not None and held.interval[1] < 0)


def common(arms: Mapping[str, Settings]) -> Settings:
    """The settings that every arm carries; empty if they differ, or if there is no arm."""
    images = list(arms.values())
    if not images or not all(same(images[0], other) for other in images[1:]):
        return {}
    return images[0]


def changes(before: Settings, after: Settings) -> dict[str, Change]:
    """Parameters whose value differs, by name."""
    return {
        name: Change(before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if type(before.get(name)) is not type(after.get(name)) or before.get(name) != after.get(name)
    }


def percent(effect: float, *, minimise: bool = True) -> float:
    """An effect (log difference, below 0 better) as the change of the objective in percent: -25.0 is a quarter less.

    An objective to be maximised is measured as its inverse, so its change has the other sign."""
    return 100 * math.expm1(effect if minimise else 0.0 - effect)


def percent_text(effect: float | None, *, minimise: bool = True) -> str:
    """`38.2 % lower`, `1.0 % higher`; `not measured` for None."""
    if effect is None:
        return "not measured"
    change = percent(effect, minimise=minimise)
    return f"{abs(change):.1f} % {'lower' if change < 0 else 'higher'}"


def interval_text(interval: Interval, *, minimise: bool = True) -> str:
    """`-44.1 % to -33.0 %`; an open side is said in words."""
    low, high = (None if bound is None else percent(bound, minimise=minimise) for bound in interval)
    if not minimise:
        low, high = high, low
    if low is None and high is None:
        return "interval still open"
    left = "open" if low is None else f"{low:+.1f} %"
    right = "open" if high is None else f"{high:+.1f} %"
    return f"{left} to {right}"


def _judged(opened: GateResult | None, event: Judged) -> GateResult:
    trial, alpha = (opened.trial, opened.alpha) if opened else (0, 0.0)
    return GateResult(
        event.gate, trial, alpha, event.verdict, event.effect, event.interval, event.log_e, event.units, event.why
    )
