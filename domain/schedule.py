"""Which arm carries what, and when: slots of a duet (swapped every window) and of an interleave (ABBA)."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from domain.events import Measured, Purpose
from domain.evidence import Missing, Role, Window
from domain.space import Settings
from domain.state import Block, Run, same
from domain.steps import Apply, Decide, Glance, Measure, Span, Step, Wait

DRAIN_LIMIT = 60.0  # seconds that older generations of a server may take to drain before the slot is given up
_ABBA: tuple[tuple[Role, ...], ...] = (
    ("control", "candidate", "candidate", "control"),
    ("candidate", "control", "control", "candidate"),
)


def next_slot(
    run: Run, block: Block, *, challenger: Settings, baseline: Settings, purpose: Purpose, now: float
) -> Step:
    """Arrange the arms for the next slot of this block, wait for its end, or read it."""
    roles = roles_of(run, block)
    wanted = arrangement(run, roles, challenger, baseline)
    tried_in_vain = run.applying_last - run.applying_since > DRAIN_LIMIT  # a dead worker's pause is no attempt
    if run.applying is not None and tried_in_vain:
        return Decide((_given_up(roles, now),))
    carried = all(label in run.arms and same(run.arms[label], wanted[label]) for label in wanted)
    if run.applying is not None or not carried:
        return Apply(wanted, purpose)
    start = max(run.applied_at + settle(run), run.last_end)
    if not block.slots:
        start = max(start, block.began) + run.profile.warm_up
    end = start + run.profile.window
    readable = end + 2 * run.profile.scrape
    if now < readable:
        return _glance(run, roles, readable, now)
    spans = tuple(Span(label, role, start, end) for label, role in roles.items())
    return Measure(spans, patience=readable + run.profile.patience / 2)


def _glance(run: Run, roles: Mapping[str, Role], readable: float, now: float) -> Step:
    """While a slot lasts: nothing, or a look at what users feel since the change."""
    period = run.profile.glance
    if not period or readable - now <= period:
        return Wait(readable)
    if now - run.applied_at < period:
        return Wait(run.applied_at + period)
    spans = tuple(Span(label, role, now - period, now) for label, role in roles.items())
    return Glance(spans, now + period)


def roles_of(run: Run, block: Block) -> dict[str, Role]:
    """The role of each measured arm in the next slot: the order of the first is drawn by lot."""
    index, lot = len(block.slots), Random(f"{run.opened.seed}/{block.began}").randrange(2)
    labels = [arm.label for arm in run.target.arms]
    if run.target.design == "interleave":
        return {labels[0]: _ABBA[lot][index % 4]}
    first = (index + lot) % 2
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


def past_pairs(run: Run, now: float) -> tuple[tuple[Span, Span], ...]:
    """Windows before the run, oldest first, in which all arms carried the same settings: A/A pairs that cost nobody
    anything, then those of the onset. Interleaved, a pair is two windows of the one arm in turn."""
    length, latest = run.profile.window, min(now, run.began) - 2 * run.profile.scrape
    labels = [arm.label for arm in run.target.arms]
    pairs: list[tuple[Span, Span]] = []
    for back in range(run.profile.calibration_pairs + run.profile.onset_windows, 0, -1):
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
