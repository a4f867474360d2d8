"""One pure function a phase: what comes next while a run calibrates, chooses, screens, gates, watches, goes back."""

from __future__ import annotations

import hashlib
import math
from statistics import fmean, stdev

from domain import guard
from domain.events import Aborted, Event, GateOpened, Judged, Outcome, Promoted, Proposed, Verdict, Watched
from domain.evidence import Missing, Pair, Window
from domain.gate import couples, gate_alpha, harmful, interval, judge
from domain.ports import Observation, Request
from domain.schedule import next_slot, past_pairs
from domain.screening import noise, screened
from domain.space import Settings
from domain.state import Gate, Run, Trial, same
from domain.steps import Apply, Ask, Calibrate, Close, Decide, Step, TakeBack, Wait

MOST_GAPS = 3  # a trial or watch gives up after this many times the pairs that it needs


def calibrate(run: Run, now: float) -> Step:
    """A/A from the past: identical arms, before anything was touched."""
    images = list(run.before.settings.values()) if run.before is not None else []
    if not all(same(images[0], other) for other in images):
        return Close("refused", "the arms carry different settings; make them equal, then start again")
    return Calibrate(past_pairs(run, now))


def advise_only(run: Run, now: float) -> Step:
    """Modes that must not write: say what would be tried, or wait for a person's approval."""
    if run.advice is None:
        return Ask(request(run))
    if run.target.mode == "approve" and now < run.began + run.max_seconds:
        return Wait(run.began + run.max_seconds)
    first = run.advice.proposal or run.advice.recommend
    return Close("refused", f"mode is {run.target.mode}, so nothing was written; the first candidate would be {first}")


def choose(run: Run, now: float) -> Step:
    """Between trials: rest, then stop, gate the best, or try the next."""
    if run.refusal is not None and run.refusal.purpose == "restore":
        return take_back(run, "failed", "the target refuses the settings that were in force")
    if not run.at_rest:
        return Apply({arm.label: run.incumbent for arm in run.target.arms}, "restore")
    if run.resolved and not run.trials:
        # Later, `resolved` is only noted: half of the traffic on a good candidate can resolve an alert by itself.
        return take_back(run, "recovered", "the alert resolved before anything was tried")
    if run.advised_on < len(run.trials) + len(run.gates):
        return Ask(request(run))
    spent = _spent(run, now)
    best = contender(run, spent=spent is not None)
    if spent is not None and run.kept:
        best = None  # the budget is spent and something is proven: what else looks good is for another run
    if best is not None and len(run.gates) < run.profile.max_gates and _failed_gates(run) < 2:
        number = len(run.gates) + 1
        return Decide((GateOpened(number, best.number, best.settings, gate_alpha(number, run.profile.alpha)),))
    if spent is not None:
        return _finish(run, spent)
    return Decide((_proposed(run),))


def screen(run: Run, now: float) -> Step:
    """One trial: a few pairs, with the abort rules after each."""
    trial = run.trials[-1]
    pairs = trial.block.pairs()
    aborted = guard.check(pairs, run.target.guardrails, _levels(run), noise(run))
    if aborted is not None:
        censored = screened(run, trial, aborted=True)
        return Decide((aborted, censored) if censored else (aborted,))
    if guard.all_missing(pairs):
        return Decide((Aborted("no data", "2 pairs in a row without any number", "1"),))
    usable = sum(pair.d is not None for pair in pairs)
    if usable >= run.profile.screening_pairs or len(pairs) >= MOST_GAPS * run.profile.screening_pairs:
        result = screened(run, trial)
        nothing = Aborted("no data", f"{usable} of {len(pairs)} pairs could be read", "1")
        return Decide((result if result is not None else nothing,))
    return next_slot(run, trial.block, challenger=trial.settings, baseline=run.incumbent, purpose="screen", now=now)


def gate(run: Run, now: float) -> Step:
    """The acceptance test, on pairs measured after the choice."""
    open_gate = run.gates[-1]
    pairs = open_gate.block.pairs()
    if run.refusal is not None:
        return Decide((_judged(open_gate, "RollBack", "the target refuses the candidate"),))
    aborted = guard.check(pairs, run.target.guardrails, _levels(run), noise(run))
    if aborted is not None:
        why = f"aborted: {aborted.rule}, {aborted.seen} (limit {aborted.limit})"
        return Decide((aborted, _judged(open_gate, "RollBack", why)))
    if guard.all_missing(pairs):
        return Decide((_judged(open_gate, "Inconclusive", "2 pairs in a row without any number"),))
    if len(pairs) % 2 == 0:
        calibration = run.calibrated.pairs if run.calibrated else ()
        uneasy = run.calibrated.uneasy if run.calibrated else True
        ruling = judge(pairs, calibration, alpha=open_gate.opened.alpha, uneasy=uneasy, profile=run.profile)
        if ruling.verdict is not None:
            number = open_gate.opened.gate
            return Decide(
                (
                    Judged(
                        number, ruling.verdict, ruling.effect, ruling.interval, ruling.log_e, ruling.units, ruling.why
                    ),
                )
            )
    return next_slot(
        run,
        open_gate.block,
        challenger=open_gate.opened.settings,
        baseline=run.incumbent,
        purpose="gate",
        now=now,
    )


