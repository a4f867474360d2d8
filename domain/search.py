"""Between the trials: what the strategy is asked, what deserves a gate, and why the search is over."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from domain import budget
from domain.block import Trial
from domain.estimate import of_pairs
from domain.events import Advised, Proposed
from domain.formula import parse, substitute
from domain.ports import Advice, Observation, Request
from domain.screening import noise
from domain.space import SearchSpace, Settings, inside
from domain.space import equal as same
from domain.space import same as same_value
from domain.state import Run

WIDEST, FLOOR = 0.5, 0.03  # radius of the trust region, unit cube
WIDER, NARROWER = 1.25, 1.5
WORSE = 0.05  # a trial this much worse than the incumbent is a failure of the region


def request(run: Run) -> Request:
    """What the strategy is asked: everything measured so far, effects against the original."""
    names = focus(run)
    space = narrowed(run.space, names, run.original)
    return Request(
        space=space,
        history=tuple(replace(seen, settings=inside(space, seen.settings)) for seen in observations(run)),
        incumbent=inside(space, run.incumbent),
        seed=_seed(run),
        n=1,
        budget=run.max_trials,
        seeds=tuple(_only(settings, names) for settings in run.target.seeds),
        radius=region(run)[0],
        off=run.off,
        headroom=run.profile.headroom,
        safe_share=run.profile.safe_share,
        safe_sd=run.profile.safe_sd,
        careful=run.profile.careful,
        mei=run.mei,
    )


def advised(advice: Advice, run: Run) -> Advised:
    """What the journal keeps of an answer: settings are complete again."""

    def whole(settings: Settings | None) -> Settings | None:
        return None if settings is None else {**run.original, **settings}

    return Advised(
        {**run.original, **advice.recommend},
        advice.effect,
        advice.sd,
        advice.max_ei,
        advice.why,
        whole(advice.proposals[0] if advice.proposals else None),
        advice.p_bad,
        advice.expected,
        advice.expected_sd,
        whole(advice.simpler),
        whole(advice.replicate),
    )


def focus(run: Run) -> frozenset[str]:
    """The parameters that are searched: those that can matter by the diagnosis; all, where it names none of them."""
    frozen = run.surveyed.frozen if run.surveyed is not None else {}
    names = frozenset(each.name for each in run.target.space.parameters if each.name not in frozen)
    named = names & frozenset(run.diagnosed.parameters) if run.diagnosed is not None else frozenset()
    return named or names


def narrowed(space: SearchSpace, names: frozenset[str], rest: Settings) -> SearchSpace:
    """The space of these parameters alone, the others standing at what they are in `rest`."""
    if len(names) == len(space.parameters):
        return space
    fixed = {name: value for name, value in rest.items() if name not in names}
    texts = [substitute(text, fixed) for text in space.constraints if parse(text).names & names]
    candidates = space.candidates and tuple(
        _only(each, names) for each in space.candidates if all(same_value(each[name], fixed[name]) for name in fixed)
    )
    return SearchSpace(tuple(each for each in space.parameters if each.name in names), tuple(texts), candidates)


def _seed(run: Run) -> int:
    """Derived from the run's seed and the number of what came before, so that the same journal asks the same."""
    number = len(run.trials) + len(run.gates)
    return int(hashlib.sha256(f"{run.opened.seed}/{number}".encode()).hexdigest()[:8], 16)


def _only(settings: Settings, names: frozenset[str]) -> Settings:
    return {name: value for name, value in settings.items() if name in names}


def observations(run: Run) -> tuple[Observation, ...]:
    """The original, then every trial that taught something; a trial nobody could see taught nothing."""
    seen = [Observation(run.original, 0.0, 1e-4, "measured")]
    for trial in run.trials:
        if trial.status == "refused":
            seen.append(Observation(trial.settings, None, None, "refused"))
        elif trial.effect is not None and trial.variance is not None:
            aborted = trial.status == "aborted"
            seen.append(
                Observation(trial.settings, trial.effect, _variance(run, trial), "aborted" if aborted else "measured")
            )
    return tuple(seen)


def region(run: Run) -> tuple[float, int]:
    """Radius of the trust region (unit cube): wider after a success, narrower after three failures, reset by a Keep;
    and how often it met its floor."""
    kept = {g.opened.trial for g in run.gates if g.judged is not None and g.judged.verdict == "Keep"}
    size, failures, off, floors = run.profile.radius, 0, 0.0, 0
    for trial in run.trials:
        step = (trial.effect - off) if trial.effect is not None else 0.0
        if trial.status == "aborted" or step > WORSE:
            failures += 1
            if failures == 3:
                size, failures = size / NARROWER, 0
                if size < FLOOR:
                    # Twice at the floor: everything near is worse, so look elsewhere inside the safe set.
                    size, floors = (FLOOR, floors + 1) if floors % 2 == 0 else (WIDEST, floors + 1)
        elif step < -run.mei / 2:
            size *= WIDER
        if trial.number in kept and trial.effect is not None:
            size, off = run.profile.radius, trial.effect
    # Where nothing near promises anything, the region grows: the safe bound still holds, and is what keeps it honest.
    size = max(FLOOR, size) * WIDER**run.dull
    return min(WIDEST, size), floors


