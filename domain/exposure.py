"""Who serves under settings that are not the incumbent's, since when, and what that is charged to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from domain.block import Block
from domain.space import Settings, equal, needs_restart

if TYPE_CHECKING:
    from domain.state import Run


def block(run: Run) -> Block | None:
    """What is being measured now: a trial, a look, a gate, a step of the promotion, the watch, the hold-back."""
    if run.watched is not None:
        return run.holding
    if run.final:
        return run.watching if run.promoted else run.promoting
    if run.look is not None:
        return run.look
    if run.gate is not None:
        return run.gate.block
    return run.trial.block if run.trial is not None else None


def expose(run: Run, arms: Mapping[str, Settings], time: float) -> None:
    """What served until now is charged to its block; what is carried from now on belongs to the open one."""
    if run.exposing is not None:
        run.exposing.exposed += (time - run.exposed_since) * run.exposed_share
    others = strange(run, arms)
    run.exposing = block(run) if others and not run.final and run.look is None else None
    run.exposed_since, run.exposed_share = time, others * _share(run, arms)


def restarted(run: Run, arms: Mapping[str, Settings], time: float) -> None:
    """A restart of ours is no harm of the candidate, but users of that arm had nothing meanwhile: it is charged."""
    charged, renew = block(run), run.applying is not None and run.applying.renew
    changed = [
        label for label, settings in arms.items() if needs_restart(run.target.space, settings, run.arms.get(label))
    ]
    if charged is not None and renew:
        charged.placements += 1
    if renew or changed:
        run.restarted_at = time
        if charged is not None:
            share = (len(arms) if renew else len(changed)) * _share(run, arms)
            charged.down += share * (time - run.applying_last)


def _share(run: Run, arms: Mapping[str, Settings]) -> float:
    """Of the users that one arm serves."""
    known = run.surveyed.share if run.surveyed is not None else None
    return known if known is not None else 1 / max(1, len(arms))


def strange(run: Run, arms: Mapping[str, Settings]) -> int:
    """How many arms carry something else than the incumbent."""
    return sum(not equal(settings, run.incumbent) for settings in arms.values())