def watch(run: Run, now: float) -> Step:
    """Promote to every arm, then measure the original against the kept settings on fresh units: the reported effect."""
    if run.refusal is not None:
        return take_back(run, "failed", "the target refuses settings that it carried before")
    if not run.promoted:
        if not run.at_rest:
            return Apply({arm.label: run.incumbent for arm in run.target.arms}, "promote")
        return Decide((Promoted(run.incumbent),))
    if run.watched is None:
        return _watch_pairs(run, now)
    if run.watched.harmful:
        return take_back(run, "restored", run.watched.why)
    if not run.at_rest:
        return Apply({arm.label: run.incumbent for arm in run.target.arms}, "keep")
    return Close("kept", run.watched.why)


def glanced(run: Run, windows: tuple[Window, ...]) -> tuple[Event, ...]:
    """What a look into an unfinished slot means: nothing, or the end of what is on trial there."""
    by_role = {window.role: window for window in windows}
    candidate = by_role.get("candidate")
    if candidate is None:
        return ()
    nothing = Window(candidate.arm, "control", candidate.start, candidate.end, Missing("no control at this time"))
    pair = Pair(candidate, by_role.get("control", nothing))
    aborted = guard.check([pair], run.target.guardrails, _levels(run), noise(run))
    if aborted is None:
        return ()
    why = f"aborted: {aborted.rule}, {aborted.seen} (limit {aborted.limit})"
    if run.final:
        return (aborted, Watched(None, (None, None), 0, True, why))
    if run.gate is not None:
        return (aborted, _judged(run.gate, "RollBack", why))
    censored = screened(run, run.trials[-1], aborted=True)
    return (aborted, censored) if censored is not None else (aborted,)


def take_back(run: Run, outcome: Outcome, why: str) -> Step:
    """The way back. A run that never wrote has nothing to take back."""
    return TakeBack(outcome, why) if run.touched else Close(outcome, why)


def request(run: Run) -> Request:
    """What the strategy is asked: everything measured so far, effects against the original."""
    number = len(run.trials) + len(run.gates)
    seed = int(hashlib.sha256(f"{run.opened.seed}/{number}".encode()).hexdigest()[:8], 16)
    return Request(
        space=run.target.space,
        history=observations(run),
        incumbent=run.incumbent,
        seed=seed,
        n=1,
        budget=run.max_trials,
        seeds=run.target.seeds,
        radius=radius(run),
    )


def observations(run: Run) -> tuple[Observation, ...]:
    """The original, then every trial that taught something; a trial nobody could see taught nothing."""
    seen = [Observation(run.original, 0.0, 1e-4, "measured")]
    for trial in run.trials:
        if trial.status == "refused":
            seen.append(Observation(trial.settings, None, None, "refused"))
        elif trial.effect is not None and trial.variance is not None:
            aborted = trial.status == "aborted"
            variance = _variance(run, trial)
            seen.append(Observation(trial.settings, trial.effect, variance, "aborted" if aborted else "measured"))
    return tuple(seen)


def radius(run: Run) -> float:
    """Radius of the trust region (unit cube): wider after a success, narrower after three failures, reset by a Keep."""
    kept = {g.opened.trial for g in run.gates if g.judged is not None and g.judged.verdict == "Keep"}
    size, failures, off = run.profile.radius, 0, 0.0
    for trial in run.trials:
        step = (trial.effect - off) if trial.effect is not None else 0.0
        if trial.status == "aborted" or step > 0.05:
            failures += 1
            if failures == 3:
                size, failures = size / 1.5, 0
        elif step < -run.profile.mei / 2:
            size *= 1.25
        if trial.number in kept and trial.effect is not None:
            size, off = run.profile.radius, trial.effect
    return min(0.5, max(0.03, size))


def contender(run: Run, *, spent: bool) -> Trial | None:
    """The trial that deserves a gate: the recommended settings, or simpler ones that are as good, if their promise is
    large enough for how much is known."""
    advice, done = run.advice, sum(trial.status != "open" for trial in run.trials)
    if advice is None:
        return None
    promise, mei = advice.mu + advice.sd, run.profile.mei
    ripe = done >= run.profile.gate_from_trial or spent
    early = done >= run.profile.early_gate_from_trial and promise < run.off - run.profile.early_gate_mei * mei
    if not early and not (ripe and promise < run.off - 1.5 * mei):
        return None
    measured = [trial for trial in run.trials if trial.status == "measured" and trial.effect is not None]
    best = next((trial for trial in measured if same(trial.settings, advice.recommend)), None)
    if best is None or best.effect is None:
        return None
    near = [t for t in measured if t.effect is not None and t.effect <= best.effect + mei / 3 and not t.gated]
    return min(near, key=lambda trial: (_changed(trial.settings, run.original), trial.effect), default=None)