def contender(run: Run, *, spent: bool) -> Trial | None:
    """The trial that deserves a gate: the recommended settings, if their promise is large enough for how much is
    known."""
    advice, done = run.advice, sum(trial.status != "open" for trial in run.trials)
    if advice is None or not promising(run, done, spent=spent):
        return None
    best = [t for t in run.trials if t.status == "measured" and same(t.settings, advice.recommend)]
    return best[-1] if best and not any(trial.gated for trial in best) else None


def promising(run: Run, done: int, *, spent: bool) -> bool:
    """mu + sd of the recommended settings is far enough below the incumbent."""
    if run.advice is None:
        return False
    promise = run.advice.mu + run.advice.sd - run.off
    since = done - max((g.opened.after for g in run.gates), default=0)
    if run.gates:
        ripe = spent or (
            since >= run.profile.gate_from_trial and promise < -run.profile.later_gate_mei * run.profile.mei
        )
        return ripe and promise < -run.profile.gate_mei * run.profile.mei
    ripe = since >= run.profile.gate_from_trial or spent
    early = since >= run.profile.early_gate_from_trial and promise < -run.profile.early_gate_mei * run.profile.mei
    return early or (ripe and promise < -run.profile.gate_mei * run.profile.mei)


def next_trial(run: Run, best: Trial | None) -> Proposed | None:
    """What is tried next: before a gate the contender without what does not matter, or a close rival again; otherwise
    the proposal. None: gate the contender now."""
    advice, number = run.advice, len(run.trials) + 1
    if advice is None:
        return None
    seed, strategy = _seed(run), run.target.strategy
    if best is not None:
        if advice.simpler is not None and not _tried(run, advice.simpler):
            why = "the best settings, without what does not seem to matter"
            return Proposed(number, advice.simpler, seed, strategy, why, advice.mu, advice.sd)
        if advice.replicate is not None and _count(run, advice.replicate) < run.profile.most_replicates:
            why = "measured again: several candidates are close"
            return Proposed(number, advice.replicate, seed, strategy, why)
        return None
    settings = advice.proposal if advice.proposal is not None else run.incumbent
    return Proposed(number, settings, seed, strategy, advice.why, advice.proposal_mu, advice.proposal_sd)


def over(run: Run, now: float) -> str | None:
    """Why no further trial may start, in words; None while one may."""
    if failed_gates(run) >= run.profile.most_failed:
        return f"{run.profile.most_failed} candidates in a row could not be proven"
    if len(run.gates) >= run.profile.max_gates:
        return f"{run.profile.max_gates} candidates were tested, the most that one run may test"
    if [trial.effect is None and trial.status == "aborted" for trial in run.trials[-2:]] == [True, True]:
        return "two trials in a row could not be measured"
    if run.dull >= run.profile.dull_trials:
        return "the search expects nothing more that would be worth a trial"
    if run.advice is not None and run.advice.proposal is None:
        return run.advice.why
    if run.profile.careful and region(run)[1] >= 2:
        return "everything near the settings in force is worse"
    if len(run.trials) >= run.max_trials:
        return f"the budget of {run.max_trials} trials is spent"
    if now - run.began >= run.max_seconds:
        return f"the budget of {run.max_seconds:.0f} s is spent"
    if not budget.affords(run):
        spent, limit, worst = budget.spent(run), run.target.limits.harm, budget.at_worst(run.target)
        return (
            f"the harm budget does not cover another trial: {spent:.0f} of {limit:.0f} user-weighted s are spent, "
            f"one bad trial may cost {worst:.0f}"
        )
    return None


def failed_gates(run: Run) -> int:
    """Failed gates in a row, latest last."""
    count = 0
    for each in reversed(run.gates):
        if each.judged is None or each.judged.verdict == "Keep":
            break
        count += 1
    return count


def _tried(run: Run, settings: Settings) -> bool:
    return same(settings, run.original) or _count(run, settings) > 0


def _count(run: Run, settings: Settings) -> int:
    return sum(same(trial.settings, settings) for trial in run.trials)


def _variance(run: Run, trial: Trial) -> float:
    """The trial's variance, or that of its gate, which saw more."""
    for each in run.gates:
        if each.opened.trial == trial.number and each.judged is not None and each.judged.effect is not None:
            seen = of_pairs(each.block.pairs())
            if seen is not None and seen.freedom >= 2:
                return max(1e-6, seen.error**2)
    return trial.variance if trial.variance is not None else noise(run) ** 2
