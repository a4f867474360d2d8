"""Real programs for tests: skipped aloud on a laptop that lacks them, a failure where CI=true."""

from __future__ import annotations

import os
import shutil

import pytest


def need(program: str) -> str:
    """Path of a program; skips the test, or fails it under CI=true, with the name of what is missing."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is not None:
        return path
    message = f"{program} is not installed; `make demo` says how to get it"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
