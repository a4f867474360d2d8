"""Which arm carries what, and when: slots of a duet (swapped every few windows) and of an interleave (ABBA)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random

from domain.block import Block
from domain.events import Measured, Purpose
from domain.evidence import Missing, Role, Window
from domain.space import Settings, needs_restart
from domain.space import equal as same
from domain.state import Run
from domain.steps import Apply, Decide, Glance, Measure, Span, Step, Wait

DRAIN_LIMIT = 60.0  # seconds that older generations of a server may take to drain before the slot is given up
_ABBA: tuple[tuple[Role, ...], ...] = (
    ("control", "candidate", "candidate", "control"),
    ("candidate", "control", "control", "candidate"),
)


def next_slot(
    run: Run,
    block: Block,
    *,
    challenger: Settings,
    baseline: Settings,
    purpose: Purpose,
    now: float,
    pause: float = 0.0,
) -> Step:
    """Arrange the arms for the next slot of this block, wait for its end, or read it. `pause` seconds are let pass
    since the window before."""
    renewed = run.target.design == "duet" and needs_restart(run.target.space, challenger, baseline)
    roles = roles_of(run, block, run.profile.replace_every if renewed else run.profile.swap_every)
    if purpose == "look":
        roles = dict.fromkeys(roles, "control")
    wanted = arrangement(run, roles, challenger, baseline)
    due = renewed and len(block.slots) // run.profile.replace_every >= block.placements
    return slot(run, block, roles, wanted, purpose, now, pause, renew=due)


def slot(
    run: Run,
    block: Block,
    roles: Mapping[str, Role],
    wanted: Mapping[str, Settings],
    purpose: Purpose,
    now: float,
    pause: float = 0.0,
    *,
    renew: bool = False,
) -> Step:
    """The next slot of this block with the arms as `wanted`, on new placements if `renew`; windows are read on the arms
    that have a role."""
    tried_in_vain = run.applying_last - run.applying_since > DRAIN_LIMIT  # a dead worker's pause is no attempt
    if run.applying is not None and tried_in_vain:
        return Decide((_given_up(roles, now),))
    carried = all(label in run.arms and same(run.arms[label], wanted[label]) for label in wanted)
    if run.applying is not None or not carried or renew:
        return Apply(wanted, purpose, renew)
    start = max(run.applied_at + settle(run), run.last_end + pause)
    if not block.slots:
        start = max(start, block.began) + (0.0 if purpose == "look" else run.profile.warm_up)
    if run.restarted_at:  # arms are compared at the same age, and warm
        start = max(start, run.restarted_at + settle(run) + run.profile.warm_up)
    end = start + run.profile.window
    readable = end + 2 * run.profile.scrape
    if now < readable:
        return _glance(run, roles, readable, now)
    spans = tuple(Span(label, role, start, end) for label, role in roles.items())
    return Measure(spans, patience=readable + run.profile.patience / 2)


def _glance(run: Run, roles: Mapping[str, Role], readable: float, now: float) -> Step:
    """While a slot lasts: nothing, or a look at what users feel since the change, in the last three slices."""
    period = run.profile.glance
    if not period or "candidate" not in roles.values():
        return Wait(readable)
    since = run.applied_at
    looks = math.floor((now - since) / period + 1e-6)
    if looks < 1 or (run.last_end > since and now - run.last_end < period - 1e-6):
        return Wait(min(readable, max(since + period, run.last_end + period)))
    following = max(since + (looks + 1) * period, now + period / 2)
    slices = [now - back * period for back in range(min(looks, 3), 0, -1)]
    spans = tuple(Span(label, role, start, start + period) for start in slices for label, role in roles.items())
    return Glance(spans, min(following, readable))


def roles_of(run: Run, block: Block, swap_every: int) -> dict[str, Role]:
    """The role of each measured arm in the next slot: the order of the first is drawn by lot. A duet swaps every
    `swap_every` slots; one arm goes candidate, control, control, candidate or the other way round."""
    index, lot = len(block.slots), Random(f"{run.opened.seed}/{block.began}").randrange(2)
    labels = [arm.label for arm in run.target.arms]
    if run.target.design == "interleave":
        return {labels[0]: _ABBA[lot][index % 4]}
    first = (index // swap_every + lot) % 2
    return {labels[first]: "candidate", labels[1 - first]: "control"}


def arrangement(run: Run, roles: Mapping[str, Role], challenger: Settings, baseline: Settings) -> dict[str, Settings]:
    """Settings of every arm; arms without a role carry the baseline."""
    return {arm.label: challenger if roles.get(arm.label) == "candidate" else baseline for arm in run.target.arms}


def settle(run: Run) -> float:
    """Seconds after a change that belong to no window: at least two scrapes and three times the p95, so that what was
    sent before the change is over and counted."""
    level = run.calibrated.noticed if run.calibrated else None
    tail = 3 * level if level is not None and run.target.objective.unit == "s" else 0.0
    return max(run.profile.settle, 2 * run.profile.scrape, tail)


def fresh(run: Run) -> float:
    """From when on arms that were made for the run are compared: once they are as good as old ones, and again after a
    comparison that showed a fault (Unix seconds)."""
    compared = run.calibrations * run.profile.calibration_pairs * run.profile.window
    return run.prepared_at + settle(run) + run.profile.warm_up + compared


def past_pairs(run: Run, now: float) -> tuple[tuple[Span, Span], ...]:
    """Windows before the run, oldest first, in which all arms carried the same settings: A/A pairs that cost nobody
    anything, then those of the onset. Interleaved, a pair is two windows of the one arm in turn."""
    length, latest = run.profile.window, min(now, run.began) - 2 * run.profile.scrape
    count = run.profile.calibration_pairs + run.profile.onset_windows
    if run.made:
        count, latest = run.profile.calibration_pairs, fresh(run) + run.profile.calibration_pairs * length
    labels = [arm.label for arm in run.target.arms]
    pairs: list[tuple[Span, Span]] = []
    for back in range(count, 0, -1):
        if run.target.design == "interleave":
            start = latest - 2 * back * length
            first, second = Span(labels[0], "candidate", start, start + length), start + length
            pairs.append((first, Span(labels[0], "control", second, second + length)))
        else:
            start = latest - back * length
            roles: tuple[Role, Role] = ("candidate", "control") if back % 2 else ("control", "candidate")
            a, b = (Span(label, role, start, start + length) for label, role in zip(labels, roles, strict=False))
            pairs.append((a, b))
    return tuple(pairs)


def _given_up(roles: Mapping[str, Role], now: float) -> Measured:
    why = Missing("older workers still drain; the slot was given up")
    return Measured(tuple(Window(label, role, now, now, why) for label, role in roles.items()))
