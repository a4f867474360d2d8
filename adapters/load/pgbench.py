"""pgbench: transactions on PostgreSQL, by default at a fixed rate, every one of them read from its log."""

from __future__ import annotations

import math
import re
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.load.job import MOST_SECONDS, SPARE_SECONDS, unreadable
from adapters.load.program import Ended, run
from adapters.load.quantiles import percentiles
from adapters.load.result import Result, Slice
from domain.errors import Misconfigured, Transient

MOST_TRANSACTIONS = 10_000_000  # held in memory until the percentiles are taken
BUILTINS = ("select-only", "simple-update", "tpcb-like")
_RETRIES_SINCE = 15  # pgbench 15 counts failures and retries
_FIELDS = {
    "version": re.compile(r"^pgbench \(([0-9]+)"),
    "processed": re.compile(r"^number of transactions actually processed: ([0-9]+)", re.M),
    "tps": re.compile(r"^tps = ([0-9.]+)", re.M),
}
_RETRIED = re.compile(r"^total number of retries: ([0-9]+)", re.M)
_LAG = re.compile(r"^rate limit schedule lag: avg ([0-9.]+) \(max ([0-9.]+)\) ms", re.M)
_PROGRESS = re.compile(
    r"^progress: ([0-9.]+) s, ([0-9.]+) tps, lat ([0-9.]+|-?nan) ms stddev [^,]+(?:, ([0-9]+) failed)?"
)
_SKIPPED, _FAILED = "skipped", ("failed", "serialization", "deadlock")

OPEN = (
    "open loop in its accounting: latency counts from the moment at which a transaction was scheduled, so waiting for a"
    " free client is in it. Transactions that were due but not begun when the time was over are in no number: compare"
    " the throughput with the offered rate"
)
CLOSED = (
    "closed loop: each client waits for its transaction before it begins another, so a slow server gets fewer of them"
    " and most of its slowness is never seen"
)


@dataclass(frozen=True, slots=True)
class Bench:
    """Transactions on `url` (postgresql://[USER@]HOST[:PORT]/DATABASE) for `seconds` by `clients` connections.

    `rate` transactions a second in total, scheduled at random (None: closed loop, as fast as they end). `script` is a
    file of pgbench's language; without it the built-in `builtin` runs, whose tables `pgbench -i` makes. Serialization
    failures and deadlocks are tried at most `tries` times. Raises Misconfigured for numbers that make no sense."""

    url: str
    rate: float | None = 100.0
    seconds: float = 10.0
    clients: int = 4
    threads: int = 1
    builtin: str = "select-only"
    script: Path | None = None
    tries: int = 1

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate <= 1e6:
            raise Misconfigured(f"rate {self.rate:g} is not above 0 and at most 1000000 transactions/s")
        if not 1 <= self.seconds <= MOST_SECONDS:
            raise Misconfigured(f"seconds {self.seconds:g} is not from 1 to {MOST_SECONDS:g}")
        if not 1 <= self.clients <= 10_000 or not 1 <= self.threads <= self.clients:
            raise Misconfigured(
                f"clients {self.clients}, threads {self.threads}: from 1 to 10000 clients, and no more threads than"
                " clients"
            )
        if self.script is None and self.builtin not in BUILTINS:
            raise Misconfigured(f"builtin {self.builtin!r} is unknown; known: {', '.join(BUILTINS)}")
        if self.script is not None and not self.script.is_file():
            raise Misconfigured(f"script {self.script} is no file")
        if not 1 <= self.tries <= 1000:
            raise Misconfigured(f"tries {self.tries} is not from 1 to 1000")


def argv(bench: Bench, version: int, prefix: str) -> list[str]:
    """The command line for pgbench of a major `version`; the logs are called `prefix`.PID[.THREAD]. Raises
    Misconfigured where that version cannot do what is asked."""
    if bench.tries > 1 and version < _RETRIES_SINCE:
        raise Misconfigured(
            f"tries {bench.tries}: pgbench {version} cannot try again; use one of {_RETRIES_SINCE} or newer"
        )
    modern = ["--failures-detailed", f"--max-tries={bench.tries}"] if version >= _RETRIES_SINCE else []
    what = [f"--builtin={bench.builtin}"] if bench.script is None else [f"--file={bench.script.absolute()}"]
    return [
        "pgbench",
        "--no-vacuum",  # of tables that need not exist
        f"--time={math.ceil(bench.seconds)}",
        f"--client={bench.clients}",
        f"--jobs={bench.threads}",
        *([] if bench.rate is None else [f"--rate={bench.rate:g}"]),
        *what,
        *modern,
        "--progress=1",
        "--log",
        f"--log-prefix={prefix}",
        bench.url,
    ]


