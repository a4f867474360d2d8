"""How steady is the CPU? Short slices of pure arithmetic, with and without a control group's quota."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from adapters.load.program import Ended, installed, run
from adapters.probes.cgroup import inside, where
from adapters.probes.probe import Probe, noise_text, spread
from domain.errors import Transient

SLICES, LEAST_SLICES = 7, 3
SLICE_SECONDS = 0.35
WHOLE_SECONDS = 5.0
LIMIT_SECONDS = 3.0  # for one slice to end
_DO = "try stress-ng by hand"
SPIN = Path(__file__).with_name("spin.py")
# stress-ng: metrc: [pid] cpu  bogo-ops  real  user  system  ops/s of real time  ops/s of CPU time ...
_METRIC = re.compile(r"^stress-ng: metrc: \[[0-9]+\] cpu +([0-9]+) +([0-9.]+) +[0-9.]+ +[0-9.]+ +([0-9.]+) ", re.M)


def probe(groups: Sequence[Path] = ()) -> list[Probe]:
    """One probe of the machine, and one inside `groups` if they are given. Raises Transient if a slice fails."""
    outer = _one(())
    if not groups:
        return [outer]
    before = throttled(groups)
    inner = _one(groups)
    after = throttled(groups)
    text = inner.verdict
    if outer.value and inner.value is not None:
        text = f"{100 * inner.value / outer.value:.0f} % of the speed outside; {text}"
    if before is not None and after is not None:
        text += f"; throttled in {after[1] - before[1]} of {after[0] - before[0]} periods"
    return [outer, replace(inner, verdict=text)]


def throttled(groups: Sequence[Path]) -> tuple[int, int] | None:
    """(periods, throttled ones) since the group began; None where no group has a CPU controller."""
    for group in groups:
        try:
            words = (line.split() for line in (group / "cpu.stat").read_text().splitlines())
            counts = {word[0]: int(word[1]) for word in words}
            return counts["nr_periods"], counts["nr_throttled"]
        except (OSError, ValueError, KeyError, IndexError):
            continue
    return None


def bogo_rate(ended: Ended) -> float:
    """Bogo operations a second of real time from stress-ng's metrics. Raises Transient if they are not there."""
    match = _METRIC.search(ended.stdout + ended.stderr)
    if match is None or float(match[2]) <= 0:
        raise Transient(f"stress-ng told no metrics of its cpu stressor: {ended.trouble()}; is it another version?")
    return float(match[3])


def _one(groups: Sequence[Path]) -> Probe:
    name, place = ("cpu in the cgroup", "in the cgroup") if groups else ("cpu", "of this machine")
    if installed("stress-ng"):
        rates = _stress(groups)
        unit, how = "bogo-ops/s", f"stress-ng --cpu 1, {len(rates)} slices of about {SLICE_SECONDS:g} s{where(groups)}"
    else:
        rates = spin("cpu", SLICE_SECONDS, SLICES, groups)
        unit = "rounds/s"
        how = f"own loop (stress-ng is not installed), {SLICES} slices of {SLICE_SECONDS:g} s{where(groups)}"
    share = spread(rates)
    return Probe(name, median(rates), unit, share, noise_text(f"the CPU speed {place}", share), how)


def _stress(groups: Sequence[Path]) -> list[float]:
    """Rates of the slices. stress-ng's times are whole seconds, so a first second tells how much work a slice is."""
    argv = ["stress-ng", "--cpu", "1", "--cpu-method", "int64", "--metrics", "--timeout", "1"]
    first = bogo_rate(run(inside(groups, argv), LIMIT_SECONDS).checked(_DO))
    work = ["--timeout", "2", "--cpu-ops", str(max(1, round(first * SLICE_SECONDS)))]
    rates: list[float] = []
    end = time.monotonic() + WHOLE_SECONDS - 1.0
    while len(rates) < SLICES and (len(rates) < LEAST_SLICES or time.monotonic() + SLICE_SECONDS < end):
        rates.append(bogo_rate(run(inside(groups, argv[:-2] + work), LIMIT_SECONDS).checked(_DO)))
    return rates


def spin(what: str, seconds: float, slices: int, groups: Sequence[Path]) -> list[float]:
    """Rates of our own loop, in a process of its own. Raises Transient if it fails."""
    argv = inside(groups, [sys.executable, "-I", str(SPIN), what, f"{seconds:g}", str(slices)])
    ended = run(argv, seconds * slices + LIMIT_SECONDS)
    if ended.code == -9:
        raise Transient("the probe was killed, as the kernel does when memory is out; is the group's limit that small?")
    ended.checked("does the control group take processes?")
    try:
        rates = [float(line) for line in ended.stdout.split()]
    except ValueError:
        rates = []
    if len(rates) != slices:
        raise Transient(f"the loop printed {len(rates)} rates, not {slices}: {ended.trouble()}; try again")
    return rates
