"""hey (github.com/rakyll/hey): workers that ask one request after the other, each with an optional pace."""

from __future__ import annotations

import re

from adapters.load.job import Job, told, unreadable
from adapters.load.program import Ended, run
from adapters.load.quantiles import LEVELS
from adapters.load.result import Result

_TOTAL = re.compile(r"^\s*Total:\s+([0-9.]+) secs$", re.M)
_RATE = re.compile(r"^\s*Requests/sec:\s+([0-9.]+)$", re.M)
_LATENCY = re.compile(r"^\s*([0-9]+)%+ in ([0-9.]+) secs$", re.M)
_STATUS = re.compile(r"^\s*\[([0-9]{3})\]\s+([0-9]+) responses$", re.M)
_ERROR = re.compile(r"^\s*\[([0-9]+)\]\s+(.+)$", re.M)
_ERRORS = "Error distribution:"
_STATUSES = "Status code distribution:"
MOST_SAMPLES = 1_000_000  # hey keeps the latencies and statuses of so many answers and no more

MEANING = (
    "closed loop, also with a rate: a worker whose answer is late skips the sends that were due meanwhile, so the"
    " waiting is not in the latencies. Only answers are ranked, errors are not; a dropped kept-alive connection is"
    " silently asked once more by the Go client and shows up, if at all, as a slow answer"
)


def argv(job: Job) -> list[str]:
    """The command line; hey's rate is one of each worker."""
    pace = [] if job.rate is None else ["-q", f"{job.rate / job.connections:g}"]
    return [
        "hey",
        "-z",
        f"{job.whole_seconds}s",
        "-c",
        str(job.connections),
        *pace,
        "-t",
        str(job.whole_timeout),
        "-disable-redirects",
        job.url,
    ]


def measure(job: Job) -> Result:
    """Run hey. Raises Misconfigured (not installed, unknown output) and Transient (did not end)."""
    ended = run(argv(job), job.limit).checked("check the URL, and that the server answers")
    return parse(ended, job.rate)


def parse(ended: Ended, rate: float | None = None) -> Result:
    """The result from hey's summary. Raises Misconfigured."""
    text = ended.stdout
    total = _TOTAL.search(text)
    if total is None or float(total[1]) <= 0 or _RATE.search(text) is None:
        raise unreadable(ended, "`Total:` and `Requests/sec:`")
    if _STATUSES not in text:
        raise unreadable(ended, f"`{_STATUSES}`")
    answers, _, failures = text.partition(_STATUSES)[2].partition(_ERRORS)
    statuses = {code: int(count) for code, count in _STATUS.findall(answers)}
    good = sum(count for code, count in statuses.items() if code[0] in "23")
    errors: dict[str, int] = {}
    for code, count in statuses.items():
        if code[0] not in "23":
            errors[f"{code[0]}xx"] = errors.get(f"{code[0]}xx", 0) + count
    timeouts = 0
    for count, reason in _ERROR.findall(failures):
        if "Client.Timeout" in reason or "deadline exceeded" in reason:
            timeouts += int(count)
        else:
            errors["connection"] = errors.get("connection", 0) + int(count)
    answered, elapsed = sum(statuses.values()), float(total[1])
    latencies = [(int(level) / 100, float(seconds)) for level, seconds in _LATENCY.findall(text)]
    notes = [] if answered else ["no request was answered"]
    if answered >= MOST_SAMPLES:
        notes.append(f"hey keeps {MOST_SAMPLES} answers and no more: run it shorter")
    return Result(
        tool="hey",
        requests=good + sum(errors.values()) + timeouts,
        good=good,
        errors=errors,
        timeouts=timeouts,
        elapsed=elapsed,
        throughput=answered / elapsed,
        offered=rate,
        percentiles=told([each for each in latencies if each[0] in LEVELS], answered),
        closed_loop=True,
        coordinated_omission=MEANING,
        notes=tuple(notes),
        nominal=True,
    )
