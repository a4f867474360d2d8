"""The results folder: one line of JSON a candidate, appended as soon as it has ended, so that a run can be taken up
again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.starts.draw import catalogues, key_of
from domain.errors import Misconfigured

FILE, PLAN = "starts.jsonl", "plan.json"

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What every line of a folder has in common."""

    candidates: int
    loaded: int
    seed: int


def begun(folder: Path, plan: Plan) -> None:
    """Note the plan of a new folder. Raises Misconfigured if its lines are those of another."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / PLAN
    if not file.exists():
        file.write_text(json.dumps(asdict(plan)) + "\n")
    found = plan_of(folder)
    if found != plan:
        raise Misconfigured(f"{folder} holds candidates of {found}, and not of {plan}; name another folder with --keep")


def plan_of(folder: Path) -> Plan:
    """Raises Misconfigured where there is none."""
    try:
        return Plan(**json.loads((folder / PLAN).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise Misconfigured(f"{folder / PLAN}: {error}; python -m bench.starts --keep {folder} makes it") from error


def lines(folder: Path) -> list[Line]:
    """Every candidate that has ended, the last one of each. Left out: a line that a stop cut short, and what came from
    another catalogue than that of its preset now (`draw.catalogues`)."""
    found: dict[str, Line] = {}
    file = folder / FILE
    for text in file.read_text().splitlines() if file.exists() else []:
        try:
            line = json.loads(text)
            if line["catalogue"] == catalogues()[line["preset"]]:
                found[key(line)] = line
        except (ValueError, KeyError, TypeError):
            continue
    return list(found.values())


def key(line: Line) -> str:
    return key_of(line["preset"], line["number"], line["free"])


def keep(folder: Path, line: Line) -> None:
    with (folder / FILE).open("a") as file:
        file.write(json.dumps(line) + "\n")
