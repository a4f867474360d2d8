"""`trimtab history`: every run with its signal, settings before and after, effect, verdicts and hashes."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from console.output import (
    Column,
    Format,
    FormatOption,
    listing,
    plain,
    say,
    settings_text,
    short_time,
    value_text,
    when,
)
from console.wiring import Session
from domain.codec import to_json
from domain.errors import Corrupt, Misconfigured
from domain.ports import Json, RunInfo
from domain.summary import Summary, percent, summarise

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _signed(value: float) -> str:
    return f"{value:+.1f} %"


def _changed(changed: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value_text(each['before'])} → {value_text(each['after'])}" for name, each in changed.items()
    )


COLUMNS = (
    Column("run", "run"),
    Column("target", "target"),
    Column("opened", "opened (UTC)", short_time),
    Column("closed", "closed", table=False),
    Column("seconds", "seconds", lambda value: f"{value:.0f}", right=True),
    Column("signal", "signal", lambda signal: signal["kind"]),
    Column("outcome", "outcome", lambda value: value or "open"),
    Column("reason", "reason", table=False),
    Column("diagnosis", "diagnosis", table=False),
    Column("trials", "trials", right=True),
    Column("windows", "windows", table=False),
    Column("verdicts", "gates", ", ".join),
    Column("gates", "gates", table=False),
    Column("effect_percent", "effect", _signed, right=True),
    Column("interval_percent", "interval", lambda ends: " to ".join("open" if e is None else _signed(e) for e in ends)),
    Column("effect", "effect (log)", table=False),
    Column("interval", "interval (log)", table=False),
    Column("changed", "changed", _changed),
    Column("settings_before", "before", settings_text, table=False),
    Column("arms_before", "arms before", table=False),
    Column("settings_after", "after", settings_text, table=False),
    Column("proposed", "proposed", settings_text, table=False),
    Column("patch", "patch", table=False),
    Column("allowance", "allowance", table=False),
    Column("mode", "mode", table=False),
    Column("strategy", "strategy", table=False),
    Column("profile", "profile", table=False),
    Column("seed", "seed", table=False),
    Column("records", "records", table=False),
    Column("first_hash", "first hash", table=False),
    Column("last_hash", "last hash", table=False),
    Column("hashes", "hashes", table=False),
)


def history(
    context: typer.Context,
    target: Annotated[str | None, typer.Option(help="Only runs of this target.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only runs that closed like this, such as kept.")] = None,
    since: Annotated[str | None, typer.Option(help="Only runs opened since: 90m, 24h, 7d, or 2026-11-24.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many runs, newest first.")] = 20,
    form: FormatOption = Format.table,
) -> None:
    """What was tried, and what came of it."""
    session: Session = context.obj
    started = None if since is None else moment(since, session.clock.now())
    found = session.ledger.runs(target=target, outcome=outcome, since=started, limit=limit)
    rows = [row_of(_summary(session, info)) for info in found]
    listing(rows, COLUMNS, form, empty="no runs yet; `trimtab runs start TARGET` starts one")


def _summary(session: Session, info: RunInfo) -> Summary:
    """A broken journal costs its own line its content, not the others theirs."""
    try:
        return summarise(info, session.ledger.read(info.run).records)
    except Corrupt as broken:
        say(f"{broken}; `trimtab audit verify` checks all of them")
        return replace(summarise(info, ()), reason=str(broken))


def row_of(summary: Summary) -> Json:
    """A summary as plain JSON: times in ISO 8601, effects as log differences and in percent of the objective."""
    row: Json = to_json(summary)
    ends = [None if end is None else round(percent(end, minimise=summary.minimise), 3) for end in summary.interval]
    measured = summary.effect is not None
    return {
        **row,
        "opened": when(summary.opened),
        "closed": when(summary.closed),
        "seconds": None if summary.seconds is None else round(summary.seconds, 3),
        "verdicts": [gate.verdict or "open" for gate in summary.gates],
        "effect_percent": None
        if summary.effect is None
        else round(percent(summary.effect, minimise=summary.minimise), 3),
        "interval_percent": (ends if summary.minimise else ends[::-1]) if measured else None,
        "interval": row["interval"] if measured else None,
    }


def moment(text: str, now: float) -> float:
    """Unix seconds of `7d` (ago) or of an ISO date or time (UTC unless it says otherwise)."""
    span = _SPAN.fullmatch(text.strip())
    if span is not None:
        return now - float(span[1]) * _SECONDS[span[2]]
    try:
        parsed = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Misconfigured(
            f"--since {plain(text)!r} is no time; write 90m, 24h, 7d, 2026-11-24 or 2026-11-24T14:15"
        ) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
