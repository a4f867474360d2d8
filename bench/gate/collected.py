"""What was measured, read back from the folder where the suites and the live gates left it.

Results with other constants than the checkout has are refused: a page of two programs says nothing about either.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.gate import live_gate
from bench.gate.live_book import FILE, read_lines, summarise
from bench.gate.suites import PROFILE, SUITES, constants
from domain.errors import Misconfigured

RESULTS = Path(__file__).resolve().parents[1] / "results" / "gate"
MOST_RIVALS = 400  # that `python -m bench.gate SUITE` runs without being told how many
NEEDED = ("suite", "runs", "cells", "constants", "command", "versions", "rivals", "coverage", "intervals", "outcomes")

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Kept:
    """What was found in a folder: suites by name, and the lines of the live gates."""

    suites: Mapping[str, Data]
    live: Sequence[Data] = ()
    code: str = live_gate.CODE

    rows: Sequence[Data] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", summarise(self.live)["rows"])

    def cell(self, suite: str, name: str) -> Data | None:
        found = self.suites.get(suite)
        return None if found is None else found["cells"].get(name)

    def live_row(self, effect: float) -> Data | None:
        """The live gates of candidates that are faster by this part; 0: A/A."""
        return next((r for r in self.rows if r["effect"] is not None and math.isclose(r["effect"], effect)), None)


def load(folder: Path) -> Kept:
    """Every result in the folder. Misconfigured where files do not belong into one report, with what to rerun."""
    suites = {name: _read(folder / f"{name}.json", name) for name in SUITES if (folder / f"{name}.json").exists()}
    live = read_lines(folder)
    if not suites and not live:
        raise Misconfigured(f"{folder} holds no results; python -m bench.gate SUITE --runs N --keep writes them")
    _check_suites(suites)
    _check_live(live)
    return Kept(suites, live)


def _read(path: Path, name: str) -> Data:
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise Misconfigured(f"{path} is no JSON ({error}); rerun python -m bench.gate {name} --keep") from None
    missing = [key for key in NEEDED if key not in data] if isinstance(data, dict) else list(NEEDED)
    if missing or data["suite"] != name:
        raise Misconfigured(f"{path} is no result of suite {name}; rerun python -m bench.gate {name} --keep")
    return dict(data)


def _check_suites(suites: Mapping[str, Data]) -> None:
    now = constants()
    stale = {name: data for name, data in suites.items() if data["constants"] != now}
    if stale:
        told = [f"  {name}.json has {data['constants']}; rerun: {command(data)} --keep" for name, data in stale.items()]
        raise Misconfigured("\n".join([f"profile {PROFILE.name} has the constants {now} here, but", *told]))
    for name, data in suites.items():
        strange = data["cells"].keys() - {cell.name for cell in SUITES[name]}
        if strange:
            raise Misconfigured(
                f"{name}.json has cells that the suite no longer has ({', '.join(sorted(strange))}); "
                f"rerun: {command(data)} --keep"
            )


def _check_live(lines: Sequence[Data]) -> None:
    now = json.dumps(asdict(live_gate.live_profile()), sort_keys=True)
    stale = sum(json.dumps(line["constants"]["profile"], sort_keys=True) != now for line in lines)
    if stale:
        raise Misconfigured(
            f"{FILE}: {stale} of {len(lines)} gates were measured with other constants than the profile live has here; "
            "rerun python -m bench.gate live --folder with a new folder"
        )


def command(data: Data) -> str:
    """What reproduces a result, the number of services for the rivals included."""
    text = str(data["command"])
    compared = max((rival["runs"] for rival in data["rivals"].values()), default=None)
    if compared is None or compared == min(data["runs"], MOST_RIVALS):
        return text
    return f"{text} --rivals {compared}"


def live_command(kept: Kept) -> str:
    counts = []
    for row in kept.rows:
        name = f"{100 * row['effect']:g}" if row["kind"] == "delay" else row["kind"]
        counts.append(f"{name}:{row['gates'] + row['no_gate']}")
    return f"python -m bench.gate live --folder DIR --plan {','.join(counts) or 'aa:40,10:10,3:10'}"
