"""The same rate for a long time, in slices: does memory grow, do answers get slower, and does that level off?

Every slice is one line of a progress file. A soak that was interrupted goes on where that file ends.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from adapters.load.result import Result
from adapters.load.slope import LEAST_POINTS, Slope, theil_sen
from domain.codec import from_json, to_json
from domain.errors import Misconfigured

WARM_UP_SHARE = 0.2  # of the slices that are left out of the slopes: caches fill, code is compiled
WORTH_MEMORY, WORTH_SHARE = 1 << 20, 0.01  # growth over the whole soak that is worth a word: bytes, share of the median
WORTH_LATENCY = 0.05  # share of the median
MOST_SLICES = 2000  # the slope looks at all pairs
_PAGE = os.sysconf("SC_PAGE_SIZE")

Verdict = Literal["grows", "levels off", "steady", "not proven"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A soak of `slices` slices of `seconds` each at `rate` requests a second. `pids` are the processes whose memory is
    watched. Raises Misconfigured for numbers that make no sense and for a process that is not there."""

    url: str
    rate: float
    seconds: float = 30.0
    slices: int = 60
    timeout: float = 2.0
    pids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.slices <= MOST_SLICES:
            raise Misconfigured(f"{self.slices} slices are not from 1 to {MOST_SLICES}; make each longer")
        if not 0 < self.seconds <= 3600:
            raise Misconfigured(f"a slice of {self.seconds:g} s is not above 0 and at most 3600 s")
        for pid in self.pids:
            if resident((pid,)) is None:
                raise Misconfigured(f"there is no process {pid} whose memory can be read; check the pid")


@dataclass(frozen=True, slots=True)
class Mark:
    """One slice: its number from 0, when it ended (Unix seconds), what was sent and failed, p50 and p95 in seconds
    (None where too few requests carry them), resident bytes of the processes together (None: not watched, or one is
    gone) and when these were born (clock ticks since boot), so that a restart is not taken for a gain."""

    number: int
    at: float
    requests: int
    failed: int
    throughput: float
    p50: float | None
    p95: float | None
    rss: int | None
    born: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """What one figure did: its slope an hour with its interval (None where there are too few slices), and the verdict
    in a word and in a sentence."""

    what: str
    verdict: Verdict
    slope: Slope | None
    why: str


@dataclass(frozen=True, slots=True)
class Soak:
    """A soak that is over. `gone`: a watched process ended during it."""

    marks: tuple[Mark, ...]
    memory: Trend | None
    latency: Trend
    gone: bool

    @property
    def failed_share(self) -> float:
        requests = sum(mark.requests for mark in self.marks)
        return sum(mark.failed for mark in self.marks) / requests if requests else 1.0


def run(
    plan: Plan,
    measure: Callable[[float, float], Result],
    now: Callable[[], float],
    progress: Path | None = None,
    tell: Callable[[Mark], None] = lambda mark: None,
) -> Soak:
    """Soak, or go on with the soak of the file `progress`. `measure` takes rate and seconds, `now` is Unix time. Raises
    Misconfigured if the file is of another soak or cannot be written, and what `measure` raises."""
    marks = [] if progress is None else _resume(progress, plan)
    gone = False
    for number in range(len(marks), plan.slices):
        result = measure(plan.rate, plan.seconds)
        rss = resident(plan.pids) if plan.pids else None
        gone = bool(plan.pids) and rss is None
        mark = Mark(
            number,
            now(),
            result.requests,
            result.failed,
            result.throughput,
            result.percentile(0.5).seconds,
            result.percentile(0.95).seconds,
            rss,
            () if rss is None else births(plan.pids),
        )
        marks.append(mark)
        if progress is not None:
            _append(progress, mark)
        tell(mark)
        if gone:
            break
    return judge(marks, watched=bool(plan.pids), gone=gone)


