"""The kept results as one page and one picture, every figure beside the bar that it must reach.

    python -m bench.gate report                  # bench/results/gate/ -> bench/results/gate.md and gate.svg
    python -m bench.gate report --results DIR    # DIR -> DIR/gate.md and gate.svg

A bar that is not met or not measured is told on the way; what cannot be read is refused with 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.gate.bars import bars
from bench.gate.collected import RESULTS, load
from bench.gate.page import page, picture
from domain.errors import Misconfigured


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gate report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, help="read this folder, and write there too")
    options = parser.parse_args(arguments)
    source = options.results or RESULTS
    into = options.results or RESULTS.parent
    try:
        kept = load(source)
        (into / "gate.svg").write_text(picture(kept))
        (into / "gate.md").write_text(page(kept))
    except (Misconfigured, OSError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    table = bars(kept)
    met = sum(row.is_met for row in table)
    print(f"{into / 'gate.md'}, {into / 'gate.svg'}: {met} of {len(table)} bars met")
    for row in table:
        if not row.is_met:
            print(f"  {row.met.strip('*')}: {row.figure}: {row.reached}, must reach {row.must}")
    return 0
