"""After the last gate: promotion step by step, the watch that makes the reported effect, and the hold-back.

Each of them compares kept settings with the original on fresh pairs, has the harm test, and can take everything back.
"""

from __future__ import annotations

import math

from domain import guard
from domain.block import Gate
from domain.estimate import Estimate, interval, of_pairs, of_placements
from domain.events import Aborted, HeldBack, Interval, Promoted, Watched
from domain.evidence import Pair, Role
from domain.gate import MOST_RARE, RARE_HARM, Ruling, harmful, judge, rare_harm
from domain.schedule import next_slot, slot
from domain.space import Settings
from domain.space import equal as same
from domain.state import Run
from domain.steps import Adopt, Apply, Close, Decide, Step, TakeBack

SHARES = (0.1, 0.5, 1.0)  # of the arms that carry the kept settings, step by step
MOST_GAPS = 3  # the watch gives up after this many times the pairs that it needs


def finish(run: Run, now: float) -> Step:
    """The phases after the last gate, in their order."""
    if run.refusal is not None:
        return TakeBack("failed", "the target refuses settings that it carried before")
    if run.watched is not None and run.watched.harmful:
        return TakeBack("restored", run.watched.why)
    if not run.promoted:
        return promote(run, now)
    if run.watched is None:
        return _watch(run, now)
    if not run.watched.confirmed:
        return TakeBack("inconclusive", run.watched.why)
    return _hold_back(run, now)


def promote(run: Run, now: float) -> Step:
    """More and more arms carry the kept settings, with the harm test before each step."""
    arms = [arm.label for arm in run.target.arms]
    counts = steps(len(arms)) if run.profile.promotion_pairs else [len(arms)]
    count = counts[min(run.steps, len(counts) - 1)]
    wanted = {label: run.incumbent if place < count else run.original for place, label in enumerate(arms)}
    if count == len(arms):
        if not run.at_rest:
            return Apply(wanted, "promote")
        return Decide((Promoted(run.incumbent, count, everywhere=True),))
    if run.promoting is None:
        return Apply(wanted, "promote")
    pairs = run.promoting.pairs()
    aborted = guard.stopped(run, pairs, known=True)
    if aborted is not None:
        return Decide((aborted, Watched(None, (None, None), 0, True, _told(aborted), confirmed=False)))
    if len(pairs) < run.profile.promotion_pairs:
        roles: dict[str, Role] = {arms[0]: "candidate", arms[-1]: "control"}
        return slot(run, run.promoting, roles, wanted, "promote", now)
    if harmful(of_pairs(pairs)):
        why = f"the kept settings proved slower than the original on {count} of {len(arms)} arms"
        return Decide((Watched(None, (None, None), len(pairs), True, why, confirmed=False),))
    return Decide((Promoted(run.incumbent, count, everywhere=False),))


def steps(arms: int) -> list[int]:
    """How many arms carry the kept settings after each step: 10, 50, 100 %, at least one more each time."""
    return sorted({max(1, math.ceil(share * arms)) for share in SHARES})


def screening_pairs(run: Run, settings: Settings) -> list[Pair]:
    """What the trials of these settings measured."""
    return [pair for trial in run.trials if same(trial.settings, settings) for pair in trial.block.pairs()]


def ruling_of(run: Run, gate: Gate, count: int | None = None) -> Ruling:
    """What this gate's rule says after `count` of its pairs (None: all so far)."""
    return judge(
        gate.block.pairs()[:count],
        run.calibrated.pairs if run.calibrated else (),
        alpha=gate.opened.alpha,
        uneasy=run.calibrated.uneasy if run.calibrated else True,
        profile=run.profile,
        mei=run.mei,
        screening=screening_pairs(run, gate.opened.settings),
        places=gate.block.places[:count],
    )


def seen_before(run: Run) -> list[Pair]:
    """Every pair of the kept settings from before the watch: they count for rare harm, never for the effect."""
    gates = [gate for gate in run.gates if same(gate.opened.settings, run.incumbent)]
    return screening_pairs(run, run.incumbent) + [pair for gate in gates for pair in gate.block.pairs()]


def watch_needs(run: Run) -> int:
    """How many whole pairs the watch wants: more after a window that was half as slow again."""
    pairs = run.watching.pairs() if run.watching is not None else []
    rare = max(0, rare_harm([*seen_before(run), *pairs]))
    return max(2 * run.profile.watch_units, run.profile.rare_harm_pairs * (1 + rare))


