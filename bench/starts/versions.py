"""Versions of the machine and of every program that is started."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence

from bench.diagnosis.servers import binaries


def versions() -> dict[str, str]:
    """Name → version; `unknown` for what is not installed."""
    return {
        "Linux": platform.release().partition("-")[0],
        "CPUs": str(os.cpu_count()),
        "PostgreSQL": _number([f"{binaries()}/postgres", "--version"]),
        "nginx": _number(["nginx", "-v"]),
        "JDK": _number(["java", "-version"]),
        "Node.js": _number(["node", "--version"]),
        "Go": _number(["/usr/local/go/bin/go", "version"]),
        "Python": platform.python_version(),
    }


def _number(command: Sequence[str]) -> str:
    """The first version number that a program says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    found = re.search(r"\d+(?:\.\d+)+", done.stdout or done.stderr)
    return found[0] if found else "unknown"
