"""Known effects on a real nginx, judged by the very code of the product.

    python -m bench.gate.live --folder DIR --plan "aa:40,10:10,5:5,3:10,2:5,gzip:5" --lanes 3 --seed 1 -o json

A lane is two nginx in front of a service that sleeps a known part less when the candidate's `proxy_http_version`
arrives (`backend.py`), an open-loop load, and Prometheus. Each gate is a run of `workers.advance` on that lane while
traffic jumps and a neighbour burns CPU (`live_noise.py`); it has 120 s. `aa` changes the parameter without any effect;
`gzip` is a real effect of unknown size: pages compressed at level 1 instead of 6. A negative percentage is a candidate
that is slower.

The objective is the mean latency, not the p95: of the mean the true effect is known exactly (the delay shrinks, the
rest stays), while the p95 is interpolated within buckets of 12 %, which bends effects of 2 or 3 %. Seen in A/A pairs of
5 s with 40 requests/s on a quiet machine of two cores: sd of the log difference 1.4 to 2.0 % for the mean, 0.4 to 0.7 %
for the p95 (of a delay that has a sharp upper end); the same while disturbed. 17 pairs fit into 120 s: a gate that asks
for 20, because its A/A pairs were uneasy, ends without a verdict here, however large the effect is.

Each finished gate is a line of `live.jsonl` in the folder; started again, the bench goes on where it was.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adapters.prometheus import PrometheusTelemetry
from bench.gate.live_book import (
    Job,
    Plan,
    append_line,
    check_same,
    jobs,
    left,
    parse_plan,
    read_lines,
    summarise,
    table,
)
from bench.gate.live_gate import (
    FIRST_QUIET_SECONDS,
    Halted,
    constants,
    describe,
    live_profile,
    measure,
    quiet_seconds,
    resting,
)
from bench.gate.live_site import DELAY, GZIP, Kind, Lane, Site
from domain.errors import Misconfigured, TrimtabError

LANES = 3
LEAVE_SECONDS = 30.0  # for the lanes to put the original settings back


def run_live(folder: Path, plan: Plan, lanes: int = LANES, seed: int = 1) -> dict[str, Any]:
    """Measure what the folder does not hold yet, and sum up the gates of this plan. Call it from the main thread."""
    folder.mkdir(parents=True, exist_ok=True)
    made = jobs(plan, seed)
    with _alone(folder):
        for kind in (DELAY, GZIP):
            todo = [job for job in left(made, read_lines(folder)) if (job.kind == "gzip") == (kind is GZIP)]
            if todo:
                _Phase(folder, kind, todo, min(lanes, len(todo)), seed).run()
    wanted = {(job.kind, job.effect, job.seed) for job in made}
    lines = [line for line in read_lines(folder) if (line["kind"], line["effect"], line["seed"]) in wanted]
    return summarise(lines)


class _Phase:
    """All gates of one kind of lane: lanes side by side, each one gate after the other."""

    def __init__(self, folder: Path, kind: Kind, todo: Sequence[Job], lanes: int, seed: int) -> None:
        self._folder, self._all = folder, len(todo)
        self._todo, self._done = deque(todo), 0
        self._site = Site(folder / f"site-{kind.name}", kind, lanes, seed)
        self._lock, self._halt = threading.Lock(), threading.Event()
        self._busy, self._left = 0, threading.Semaphore(0)  # lanes at work; told by each that leaves
        self._errors: list[BaseException] = []
        check_same(read_lines(folder), constants(self._site.lanes[0]), kind.name)

    def run(self) -> None:
        """Raises what ended a lane; lines that were written stand."""
        self._site.start()
        try:
            for lane in self._site.lanes:
                threading.Thread(target=self._lane, args=(lane,), name=lane.service, daemon=True).start()
                self._busy += 1
            self._wait(None)
        finally:
            self._halt.set()
            try:
                self._wait(LEAVE_SECONDS)
            finally:
                self._site.stop()
        if self._errors:
            raise self._errors[0]

    def _wait(self, seconds: float | None) -> None:
        """Until no lane is at work. Not by `Thread.join`: Python 3.11 takes a thread for ended when Ctrl-C interrupts
        that, and the servers would go before the arms have their original settings back."""
        until = None if seconds is None else time.monotonic() + seconds
        while self._busy and (until is None or time.monotonic() < until):
            if self._left.acquire(timeout=0.2):
                self._busy -= 1

    def _lane(self, lane: Lane) -> None:
        telemetry, since = PrometheusTelemetry(self._site.prometheus_url), time.time()
        wait = max(FIRST_QUIET_SECONDS, quiet_seconds(live_profile()))

        def rest() -> None:
            nonlocal since, wait
            resting(wait, lambda: since, self._halt)
            wait = quiet_seconds(live_profile())

        try:
            while not self._halt.is_set():
                with self._lock:
                    job = self._todo.popleft() if self._todo else None
                if job is None:
                    return
                line = measure(lane, job, telemetry, self._halt, rest)
                since = time.time()
                self._finish(line)
        except Halted:
            pass
        except BaseException as error:
            self._errors.append(error)
            self._halt.set()
        finally:
            telemetry.close()
            self._left.release()

    def _finish(self, line: dict[str, Any]) -> None:
        with self._lock:
            append_line(self._folder, line)
            self._done += 1
            print(f"live: {self._done} of {self._all}: {describe(line)}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two benches in one folder would measure the same gates twice, and each other's load."""
    with (folder / "live.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Misconfigured(f"another bench is at work in {folder}") from None
        yield


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gate.live", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="of live.jsonl; gates that it holds are not repeated"
    )
    parser.add_argument("--plan", required=True, help="KIND:COUNT,...; KIND is aa, gzip, or per cent faster")
    parser.add_argument("--lanes", type=int, default=LANES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", dest="output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end what was started
    try:
        if options.lanes < 1:
            raise ValueError("--lanes: 1 or more")
        summary = run_live(options.folder.resolve(), parse_plan(options.plan), options.lanes, options.seed)
    except (ValueError, OSError, TrimtabError) as error:
        print(f"live: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("live: stopped; start again with the same folder to go on", file=sys.stderr)
        return 130
    print(json.dumps(summary, indent=2) if options.output == "json" else table(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