def _proposed(run: Run) -> Proposed:
    advice, asked = run.advice, request(run)
    settings = advice.proposal if advice is not None and advice.proposal is not None else run.incumbent
    why = advice.why if advice is not None else ""
    return Proposed(len(run.trials) + 1, settings, asked.seed, run.target.strategy, why)


def _spent(run: Run, now: float) -> str | None:
    """Why no further trial may start, in words; None while one may."""
    if _failed_gates(run) >= 2:
        return "two candidates in a row could not be proven"
    if len(run.gates) >= run.profile.max_gates:
        return f"{run.profile.max_gates} candidates were tested, the most that one run may test"
    if [trial.effect is None and trial.status == "aborted" for trial in run.trials[-2:]] == [True, True]:
        return "two trials in a row could not be measured"
    if run.dull >= 3:
        return "the search expects nothing more that would be worth a trial"
    if run.advice is not None and run.advice.proposal is None:
        return "every setting of the space was tried"
    if len(run.trials) >= run.max_trials:
        return f"the budget of {run.max_trials} trials is spent"
    if now - run.began >= run.max_seconds:
        return f"the budget of {run.max_seconds:.0f} s is spent"
    return None


def _finish(run: Run, why: str) -> Step:
    if run.kept:
        return Apply({arm.label: run.incumbent for arm in run.target.arms}, "promote")
    verdicts = [g.judged.verdict for g in run.gates if g.judged is not None]
    if not any(trial.effect is not None for trial in run.trials):
        return take_back(run, "failed", f"{why}; no trial could be measured")
    if "Inconclusive" in verdicts:
        return take_back(run, "inconclusive", f"{why}; the best candidate was not proven")
    return take_back(run, "nothing_to_gain", f"{why}; no candidate was better by what is worth keeping")


def _watch_pairs(run: Run, now: float) -> Step:
    block = run.watching
    if block is None:
        raise ValueError("the watch has not begun")
    pairs = block.pairs()
    units = couples(pairs)
    aborted = guard.check(pairs, run.target.guardrails, _levels(run), noise(run))
    bad = aborted is not None or harmful(units)
    if bad or len(units) >= run.profile.watch_units or len(pairs) >= 2 * MOST_GAPS * run.profile.watch_units:
        effect = fmean(units) if units else None
        bounds = interval(units, run.profile.alpha)
        if aborted is not None:
            why = f"{aborted.rule}: {aborted.seen} (limit {aborted.limit})"
        elif bad:
            why = "the kept settings proved slower than the original"
        else:
            why = _claim(effect, bounds)
        return Decide((Watched(effect, bounds, len(units), bad, why),))
    return next_slot(run, block, challenger=run.incumbent, baseline=run.original, purpose="watch", now=now)


def _claim(effect: float | None, bounds: tuple[float | None, float | None]) -> str:
    if effect is None:
        return "kept by the gate; the watch could not be read"
    low, high = (None if bound is None else 100 * math.expm1(bound) for bound in bounds)
    text = f"{100 * math.expm1(effect):+.1f} % against the original settings"
    if low is None or high is None:
        return f"{text} (interval still open)"
    proven = "" if high < 0 or low > 0 else "; the watch alone does not prove it"
    return f"{text}, between {low:+.1f} % and {high:+.1f} %{proven}"


def _variance(run: Run, trial: Trial) -> float:
    """The trial's variance, or that of its gate, which saw more."""
    for each in run.gates:
        if each.opened.trial == trial.number and each.judged is not None and each.judged.effect is not None:
            units = couples(each.block.pairs())
            if len(units) >= 3:
                return max(1e-6, stdev(units) ** 2 / len(units))
    return trial.variance if trial.variance is not None else noise(run) ** 2


def _judged(open_gate: Gate, verdict: Verdict, why: str) -> Judged:
    units = couples(open_gate.block.pairs())
    return Judged(open_gate.opened.gate, verdict, fmean(units) if units else None, (None, None), 0.0, len(units), why)


def _failed_gates(run: Run) -> int:
    """Failed gates in a row, latest last."""
    count = 0
    for each in reversed(run.gates):
        if each.judged is None or each.judged.verdict == "Keep":
            break
        count += 1
    return count


def _levels(run: Run) -> dict[str, float]:
    return dict(run.calibrated.levels) if run.calibrated is not None else {}


def _changed(settings: Settings, original: Settings) -> int:
    return sum(not same({key: value}, {key: original.get(key, value)}) for key, value in settings.items())
