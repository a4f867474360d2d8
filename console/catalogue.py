"""`trimtab catalogue`: what may be searched on a machine of a given size, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from console.output import Column, Finding, Format, FormatOption, listing, print_json, say
from domain.errors import Misconfigured
from domain.formula import Scalar
from domain.ports import Json
from domain.space import Value

if TYPE_CHECKING:
    from adapters.catalogue_data import Entry

app = typer.Typer(no_args_is_help=True, help="The parameters that Trimtab knows: list them, explain them, check them.")

COLUMNS = (
    Column("id", "parameter"),
    Column("name", "in the target"),
    Column("family", "family", table=False),
    Column("policy", "policy"),
    Column("apply", "apply"),
    Column("scope", "scope"),
    Column("type", "type"),
    Column("unit", "unit"),
    Column("risk", "risk", ", ".join),
    Column("affects", "affects"),
    Column("since", "since", table=False),
    Column("presets", "presets", ", ".join, table=False),
)
CHECK_COLUMNS = (
    Column("preset", "preset"),
    Column("level", ""),
    Column("what", "what"),
    Column("why", "why"),
)

MemOption = Annotated[str, typer.Option("--mem", help="Memory limit of the container: 2Gi, 512Mi.")]
CpuOption = Annotated[float | None, typer.Option("--cpu", min=0.01, help="CPU limit of the container, in cores.")]
VersionOption = Annotated[str, typer.Option("--version", help="Version of the tuned program: 17, 1.22.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A variable (conns=200) or the value of a parameter (by its id)."),
]


@app.command("list")
def list_parameters(
    family: Annotated[str, typer.Option("--family", help="Only this family: postgresql, jvm, nginx ...")] = "",
    policy: Annotated[str, typer.Option("--policy", help="Only auto, opt_in, recommend, guard or never.")] = "",
    search: Annotated[str, typer.Option("--search", help="Only where this word stands in name or effect.")] = "",
    form: FormatOption = Format.table,
) -> None:
    """Parameters of the catalogue."""
    from adapters.catalogue import load

    known = load()
    _known("family", family, {entry.family for entry in known.entries.values()})
    _known("policy", policy, set(known.policies))
    rows = [
        _row(entry)
        for entry in known.entries.values()
        if family in ("", entry.family) and policy in ("", entry.policy) and _speaks_of(entry, search)
    ]
    listing(rows, COLUMNS, form, empty="no parameter fits; leave an option out")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|PRESET", help="The id of a parameter, or a preset.")],
    mem: MemOption = "",
    cpu: CpuOption = None,
    version: VersionOption = "",
    given: SetOption = None,
    form: FormatOption = Format.table,
) -> None:
    """One parameter, or every parameter of a preset, on a machine of this size: bounds, seed, constraints, and why."""
    from adapters.catalogue_data import load, unknown
    from adapters.catalogue_environment import assume
    from console.catalogue_pages import PARAMETER_COLUMNS, parameter_page, preset_page, preset_rows

    known = load()
    preset = known.presets.get(name)
    if preset is None and name not in known.entries:
        raise unknown("parameter or preset", name, [*known.entries, *known.presets])
    said, present = _said(mem, cpu, given)
    meant = preset.assumes if preset else {}
    environment = assume(said, meant)
    _tell_assumed(environment, said, meant)
    if preset is None:
        page = parameter_page(known.entries[name], environment, version, present)
        if form is Format.json:
            print_json(page)
        else:
            listing([{"field": key, "value": _flat(value)} for key, value in page.items()], PARAMETER_COLUMNS, form)
        return
    page = preset_page(preset, environment, version, present)
    if form is Format.json:
        print_json(page)
    else:
        preset_rows(page, form)


@app.command()
def check(
    presets: Annotated[list[str] | None, typer.Argument(metavar="[PRESET]...", help="All of them without it.")] = None,
    mem: MemOption = "",
    cpu: CpuOption = None,
    version: VersionOption = "",
    given: SetOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Are all seeds inside their bounds and can all constraints be met on a machine of this size? What is left out, and
    what must a person answer? Exit code 1 if something fails."""
    from adapters.catalogue import load, preset_of
    from adapters.catalogue_check import check_preset
    from adapters.catalogue_environment import assume

    said, present = _said(mem, cpu, given)
    rows: list[Json] = []
    for name in presets or list(load().presets):
        preset = preset_of(name)
        environment = assume(said, preset.assumes)
        rows += [
            {"preset": found.preset, "level": found.level, "what": found.what, "why": found.why}
            for found in check_preset(preset, environment, version, present)
        ]
    _tell_assumed(assume(said), said, {})
    listing(rows, CHECK_COLUMNS, form)
    failed = [row for row in rows if row["level"] == "fail"]
    if failed:
        raise Finding(f"{len(failed)} of {len(rows)} lines failed")


def _said(mem: str, cpu: float | None, given: list[str] | None) -> tuple[dict[str, Scalar], dict[str, Value]]:
    """What the person said about the machine and its settings."""
    from adapters.catalogue_environment import read

    pairs = [f"mem={mem}"] if mem else []
    pairs += [f"cpu={cpu!r}"] if cpu is not None else []
    return read([*pairs, *(given or [])])


def _tell_assumed(environment: Mapping[str, Scalar], said: Mapping[str, Scalar], meant: Mapping[str, Scalar]) -> None:
    """What nobody said, on stderr: it is talk about the answer and not the answer."""
    from adapters.catalogue import load
    from adapters.catalogue_reasons import amount

    bytes_of = {name for name, meaning in load().environment.items() if meaning.startswith("bytes")}
    shown = [
        f"{name}={amount('bytes' if name in bytes_of else '', value)}{' (by the preset)' if name in meant else ''}"
        for name, value in environment.items()
        if name not in said
    ]
    if shown:
        say(f"assumed (say otherwise with --mem, --cpu, --set): {', '.join(shown)}")


def _row(entry: Entry) -> Json:
    from adapters.catalogue import load

    known = load()
    return {
        "id": entry.id,
        "name": entry.name,
        "family": entry.family,
        "policy": entry.policy,
        "apply": entry.mode,
        "scope": entry.scope,
        "type": entry.type,
        "unit": entry.unit,
        "risk": list(entry.risk),
        "affects": entry.data.get("affects", ""),
        "since": entry.since,
        "presets": [preset.name for preset in known.presets.values() if entry.id in preset.parameters],
    }


def _speaks_of(entry: Entry, word: str) -> bool:
    text = " ".join([entry.id, entry.name, str(entry.data.get("affects", "")), entry.note])
    return word.lower() in text.lower()


def _known(what: str, name: str, names: set[str]) -> None:
    if name and name not in names:
        raise Misconfigured(f"unknown {what} {name!r}; known: {', '.join(sorted(names))}")


def _flat(value: object) -> str:
    return "; ".join(str(each) for each in value) if isinstance(value, list) else str(value)
