"""Detectors as a program: one JSON point a line on stdin, one finding a line on stdout, in order, flushed.

    python -m detectors [--detector threshold]

The contract is in docs/json-lines.md. A bad line is answered with {"error": ...} and the program goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from detectors.factory import DETECTORS, detector
from domain.codec import from_json, to_json
from domain.errors import TrimtabError
from domain.ports import Detector, Point


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m detectors", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--detector", default="threshold", choices=DETECTORS)
    serve(detector(parser.parse_args(arguments).detector), sys.stdin, sys.stdout)
    return 0


def serve(chosen: Detector, lines: Iterable[str], out: TextIO) -> None:
    """Answer every non-empty line."""
    for line in lines:
        if line.strip():
            out.write(json.dumps(answer(chosen, line), allow_nan=False) + "\n")
            out.flush()


def answer(chosen: Detector, line: str) -> dict[str, Any]:
    try:
        data = json.loads(line, parse_constant=_refuse)
        finding = chosen.update(from_json(Point, data))
    except (TrimtabError, ValueError) as error:
        return {"error": str(error)[:1000]}
    return dict(to_json(finding))


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no JSON number; a missing value is null")


if __name__ == "__main__":
    sys.exit(main())
