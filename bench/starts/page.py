"""The results as a page."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.starts.draw import PRESETS
from bench.starts.kept import Line, Plan
from bench.starts.play import ENDINGS, SECONDS

MOST_LISTED = 3  # failures of one preset without constraints
_PLACE = re.compile(r"/\S*/trimtab-starts-[^/\s]*/")  # where a candidate worked
GIB, MIB = 2**30, 2**20
_HEAD = """# Do sampled candidates start, and bear their load?

Every candidate is started in a control group of its own with the memory and the CPUs of its environment: memory
log-uniform between 256 MiB and 8 GiB, CPUs between 0.25 and 2, everything else by the rules of `trimtab catalogue`. It
has to serve, and every value that was written has to be in force. The *loaded* ones are pushed to the memory bound:
what a memory constraint names goes as far as the space allows. They also bear {seconds:g} s of their worst load with
`active` clients, while as much data lives as the environment says (of a program that only has to start, at most 64 MiB
live). A candidate fails if it does not start or serve (refused), if the kernel kills any process of its
group (killed), if a value is not in force (wrong), or if a client or the program has an error (errors).

`{command}`, {versions}.
"""
_WITH = """## Inside the constraints

| preset | candidates | refused | killed | wrong | errors | under load | of them failed | memory under load | seconds |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
_WITHOUT = """## The same without constraints

The same environments and bounds, every parameter drawn by itself. The loaded ones are drawn like the others: nothing is
pushed to an edge.{first}

| preset | candidates | refused | killed | wrong | errors | under load | of them failed | memory under load | seconds |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def page(lines: Sequence[Line], plan: Plan, versions: Mapping[str, str]) -> str:
    """Markdown: a table with constraints and one without, and every failure with its reason. `memory under load` is the
    median and the greatest part of the limit that a group held (anonymous and shared memory, no file pages)."""
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    command = f"python -m bench.starts --candidates {plan.candidates} --loaded {plan.loaded} --seed {plan.seed}"
    text = _HEAD.format(seconds=SECONDS, command=command, versions=said)
    missing = len(PRESETS) * plan.candidates - sum(not line["free"] for line in lines)
    if missing:
        text += f"\nNot complete: {missing} of {len(PRESETS) * plan.candidates} candidates have not been started.\n"
    for free, head in ((False, _WITH), (True, _WITHOUT)):
        chosen = [line for line in lines if line["free"] == free]
        if not chosen:
            continue
        rows = [row for name in PRESETS if (row := _row(name, [each for each in chosen if each["preset"] == name]))]
        text += (
            f"\n{head.format(first=_first(chosen, plan))}{''.join(rows)}{_row('all', chosen)}{_failures(chosen, free)}"
        )
    return text


def _first(lines: Sequence[Line], plan: Plan) -> str:
    """How far a run has come that was ended before its end; presets take turns."""
    least = min(sum(line["preset"] == name for line in lines) for name in PRESETS)
    return f" Of each preset the first {least} of {plan.candidates} were run." if least < plan.candidates else ""


def counts(lines: Sequence[Line]) -> dict[str, int]:
    """Candidates by how they ended."""
    return {ending: sum(line["ending"] == ending for line in lines) for ending in ENDINGS}


def told(line: Line) -> str:
    """One candidate in a line."""
    name = f"{line['preset']} {line['number']}{' loaded' * line['loaded']}{' without constraints' * line['free']}"
    size = f"{line['mem'] / GIB:.2f} GiB, {line['cpu']:g} CPU"
    held = f"held {100 * line['held'] / line['limit']:.0f} %"
    return f"{name} ({size}): {line['ending']}, {held}, {line['seconds']} s{': ' * bool(line['why'])}{line['why']}"


def _row(name: str, lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    by, loaded = counts(lines), [line for line in lines if line["loaded"]]
    failed = sum(line["ending"] != "served" for line in loaded)
    shares = [100 * line["held"] / line["limit"] for line in loaded]
    held = f"{statistics.median(shares):.0f} %, {max(shares):.0f} %" if shares else "-"
    cells = [name, len(lines), by["refused"], by["oom"], by["wrong"], by["error"], len(loaded), failed, held]
    return f"| {' | '.join(map(str, [*cells, round(sum(line['seconds'] for line in lines))]))} |\n"


def _failures(lines: Sequence[Line], free: bool) -> str:
    """Every one with constraints; without, the first of each preset, because there are many."""
    found: list[str] = []
    for name in PRESETS:
        failed = [line for line in lines if line["preset"] == name and line["ending"] != "served"]
        shown = failed[:MOST_LISTED] if free else failed
        found += [_failure(line, free) for line in shown]
        if len(failed) > len(shown):
            found.append(f"- {name}: {len(failed) - len(shown)} more")
    return "\nWhat failed:\n\n" + "\n".join(found) + "\n" if found else "\nNothing failed.\n"


def _failure(line: Line, free: bool) -> str:
    settings: Mapping[str, Any] = line["settings"]
    said = _PLACE.sub("", " ".join(told(line).split()))[:300]
    return f"- {said}" if free else f"- {said}\n  - `{json.dumps(settings)}`"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