def measure(bench: Bench) -> Result:
    """Run pgbench. Raises Misconfigured (not installed, unknown output, a script that fails) and Transient (no
    connection, did not end)."""
    version = _version(run(["pgbench", "--version"], 10.0))
    with tempfile.TemporaryDirectory(prefix="trimtab-pgbench-") as directory:
        ended = run(argv(bench, version, "log"), bench.seconds + SPARE_SECONDS, Path(directory))
        if ended.code == 2:  # it began, and an SQL command failed
            raise Misconfigured(f"pgbench gave up: {ended.trouble()}; run `pgbench -i`, or mend the script")
        if ended.code != 0:
            raise Transient(f"pgbench ended with code {ended.code}: {ended.trouble()}; does the server answer?")
        return parse(ended, _lines(Path(directory).glob("log.*")), bench.rate)


def parse(ended: Ended, log: Iterable[str], rate: float | None) -> Result:
    """The result from pgbench's report, its progress lines (stderr) and the lines of all its logs. Raises Misconfigured
    where they are not what we know, or contradict each other."""
    found = {key: pattern.search(ended.stdout) for key, pattern in _FIELDS.items()}
    missing = [key for key, match in found.items() if match is None]
    if missing:
        raise unreadable(ended, " and no ".join(missing))
    processed, tps = (float(match[1]) for key, match in found.items() if match is not None and key != "version")
    seconds, failures = _transactions(ended, log)
    if len(seconds) != processed:
        raise unreadable(ended, f"log of its {processed:.0f} transactions (there are lines of {len(seconds)})")
    elapsed = processed / tps if tps > 0 else ended.seconds
    notes = []
    lag, retried = _LAG.search(ended.stdout), _RETRIED.search(ended.stdout)
    if lag is not None:
        notes.append(f"transactions began {float(lag[1]):.1f} ms late on average, {float(lag[2]):.1f} ms at most")
    if retried is not None:
        notes.append(f"{retried[1]} retries")
    throughput = (len(seconds) + sum(failures.values())) / elapsed
    result = Result(
        tool="pgbench",
        requests=len(seconds) + sum(failures.values()),
        good=len(seconds),
        errors=failures,
        timeouts=0,
        elapsed=elapsed,
        throughput=throughput,
        offered=rate,
        percentiles=percentiles(seconds, sum(failures.values())),
        closed_loop=rate is None,
        coordinated_omission=CLOSED if rate is None else OPEN,
        slices=tuple(progress(ended.stderr)),
        notes=tuple(notes),
        nominal=True,
    )
    if result.keeps_up:
        return result
    slow = "the clients could not keep up with the rate: more clients, or the server is at its limit"
    return replace(result, notes=(*notes, slow))


def progress(text: str) -> Iterator[Slice]:
    """The progress lines; other lines are skipped. A second without a transaction has latency 0."""
    for line in text.splitlines():
        match = _PROGRESS.match(line)
        if match is not None:
            latency = 0.0 if "nan" in match[3] else float(match[3]) / 1000
            yield Slice(float(match[1]), float(match[2]), latency, int(match[4] or 0))


def _transactions(ended: Ended, log: Iterable[str]) -> tuple[array[float], dict[str, int]]:
    """Seconds of each good transaction, and failures by kind. A line is `client number microseconds script epoch us
    [lag] [retries]`, with a word instead of the microseconds where there was no success."""
    seconds: array[float] = array("d")
    failures: Counter[str] = Counter()
    for line in log:
        words = line.split()
        took = words[2] if len(words) >= 6 else ""
        if took.isdigit():
            seconds.append(int(took) / 1e6)
        elif took == _SKIPPED or took in _FAILED:
            failures[took] += 1
        else:
            raise unreadable(ended, f"log line that can be read ({line.strip()[:80]!r} is none)")
        if len(seconds) > MOST_TRANSACTIONS:
            raise Misconfigured(f"more than {MOST_TRANSACTIONS} transactions: measure shorter, or at a rate")
    return seconds, dict(sorted(failures.items()))


def _lines(logs: Iterable[Path]) -> Iterator[str]:
    for path in sorted(logs):
        with path.open(encoding="ascii", errors="replace") as file:
            yield from file


def _version(ended: Ended) -> int:
    match = re.search(r"\(PostgreSQL\) ([0-9]+)", ended.stdout)
    if match is None:
        raise unreadable(ended, "version")
    return int(match[1])
