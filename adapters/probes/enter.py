"""Run a program inside control groups: python enter.py DIRECTORY[:DIRECTORY...] PROGRAM ARGUMENT...

It puts itself there and becomes the program, so that nothing of the program ever runs outside.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    try:
        for directory in arguments[0].split(":"):
            (Path(directory) / "cgroup.procs").write_text(str(os.getpid()))
        os.execv(arguments[1], arguments[1:])
    except OSError as error:
        sys.exit(f"{arguments[0]}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
