"""One pure function a phase: what comes next while a run calibrates, looks, chooses, screens, gates, goes back.

What happens after the last gate (promotion, watch, hold-back) is in `keeping.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from domain import attribution, budget, guard, keeping, search
from domain.block import Gate, Trial
from domain.estimate import of_pairs
from domain.events import Aborted, Event, GateOpened, Judged, Looking, Outcome, Sampled, Verdict, Watched
from domain.evidence import Missing, Pair, Window, differences
from domain.gate import gate_alpha
from domain.schedule import fresh, next_slot, past_pairs
from domain.screening import censored as censor
from domain.screening import noise, screened, slice_noise
from domain.space import equal as same
from domain.state import Run
from domain.steps import Apply, Ask, Calibrate, Close, Decide, Examine, Prepare, Step, TakeBack, Wait

EXAMINED = 8.0  # seconds between the two samples of a diagnosis, at least
AFTER_THE_SEARCH = 3600.0  # seconds that gates, promotion, watch and rollout may take after the last trial
MOST_CALIBRATIONS = 2
MOST_GAPS = 3  # a trial gives up after this many times the pairs that it needs


def prepare(run: Run, now: float) -> Step:
    """Arms that are made for the run; a mode that must not write makes none."""
    if not run.may_act:
        return advise_only(run, now)
    latest = run.began + run.max_seconds + AFTER_THE_SEARCH + run.profile.hold_back
    return Prepare(max(latest, now + AFTER_THE_SEARCH))


def calibrates_again(run: Run) -> bool:
    """Arms that were made for the run are compared once more before a fault counts: one in twenty pairs of equal arms
    shows one by chance, and more A/A costs them nothing."""
    return run.made and run.calibrations < MOST_CALIBRATIONS and bool(run.calibrated and run.calibrated.fault)


def calibrate(run: Run, now: float) -> Step:
    """A/A from the past: identical arms, before anything was touched. Arms that were made for the run have no past, and
    serve for a while first."""
    if run.prepared is not None and run.prepared.fault:
        return take_back(run, "failed", f"the arms did not come up: {run.prepared.fault}")
    ripe = fresh(run) + run.profile.calibration_pairs * run.profile.window + 2 * run.profile.scrape
    if run.made and now < ripe:
        return Wait(ripe)
    images = list(run.before.settings.values()) if run.before is not None else []
    if not all(same(images[0], other) for other in images):
        return Close("refused", "the arms carry different settings; make them equal, then start again")
    return Calibrate(past_pairs(run, now))


def examine(run: Run, sampled: Sampled, now: float) -> Step:
    """The second half of the diagnosis, once enough has happened since the first."""
    ripe = run.sampled_at + max(EXAMINED, 2 * run.profile.scrape)
    return Wait(ripe) if now < ripe else Examine(sampled.sample)


def advise_only(run: Run, now: float) -> Step:
    """Modes that must not write: say what would be tried, or wait for a person's approval."""
    if run.diagnosed is None and run.sampled is not None:
        return examine(run, run.sampled, now)
    if run.advice is None:
        return Ask(search.request(run))
    if run.target.mode == "approve" and now < run.began + run.max_seconds:
        return Wait(run.began + run.max_seconds)
    first = run.advice.proposal or run.advice.recommend
    return Close("refused", f"mode is {run.target.mode}, so nothing was written; the first candidate would be {first}")


def choose(run: Run, now: float) -> Step:
    """Between trials: rest, then stop, look at the original, gate the best, or try the next."""
    if run.refusal is not None and run.refusal.purpose == "restore":
        return take_back(run, "failed", "the target refuses the settings that were in force")
    if run.recovered is not None:
        return take_back(run, "recovered", f"resolved without a change: {run.recovered.why}")
    if not run.at_rest and not _just_kept(run):
        return Apply({arm.label: run.incumbent for arm in run.target.arms}, "restore")
    if run.resolved and not run.trials and not run.on_top:
        # Later, `resolved` is only noted: half of the traffic on a good candidate can resolve an alert by itself.
        return take_back(run, "recovered", "the alert resolved before anything was tried")
    if attribution.due(run):
        return Decide((Looking("is the original still as slow as at the signal?"),))
    if run.diagnosed is None and run.sampled is not None:
        return examine(run, run.sampled, now)
    if run.advised_on < len(run.trials) + len(run.gates):
        return Ask(search.request(run))
    over = search.over(run, now)
    best = search.contender(run, spent=over is not None)
    if over is not None and run.kept and not run.profile.last_gate:
        best = None  # the budget is spent and something is proven: what else looks good is for another run
    if (
        best is not None
        and len(run.gates) < run.profile.max_gates
        and search.failed_gates(run) < run.profile.most_failed
    ):
        first = search.next_trial(run, best) if over is None else None
        if first is not None:
            return Decide((first,))
        number = len(run.gates) + 1
        alpha = gate_alpha(number, run.profile.alpha)
        return Decide((GateOpened(number, best.number, best.settings, alpha, len(run.trials)),))
    proposed = search.next_trial(run, None) if over is None else None
    return Decide((proposed,)) if proposed is not None else _finish(run, over or "nothing was advised", now)


def look(run: Run, now: float) -> Step:
    """The original on every arm for a few slots: did the signal go away by itself?"""
    if run.refusal is not None and run.refusal.purpose == "look":
        return take_back(run, "failed", "the target refuses settings that it carried before")
    if run.look is None:
        raise ValueError("no look is open")
    if len(run.look.slots) >= attribution.LOOK_SLOTS:
        return Decide((attribution.looked(run, run.look),))
    return next_slot(run, run.look, challenger=run.original, baseline=run.original, purpose="look", now=now)


