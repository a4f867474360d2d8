"""ab (ApacheBench): any HTTP server, HTTP/1.0 with kept-alive connections, one thread."""

from __future__ import annotations

import csv
import re
import tempfile
from pathlib import Path

from adapters.load.job import Job, told, unreadable
from adapters.load.program import Ended, run
from adapters.load.quantiles import LEVELS
from adapters.load.result import Result

MOST_REQUESTS = 2_000_000  # ab reserves memory for all of them before it starts
_FIELDS = {
    "elapsed": re.compile(r"^Time taken for tests:\s+([0-9.]+) seconds$", re.M),
    "complete": re.compile(r"^Complete requests:\s+([0-9]+)$", re.M),
    "failed": re.compile(r"^Failed requests:\s+([0-9]+)$", re.M),
}
_KINDS = re.compile(r"^\s+\(Connect: ([0-9]+), Receive: ([0-9]+), Length: ([0-9]+), Exceptions: ([0-9]+)\)$", re.M)
_STATUS = re.compile(r"^Non-2xx responses:\s+([0-9]+)$", re.M)

MEANING = (
    "closed loop: each connection waits for its answer before it asks again, so a slow server gets fewer requests and"
    " most of its slowness is never seen. Dropped requests are ranked among the fast ones. ab notices a dropped"
    " kept-alive connection only because its length differs, reports no timeouts, and a request that never answers is"
    " in no number at all; 3xx count as non-2xx"
)
_VARIABLE = "lengths are not compared: requests whose connection was dropped count as good"


def argv(job: Job, table: Path, *, variable_length: bool = False) -> list[str]:
    """The command line; ab writes its percentiles to `table`. Answers of different lengths count as errors unless
    `variable_length`. Raises Misconfigured for a rate, which ab does not have."""
    job.no_rate("ab")
    return [
        "ab",
        "-q",
        "-k",  # keep connections alive: otherwise connecting is what is measured
        "-r",  # go on after a dropped connection
        *(["-l"] if variable_length else []),
        "-t",
        str(job.whole_seconds),
        "-n",  # after -t, which sets its own
        str(MOST_REQUESTS),
        "-c",
        str(job.connections),
        "-s",
        str(job.whole_timeout),
        "-e",
        str(table),
        job.url,
    ]


def measure(job: Job, *, variable_length: bool = False) -> Result:
    """Run ab. Raises Misconfigured (not installed, unknown output) and Transient (no connection, did not end)."""
    with tempfile.TemporaryDirectory(prefix="trimtab-ab-") as directory:
        table = Path(directory) / "percentages.csv"
        ended = run(argv(job, table, variable_length=variable_length), job.limit)
        ended.checked("check the URL, and that the server answers")
        return parse(ended, table.read_text() if table.exists() else "", variable_length=variable_length)


def parse(ended: Ended, table: str, *, variable_length: bool = False) -> Result:
    """The result from ab's report and the table of its `-e` (per cent, milliseconds). Raises Misconfigured."""
    found = {key: pattern.search(ended.stdout) for key, pattern in _FIELDS.items()}
    missing = [key for key, match in found.items() if match is None]
    if missing:
        raise unreadable(ended, " and no ".join(missing))
    elapsed, complete, failed = (float(match[1]) for match in found.values() if match is not None)
    if elapsed <= 0:
        raise unreadable(ended, "time taken above 0")
    requests = int(complete)
    errors = _errors(ended, requests, int(failed))
    notes = ([_VARIABLE] if variable_length else []) + (["no request was answered"] if not requests else [])
    good = requests - sum(errors.values())
    return Result(
        tool="ab",
        requests=requests,
        good=good,
        errors=errors,
        timeouts=0,
        elapsed=elapsed,
        throughput=(good + errors.get("status", 0)) / elapsed,
        offered=None,
        percentiles=told(_table(ended, table) if good else [], requests),
        closed_loop=True,
        coordinated_omission=MEANING,
        notes=tuple(notes),
    )


def _errors(ended: Ended, requests: int, failed: int) -> dict[str, int]:
    """Errors by kind. ab counts one failed request under several kinds; each request is taken once, in the order in
    which the kinds say most."""
    kinds = _KINDS.search(ended.stdout)
    if failed and kinds is None:
        raise unreadable(ended, "kinds of its failed requests")
    connect, receive, length, exceptions = (int(text) for text in kinds.groups()) if kinds else (0, 0, 0, 0)
    status = _STATUS.search(ended.stdout)
    counts = {
        "connect": connect,
        "receive": receive,
        "exceptions": exceptions,
        "status": int(status[1]) if status else 0,
        "length": length,
    }
    errors, left = {}, requests
    for kind, count in counts.items():
        taken = min(count, left)
        left -= taken
        if taken:
            errors[kind] = taken
    return errors


def _table(ended: Ended, table: str) -> list[tuple[float, float]]:
    """(level, seconds) of the levels that we report. ab writes whole per cent."""
    try:
        rows = {int(row[0]): float(row[1]) / 1000 for row in list(csv.reader(table.splitlines()))[1:]}
        return [(level, rows[round(100 * level)]) for level in LEVELS if level <= 0.99]
    except (ValueError, IndexError, KeyError):
        raise unreadable(ended, "complete table of percentages") from None
