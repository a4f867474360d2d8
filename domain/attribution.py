"""Would it have recovered anyway? The original settings stay measured, on every arm at once.

A signal is a selected extreme, so the test is not against its level but against half of the way back to healthy: a
service that stays worse than that is not called recovered. Only windows in which *every* arm carries the original
count, because a good candidate on one arm may relieve the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

from domain.block import Block
from domain.estimate import estimate, log_e
from domain.events import Looked
from domain.evidence import Reading
from domain.state import Run

LEAST_EXCESS = 0.10  # log: a signal that is hardly above healthy has nothing to recover from
LOOK_SLOTS = 2
LATEST = 8  # slots that the test for recovery looks at
RECOVERED_E = 20.0
FALLING = -1.645  # Z of Mann-Kendall


def halfway(run: Run) -> float | None:
    """log level half-way between healthy and noticed; None where nothing was noticed, or there
    is no excess to speak of."""
    seen = run.calibrated
    noticed = run.opened.signal.kind in ("alert", "regression")
    if not noticed or seen is None or not seen.healthy or not seen.noticed:
        return None
    excess = math.log(seen.noticed / seen.healthy)
    return math.log(seen.healthy) + excess / 2 if excess > LEAST_EXCESS else None


def levels(blocks: Sequence[Block]) -> list[float]:
    """log objective of each slot, mean of the arms that could be read, oldest first."""
    means = []
    for block in blocks:
        for slot in block.slots:
            seen = [
                math.log(w.objective.value) for w in slot if isinstance(w.objective, Reading) and w.objective.value > 0
            ]
            if seen:
                means.append(fmean(seen))
    return means


def mann_kendall(ys: Sequence[float]) -> float:
    """Z of the Mann-Kendall trend test (Kendall 1975), without ties; 0 for fewer than four values."""
    n = len(ys)
    if n < 4:
        return 0.0
    s = sum((later > earlier) - (later < earlier) for earlier, later in combinations(ys, 2))
    sign = (s > 0) - (s < 0)
    return (s - sign) / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)


def due(run: Run) -> bool:
    """Whether the original must be looked at now: before the first trial, then after every few."""
    if halfway(run) is None or run.profile.original_every <= 0 or run.recovered is not None or run.kept:
        return False  # once something is kept, the watch compares it with the original
    if not run.trials:
        return not run.looks or (going_away(run) and len(run.looks) < run.profile.most_looks)
    return len(run.trials) - run.looked_on >= run.profile.original_every


def going_away(run: Run) -> bool:
    """Before the first trial: the signal is on its way back, by trend or because the last slots are below half-way."""
    middle, ys = halfway(run), levels(run.looks)
    return middle is not None and bool(ys) and (mann_kendall(ys) < FALLING or max(ys[-LOOK_SLOTS:]) < middle)


def looked(run: Run, block: Block) -> Looked:
    """What the look that just ended says, together with those before it."""
    middle, ys = halfway(run), levels([*run.looks, block])
    if middle is None or not ys:
        return Looked(None, 0.0, False, "the original could not be read")
    # Only the latest looks count: a service that was slow for an hour may have come back since.
    latest = [y - middle for y in ys[-LATEST:]]
    seen = estimate(latest, [1] * len(latest))
    evidence = log_e(seen) if seen is not None and seen.mean < 0 else 0.0
    level = math.exp(ys[-1])
    if seen is not None and seen.mean < 0 and evidence >= math.log(RECOVERED_E):
        return Looked(level, evidence, True, "the original settings are back beyond half of the way to healthy")
    back = "seem to be on their way back, which is not proven" if ys[-1] < middle else "are still slow"
    return Looked(level, evidence, False, f"the original settings {back}")
