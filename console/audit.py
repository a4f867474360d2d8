"""`trimtab audit`: do the journals still say what was written, and take them along."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from console.output import Column, Finding, Format, FormatOption, listing, say
from console.runs import ALL, known
from console.wiring import Session
from domain.errors import Corrupt
from domain.journal import dump, event_of, verify
from domain.ports import Json, RunInfo

app = typer.Typer(no_args_is_help=True, help="Check the hash chains of all journals, or export them.")

COLUMNS = (
    Column("run", "run"),
    Column("target", "target"),
    Column("records", "records", right=True),
    Column("intact", "intact", lambda intact: "yes" if intact else "NO"),
    Column("record", "broken at", right=True),
    Column("finding", "finding"),
    Column("last_hash", "last hash", table=False),
)


@app.command("verify")
def verify_command(
    context: typer.Context,
    run: Annotated[str | None, typer.Argument(help="One run; all runs and ignored lists without it.")] = None,
    form: FormatOption = Format.table,
) -> None:
    """Recompute every hash. Exit code 1 names the run and the record of a broken chain."""
    session: Session = context.obj
    infos = [known(session, run)] if run is not None else list(session.ledger.runs(limit=ALL))
    rows = [check(session, info) for info in infos]
    if run is None:
        rows += [row for target in _targets(session, infos) if (row := _ignored(session, target)) is not None]
    listing(rows, COLUMNS, form, empty="no journals yet")
    broken = [row for row in rows if not row["intact"]]
    for row in broken:
        say(f"trimtab: {row['finding']}")
    if broken:
        raise Finding(f"{len(broken)} of {len(rows)} chains are broken; compare with an export or a backup of Redis")
    say(f"{len(rows)} chains intact, {sum(row['records'] for row in rows)} records")


@app.command()
def export(
    context: typer.Context,
    run: Annotated[str | None, typer.Argument(help="The run to export.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Export every run, oldest first.")] = False,
) -> None:
    """Print journals as JSON Lines, one record a line; with --all each line also names its run."""
    session: Session = context.obj
    if (run is None) == (not everything):
        raise typer.BadParameter("name one RUN, or say --all")
    if run is not None:
        for record in session.ledger.read(known(session, run).run).records:
            print(dump(record))
        return
    for info in reversed(session.ledger.runs(limit=ALL)):
        for record in session.ledger.read(info.run).records:
            print(f'{{"run":{json.dumps(info.run)},"record":{dump(record)}}}')


def check(session: Session, info: RunInfo) -> Json:
    """One run's row: every hash, every event, and the index against the journal's end."""
    row: Json = {"run": info.run, "target": info.target, "records": 0, "intact": False, "record": None, "finding": ""}
    try:
        records = session.ledger.read(info.run).records
        row["records"], row["last_hash"] = len(records), records[-1].hash if records else None
        verify(info.run, records)
        _ends_well(info, [record.kind for record in records])
        for record in records:
            try:
                event_of(record)
            except ValueError as error:
                raise Corrupt(info.run, record.seq, str(error)) from error
    except Corrupt as broken:
        row["record"], row["finding"] = broken.seq, str(broken)
        return row
    except ValueError as error:
        row["finding"] = f"journal of run {info.run} cannot be read: {error}"
        return row
    row["intact"] = True
    return row


def _ends_well(info: RunInfo, kinds: Sequence[str]) -> None:
    """A chain cut at its end still fits together, so the index must agree with the last record."""
    if not kinds or kinds[0] != "Opened":
        raise Corrupt(info.run, 0, "it does not begin with Opened")
    if info.outcome and kinds[-1] != "Closed":
        raise Corrupt(info.run, len(kinds), f"the run closed as {info.outcome}, but the record Closed is missing")
    if not info.outcome and kinds[-1] == "Closed":
        raise Corrupt(info.run, len(kinds) - 1, "it says Closed, but the run is still indexed as open")


def _targets(session: Session, infos: Sequence[RunInfo]) -> list[str]:
    return sorted({target.name for target in session.targets} | {info.target for info in infos})


def _ignored(session: Session, target: str) -> Json | None:
    """The row of one target's list of ignored signals, which the ledger checks as it reads; None if it is empty."""
    row: Json = {"run": f"ignored:{target}", "target": target, "records": 0, "intact": True, "record": None}
    try:
        entries = session.ledger.ignored(target)
    except Corrupt as broken:
        finding = f"ignored signals of {target} are broken at entry {broken.seq}: {broken.reason}"
        return {**row, "intact": False, "record": broken.seq, "finding": finding}
    return {**row, "records": len(entries), "finding": "", "last_hash": entries[-1].get("hash")} if entries else None