def screen(run: Run, now: float) -> Step:
    """One trial: a few pairs, with the abort rules after each."""
    trial = run.trials[-1]
    pairs = trial.block.pairs()
    aborted = guard.stopped(run, pairs)
    if aborted is not None:
        return Decide(_aborted(run, trial, aborted))
    if guard.all_missing(pairs):
        return Decide((Aborted("no data", "2 pairs in a row without any number", "1", beyond=False),))
    usable = sum(pair.d is not None for pair in pairs)
    enough = usable >= run.profile.screening_pairs or _futile(run, trial)
    if enough or len(pairs) >= MOST_GAPS * run.profile.screening_pairs:
        result = screened(run, trial)
        nothing = Aborted("no data", f"{usable} of {len(pairs)} pairs could be read", "1", beyond=False)
        return Decide((result if result is not None else nothing,))
    return next_slot(run, trial.block, challenger=trial.settings, baseline=run.incumbent, purpose="screen", now=now)


def gate(run: Run, now: float) -> Step:
    """The acceptance test, on pairs measured after the choice."""
    open_gate = run.gates[-1]
    pairs = open_gate.block.pairs()
    if run.refusal is not None:
        return Decide((_judged(open_gate, "RollBack", "the target refuses the candidate"),))
    aborted = guard.stopped(run, pairs, known=True)
    if aborted is not None:
        return Decide((aborted, _judged(open_gate, "RollBack", told(aborted))))
    if guard.all_missing(pairs):
        return Decide((_judged(open_gate, "Inconclusive", "2 pairs in a row without any number"),))
    ruling = keeping.ruling_of(run, open_gate)
    if ruling.verdict is not None:
        number, effect, bounds = open_gate.opened.gate, ruling.effect, ruling.interval
        return Decide((Judged(number, ruling.verdict, effect, bounds, ruling.log_e, ruling.units, ruling.why),))
    return next_slot(
        run,
        open_gate.block,
        challenger=open_gate.opened.settings,
        baseline=run.incumbent,
        purpose="gate",
        now=now,
    )


def glanced(run: Run, windows: Sequence[Window]) -> tuple[Event, ...]:
    """What a look into an unfinished slot means: nothing, or the end of what is on trial there."""
    slices: dict[float, dict[str, Window]] = {}
    for window in windows:
        slices.setdefault(window.start, {})[window.role] = window
    pairs = [_slice(each) for _, each in sorted(slices.items()) if "candidate" in each]
    headroom, s0 = run.profile.headroom, slice_noise(run)
    block = run.gate.block if run.gate is not None else run.trial.block if run.trial is not None else None
    known = block is None or bool(block.pairs()) or run.gate is not None
    aborted = guard.glance(pairs, run.target.guardrails, run.levels, s0, headroom, run.bias, known=known)
    if aborted is None:
        return ()
    if run.final:
        return (aborted, Watched(None, (None, None), 0, True, told(aborted), confirmed=False))
    if run.gate is not None:
        return (aborted, _judged(run.gate, "RollBack", told(aborted)))
    ds = differences(pairs, run.bias)
    return _aborted(run, run.trials[-1], aborted, ds)


def told(aborted: Aborted) -> str:
    return f"aborted: {aborted.rule}, {aborted.seen} (limit {aborted.limit})"


def take_back(run: Run, outcome: Outcome, why: str) -> Step:
    """The way back. A run that never wrote has nothing to take back."""
    return TakeBack(outcome, why) if run.touched else Close(outcome, why)


def _aborted(run: Run, trial: Trial, aborted: Aborted, slices: Sequence[float] = ()) -> tuple[Event, ...]:
    return (aborted, censor(run, trial, slices))


def _slice(roles: dict[str, Window]) -> Pair:
    ours = roles["candidate"]
    nothing = Window(ours.arm, "control", ours.start, ours.end, Missing("no control at this time"))
    return Pair(ours, roles.get("control", nothing))


def _futile(run: Run, trial: Trial) -> bool:
    """Against the profile's MEI, not one that noise raised: what a strategy expects before it has seen anything lies
    within a few per cent, and would call every trial futile that has to show more than that."""
    expected, sd = trial.expected
    ds = differences(trial.block.pairs(), run.bias)
    return guard.futile(ds, noise(run), expected, sd, run.profile.mei / 2)


def _just_kept(run: Run) -> bool:
    """The last thing that ended was a gate with a Keep: both arms carry what is proven, and whether more of them should
    is the promotion's decision."""
    last = run.gates[-1] if run.gates else None
    kept = last is not None and last.judged is not None and last.judged.verdict == "Keep"
    return kept and last is not None and last.opened.after == len(run.trials) and run.applying is None


def _finish(run: Run, why: str, now: float) -> Step:
    if run.kept:
        return keeping.promote(run, now)
    verdicts = [g.judged.verdict for g in run.gates if g.judged is not None]
    if not any(trial.effect is not None for trial in run.trials):
        return take_back(run, "failed", f"{why}; no trial could be measured")
    if "Inconclusive" in verdicts:
        return take_back(run, "inconclusive", f"{why}; the best candidate was not proven")
    if not budget.affords(run):
        return take_back(run, "inconclusive", f"{why}; the search was cut short")
    return take_back(run, "nothing_to_gain", f"{why}; no candidate was better by what is worth keeping")


def _judged(open_gate: Gate, verdict: Verdict, why: str) -> Judged:
    seen = of_pairs(open_gate.block.pairs())
    whole = sum(pair.d is not None for pair in open_gate.block.pairs())
    return Judged(open_gate.opened.gate, verdict, seen.mean if seen else None, (None, None), 0.0, whole, why)
