"""What starts a run, and whether it may: a signal, and its admission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from domain.target import Target

SignalKind = Literal["alert", "regression", "person", "schedule"]

REPEAT_SECONDS = 3600.0  # what goes on is told anew once an hour, so that it may open a run after the cool-down


@dataclass(frozen=True, slots=True)
class Signal:
    """One reason to look at a target. `id` is stable over repeats (alert: fingerprint and start time, see `occasion`),
    so that a signal that arrives twice means the same. Times are Unix seconds. `labels` of an alert decide which
    target it means; a person or the watcher names the `target` directly."""

    id: str
    kind: SignalKind
    status: Literal["firing", "resolved"]
    at: float
    summary: str
    target: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What admission knows of the world: open runs by target, when the last run of the target in question ended (Unix
    seconds), how many runs may be open, and intervals (from, to) in which none opens."""

    open_runs: Mapping[str, str]
    last_closed: Mapping[str, float]
    most_open: int = 1
    freeze: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Open:
    target: str


@dataclass(frozen=True, slots=True)
class Join:
    """The signal belongs to a run that is open already: it goes to its inbox."""

    target: str
    run: str


@dataclass(frozen=True, slots=True)
class Ignore:
    """`target` is empty if the signal means none."""

    target: str
    reason: str


Admission = Open | Join | Ignore


def occasion(cause: str, now: float) -> str:
    """The id of a signal about `cause` at `now`: the same for all repeats within the hour."""
    return f"{cause}#{int(now // REPEAT_SECONDS)}"


def cause(id: str) -> str:
    """What `occasion` made an id from; the id itself where it did not."""
    return id.rpartition("#")[0] or id


def admit(signal: Signal, targets: Mapping[str, Target], facts: Facts, now: float) -> Admission:
    """What a signal leads to. Pure; the ledger decides once more, atomically, whether the target is still free."""
    name = meant(signal, targets)
    if isinstance(name, Ignore):
        return name
    if name in facts.open_runs:
        return Join(name, facts.open_runs[name])
    if signal.status == "resolved":
        return Ignore(name, "it resolved, and no run is open")
    for start, end in facts.freeze:
        if start <= now < end:
            return Ignore(name, f"changes are frozen for another {end - now:.0f} s")
    target = targets[name]
    ended = facts.last_closed.get(name)
    if ended is not None and signal.kind != "person" and now < ended + target.limits.cooldown:
        return Ignore(name, f"cooling down for another {ended + target.limits.cooldown - now:.0f} s")
    if target.lock:
        busy = [each for each in facts.open_runs if each in targets and targets[each].lock == target.lock]
        if busy:
            return Ignore(name, f"{busy[0]} has an open run and shares the lock {target.lock!r}")
    if len(facts.open_runs) >= facts.most_open:
        return Ignore(name, f"{len(facts.open_runs)} runs are open, and {facts.most_open} may be (limits.open_runs)")
    return Open(name)


def meant(signal: Signal, targets: Mapping[str, Target]) -> str | Ignore:
    """The target that a signal names, or whose labels it carries; the one with most labels wins."""
    if signal.target:
        known = signal.target in targets
        return signal.target if known else Ignore("", f"target {signal.target!r} is not in the policy")
    fitting = [
        target
        for target in targets.values()
        if target.when and all(signal.labels.get(label) == value for label, value in target.when.items())
    ]
    if not fitting:
        return Ignore("", "no target of the policy has these labels in `when`")
    most = max(len(target.when) for target in fitting)
    best = sorted(target.name for target in fitting if len(target.when) == most)
    return (
        best[0] if len(best) == 1 else Ignore("", f"the labels fit {' and '.join(best)} equally; make `when` narrower")
    )
