"""Following one run: its phase in words, its trials, its gates, the watch, until it closes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from console.output import console, plain
from console.telling import about, difference, gate_line, harm, looks_line, phase, progress, so_far, told
from console.wiring import Session
from domain import budget
from domain.errors import Transient
from domain.events import Closed, Measured
from domain.journal import event_of
from domain.ports import Record, RunInfo
from domain.run import replay
from domain.state import Run, apply
from domain.summary import percent

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["follow", "phase", "told", "view"]

_GOOD, _BAD = "green", "red"
_HARM_STEP = 0.5  # user-weighted seconds more that are worth a line


def follow(session: Session, info: RunInfo, interval: float) -> str:
    """Show a run until it is closed; returns its outcome. Rides out a ledger that is away for a while."""
    return _live(session, info, interval) if sys.stdout.isatty() else _lines(session, info, interval)


def _lines(session: Session, info: RunInfo, interval: float) -> str:
    seen, away = 0, False
    lines = Lines()
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
            for text in lines.of(record):
                print(f"{record.time - records[0].time:7.1f} s  {plain(text)}", flush=True)
            if lines.outcome:
                return lines.outcome
        seen = len(records)
        session.pause(interval)


class Lines:
    """The lines of a run, record by record: what happened, how far long phases have come, what it cost users."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.outcome = ""
        self._harm = 0.0
        self._last = ""

    def of(self, record: Record) -> list[str]:
        event = event_of(record)
        if self.run is None:
            self.run = Run.begin(event, record.time)
        else:
            apply(self.run, event, record.time)
        run = self.run
        texts = [told(event, run)]
        if isinstance(event, Measured):
            # Interleaved, every second window completes no pair and would say the same again.
            step = progress(run)
            texts.append(step if step != self._last else "")
            self._last = step or self._last
        spent = budget.spent(run)
        if spent >= self._harm + _HARM_STEP:
            texts.append(harm(run))
            self._harm = spent
        if isinstance(event, Closed):
            self.outcome = event.outcome
        return [text for text in texts if text]


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
    """One picture of a run: head line, phase, harm so far, trials, looks, gates, watch and hold-back."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    minimise = run.target.objective.minimise
    end = records[-1].time if run.closed else max(now, records[-1].time)
    head = Text.assemble((plain(run.opened.run), "bold"), f"   {end - run.began:.0f} s   ", (phase(run), "bold cyan"))
    parts: list[RenderableType] = [head, Text(plain(run.opened.signal.summary), style="dim")]
    if run.trials:
        affordable = run.closed is not None or run.final or budget.affords(run)
        parts.append(Text(harm(run), style="dim" if affordable else "yellow"))
        table = Table(box=None, pad_edge=False, header_style="dim")
        for title in ("trial", "settings against the original", "pairs", "effect", "result"):
            table.add_column(title, justify="right" if title in ("trial", "pairs", "effect") else "left")
        for trial in run.trials:
            effect = "" if trial.effect is None else f"{percent(trial.effect, minimise=minimise):+.1f} %"
            better = trial.effect is not None and trial.effect < 0
            table.add_row(
                str(trial.number),
                Text(difference(run.target.space, run.original, trial.settings)),
                str(len(trial.block.pairs())),
                Text(effect, style=_GOOD if better else ""),
                Text(trial.status, style=_BAD if trial.status in ("aborted", "refused") else ""),
            )
        parts += [Text(""), table]
    looked = looks_line(run)
    if looked:
        parts.append(Text(looked))
    for gate in run.gates:
        parts.append(Text(gate_line(gate, run), style="cyan" if gate.judged is None else ""))
    parts += [Text(line, style=style) for line, style in _after(run)]
    if run.closed is not None:
        good = run.closed.outcome in ("kept", "recovered", "nothing_to_gain")
        parts.append(Text(f"{run.closed.outcome}: {plain(run.closed.reason)}", style=_GOOD if good else "yellow"))
    return Group(*parts)


def _after(run: Run) -> list[tuple[str, str]]:
    """Watch and hold-back, each as a line with its style."""
    lines = []
    if run.watched is not None:
        good = run.watched.confirmed and not run.watched.harmful
        lines.append((f"watch: {plain(run.watched.why)}", "" if good else "yellow"))
    elif run.promoted and run.watching is not None:
        pairs = run.watching.pairs()
        lines.append((f"watch: {about(len(pairs), run)} pairs, {so_far(pairs, run)}", "cyan"))
    if run.held:
        lines.append((f"hold-back: {plain(run.held[-1].why)}", ""))
    elif run.watched is not None and run.holding is not None and run.holding.slots:
        pairs = run.holding.pairs()
        lines.append((f"hold-back: {len(pairs)} pairs, {so_far(pairs, run)}", "cyan"))
    return lines
