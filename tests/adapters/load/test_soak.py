"""Soaks: the slope, its verdicts, and going on after an interruption."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.load.quantiles import percentiles
from adapters.load.result import Result
from adapters.load.slope import theil_sen
from adapters.load.soak import Mark, Plan, births, judge, resident, run
from domain.errors import Misconfigured

URL = "http://127.0.0.1:8080/"
MIB = 1 << 20
SLICE = 30.0


def marks(sizes: list[float], p95: list[float] | None = None, born: tuple[int, ...] = (1,)) -> list[Mark]:
    times = p95 or [0.05] * len(sizes)
    return [
        Mark(number, 1000 + SLICE * number, 1000, 0, 33.0, 0.01, time, round(size), born)
        for number, (size, time) in enumerate(zip(sizes, times, strict=True))
    ]


def answer(rate: float, seconds: float) -> Result:
    n = round(rate * seconds)
    return Result("sim", n, n, {}, 0, seconds, rate, rate, percentiles([0.01] * n, 0), False, "")


def test_the_slope_is_that_of_most_points() -> None:
    """A fifth of wild points does not move it; the interval holds the truth."""
    rng = random.Random(3)
    points = [(float(x), 2.0 * x + rng.gauss(0, 1)) for x in range(40)]
    wild = [(x, y + 500 if index % 5 == 0 else y) for index, (x, y) in enumerate(points)]
    slope = theil_sen(wild)
    assert slope.low < 2.0 < slope.high
    assert slope.value == pytest.approx(2.0, abs=0.3)


def test_the_interval_of_the_slope_misses_about_as_often_as_it_says() -> None:
    """300 lines in noise: the 95 % interval misses the slope in at most 8 %."""
    rng, missed = random.Random(5), 0
    for _ in range(300):
        slope = theil_sen([(float(x), 0.5 * x + rng.gauss(0, 3)) for x in range(20)])
        missed += not slope.low <= 0.5 <= slope.high
    assert missed <= 24


def test_too_few_points_have_no_slope() -> None:
    """Five points, and six at one time, are refused."""
    for points in ([(float(x), 1.0) for x in range(5)], [(1.0, float(y)) for y in range(6)]):
        with pytest.raises(ValueError, match="needs 6 points"):
            theil_sen(points)


def test_a_leak_is_called_one() -> None:
    """Half a MiB a slice among noise of 5 MiB grows to the end."""
    rng = random.Random(1)
    memory = judge(marks([100 * MIB + 0.5 * MIB * n + rng.gauss(0, 5 * MIB) for n in range(120)]), watched=True).memory
    assert memory is not None
    assert memory.verdict == "grows"
    assert memory.slope is not None
    assert memory.slope.low < 60 * MIB < memory.slope.high  # 120 slices an hour


def test_noise_and_garbage_collection_are_no_leak() -> None:
    """A sawtooth that returns to its floor does not grow, and the whole interval says so."""
    rng = random.Random(2)
    sizes = [100 * MIB + (n % 7) * 0.1 * MIB + rng.gauss(0, 0.1 * MIB) for n in range(150)]
    memory = judge(marks(sizes), watched=True).memory
    assert memory is not None
    assert memory.verdict == "steady"


def test_a_cache_that_fills_levels_off() -> None:
    """Growth that ends in the middle is told from a leak."""
    rng = random.Random(4)
    sizes = [100 * MIB + min(n, 60) * MIB + rng.gauss(0, 0.2 * MIB) for n in range(150)]
    memory = judge(marks(sizes), watched=True).memory
    assert memory is not None
    assert memory.verdict == "levels off"


def test_few_slices_or_much_noise_prove_nothing() -> None:
    """Neither `leak` nor `no leak` is said without evidence."""
    rng = random.Random(6)
    for sizes in ([100.0 * MIB] * 8, [100 * MIB + rng.gauss(0, 40 * MIB) for _ in range(30)]):
        memory = judge(marks(sizes), watched=True).memory
        assert memory is not None
        assert memory.verdict == "not proven"


def test_answers_that_get_slower_are_seen() -> None:
    """p95 doubles over the soak."""
    times = [0.05 * (1 + n / 100) for n in range(100)]
    assert judge(marks([MIB] * 100, times), watched=False).latency.verdict == "grows"
    assert judge(marks([MIB] * 100), watched=False).latency.verdict == "steady"


def test_a_restart_begins_a_new_history() -> None:
    """The old process leaked 40 MiB and was restarted: that is no shrinking, and the new one is judged alone."""
    old = marks([100 * MIB + n * MIB for n in range(40)])
    new = [
        Mark(40 + mark.number, mark.at + 40 * SLICE, 1000, 0, 33.0, 0.01, 0.05, mark.rss, (2,))
        for mark in marks([80 * MIB + n * MIB for n in range(60)])
    ]
    memory = judge(old + new, watched=True).memory
    assert memory is not None
    assert memory.verdict == "grows"
    assert memory.slope is not None
    assert memory.slope.value == pytest.approx(120 * MIB)


def test_a_soak_goes_on_where_its_file_ends(tmp_path: Path) -> None:
    """Interrupted in the middle of a line: the whole lines count, the rest is measured."""
    path, clock = tmp_path / "soak.jsonl", iter(range(1000, 2000))
    plan = Plan(URL, 10, seconds=1, slices=6)
    first = run(Plan(URL, 10, seconds=1, slices=4), answer, lambda: float(next(clock)), path)
    assert len(first.marks) == 4
    path.write_text(path.read_text()[:-5])
    measured: list[float] = []

    def counted(rate: float, seconds: float) -> Result:
        measured.append(rate)
        return answer(rate, seconds)

    whole = run(plan, counted, lambda: float(next(clock)), path)
    assert len(measured) == 3
    assert [mark.number for mark in whole.marks] == list(range(6))
    assert whole.marks[:3] == first.marks[:3]
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()[1:]] == list(range(6))
    assert run(plan, counted, lambda: 0.0, path).marks == whole.marks
    assert len(measured) == 3


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Another soak's file, or something else altogether, is refused and not overwritten."""
    path = tmp_path / "soak.jsonl"
    run(Plan(URL, 10, seconds=1, slices=1), answer, lambda: 1.0, path)
    with pytest.raises(Misconfigured, match="another soak"):
        run(Plan(URL, 20, seconds=1, slices=1), answer, lambda: 1.0, path)
    for text in ("precious\n", "{}\n", '{"soak": 1}\n[]\n'):
        path.write_text(text)
        with pytest.raises(Misconfigured, match="name another"):
            run(Plan(URL, 10, seconds=1, slices=1), answer, lambda: 1.0, path)
        assert path.read_text() == text
    with pytest.raises(Misconfigured, match="name another"):
        run(Plan(URL, 10, seconds=1, slices=1), answer, lambda: 1.0, tmp_path / "no" / "where")


def test_a_process_that_ends_ends_the_soak() -> None:
    """Whatever killed it, going on would measure nothing."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        plan = Plan(URL, 10, seconds=1, slices=5, pids=(child.pid,))
        slices = iter(range(10))

        def measure(rate: float, seconds: float) -> Result:
            if next(slices) == 2:
                child.kill()
                child.wait()
            return answer(rate, seconds)

        soak = run(plan, measure, lambda: 1.0)
    finally:
        child.kill()
        child.communicate()
    assert soak.gone
    assert [mark.rss is None for mark in soak.marks] == [False, False, True]


def test_memory_of_processes_is_read_from_the_kernel() -> None:
    """Our own is there and plausible; a process that is not there has none, and no soak begins with it."""
    size = resident((os.getpid(),))
    assert size is not None
    assert MIB < size < 64 << 30
    assert births((os.getpid(),))[0] > 0
    assert resident((2**22 + 1,)) is None
    with pytest.raises(Misconfigured, match="no process"):
        Plan(URL, 10, pids=(2**22 + 1,))