def _watch(run: Run, now: float) -> Step:
    """The original against the kept settings on fresh pairs: the reported effect."""
    block = run.watching
    if block is None:
        raise ValueError("the watch has not begun")
    pairs = block.pairs()
    whole = [pair for pair in pairs if pair.d is not None]
    before = seen_before(run)
    rare, needed = rare_harm([*before, *whole]), watch_needs(run)
    aborted = guard.stopped(run, pairs, known=True)
    seen = of_placements(pairs, block.places) if any(block.places) else of_pairs(pairs)
    bad = aborted is not None or harmful(seen)
    if bad or rare >= MOST_RARE or len(whole) >= needed or len(pairs) >= MOST_GAPS * needed:
        if aborted is not None:
            return Decide((aborted, _watched(run, seen, len(whole), _told(aborted), harmful=True)))
        if bad:
            why = "the kept settings proved slower than the original"
            return Decide((_watched(run, seen, len(whole), why, harmful=True),))
        if rare >= MOST_RARE:
            slow = sum(pair.d is not None and pair.d > RARE_HARM for pair in [*before, *whole])
            why = f"now and then more than 1.5 times as slow as the original: {slow} windows"
            effect = seen.mean if seen else None
            return Decide((Watched(effect, (None, None), len(whole), True, why, confirmed=False),))
        return Decide((_watched(run, seen, len(whole), "", harmful=False),))
    return next_slot(run, block, challenger=run.incumbent, baseline=run.original, purpose="watch", now=now)


def _watched(run: Run, seen: Estimate | None, pairs: int, why: str, *, harmful: bool) -> Watched:
    effect, bounds = seen.mean if seen else None, interval(seen, run.profile.alpha)
    if harmful:
        return Watched(effect, bounds, pairs, True, why, confirmed=False)
    if effect is None or pairs < run.profile.watch_units:
        return Watched(effect, bounds, pairs, False, "the watch could not be read, so nothing is kept", confirmed=False)
    confirmed = effect <= -run.profile.confirm * run.mei
    words = claim(effect, bounds, minimise=run.target.objective.minimise)
    why = words if confirmed else f"the watch did not confirm the gate: {words}"
    return Watched(effect, bounds, pairs, False, why, confirmed=confirmed)


def claim(effect: float | None, bounds: Interval, *, minimise: bool = True) -> str:
    """The reported effect in words, as the change of the objective. One to be maximised was measured as its inverse."""
    if effect is None:
        return "could not be read"
    if not minimise:
        effect, bounds = -effect, (_negative(bounds[1]), _negative(bounds[0]))
    low, high = (None if bound is None else 100 * math.expm1(bound) for bound in bounds)
    text = f"{100 * math.expm1(effect):+.1f} % against the original settings"
    if low is None or high is None:
        return f"{text} (interval still open)"
    proven = "" if high < 0 or low > 0 else "; the watch alone does not prove it"
    return f"{text}, between {low:+.1f} % and {high:+.1f} %{proven}"


def _negative(bound: float | None) -> float | None:
    return None if bound is None else -bound


def _hold_back(run: Run, now: float) -> Step:
    """One arm keeps the original for a while, measured now and then, with the same harm test."""
    block, profile = run.holding, run.profile
    why = run.watched.why if run.watched is not None else ""
    if run.held and run.held[-1].harmful:
        return TakeBack("restored", run.held[-1].why)
    if block is None or profile.hold_back <= 0 or len(run.target.arms) < 2 or run.held:
        if not run.at_rest:
            return Apply({arm.label: run.incumbent for arm in run.target.arms}, "keep")
        if run.made:
            return _adopt(run, f"{why}; {run.held[-1].why}" if run.held else why)
        return Close("kept", f"{why}; {run.held[-1].why}" if run.held else why)
    pairs = block.pairs()
    seen = of_pairs(pairs)
    aborted = guard.stopped(run, pairs, known=True)
    if aborted is not None or harmful(seen):
        reason = _told(aborted) if aborted is not None else "the kept settings became slower than the original"
        return Decide((HeldBack(seen.mean if seen else None, (None, None), len(pairs), True, reason),))
    if now >= block.began + profile.hold_back:
        bounds = interval(seen, profile.alpha)
        low, high = bounds
        holds = low is not None and high is not None and high < 0
        words = "the hold-back agrees" if holds else "the hold-back does not show it any more, so no gain is claimed"
        effect = seen.mean if seen else None
        told = claim(effect, bounds, minimise=run.target.objective.minimise)
        return Decide((HeldBack(effect, bounds, len(pairs), False, f"{words}: {told}"),))
    pause = profile.hold_back_every if block.slots else 0.0
    return next_slot(run, block, challenger=run.incumbent, baseline=run.original, purpose="watch", now=now, pause=pause)


def _adopt(run: Run, why: str) -> Step:
    """What is proven on the arms goes into the workload that they were made from, where that is ours to change."""
    adopted = run.adopted
    if adopted is None:
        return Adopt(run.incumbent)
    if adopted.fault:
        return TakeBack("failed", f"the workload did not come up with the kept settings: {adopted.fault}")
    if adopted.proposed:
        names = ", ".join(sorted(adopted.proposed))
        return Close("kept" if adopted.settings else "recommended", f"{why}; proposed, not applied: {names}")
    return Close("kept", why)


def _told(aborted: Aborted) -> str:
    return f"{aborted.rule}: {aborted.seen} (limit {aborted.limit})"
