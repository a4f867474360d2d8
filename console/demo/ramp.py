"""Finding the rate at which the present settings use about 85 % of what an arm gets with everything running.

Overload has no steady state in an open loop, so the rate comes from CPU seconds per request at a moderate rate, and is
then tried: an arm that answers too slowly, or is busier than planned, gets less: collectors run more often then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from console.demo.scenarios.base import ARMS
from console.demo.stage import Stage, p95

SHARE = 0.85
LOOK_SECONDS = 4.0
TRIES, LESS = 6, 0.85  # of rates, each so much of the one before
DRAIN_SECONDS = 2.0
_TICK = os.sysconf("SC_CLK_TCK")


def saturating_rate(stage: Stage, say: Callable[[str], None]) -> float:
    """Requests a second and arm."""
    scenario = stage.scenario
    stage.set_rate(scenario.moderate)
    time.sleep(1.0)
    served, busy = _look(stage)
    cost = served / (len(ARMS) * scenario.moderate * LOOK_SECONDS)
    others = max(0.0, busy - served) / LOOK_SECONDS
    share = min(scenario.most_share(stage), (_cores() - others) / len(ARMS))
    rate = min(scenario.most_rate, SHARE * share / cost)
    say(f"a request costs {1000 * cost:.2f} ms of CPU; an arm gets {share:.2f} of a core: about {rate:.0f} requests/s")
    for _ in range(TRIES):
        stage.set_rate(rate)
        time.sleep(1.0)
        start = time.time()
        served, busy = _look(stage)
        slow = max(p95(stage.latencies(arm, start, start + LOOK_SECONDS - 0.5)) for arm in ARMS)
        used, idle = served / len(ARMS) / LOOK_SECONDS, _cores() - busy / LOOK_SECONDS
        fits = slow < scenario.slow and used < SHARE * share * 1.08 and idle > 0.03 * _cores()
        say(f"{rate:.0f} requests/s and arm: {100 * used / share:.0f} % of what an arm gets, p95 {1000 * slow:.0f} ms")
        if fits:
            break
        rate *= LESS
        stage.set_rate(scenario.moderate)
        time.sleep(DRAIN_SECONDS)  # what has piled up would be counted against the next rate
    return rate


def _look(stage: Stage) -> tuple[float, float]:
    """CPU seconds of the arms' processes, and of the whole machine, over the next `LOOK_SECONDS`."""
    before, machine = _serving(stage), _machine()
    time.sleep(LOOK_SECONDS)
    after = _serving(stage)
    served = sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())
    return served, _machine() - machine


def _serving(stage: Stage) -> dict[int, float]:
    """CPU seconds so far of each process that serves."""
    return {pid: _cpu(pid) for arm in ARMS for pid in stage.scenario.pids(stage, arm)}


def _cpu(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0  # it ended meanwhile
    fields = stat[stat.rindex(")") + 2 :].split()
    return sum(map(int, fields[11:15])) / _TICK  # its own, and that of its children which have ended


def _machine() -> float:
    """CPU seconds that were not idle, since boot, on the cores that we may use; without those of programs that ask for
    the rest only (nice), because they give way."""
    busy = 0.0
    mine = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    for line in Path("/proc/stat").read_text().splitlines():
        words = line.split()
        if words and words[0] in mine:
            numbers = [int(word) for word in words[1:9]]
            busy += (sum(numbers) - numbers[1] - numbers[3] - numbers[4]) / _TICK
    return busy


def _cores() -> int:
    return len(os.sched_getaffinity(0))
