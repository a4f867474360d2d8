"""`trimtab runs`: list, show, watch, start and stop runs."""

from __future__ import annotations

import getpass
import uuid
from typing import Annotated, Any

import typer

from console.history import COLUMNS as HISTORY_COLUMNS
from console.history import row_of
from console.output import (
    Column,
    Finding,
    Format,
    FormatOption,
    console,
    listing,
    print_json,
    say,
    settings_text,
    short_time,
    value_text,
    when,
)
from console.watch import follow
from console.wiring import Session
from domain.block import Trial
from domain.errors import Transient
from domain.ports import Json, RunInfo
from domain.run import replay
from domain.signal import Signal
from domain.state import Run
from domain.summary import Summary, interval_text, percent, percent_text, summarise

app = typer.Typer(no_args_is_help=True, help="List, show, watch, start and stop runs.")

ALL = 1_000_000  # runs; a ledger answers with what it has
POLL_SECONDS = 0.25
START_SECONDS = 10.0

COLUMNS = (
    Column("run", "run"),
    Column("target", "target"),
    Column("opened", "opened (UTC)", short_time),
    Column("closed", "closed (UTC)", short_time),
    Column("outcome", "outcome", lambda value: value or "open"),
)
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or `last`.")]


@app.command("list")
def list_runs(
    context: typer.Context,
    target: Annotated[str | None, typer.Option(help="Only runs of this target.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only runs that closed like this, such as kept.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many runs, newest first.")] = 20,
    form: FormatOption = Format.table,
) -> None:
    """Runs, newest first."""
    session: Session = context.obj
    rows: list[Json] = [
        {
            "run": info.run,
            "target": info.target,
            "opened": when(info.opened),
            "closed": when(info.closed),
            "outcome": info.outcome,
        }
        for info in session.ledger.runs(target=target, outcome=outcome, limit=limit)
    ]
    listing(rows, COLUMNS, form, empty="no runs yet; `trimtab runs start TARGET` starts one")


@app.command()
def show(context: typer.Context, run: RunArgument, form: FormatOption = Format.table) -> None:
    """One run: what was noticed, tried and decided."""
    session: Session = context.obj
    info = known(session, run)
    records = session.ledger.read(info.run).records
    summary = summarise(info, records)
    state = replay(records) if records else None
    trials = [trial_row(trial, state, summary) for trial in state.trials] if state is not None else []
    if form is Format.json:
        print_json({**row_of(summary), "trial_list": trials})
    elif form is Format.csv:
        listing([row_of(summary)], HISTORY_COLUMNS, form)
    else:
        _show(summary, trials)


@app.command()
def watch(
    context: typer.Context,
    run: RunArgument,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 0.5,
) -> None:
    """Follow a run until it closes: live on a terminal, plain lines elsewhere. Exit code 1 if it failed."""
    session: Session = context.obj
    outcome = follow(session, known(session, run), interval)
    if outcome in ("failed", "conflict"):
        raise Finding(f"run closed with {outcome}; `trimtab runs show {run}` says why")


@app.command()
def start(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="A target of the policy.")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the journal.")] = "started by hand",
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the run's id.")] = START_SECONDS,
) -> None:
    """Ask the controller to open a run; prints its id on stdout once it exists."""
    session: Session = context.obj
    chosen = session.target(target)
    if chosen.mode == "observe":
        say(f"{target} is in mode observe: the run measures and advises, and writes nothing")
    signal = Signal(
        id=f"person-{uuid.uuid4().hex[:12]}",
        kind="person",
        status="firing",
        at=session.clock.now(),
        summary=f"{reason} ({_user()})",
        target=target,
    )
    session.ledger.submit(signal)
    say(f"signal {signal.id} is queued; waiting for the controller")
    print(_opened_by(session, signal, wait))


@app.command()
def stop(
    context: typer.Context,
    run: RunArgument,
    reason: Annotated[str, typer.Option(help="Why; it stands in the journal.")] = "stopped by hand",
) -> None:
    """Ask an open run to stop: it restores the original settings and closes."""
    session: Session = context.obj
    info = known(session, run)
    message = {"kind": "stop", "text": f"{reason} ({_user()})"}
    if not session.ledger.hear(info.run, message, session.clock.now()):
        raise Finding(f"run {info.run} is not open; it closed with {info.outcome or 'an unknown outcome'}")
    say(f"{info.run} will restore the original settings and close; `trimtab runs watch {info.run}` follows it")


def known(session: Session, run: str) -> RunInfo:
    """The index entry of a run, by id or `last`."""
    infos = session.ledger.runs(limit=1 if run == "last" else ALL)
    for info in infos:
        if run in ("last", info.run):
            return info
    if run == "last":
        raise Finding("there are no runs yet")
    raise Finding(f"no run {run!r}; `trimtab runs list` shows the known ones")


