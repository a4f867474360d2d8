"""Does the diagnosis name the bottleneck? Twelve situations on real servers of this machine.

    python -m bench.diagnosis [--only NAME ...] [--runs 3] [--seconds 8] [--mild] [-o table|json] [--keep]

Each situation sets up its servers in a control group of its own, under load, lets the diagnosis look twice `--seconds`
apart, and compares. What the situation is called is unknown to the diagnosis. `--mild` takes the grade of each that is
near what is still healthy. `--keep` writes the result to bench/results/diagnosis/ and makes the page
bench/results/diagnosis.md of the results there. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.clock import SystemClock
from adapters.facts.registry import collectors_for, facts_of, take
from bench.diagnosis.page import MOST_FOREIGN, page, told, versions
from bench.diagnosis.situations import SITUATIONS, Props, Situation
from bench.diagnosis.stage import Stage, quiet
from diagnosis.diagnose import Diagnosis, diagnose
from domain.codec import to_json
from domain.errors import TrimtabError
from domain.evidence import Reading
from domain.target import Target

PAGE = Path(__file__).parents[1] / "results" / "diagnosis.md"
RESULTS = PAGE.with_suffix("")  # strong.json and mild.json
MOST_ATTEMPTS = 5
SETTLE = 3.0  # seconds of load before the first sample


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    chosen = [each for each in SITUATIONS if not options.only or each.name in options.only]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: what was started is ended
    folder = Path(tempfile.mkdtemp(prefix="trimtab-diagnosis-"))
    folder.chmod(0o755)
    runs: list[dict[str, Any]] = []
    try:
        props = Props(folder, options.mild)
        for number in range(options.runs):
            for situation in chosen:
                runs.append(_one(situation, number, props, options.seconds, options.patience))
                print(told(runs[-1]), file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    grade = "mild" if options.mild else "strong"
    command = f"python -m bench.diagnosis --runs {options.runs} --seconds {options.seconds:g}"
    result = {"command": command + " --mild" * options.mild, "grade": grade, "versions": versions(), "runs": runs}
    if options.keep:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{grade}.json").write_text(json.dumps(result, indent=1) + "\n")
        PAGE.write_text(page([json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"), reverse=True)]))
    print(json.dumps(result) if options.output == "json" else page([result]))
    return 0 if all(run["right"] for run in runs) else 1


def _one(situation: Situation, number: int, props: Props, seconds: float, patience: float) -> dict[str, Any]:
    """Stage it, look, and compare. A run during which others used the machine's CPUs is repeated, whatever its answer
    was: it had a second bottleneck that nobody staged."""
    for attempts in range(1, MOST_ATTEMPTS + 1):
        if not quiet(patience=patience):
            print("the machine is not quiet: something else uses its CPUs", file=sys.stderr)
        seen = _staged(situation, number, props, seconds)
        if seen["foreign_cpu"] <= MOST_FOREIGN or attempts == MOST_ATTEMPTS:
            break
        print(
            f"{situation.name}: disturbed, others used {100 * seen['foreign_cpu']:.0f} % of the CPUs", file=sys.stderr
        )
    return {
        "situation": situation.name,
        "about": situation.about,
        "truth": situation.truth,
        "tunable": situation.tunable,
        "run": number + 1,
        "attempts": attempts,
        "right": seen["layer"] == situation.truth and (seen["refusal"] == "") == situation.tunable,
        **seen,
    }


def _staged(situation: Situation, number: int, props: Props, seconds: float) -> dict[str, Any]:
    """One run: the answer, and what others used of the CPUs meanwhile."""
    name = f"trimtab-diagnosis-{situation.name}-{number}"
    began = time.monotonic()
    kind, foreign, seen = "", 0.0, _unseen("")
    try:
        with Stage(props.folder / name, name) as stage:
            target = situation.play(stage, props, number)
            kind = target.name
            time.sleep(SETTLE)
            (ours, node), looked = stage.cpu(), time.monotonic()
            seen = _look(target, seconds)
            ours_after, node_after = stage.cpu()
            cpus = (os.cpu_count() or 1) * (time.monotonic() - looked)
            foreign = max(0.0, node_after - node - (ours_after - ours)) / cpus
    except TrimtabError as error:
        seen = _unseen(f"could not be staged: {error}")
    return {"target": kind, "took": round(time.monotonic() - began, 1), "foreign_cpu": round(foreign, 3), **seen}


def _unseen(why: str) -> dict[str, Any]:
    """A run that says nothing, which is no right answer to any situation."""
    return {**to_json(Diagnosis("none", why, (), (), why)), "layer": "not seen", "facts": {}}


def _look(target: Target, seconds: float) -> dict[str, Any]:
    """What the diagnosis says of a target, of which it knows what a policy would tell."""
    collectors, clock = collectors_for(target), SystemClock()
    first = take(collectors, clock)
    time.sleep(seconds)
    second = take(collectors, clock)
    facts = facts_of(collectors, first, second)
    answer: dict[str, Any] = to_json(diagnose(facts))
    told = {name: seen.value if isinstance(seen, Reading) else seen.reason for name, seen in facts.items()}
    return {**answer, "facts": told}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.diagnosis", description=__doc__)
    names = [situation.name for situation in SITUATIONS]
    parser.add_argument("--only", action="append", default=[], choices=names)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--mild", action="store_true", help="the mild grade of each situation")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for a quiet machine")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
