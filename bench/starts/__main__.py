"""Do sampled candidates of every preset start in their memory, and bear their load? On real servers of this machine.

    python -m bench.starts [--preset NAME ...] [--candidates 500] [--loaded 60] [--seed 1] [--unconstrained]
                           [--lanes 1] [--keep FOLDER] [-o text|json]
    python -m bench.starts report --keep FOLDER     # bench/results/starts.md, from the results in the folder

Each candidate is started in a control group of its own, of as much memory and CPU as its environment says. What has
ended is in FOLDER/starts.jsonl (by default below the folder of temporary files), and is not done again, unless what the
catalogue says of its preset has changed.
`--unconstrained` draws the same without constraints, `--again` does those again that failed. Needs root and control
groups of version 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from adapters.catalogue import preset_of
from bench.starts import group
from bench.starts.draw import PRESETS, key_of, program_of
from bench.starts.kept import Plan, begun, keep, lines, plan_of
from bench.starts.lanes import Lane, results
from bench.starts.page import counts, page, told, write
from bench.starts.props import made
from bench.starts.versions import versions
from domain.errors import TrimtabError

PAGE = Path(__file__).parents[1] / "results" / "starts.md"
FOLDER = Path(tempfile.gettempdir()) / "trimtab-starts"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        if options.report == "report":
            write(PAGE, page(lines(options.keep), plan_of(options.keep), versions()))
            return 0
        return _run(options)
    except TrimtabError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace) -> int:
    """Every candidate that is not there yet. 0 if none of those asked for has failed."""
    plan = Plan(options.candidates, options.loaded, options.seed)
    names = [name for name in PRESETS if not options.preset or name in options.preset]
    begun(options.keep, plan)
    done = {
        key_of(line["preset"], line["number"], line["free"])
        for line in lines(options.keep)
        if line["ending"] == "served" or not options.again
    }
    made(options.keep / "props", {program_of(preset_of(name)) for name in names})
    waiting = [
        (name, number)
        for number in range(plan.candidates)  # a run that is cut short has tried every preset
        for name in names
        if key_of(name, number, options.unconstrained) not in done
    ]
    prefix = f"{group.PREFIX}-{os.getpid()}"
    lane = Lane(options.keep, plan, options.unconstrained, prefix)
    try:
        for line in results(lane, waiting, options.lanes):
            keep(options.keep, line)
            print(told(line), file=sys.stderr, flush=True)
    finally:
        group.sweep(prefix)
        shutil.rmtree(options.keep / "work" / prefix, ignore_errors=True)
    found = [line for line in lines(options.keep) if line["preset"] in names and line["free"] == options.unconstrained]
    text = page(found, plan, versions())
    print(
        json.dumps({"plan": options.candidates, "endings": counts(found), "lines": found})
        if options.output == "json"
        else text
    )
    return 0 if all(line["ending"] == "served" for line in found) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.starts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", nargs="?", choices=("report",), help="only make the page")
    parser.add_argument("--preset", action="append", default=[], choices=tuple(PRESETS))
    parser.add_argument("--candidates", type=int, default=500, help="of each preset")
    parser.add_argument("--loaded", type=int, default=60, help="of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--unconstrained", action="store_true", help="draw without constraints")
    parser.add_argument("--lanes", type=int, default=1, help="candidates at a time")
    parser.add_argument("--again", action="store_true", help="those that failed too")
    parser.add_argument("--keep", type=Path, default=FOLDER, metavar="FOLDER", help="where results are kept")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended first
    sys.exit(main())
