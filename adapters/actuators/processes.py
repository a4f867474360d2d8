"""Processes of this machine by pid: when they were born, so that a pid that came back is not taken for the old one."""

from __future__ import annotations

import os
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")  # a second


def birth(pid: int) -> int | None:
    """Clock ticks since boot at which the process began; None if there is none, or only the remains of one."""
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def group(pid: int) -> dict[int, int]:
    """The process and whatever it started that still belongs to it: pid → birth, where it leads a process group of its
    own (`launch.py` gives it one); else the process alone."""
    born = birth(pid)
    if born is None:
        return {}
    own = _stat(pid)
    if own is None or int(own[2]) != pid:
        return {pid: born}
    numbers = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    seen = [(number, _stat(number)) for number in numbers]
    return {number: int(fields[19]) for number, fields in seen if fields is not None and int(fields[2]) == pid}


def pid_of(pid_file: Path) -> int | None:
    """The process that the file names; None if it does not run, or if the pid now belongs to one that is younger than
    the file."""
    try:
        pid = int(pid_file.read_text().split()[0])
        written = pid_file.stat().st_mtime
    except (OSError, ValueError, IndexError):
        return None
    born = birth(pid)
    return pid if born is not None and unix_time(born) <= written + 1.0 else None


def catches(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in text.splitlines() if line.startswith("SigCgt:")]
    return bool(masks and masks[0] >> (number - 1) & 1)


def unix_time(ticks: int) -> float:
    """Unix seconds of a time in clock ticks since boot, to a tick."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / TICKS


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the name (state, parent, group, ...); None if nothing lives under the pid."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else fields
