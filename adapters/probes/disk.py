"""How long does the disk take to make a write durable? Blocks of a database's size, each followed by an fsync."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from adapters.load.program import Ended, installed, run
from adapters.load.quantiles import name, nearest_rank, needed
from adapters.probes.probe import Probe, noise_text, spread, unmeasured
from domain.errors import Misconfigured, Transient

ROUNDS = 3
ROUND_SECONDS = 1.0
WHOLE_SECONDS = 5.0
BLOCK, SIZE = 8192, 16 << 20  # bytes: a page of PostgreSQL, a segment of its log
_LEVELS = (0.99, 0.95, 0.5)
_MEMORY_ONLY = ("tmpfs", "ramfs", "devtmpfs")


@dataclass(frozen=True, slots=True)
class Round:
    """One round: fsyncs, how long they took together (seconds), and latencies in seconds by level."""

    count: int
    seconds: float
    latency: dict[float, float]


def probe(directory: Path, mounts: Path = Path("/proc/self/mounts")) -> list[Probe]:
    """Rate and latency of fsync in `directory`. Raises Misconfigured if nothing can be written there, Transient if fio
    fails."""
    kind = filesystem(directory, mounts)
    if kind in _MEMORY_ONLY:
        why = f"{directory} is on {kind}, where fsync does nothing; name a directory of the real volume with --path"
        return [unmeasured("fsync", "ms", why)]
    with_fio = installed("fio") is not None
    try:
        with tempfile.TemporaryDirectory(prefix="trimtab-probe-", dir=directory) as scratch:
            rounds = _rounds(Path(scratch), with_fio=with_fio)
    except OSError as error:
        raise Misconfigured(
            f"--path {directory} cannot be written ({error.strerror}); name another directory"
        ) from error
    tool = "fio" if with_fio else "own loop (fio is not installed)"
    return summary(
        rounds,
        f"{tool}, {BLOCK // 1024} KiB writes with fdatasync, {len(rounds)} rounds of {ROUND_SECONDS:g} s, {kind}",
    )


def _rounds(scratch: Path, *, with_fio: bool) -> list[Round]:
    """As many of the rounds as the time allows: laying out the file takes long on a slow disk."""
    end = time.monotonic() + WHOLE_SECONDS
    rounds: list[Round] = []
    while len(rounds) < ROUNDS and (not rounds or time.monotonic() + 1.2 * ROUND_SECONDS < end):
        left = max(end - time.monotonic(), ROUND_SECONDS)
        rounds.append(_fio(scratch, left) if with_fio else _own(scratch / "probe"))
    return rounds


def summary(rounds: Sequence[Round], how: str) -> list[Probe]:
    """The probes of some rounds; the highest percentile that the fsyncs of each round carry."""
    least = min(round_.count for round_ in rounds)
    rates = [round_.count / round_.seconds for round_ in rounds]
    share = spread(rates)
    found = [Probe("fsync rate", median(rates), "1/s", share, noise_text("the rate of fsync", share), how)]
    level = next((each for each in _LEVELS if least >= needed(each)), None)
    if level is None:
        return [
            *found,
            unmeasured("fsync latency", "ms", f"{least} fsyncs in a round are too few for a percentile", how),
        ]
    tails, middles = [each.latency[level] for each in rounds], [each.latency[0.5] for each in rounds]
    tail, middle = median(tails), median(middles)
    times = tail / middle if middle > 0 else 1.0
    verdict = f"median {1000 * middle:.3g} ms"
    if level > 0.5:
        verdict += f"; {name(level)} is {times:.2g} times as long"
        verdict += ": commits will show it as a tail" if times > 10 else ""
    return [*found, Probe(f"fsync {name(level)}", 1000 * tail, "ms", spread(tails), verdict, how)]


def fio_round(ended: Ended) -> Round:
    """What fio's JSON says of its only job. Raises Transient if it failed or says something else."""
    try:
        job = json.loads(ended.stdout)["jobs"][0]
        percentile = job["sync"]["lat_ns"]["percentile"]
        latency = {level: percentile[f"{100 * level:.6f}"] / 1e9 for level in _LEVELS}
        found = Round(int(job["write"]["total_ios"]), float(job["write"]["runtime"]) / 1000, latency)
        fine = job["error"] == 0 and found.count > 0 and found.seconds > 0
    except (ValueError, KeyError, IndexError, TypeError):
        fine = False
    if not fine:
        raise Transient(f"fio told nothing of use: {ended.trouble()}; try it by hand in the same directory")
    return found


def filesystem(directory: Path, mounts: Path) -> str:
    """Type of the file system that holds `directory`. Raises Misconfigured if it is no directory."""
    if not directory.is_dir():
        raise Misconfigured(f"--path {directory} is no directory; name one on the volume that counts")
    path = directory.resolve()
    best, kind = -1, "an unknown file system"
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return kind
    for line in lines:
        words = line.split()
        place = Path(words[1].replace("\\040", " "))
        if (path == place or place in path.parents) and len(place.parts) >= best:
            best, kind = len(place.parts), words[2]
    return kind


def _fio(scratch: Path, limit: float) -> Round:
    argv = [
        "fio",
        "--name=probe",
        f"--directory={scratch}",
        "--rw=write",
        f"--bs={BLOCK}",
        f"--size={SIZE}",
        "--overwrite=1",  # as a database overwrites the segments of its log
        "--fdatasync=1",
        "--ioengine=psync",
        "--time_based",
        f"--runtime={ROUND_SECONDS:g}",
        "--output-format=json",
    ]
    return fio_round(run(argv, limit, scratch).checked("is there room in that directory?"))


def _own(path: Path) -> Round:
    """The same without fio: overwrite a file block by block, fdatasync after each."""
    block = os.urandom(BLOCK)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for _ in range(SIZE // BLOCK):
            os.write(handle, block)
        os.fsync(handle)
        taken: list[float] = []
        begun = time.perf_counter()
        while time.perf_counter() < begun + ROUND_SECONDS:
            os.pwrite(handle, block, len(taken) * BLOCK % SIZE)
            before = time.perf_counter()
            os.fdatasync(handle)
            taken.append(time.perf_counter() - before)
        seconds = time.perf_counter() - begun
    finally:
        os.close(handle)
        path.unlink()
    taken.sort()
    return Round(len(taken), seconds, {level: nearest_rank(taken, level) for level in _LEVELS})
