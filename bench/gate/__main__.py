"""The gate and the search, measured on services whose truth is known.

    python -m bench.gate SUITE [--runs N] [--seed S] [--strategy bayesian|random] [--rivals N] [-o json]
    python -m bench.gate live --folder DIR [--plan aa:40,10:10,...] [--lanes 3] [-o json]
    python -m bench.gate report          # bench/results/gate.md and its picture, from the kept results

SUITE is one of null, cliff, gain, drift, placement, transient, rare-harm, abort, budget. `--runs` are spread evenly
over the cells of a suite. `--rivals` runs others' ways to decide on the first N services of the same run (default: all,
at most 400; 0: none). `--keep` writes the result to bench/results/gate/, where `report` finds it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: matrices are small, and the runs fill the cores
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from multiprocessing import Pool
from typing import Any

from bench.gate.collected import MOST_RIVALS, RESULTS
from bench.gate.figures import figures, rival_figures
from bench.gate.rivals import RivalCourse, before_after, run_rivals
from bench.gate.suites import PROFILE, SUITES, Result, constants, run_one

NO_RIVALS = ("abort", "budget", "gain")
CHUNK = 4


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["live"]:
        from bench.gate import live

        return live.main(given[1:])
    if given[:1] == ["report"]:
        from bench.gate import report

        return report.main(given[1:])
    options = _parser().parse_args(given)
    result = run(options.suite, options.runs, options.seed, options.strategy, options.rivals, options.jobs)
    if options.keep:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{options.suite}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result) if options.output == "json" else told(result))
    return 0


def run(suite: str, runs: int, seed: int, strategy: str, rivals: int | None, jobs: int) -> dict[str, Any]:
    """Every run of a suite, and its rivals on the same services. Progress goes to stderr."""
    began = time.perf_counter()
    compared = 0 if suite in NO_RIVALS else min(runs, MOST_RIVALS if rivals is None else rivals)
    results: list[Result] = []
    courses: dict[str, list[RivalCourse]] = {}
    with Pool(jobs) as pool:
        for result in pool.imap(partial(_run, suite, seed, strategy), range(runs), CHUNK):
            results.append(result)
            _progress(suite, len(results), runs, began)
        for each in pool.imap(partial(_rivals, suite, strategy), results[:compared], CHUNK):
            for name, course in each.items():
                courses.setdefault(name, []).append(course)
    return {
        "suite": suite,
        "strategy": strategy,
        "seed": seed,
        **figures(results, PROFILE),
        "constants": constants(),
        "rivals": rival_figures(courses),
        "seconds": round(time.perf_counter() - began, 1),
        "command": f"python -m bench.gate {suite} --runs {runs} --seed {seed} --strategy {strategy}",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "scipy")}},
    }


def told(result: dict[str, Any]) -> str:
    """The main figures in words."""
    lines = [f"{result['suite']}: {result['runs']} runs, {result['seconds']} s, constants {result['constants']}"]
    for name in (
        "kept", "false_keeps", "false_keeps_upper95", "worst_cell", "unsafe_windows", "first_verified_window",
        "true_gain", "claim_bias", "coverage", "intervals", "harm_seconds_most", "harm_over_60", "outcomes",
        "stopped_within_1", "stopped_within_2",
    ):  # fmt: skip
        if name in result:
            value = result[name]
            lines.append(f"  {name.replace('_', ' '):24} {value:.4g}" if isinstance(value, float) else
                         f"  {name.replace('_', ' '):24} {value}")  # fmt: skip
    for name, rival in result["rivals"].items():
        lines.append(f"  rival {name:18} false keeps {rival['false_keeps']} of {rival['runs']}, kept {rival['kept']}")
    return "\n".join(lines)


def _run(suite: str, seed: int, strategy: str, number: int) -> Result:
    return run_one(suite, number, seed, strategy)


def _rivals(suite: str, strategy: str, result: Result) -> dict[str, RivalCourse]:
    world = next(cell.world for cell in SUITES[suite] if cell.name == result.cell)
    if suite == "transient":
        return {"before/after": before_after(world, result.seed)}
    return run_rivals(world, result.seed, strategy)


def _progress(suite: str, done: int, runs: int, began: float) -> None:
    if done == runs or done % max(1, runs // 20) == 0:
        print(f"{suite}: {done} of {runs} runs, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", choices=[*SUITES, "live", "report"])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strategy", choices=("bayesian", "random"), default="bayesian")
    parser.add_argument("--rivals", type=int, default=None, help="services on which the rivals run too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--keep", action="store_true", help="write the result to bench/results/gate/")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return parser


if __name__ == "__main__":
    sys.exit(main())
