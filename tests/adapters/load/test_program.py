"""Foreign programs: bounded in time and output, nothing left behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from adapters.load.program import need, run
from domain.errors import Misconfigured, Transient


def test_a_missing_program_says_how_to_get_it() -> None:
    """Misconfigured with the package's name, before anything runs."""
    with pytest.raises(Misconfigured, match="package manager"):
        need("no-such-load-tool")


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known tools say which package they are in."""
    monkeypatch.setattr("shutil.which", lambda program, path=None: None)
    with pytest.raises(Misconfigured, match="apache2-utils"):
        need("ab")


def test_a_program_that_hangs_is_stopped_with_its_children(tmp_path: Path) -> None:
    """The whole group goes, also a child that ignores the request to end."""
    told = tmp_path / "pid"
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    script = (
        "import pathlib, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        f"pathlib.Path({str(told)!r}).write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    begun = time.monotonic()
    with pytest.raises(Transient, match="did not end within"):
        run([sys.executable, "-c", script], 1.0)
    assert time.monotonic() - begun < 10
    state = _state(int(told.read_text()))
    assert state in ("", "Z"), state


def test_code_output_and_locale() -> None:
    """Exit code and both streams come back; the locale is C whatever the person's is; bad UTF-8 does not break it."""
    code = "import os, sys; sys.stdout.buffer.write(b'\\xff' + os.environ['LC_ALL'].encode()); sys.exit('sorry')"
    ended = run([sys.executable, "-c", code], 20.0)
    assert ended.code == 1
    assert ended.stdout == "\ufffdC"
    with pytest.raises(Transient, match="sorry; look again"):
        ended.checked("look again")


def _state(pid: int) -> str:
    """State letter of a process; empty if it is gone."""
    patience = time.monotonic() + 5
    while time.monotonic() < patience:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return ""
        if state == "Z":
            return state
        os.sched_yield()
    return state
