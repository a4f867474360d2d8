"""wrk 4: as many requests as come back over a fixed number of connections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adapters.load.job import Job, told, unreadable
from adapters.load.program import Ended, run
from adapters.load.result import Result

_REPORT = Path(__file__).with_name("wrk_report.lua")
_LINE = "report "
_LEVELS = (("p50_us", 0.5), ("p90_us", 0.9), ("p95_us", 0.95), ("p99_us", 0.99), ("p99.9_us", 0.999))
_COUNTS = ("requests", "duration_us", "connect", "read", "write", "status", "timeout", *(key for key, _ in _LEVELS))

MEANING = (
    "closed loop: each connection waits for its answer before it asks again, so a slow server gets fewer requests and"
    " most of its slowness is never seen; wrk then adds invented samples behind each slow answer, as if requests had"
    " come evenly. Only answers are ranked: dropped connections and non-2xx count as errors, but dropped ones are not"
    " in the percentiles, and a request that never answers is in no number at all"
)


def argv(job: Job) -> list[str]:
    """The command line. Raises Misconfigured for a rate, which wrk does not have."""
    job.no_rate("wrk")
    return [
        "wrk",
        f"--threads={job.threads}",
        f"--connections={job.connections}",
        f"--duration={job.whole_seconds}s",
        f"--timeout={job.whole_timeout}s",
        "--latency",
        f"--script={_REPORT}",
        job.url,
    ]


def measure(job: Job) -> Result:
    """Run wrk. Raises Misconfigured (not installed, unknown output) and Transient (no connection, did not end)."""
    ended = run(argv(job), job.limit).checked("check the URL, and that the server answers")
    return parse(ended)


def parse(ended: Ended) -> Result:
    """The result from wrk's output, whose last line is that of `wrk_report.lua`. Raises Misconfigured."""
    report = _report(ended)
    complete, status, late = report["requests"], report["status"], report["timeout"]
    dropped = {kind: report[kind] for kind in ("connect", "read", "write") if report[kind]}
    # Both are among the complete ones; one answer may be late and an error, and is then counted once, as an error.
    late = min(late, complete - status)
    errors = {**dropped, **({"status": status} if status else {})}
    elapsed = report["duration_us"] / 1e6
    return Result(
        tool="wrk",
        requests=complete + sum(dropped.values()),
        good=complete - status - late,
        errors=errors,
        timeouts=late,
        elapsed=elapsed,
        throughput=complete / elapsed,
        offered=None,
        percentiles=told([(level, report[key] / 1e6) for key, level in _LEVELS], complete),
        closed_loop=True,
        coordinated_omission=MEANING,
        notes=() if complete else ("no request was answered",),
    )


def _report(ended: Ended) -> dict[str, Any]:
    line = next((line for line in ended.stdout.splitlines() if line.startswith(_LINE)), None)
    if line is None:
        raise unreadable(ended, "line of our report script")
    try:
        report = json.loads(line[len(_LINE) :])
        fine = all(isinstance(report[key], int) and report[key] >= 0 for key in _COUNTS) and report["duration_us"] > 0
    except (ValueError, KeyError, TypeError):
        fine = False
    if not fine or report["status"] > report["requests"]:
        raise unreadable(ended, "complete line of our report script")
    return dict(report)
