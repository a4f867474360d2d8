"""`trimtab probe`: how noisy is this machine, and which effects can be seen on it?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.output import Column, Finding, Format, FormatOption, listing, say
from domain.codec import to_json

COLUMNS = (
    Column("name", "probe"),
    Column("value", "value", lambda value: f"{value:.4g}", right=True),
    Column("unit", "unit"),
    Column("spread", "varies by", lambda share: f"{100 * share:.2g} %", right=True),
    Column("verdict", "verdict"),
    Column("how", "how"),
)


def probe(
    only: Annotated[str, typer.Option(help="Some of: neighbours,cpu,memory,disk,network.")] = "",
    path: Annotated[Path, typer.Option(help="A directory on the volume that counts.")] = Path("."),
    peer: Annotated[
        str, typer.Option(help="The other end of the network: it is pinged, and asked for iperf3 -s.")
    ] = "",
    cgroup: Annotated[
        list[Path] | None, typer.Option(help="Probe CPU in this control group too, memory only there; may be repeated.")
    ] = None,
    form: FormatOption = Format.table,
) -> None:
    """Measure this machine's noise before a trial does: at most five seconds a probe, nothing stays behind."""
    from adapters.probes.registry import Where, run_all

    names = [name.strip() for name in only.split(",") if name.strip()]
    rows = []
    for found in run_all(names, Where(path, peer, tuple(cgroup or ()))):
        rows.append(to_json(found))
        say(f"{found.name}: {found.verdict}")
    listing(rows, COLUMNS, form)
    if all(row["value"] is None for row in rows):
        raise Finding("nothing could be measured")