def judge(marks: Sequence[Mark], *, watched: bool, gone: bool = False) -> Soak:
    """The verdicts on the marks of a soak; pure."""
    settled = list(marks)[math.floor(WARM_UP_SHARE * len(marks)) :]
    memory = None
    if watched:
        # A restarted process begins anew: only the last generation says whether it grows.
        last = next((mark.born for mark in reversed(settled) if mark.rss is not None), ())
        sizes = [(mark.at, float(mark.rss)) for mark in settled if mark.rss is not None and mark.born == last]
        least = max(WORTH_MEMORY, WORTH_SHARE * median(size for _, size in sizes)) if sizes else float(WORTH_MEMORY)
        memory = _trend("memory", sizes, least, lambda value: f"{value / (1 << 20):+.2f} MiB")
    times = [(mark.at, mark.p95) for mark in settled if mark.p95 is not None]
    least = WORTH_LATENCY * median(time for _, time in times) if times else 0.0
    latency = _trend("p95", times, least, lambda value: f"{1000 * value:+.2f} ms")
    return Soak(tuple(marks), memory, latency, gone)


def resident(pids: Sequence[int]) -> int | None:
    """Resident bytes of the processes together; None if one of them is gone."""
    total = 0
    for pid in pids:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return None
        if pages == 0:  # only its remains are left
            return None
        total += pages * _PAGE
    return total


def births(pids: Sequence[int]) -> tuple[int, ...]:
    """When each process began, in clock ticks since boot (field 22 of /proc/PID/stat); -1 for one that is gone."""
    ticks = []
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
            ticks.append(int(text[text.rindex(")") + 2 :].split()[19]))
        except (OSError, IndexError, ValueError):
            ticks.append(-1)
    return tuple(ticks)


def _trend(what: str, points: Sequence[tuple[float, float]], worth: float, text: Callable[[float], str]) -> Trend:
    """Growth over the whole soak against what is worth a word; it must go on in the later half to count."""
    hours = [((at - points[0][0]) / 3600, value) for at, value in points]
    later_points = hours[len(hours) // 2 :]
    if len(later_points) < LEAST_POINTS:
        return Trend(
            what,
            "not proven",
            None,
            f"{len(points)} slices after the warm-up are too few (at least {2 * LEAST_POINTS - 1})",
        )
    whole, later, span = theil_sen(hours), theil_sen(later_points), hours[-1][0]
    told = f"{text(whole.value)} an hour ({text(whole.low)} to {text(whole.high)})"
    if whole.low <= 0 or whole.value * span <= worth:
        if whole.high * span <= worth:
            return Trend(what, "steady", whole, f"{told}: within {text(worth)} over the soak")
        return Trend(what, "not proven", whole, f"{told}: this may or may not be growth; soak longer")
    if later.high * span <= worth or later.high < whole.low:
        return Trend(what, "levels off", whole, f"{told}, but {text(later.value)} an hour in the later half")
    if later.low > 0:
        return Trend(what, "grows", whole, f"{told}, and {text(later.value)} an hour in the later half")
    return Trend(what, "not proven", whole, f"{told}, but the later half does not say whether it goes on; soak longer")


def _header(plan: Plan) -> dict[str, object]:
    return {"soak": 1, "url": plan.url, "rate": plan.rate, "seconds": plan.seconds}


def _resume(path: Path, plan: Plan) -> list[Mark]:
    """The marks that the file holds; a new file gets its first line. A last line that was cut off is dropped."""
    try:
        lines = path.read_text().split("\n")
    except FileNotFoundError:
        lines = [""]
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"progress file {path} cannot be read ({error}); name another") from error
    whole = lines[:-1]  # what comes after the last line's end was cut off
    if not whole:
        _write(path, "w", [_header(plan)])
        return []
    try:
        header, *rows = [json.loads(line) for line in whole]
        marks = [from_json(Mark, row) for row in rows]
    except (ValueError, TypeError, KeyError) as error:
        raise Misconfigured(f"{path} is no progress file of a soak ({error}); name another") from error
    if header != _header(plan):
        raise Misconfigured(
            f"{path} is of another soak: {json.dumps(header)}, not {json.dumps(_header(plan))}; use its numbers, or"
            " name another file"
        )
    if lines[-1]:
        _write(path, "w", [header, *rows])
    return marks[: plan.slices]


def _append(path: Path, mark: Mark) -> None:
    _write(path, "a", [to_json(mark)])


def _write(path: Path, mode: Literal["a", "w"], rows: Sequence[object]) -> None:
    try:
        with path.open(mode) as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    except OSError as error:
        raise Misconfigured(f"progress file {path} cannot be written ({error.strerror}); name another") from error
