"""`trimtab demo`: a real service gets slower, and Trimtab finds out, tunes, proves, keeps and tells."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import Misconfigured

WAYS = ("alert", "watcher")


def demo(
    scenario: Annotated[
        str, typer.Option(help="what gets slower: nginx, postgresql, ...; null: nginx, and nothing that helps is open")
    ] = "nginx",
    allow_restart: Annotated[bool, typer.Option(help="let settings be searched that need a restart")] = False,
    via: Annotated[str, typer.Option(help="what starts the run: the alert, or our own watcher")] = "alert",
    chaos: Annotated[
        str, typer.Option(help="kill one in the middle of a trial: worker, controller, redis, redis-gone, prometheus")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="of the load's arrivals and of the search")] = 1,
    strategy: Annotated[str, typer.Option(help="what proposes trials: bayesian, random")] = "bayesian",
    directory: Annotated[
        Path | None, typer.Option("--dir", help="where everything is put (default: a new one here)")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the result here")] = None,
    keep_running: Annotated[bool, typer.Option(help="leave everything up afterwards, for looking around")] = False,
) -> None:
    """A real service gets slower; watch it being tuned, proven and recorded. About six minutes."""
    from console.demo.chaos import VICTIMS
    from console.demo.scenarios.registry import SCENARIOS
    from console.demo.show import Show
    from console.demo.stage import Stage
    from optimizers.factory import STRATEGIES

    _known("--scenario", scenario, tuple(SCENARIOS))
    _known("--via", via, WAYS)
    _known("--strategy", strategy, STRATEGIES)
    if chaos:
        _known("--chaos", chaos, VICTIMS)
    where = (directory or Path(f"trimtab-demo-{time.strftime('%H%M%S')}")).absolute()
    if where.exists() and any(where.iterdir()):
        raise Misconfigured(f"--dir {where} is not empty; name a new directory")
    show = Show(Stage(where, SCENARIOS[scenario](allow_restart=allow_restart), strategy, seed, via), chaos)
    result: dict[str, Any] = {}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what it started, as by Ctrl-C
    try:
        result = show.run()
        if json_file is not None:
            json_file.write_text(json.dumps(result, indent=2) + "\n")
        if keep_running:
            show.linger()
    except KeyboardInterrupt:
        show.say("stopped by hand: the original settings come back, then everything ends")
        show.restore_unless_closed()
        raise typer.Exit(130) from None
    except BaseException:
        show.restore_unless_closed()
        raise
    finally:
        show.stop()
    raise typer.Exit(0 if show.as_promised(result) else 1)


def _known(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise typer.BadParameter(f"{value!r} is unknown; known: {', '.join(known)}", param_hint=option)
