"""Following one run: its phase in words, its trials, its gate, until it closes."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from console.output import console, plain, value_text
from console.wiring import Session
from domain.errors import Transient
from domain.events import (
    Aborted,
    Advised,
    Applied,
    Applying,
    Calibrated,
    Closed,
    Conflicted,
    Event,
    GateOpened,
    Heard,
    Imaged,
    Judged,
    Measured,
    Opened,
    Promoted,
    Proposed,
    Refused,
    Restored,
    Restoring,
    Screened,
    Watched,
)
from domain.gate import couples, judge
from domain.journal import event_of
from domain.ports import Record, RunInfo
from domain.run import replay
from domain.space import Settings
from domain.state import Gate, Run
from domain.summary import changes, percent, percent_text

if TYPE_CHECKING:
    from rich.console import RenderableType

_GOOD, _BAD = "green", "red"


def follow(session: Session, info: RunInfo, interval: float) -> str:
    """Show a run until it is closed; returns its outcome. Rides out a ledger that is away for a while."""
    return _live(session, info, interval) if sys.stdout.isatty() else _lines(session, info, interval)


def _lines(session: Session, info: RunInfo, interval: float) -> str:
    seen, away = 0, False
    while True:
        try:
            records = session.ledger.read(info.run).records
        except Transient as error:
            if not away:
                print(f"ledger unreachable, still waiting: {plain(error)}", file=sys.stderr, flush=True)
            away = True
            session.pause(interval)
            continue
        away = False
        for record in records[seen:]:
            event = event_of(record)
            text = told(event, minimise=_minimise(records))
            if text:
                print(f"{record.time - records[0].time:7.1f} s  {plain(text)}", flush=True)
            if isinstance(event, Closed):
                return event.outcome
        seen = len(records)
        session.pause(interval)


def _live(session: Session, info: RunInfo, interval: float) -> str:
    from rich.live import Live

    with Live(console=console(), auto_refresh=False, transient=False) as live:
        while True:
            try:
                records = session.ledger.read(info.run).records
            except Transient as error:
                live.console.print(f"ledger unreachable, still waiting: {plain(error)}")
                session.pause(max(interval, 1.0))
                continue
            if records:
                run = replay(records)
                live.update(view(run, records, session.clock.now()), refresh=True)
                if run.closed is not None:
                    return run.closed.outcome
            session.pause(interval)


def view(run: Run, records: tuple[Record, ...], now: float) -> RenderableType:
    """One picture of a run: head line, phase, trials, gates."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    minimise = run.target.objective.minimise
    end = records[-1].time if run.closed else max(now, records[-1].time)
    head = Text.assemble((plain(run.opened.run), "bold"), f"   {end - run.began:.0f} s   ", (phase(run), "bold cyan"))
    parts: list[RenderableType] = [head, Text(plain(run.opened.signal.summary), style="dim")]
    if run.trials:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("trial", "settings against the original", "pairs", "effect", "result"):
            table.add_column(title, justify="right" if title in ("trial", "pairs", "effect") else "left")
        for trial in run.trials:
            effect = "" if trial.effect is None else f"{percent(trial.effect, minimise=minimise):+.1f} %"
            better = trial.effect is not None and trial.effect < 0
            table.add_row(
                str(trial.number),
                Text(difference(run.original, trial.settings)),
                str(len(trial.block.pairs())),
                Text(effect, style=_GOOD if better else ""),
                Text(trial.status, style=_BAD if trial.status in ("aborted", "refused") else ""),
            )
        parts += [Text(""), table]
    for gate in run.gates:
        parts.append(Text(_gate_line(gate, run), style="cyan" if gate.judged is None else ""))
    if run.watched is not None:
        parts.append(Text(f"watch: {plain(run.watched.why)}"))
    if run.closed is not None:
        good = run.closed.outcome in ("kept", "recovered", "nothing_to_gain")
        parts.append(Text(f"{run.closed.outcome}: {plain(run.closed.reason)}", style=_GOOD if good else "yellow"))
    return Group(*parts)


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
    if run.watching is not None:
        if not run.promoted:
            return "bringing the winner to every arm"
        units = len(couples(run.watching.pairs()))
        if run.watched is None:
            return f"watching original against kept: unit {units + 1} of {profile.watch_units}"
        return "putting the kept settings on every arm"
    if run.gate is not None:
        return f"gate {run.gate.opened.gate}: proving trial {run.gate.opened.trial} on fresh pairs"
    if run.trial is not None:
        pair = min(len(run.trial.block.pairs()) + 1, profile.screening_pairs)
        return f"trial {run.trial.number} of at most {run.max_trials}: pair {pair} of {profile.screening_pairs}"
    return "choosing what to try next"


def _gate_line(gate: Gate, run: Run) -> str:
    pairs, need = gate.block.pairs(), 1 / (2 * gate.opened.alpha)
    if gate.judged is not None:
        head, log_e = f"{gate.judged.verdict}: {plain(gate.judged.why)}", gate.judged.log_e
    else:
        whole = pairs[: len(pairs) // 2 * 2]
        calibration = run.calibrated.pairs if run.calibrated else ()
        ruling = judge(whole, calibration, alpha=gate.opened.alpha, uneasy=False, profile=run.profile)
        head, log_e = percent_text(ruling.effect, minimise=run.target.objective.minimise), ruling.log_e
    evidence = f"e-value {math.exp(min(log_e, 25.0)):.1f} of {need:.1f} needed"
    return f"gate {gate.opened.gate} (trial {gate.opened.trial}): {len(pairs)} pairs, {evidence}; {head}"


def difference(before: Settings, after: Settings) -> str:
    """`gzip_comp_level 6 → 1`, or that nothing differs."""
    found = changes(before, after)
    return ", ".join(f"{name} {value_text(c.before)} → {value_text(c.after)}" for name, c in found.items()) or (
        "the original settings"
    )


def told(event: Event, *, minimise: bool = True) -> str:
    """An event in one line of words; empty for those that say nothing to a person."""
    match event:
        case Opened():
            return f"opened: {event.signal.kind}, {event.signal.summary}"
        case Heard():
            return f"heard: {event.kind}, {event.text}"
        case Imaged():
            return "settings in force are read; the way back is prepared"
        case Calibrated():
            return f"identical arms compared: {len(event.pairs)} pairs{f'; {event.fault}' if event.fault else ''}"
        case Proposed():
            settings = ", ".join(f"{name} {value_text(value)}" for name, value in event.settings.items())
            return f"trial {event.trial}: {settings}"
        case Refused():
            return f"refused by the target: {event.reason}"
        case Aborted():
            return f"stopped early: {event.rule}, {event.seen} (limit {event.limit})"
        case Screened():
            return f"trial {event.trial}: {percent_text(event.effect, minimise=minimise)} than the settings in force"
        case GateOpened():
            return f"gate {event.gate}: proving trial {event.trial} on fresh pairs"
        case Judged():
            return f"gate {event.gate}: {event.verdict}, {event.why}"
        case Promoted():
            return "promoted: every arm carries the winner"
        case Watched():
            return f"watched: {event.why}"
        case Restoring():
            return f"restoring the original settings: {event.why}"
        case Restored():
            return f"the original settings are back in force (by the {event.by})"
        case Conflicted():
            return f"arm {event.arm} was changed by somebody else: {event.seen}"
        case Closed():
            return f"closed: {event.outcome}, {event.reason}"
        case Advised() | Applying() | Applied() | Measured():
            return ""


def _minimise(records: tuple[Record, ...]) -> bool:
    return bool(records[0].data["target"]["objective"]["minimise"])
