"""A run in words: its phase, its events, and how far it has come."""

from __future__ import annotations

import math

from console.output import plain, value_text
from domain import budget, keeping
from domain.allowance import Allowance
from domain.attribution import LOOK_SLOTS, halfway
from domain.block import Gate
from domain.estimate import interval, of_pairs
from domain.events import (
    Aborted,
    Adopted,
    Adopting,
    Advised,
    Applied,
    Applying,
    Calibrated,
    Closed,
    Conflicted,
    Diagnosed,
    Event,
    GateOpened,
    Heard,
    HeldBack,
    Imaged,
    Judged,
    Looked,
    Looking,
    Measured,
    Opened,
    Prepared,
    Preparing,
    Promoted,
    Proposed,
    Refused,
    Restored,
    Restoring,
    Sampled,
    Screened,
    Surveyed,
    Watched,
)
from domain.evidence import Pair
from domain.space import SearchSpace, Settings
from domain.state import Run
from domain.summary import changes, interval_text, percent_text

EVERY_PAIRS = 5  # pairs of a long phase between two lines


def phase(run: Run) -> str:
    """What the run does right now, in words."""
    profile = run.profile
    if run.closed is not None:
        return f"closed: {run.closed.outcome}"
    if run.conflict is not None:
        return "stopped: somebody else changed the target"
    if run.restored is not None or run.restoring is not None:
        return "restoring the original settings"
    if run.before is None:
        return "reading the settings in force"
    if run.calibrated is None:
        return "comparing identical arms"
    if run.final:
        return _final(run)
    if run.look is not None:
        slot = min(len(run.look.slots) + 1, LOOK_SLOTS)
        return f"looking at the original settings on every arm: window {slot} of {LOOK_SLOTS}"
    if run.gate is not None:
        pair = len(run.gate.block.pairs()) + 1
        return f"gate {run.gate.opened.gate}: proving trial {run.gate.opened.trial} on fresh pairs, pair {pair}"
    if run.trial is not None:
        pair = min(len(run.trial.block.pairs()) + 1, profile.screening_pairs)
        return f"trial {run.trial.number} of at most {run.max_trials}: pair {pair} of {profile.screening_pairs}"
    return "choosing what to try next"


def _final(run: Run) -> str:
    """Promotion, watch and hold-back."""
    if run.watched is None:
        if not run.promoted:
            counts = keeping.steps(len(run.target.arms))
            count = counts[min(run.steps, len(counts) - 1)]
            return (
                f"bringing the winner to {count} of {len(run.target.arms)} arms: step {run.steps + 1} of {len(counts)}"
            )
        pair = len(run.watching.pairs()) + 1 if run.watching is not None else 1
        return f"watching original against kept: pair {about(pair, run)}"
    if run.watched.harmful or not run.watched.confirmed or (run.held and run.held[-1].harmful):
        return "taking the new settings back"
    if run.holding is not None and run.holding.slots and not run.held:
        hours = run.profile.hold_back / 3600
        return (
            f"hold-back for {hours:.1f} h: original against kept now and then, {len(run.holding.pairs())} pairs so far"
        )
    return "putting the kept settings on every arm"


def harm(run: Run) -> str:
    """What the trials have cost their users so far."""
    return f"harm so far: {budget.spent(run):.1f} of {run.target.limits.harm:.0f} user-weighted s"


def progress(run: Run) -> str:
    """How far a long phase has come, after each few pairs; empty in between."""
    if run.gate is not None:
        pairs = run.gate.block.pairs()
        return gate_line(run.gate, run) if pairs and len(pairs) % EVERY_PAIRS == 0 else ""
    if run.promoted and run.watched is None and run.watching is not None:
        pairs = run.watching.pairs()
        if pairs and len(pairs) % EVERY_PAIRS == 0:
            return f"watch: pair {about(len(pairs), run)}, {so_far(pairs, run)}"
    if run.watched is not None and run.holding is not None and not run.held:
        pairs = run.holding.pairs()
        if pairs and len(pairs) % EVERY_PAIRS == 0:
            return f"hold-back: {len(pairs)} pairs, {so_far(pairs, run)}"
    return ""


def about(pair: int, run: Run) -> str:
    """How far the watch is: it wants more pairs after a slow one."""
    return f"{pair} of about {max(pair, keeping.watch_needs(run))}"


def so_far(pairs: list[Pair], run: Run) -> str:
    """What pairs say until now."""
    seen, minimise = of_pairs(pairs), run.target.objective.minimise
    bounds = interval(seen, run.profile.alpha)
    return (
        f"{percent_text(seen.mean if seen else None, minimise=minimise)} ({interval_text(bounds, minimise=minimise)})"
    )


def gate_line(gate: Gate, run: Run) -> str:
    """One gate: pairs, evidence, and its verdict or what it shows so far."""
    pairs, need, minimise = gate.block.pairs(), 1 / (2 * gate.opened.alpha), run.target.objective.minimise
    if gate.judged is not None:
        head, log_e = f"{gate.judged.verdict}: {plain(gate.judged.why)}", gate.judged.log_e
    else:
        ruling = keeping.ruling_of(run, gate)
        head = f"{percent_text(ruling.effect, minimise=minimise)} ({interval_text(ruling.interval, minimise=minimise)})"
        log_e = ruling.log_e
    evidence = f"e-value {math.exp(min(log_e, 25.0)):.1f} of {need:.1f} needed"
    return f"gate {gate.opened.gate} (trial {gate.opened.trial}): {len(pairs)} pairs, {evidence}; {head}"