def trial_row(trial: Trial, run: Run | None, summary: Summary) -> Json:
    """One trial as plain JSON."""
    before = run.original if run is not None else {}
    sd = trial.variance**0.5 if trial.variance is not None else None
    return {
        "trial": trial.number,
        "settings": dict(trial.settings),
        "changed": {
            name: value
            for name, value in trial.settings.items()
            if type(before.get(name)) is not type(value) or before.get(name) != value
        },
        "result": trial.status,
        "pairs": len(trial.block.pairs()),
        "effect": trial.effect,
        "sd": sd,
        "effect_percent": None if trial.effect is None else round(percent(trial.effect, minimise=summary.minimise), 3),
    }


def _show(summary: Summary, trials: list[Json]) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for name, text in _facts(summary):
        facts.add_row(name, value_text(text))
    out.print(Text(summary.run, style="bold"))
    out.print(facts)
    rows: list[Json] = [{**row, "changed": settings_text(row["changed"]) or "the original settings"} for row in trials]
    if rows:
        out.print()
        listing(rows, TRIAL_COLUMNS, Format.table)


TRIAL_COLUMNS = (
    Column("trial", "trial", right=True),
    Column("changed", "settings against the original"),
    Column("result", "result"),
    Column("pairs", "pairs", right=True),
    Column("effect_percent", "effect", lambda value: f"{value:+.1f} %", right=True),
)


def _facts(summary: Summary) -> list[tuple[str, str]]:
    signal = summary.signal
    facts = [
        ("target", f"{summary.target} (mode {summary.mode or 'unknown'})"),
        ("noticed", f"{signal.kind}: {signal.summary}" if signal else "not journaled yet"),
        ("opened", f"{short_time(when(summary.opened))} UTC"),
        ("outcome", f"{summary.outcome}: {summary.reason}" if summary.outcome else "open"),
    ]
    if summary.diagnosis is not None:
        facts.append(("diagnosis", "; ".join((summary.diagnosis.headline, *summary.diagnosis.evidence))))
    if summary.seconds is not None:
        facts.append(("took", f"{summary.seconds:.0f} s, {summary.trials} trials, {summary.windows} windows"))
    for gate in summary.gates:
        effect = percent_text(gate.effect, minimise=summary.minimise)
        facts.append((f"gate {gate.gate}", f"trial {gate.trial}, {gate.verdict or 'open'}: {gate.why or effect}"))
    if summary.effect is not None:
        spread = interval_text(summary.interval, minimise=summary.minimise)
        facts.append(("effect", f"{percent_text(summary.effect, minimise=summary.minimise)} ({spread})"))
    for name, change in summary.changed.items():
        facts.append((name, f"{value_text(change.before)} → {value_text(change.after)}"))
    if summary.outcome and summary.settings_after and not summary.changed:
        facts.append(("settings", "as they were before the run"))
    facts.append(("made with", f"strategy {summary.strategy}, seed {summary.seed}, profile {summary.profile}"))
    facts.append(("journal", f"{summary.records} records, last hash {summary.last_hash}"))
    return facts


def _opened_by(session: Session, signal: Signal, wait: float) -> str:
    """The run that took up the signal. Raises Finding if it was ignored, Transient if nobody took it up in time."""
    until = session.clock.now() + wait
    while True:
        run = session.ledger.open_run(signal.target)
        if run is not None:
            journal = session.ledger.read(run)
            if journal.records and journal.records[0].data["signal"]["id"] == signal.id:
                return run
            if _mentions([record.data for record in journal.records if record.kind == "Heard"], signal) or _mentions(
                journal.inbox, signal
            ):
                say(f"{signal.target} already has an open run; the signal joined its inbox")
                return run
        for entry in session.ledger.ignored(signal.target):
            if _mentions([entry], signal):
                raise Finding(f"the controller ignored it: {entry.get('reason', 'no reason given')}")
        for info in session.ledger.runs(target=signal.target, since=signal.at - 1, limit=5):
            records = session.ledger.read(info.run).records
            if records and records[0].data["signal"]["id"] == signal.id:
                return info.run
        if session.clock.now() >= until:
            raise Transient(
                f"no controller took up the signal within {wait:g} s; it stays queued. "
                "Is `python -m controller` running with the same Redis?"
            )
        session.pause(POLL_SECONDS)


def _mentions(messages: Any, signal: Signal) -> bool:
    return any(signal.id in str(message) or signal.summary in str(message) for message in messages)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown user"
