"""The `trimtab` command."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from console import audit, catalogue, diagnose, history, lint, load, probe, reports, restore, runs, targets
from console.output import Finding, exit_code, one_line, say
from console.wiring import Session
from domain.errors import TrimtabError

EXIT_CODES = """Exit codes: 0 fine, 1 the answer is bad news or it failed, 2 wrong usage, 3 Redis, Prometheus or the
controller cannot be reached, 4 the policy or an argument cannot be right. Data goes to stdout, talk to stderr."""

app = typer.Typer(
    name="trimtab",
    help="Notices a slower service, searches its settings, and keeps only what live measurements prove.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    context: typer.Context,
    policy: Annotated[
        Path | None, typer.Option(envvar="TRIMTAB_POLICY", help="The policy file; ./trimtab.yaml without it.")
    ] = None,
) -> None:
    if context.obj is None:
        context.obj = Session(policy)


app.add_typer(runs.app, name="runs")
app.command("history")(history.history)
app.command("report")(reports.report)
app.add_typer(audit.app, name="audit")
app.add_typer(targets.app, name="targets")
app.add_typer(catalogue.app, name="catalogue")
app.command("diagnose")(diagnose.command)
app.command("lint")(lint.lint)
app.add_typer(load.app, name="load")
app.command("probe")(probe.probe)
app.command("restore")(restore.restore)
app.command("reap")(restore.reap)
if importlib.util.find_spec("console.demo") is not None:
    from console.demo.command import demo

    app.command("demo")(demo)


def main(arguments: Sequence[str] | None = None, session: Session | None = None) -> None:
    """Run one command and leave with its exit code (SystemExit); errors become one line on stderr. Without arguments
    those of the process are taken."""
    try:
        app(arguments, prog_name="trimtab", obj=session)
    except (TrimtabError, Finding) as error:
        say(one_line(error))
        sys.exit(exit_code(error))
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep the interpreter from complaining at exit.
        sys.stdout = None
        sys.exit(1)


if __name__ == "__main__":
    main()
