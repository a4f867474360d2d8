"""`trimtab report`: write the page of a run again, at any time, from its journal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from console.output import Finding
from console.runs import RunArgument, known
from console.wiring import Session


def report(
    context: typer.Context,
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="File to write, `-` for stdout; else the policy's reports.")] = None,
) -> None:
    """Write the page of a run: one HTML file that needs no network. Prints its path."""
    from adapters.report import render, write_report

    session: Session = context.obj
    info = known(session, run)
    records = session.ledger.read(info.run).records
    if not records:
        raise Finding(f"run {info.run} has no journal; `trimtab audit verify {info.run}` says more")
    try:
        if out is None:
            print(write_report(session.reports, info.run, records))
        elif str(out) == "-":
            sys.stdout.write(render(records))
        else:
            out.write_text(render(records), encoding="utf-8")
            print(out)
    except OSError as error:
        raise Finding(f"cannot write the report: {error}; choose another place with --out FILE") from error
