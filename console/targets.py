"""`trimtab targets`: what may be tuned, and whether it can be measured."""

from __future__ import annotations

from typing import Annotated

import typer

from console.output import Column, Finding, Format, FormatOption, listing, say
from console.wiring import Session
from domain.codec import to_json
from domain.errors import Transient
from domain.ports import Json
from domain.target import Target

app = typer.Typer(no_args_is_help=True, help="List the targets of the policy, and check them.")

COLUMNS = (
    Column("target", "target"),
    Column("mode", "mode"),
    Column("actuator", "actuator"),
    Column("arms", "arms", ", ".join),
    Column("design", "design"),
    Column("profile", "profile"),
    Column("strategy", "strategy"),
    Column("parameters", "parameters", lambda names: str(len(names)), right=True),
    Column("guardrails", "guardrails", lambda names: str(len(names)), right=True),
    Column("open_run", "open run"),
    Column("last_outcome", "last outcome"),
)
CHECK_COLUMNS = (
    Column("target", "target"),
    Column("level", ""),
    Column("what", "check"),
    Column("seen", "seen"),
    Column("do", "what to do"),
)


@app.command("list")
def list_targets(context: typer.Context, form: FormatOption = Format.table) -> None:
    """Targets of the policy, with their open and last runs where the ledger answers."""
    session: Session = context.obj
    rows, away = [], ""
    for target in session.targets:
        row = _row(target)
        if not away:
            try:
                closed = [info for info in session.ledger.runs(target=target.name, limit=2) if info.outcome]
                row["open_run"] = session.ledger.open_run(target.name)
                row["last_outcome"] = closed[0].outcome if closed else None
            except Transient as error:
                away = str(error)
        rows.append(row)
    listing(rows, COLUMNS, form, empty="the policy names no targets")
    if away:
        say(f"open runs are unknown, as the ledger does not answer: {away}")


@app.command()
def check(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[TARGET]", help="One target; all of them without it.")] = "",
    form: FormatOption = Format.table,
) -> None:
    """Can the targets be measured and written? Exit code 1 if a check fails; warnings do not forbid tuning."""
    from adapters.checks import check_target

    session: Session = context.obj
    chosen = (session.target(name),) if name else session.targets
    rows: list[Json] = []
    for target in chosen:
        arms = session.actuators(target)
        stage, now = session.stage(target), session.clock.now()
        allowance = stage.survey() if stage is not None else None
        for found in check_target(target, session.prometheus, arms, now, session.reverted(target), allowance):
            rows.append({"target": target.name, **to_json(found)})
    listing(rows, CHECK_COLUMNS, form)
    failed = [row for row in rows if row["level"] == "fail"]
    if failed:
        raise Finding(f"{len(failed)} of {len(rows)} checks failed")


def _row(target: Target) -> Json:
    return {
        "target": target.name,
        "mode": target.mode,
        "actuator": target.actuator,
        "arms": [arm.label for arm in target.arms],
        "design": target.design,
        "profile": target.profile.name,
        "strategy": target.strategy,
        "parameters": [parameter.name for parameter in target.space.parameters],
        "guardrails": [guardrail.name for guardrail in target.guardrails],
        "open_run": None,
        "last_outcome": None,
    }