def looks_line(run: Run) -> str:
    """What the looks at the original have shown; empty before the first."""
    middle = halfway(run)
    if not run.looks or middle is None:
        return ""
    found = "it recovered by itself" if run.recovered is not None else "not recovered by itself"
    times = "once" if len(run.looks) == 1 else f"{len(run.looks)} times"
    return f"the original was looked at {times}: {found}"


def differences(space: SearchSpace, before: Settings, after: Settings) -> list[str]:
    """Each setting that differs: `pg.work_mem 4 MiB → 16 MiB`."""
    units = {parameter.name: parameter.unit for parameter in space.parameters}
    return [
        f"{name} {value_text(change.before, units.get(name, ''))} → {value_text(change.after, units.get(name, ''))}"
        for name, change in changes(before, after).items()
    ]


def difference(space: SearchSpace, before: Settings, after: Settings) -> str:
    """`gzip_comp_level 6 → 1, pg.work_mem 4 MiB → 16 MiB`, or that nothing differs."""
    return ", ".join(differences(space, before, after)) or "the original settings"


def surveyed(allowance: Allowance) -> str:
    """What the place of a workload allows, in one line."""
    if allowance.refusal:
        return f"cannot be tuned here: {allowance.refusal}"
    parts = [f"{name} within {each.low:g} to {each.high:g} ({each.reason})" for name, each in allowance.bounds.items()]
    parts += [f"{name} stays as it is ({why})" for name, why in allowance.frozen.items()]
    parts += [f"{name} will only be proposed ({why})" for name, why in allowance.advised.items()]
    return f"what the place allows: {'; '.join([*parts, *allowance.notes]) or 'all that was asked for'}"


def told(event: Event, run: Run) -> str:
    """An event of the run in one line of words; empty for those that say nothing to a person."""
    minimise = run.target.objective.minimise
    match event:
        case Opened():
            return f"opened: {event.signal.kind}, {event.signal.summary}"
        case Heard():
            return f"heard: {event.kind}, {event.text}"
        case Imaged():
            return "settings in force are read; the way back is prepared"
        case Calibrated():
            return f"identical arms compared: {len(event.pairs)} pairs{f'; {event.fault}' if event.fault else ''}"
        case Diagnosed():
            evidence = "; ".join((event.headline, *event.evidence))
            return f"diagnosis: {evidence}{f'; not tuned: {event.refusal}' if event.refusal else ''}"
        case Proposed():
            changed = difference(run.target.space, run.original, event.settings)
            return f"trial {event.trial}: {changed}{f' ({event.why})' if event.why else ''}"
        case Refused():
            return f"refused by the target: {event.reason}"
        case Aborted():
            return f"stopped early: {event.rule}, {event.seen} (limit {event.limit})"
        case Screened():
            pairs = f"{event.pairs} {'pair' if event.pairs == 1 else 'pairs'}"
            effect = percent_text(event.effect, minimise=minimise)
            return f"trial {event.trial}: {effect} than the settings in force, {pairs}"
        case Looking():
            return f"looking at the original settings on every arm: {event.why}"
        case Looked():
            if event.level is None or event.recovered:
                return f"looked: {event.why}"
            # Not recovered may be as slow as ever, or close to healthy and not proven yet; the level tells which.
            return f"looked: the objective is {event.level if minimise else 1 / event.level:.4g}, not proven to be back"
        case GateOpened():
            return f"gate {event.gate}: proving trial {event.trial} on fresh pairs"
        case Judged():
            return f"gate {event.gate}: {event.verdict} after {event.units} pairs, {event.why}"
        case Promoted():
            if event.everywhere:
                return "promoted: every arm carries the winner"
            return f"promoted to {event.arms} {'arm' if event.arms == 1 else 'arms'}, and no harm was seen there"
        case Watched():
            found = "harmful" if event.harmful else "confirmed" if event.confirmed else "not confirmed"
            return f"watched, {event.units} pairs: {found}; {event.why}"
        case HeldBack():
            return f"held back, {event.pairs} pairs: {event.why}"
        case Restoring():
            return f"restoring the original settings: {event.why}"
        case Restored():
            return f"the original settings are back in force (by the {event.by})"
        case Conflicted():
            return f"arm {event.arm} was changed by somebody else: {event.seen}"
        case Closed():
            return f"closed: {event.outcome}, {event.reason}"
        case Surveyed():
            return surveyed(event.allowance)
        case Prepared():
            return f"the arms did not come up: {event.fault}" if event.fault else "the arms of this run serve"
        case Adopting():
            return f"the workload takes on {difference(run.target.space, run.original, event.settings)}"
        case Adopted():
            if event.fault:
                return f"the workload did not come up with them and is back: {event.fault}"
            proposed = f"; proposed, not applied: {', '.join(sorted(event.proposed))}" if event.proposed else ""
            return f"{'the workload carries the winner' if event.settings else 'nothing was applied'}{proposed}"
        case Sampled() | Advised() | Applying() | Applied() | Measured() | Preparing():
            return ""
