"""Folders that look like /proc and /sys/fs/cgroup, for collectors that are not to see this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from domain.evidence import Reading, Seen


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Files below a folder, with their text."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def numbers(seen: Mapping[str, Seen]) -> dict[str, float]:
    """The values of facts that were all read."""
    assert all(isinstance(each, Reading) for each in seen.values()), seen
    return {name: each.value for name, each in seen.items() if isinstance(each, Reading)}


def stat(
    comm: str, *, ticks: int = 0, reaped: int = 0, system: int = 0, born: int = 100, faults: int = 0, blocked: int = 0
) -> str:
    """A line of /proc/PID/stat: 52 columns, of which a few matter."""
    columns = ["0"] * 52
    columns[0], columns[1], columns[2] = "7", f"({comm})", "S"
    columns[11], columns[13], columns[14] = str(faults), str(ticks), str(system)
    columns[15] = str(reaped)
    columns[21], columns[41] = str(born), str(blocked)
    return " ".join(columns) + "\n"


def process(
    proc: Path,
    pid: int,
    *,
    cpu: float = 0.0,
    waiting: float = 0.0,
    children: str = "",
    reaped: float = 0.0,
    born: int = 100,
    faults: int = 0,
    read: int = 0,
    written: int = 0,
) -> None:
    """One process of one thread. `cpu`, `waiting` and `reaped` in seconds, `read` and `written` in bytes."""
    text = stat("a (strange) name", ticks=int(100 * cpu), reaped=int(100 * reaped), born=born, faults=faults)
    write(
        proc / str(pid),
        {
            "stat": text,
            "io": f"rchar: 1\nread_bytes: {read}\nwrite_bytes: {written}\ncancelled_write_bytes: 0\n",
            "limits": "Limit Soft Limit Hard Limit Units\nMax open files            64       64     files\n",
            "status": "Name:\tx\nCpus_allowed_list:\t0\n",
            f"task/{pid}/stat": text,
            f"task/{pid}/schedstat": f"{int(cpu * 1e9)} {int(waiting * 1e9)} 12\n",
            f"task/{pid}/children": children,
            "fd/0": "",
            "fd/1": "",
        },
    )
