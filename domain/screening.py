"""What the windows of trials and of A/A say: effect and variance for the optimizer, noise for the rules.

Screening shrinks the concurrent control (beta below 1) where the arms share little of their noise; the gate never
does. See docs/measuring.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import StatisticsError, correlation, fmean, median, pstdev, stdev

from domain.block import Trial
from domain.estimate import Estimate, autocorrelation, of_pairs, student
from domain.events import Calibrated, Screened
from domain.evidence import Pair, Reading, differences
from domain.robust import winsorised
from domain.state import Run

TRUSTED_FREEDOM = 12
BIAS_LEAST = 8  # A/A pairs from which on a bias of the arms, the noise or an offset is taken at its word
MEI_PER_SD = 0.6  # the least minimum effect of interest, in sd of a pair: what 40 pairs prove about every second time
BETA_PRIOR, BETA_WEIGHT, BETA_LEAST = 0.5, 4, 8
ABORTED_EFFECT, ABORTED_SD = 0.08, 0.05


def noise(run: Run) -> float:
    """s0: sd of a pair's d as A/A and trials showed it (pooled); below twelve degrees of freedom at least the prior."""
    pool = run.noise
    pooled = math.sqrt(pool.squares / pool.freedom) if pool.freedom >= 3 else 0.0
    return pooled if pool.freedom >= TRUSTED_FREEDOM else max(run.profile.prior_sd, pooled)


def slice_noise(run: Run) -> float:
    """The same for a glance, which is shorter than a window: noise that averages out, as the square root of time."""
    return noise(run) * math.sqrt(run.profile.window / run.profile.glance) if run.profile.glance else noise(run)


def censored(run: Run, trial: Trial, slices: Sequence[float] = ()) -> Screened:
    """The effect of an aborted trial: at least 0.08 worse, with a deliberately vague variance. `slices` are the d of
    glances into a window that was never finished."""
    ds = differences(trial.block.pairs(), run.bias)
    if slices:
        # A glance counts for its share of a window, and what it saw last is why the trial was stopped.
        ds = [fmean(slices)]
    observed = fmean(ds) if ds else ABORTED_EFFECT
    variance = noise(run) ** 2 / max(1, len(ds)) + ABORTED_SD**2
    return Screened(trial.number, max(observed, ABORTED_EFFECT), variance, len(trial.block.pairs()))


def screened(run: Run, trial: Trial) -> Screened | None:
    """The trial's effect against the incumbent; None if it has no usable pair."""
    pairs = [pair for pair in trial.block.pairs() if pair.d is not None]
    s0 = noise(run)
    if not pairs:
        return None
    ds = winsorised(differences(pairs, run.bias))
    share = beta(run)
    effect = fmean(ds)
    if share < 1:
        effect += (1 - share) * (_control_mean(pairs, run.bias) - _control_level(run))
    own = stdev(ds) ** 2 if len(ds) >= 2 else s0**2
    variance = (0.5 * own + 0.5 * s0**2) / len(ds)
    return Screened(trial.number, effect, variance, len(ds))


def beta(run: Run) -> float:
    """Share of the control's movement that is taken off the candidate's: the regression slope within trials, pulled
    towards 0.5; 1 where the arms move together (correlation above 0.7)."""
    if run.calibrated is not None and (run.calibrated.correlation or 0.0) > 0.7:
        return 1.0
    ours: list[float] = []
    theirs: list[float] = []
    for trial in run.trials:
        ys = _logs(trial.block.pairs(), run.bias)
        if len(ys) >= 2:
            ours += [y[0] - fmean(each[0] for each in ys) for y in ys]
            theirs += [y[1] - fmean(each[1] for each in ys) for y in ys]
    spread = sum(value**2 for value in theirs)
    if len(ours) < BETA_LEAST or spread == 0:
        return BETA_PRIOR
    slope = min(1.0, max(0.0, sum(a * b for a, b in zip(ours, theirs, strict=True)) / spread))
    return (len(ours) * slope + BETA_WEIGHT * BETA_PRIOR) / (len(ours) + BETA_WEIGHT)


def calibrated(run: Run, past: Sequence[Pair], skew: float = 0.0) -> Calibrated:
    """What A/A says about noise, and whether it is safe to measure here at all. `past` are the pairs before the run,
    oldest first; those of the onset tell the level at the signal and nothing else. `skew` is how far Prometheus' clock
    is ahead of ours, in seconds."""
    onset = math.inf if run.made else run.began - run.profile.onset_windows * run.profile.window
    pairs = [pair for pair in past if pair.candidate.end <= onset and pair.d is not None]
    ds = differences(pairs)
    windows = [window for pair in pairs for window in (pair.candidate, pair.control)]
    levels: dict[str, float] = {}
    fault = ""
    for guardrail in run.target.guardrails:
        seen = [w.guards[guardrail.name] for w in windows if guardrail.name in w.guards]
        values = [reading.value for reading in seen if isinstance(reading, Reading)]
        if values:
            levels[guardrail.name] = median(values)
        elif guardrail.relative:
            fault = f"guardrail {guardrail.name} has no value under the original settings, so its limit is unknown"
    if not ds:
        fault = "the objective has no data for both arms before the run; see `trimtab targets check`"
    r1 = autocorrelation([ds])
    if r1 is not None and r1 - 1.645 / math.sqrt(max(1, len(ds) // 4)) > 0.2:
        fault = f"neighbouring windows are correlated ({r1:.2f}); use longer windows"
    arms = of_pairs(pairs)
    enough = len(ds) >= BIAS_LEAST  # of three pairs, one residual is left to judge them by
    if arms is not None and enough and abs(arms.mean) - student(arms.freedom) * arms.error > run.profile.mei / 2:
        fault = f"identical arms differ by {100 * math.expm1(arms.mean):+.1f} % whichever is called the candidate"
    if abs(skew) > run.profile.window / 10:
        fault = f"Prometheus' clock is {skew:+.1f} s from ours, so windows would be read at the wrong time"
    healthy, noticed = _levels([pair for pair in past if pair.d is not None])
    if run.made:
        healthy = None  # how it was before the signal, these arms cannot know
    return Calibrated(
        pairs=tuple(pairs),
        sd=stdev(ds) if len(ds) >= 2 else run.profile.prior_sd,
        r1=r1 or 0.0,
        correlation=_arm_correlation(pairs),
        offset=arms.mean if arms is not None else fmean(ds) if ds else 0.0,
        levels=levels,
        uneasy=_uneasy(ds, r1),
        fault=fault,
        healthy=healthy,
        noticed=noticed,
        bias=arms.bias if arms is not None and enough else 0.0,
        mei=_shown(run, pairs, arms),
    )


def _shown(run: Run, pairs: Sequence[Pair], seen: Estimate | None) -> float:
    """The minimum effect of interest: the profile's, raised to what 40 pairs can show at this noise."""
    ds = winsorised(differences(pairs, seen.bias if seen is not None else 0.0))
    return max(run.profile.mei, MEI_PER_SD * stdev(ds)) if len(ds) >= BIAS_LEAST else run.profile.mei


def _uneasy(ds: Sequence[float], r1: float | None) -> bool:
    """Evidence of correlation, skew or outliers in A/A, beyond what so few pairs show by chance."""
    n = len(ds)
    if n < 8 or pstdev(ds) == 0:
        return False
    middle = median(ds)
    reach = 5 * 1.4826 * max(median(abs(d - middle) for d in ds), 0.01)
    skew = fmean([((d - fmean(ds)) / pstdev(ds)) ** 3 for d in ds])
    correlated = r1 is not None and r1 - 1.645 / math.sqrt(n) > 0.2
    return correlated or abs(skew) > 2 * math.sqrt(6 / n) or any(abs(d - middle) > reach for d in ds)


def _levels(pairs: Sequence[Pair]) -> tuple[float | None, float | None]:
    """The objective when it was healthy (the lower quarter of the past windows) and when the run began (the last two
    pairs), as plain values."""
    ys = [math.exp((ours + theirs) / 2) for ours, theirs in _logs(pairs, 0.0)]
    if not ys:
        return None, None
    return sorted(ys)[len(ys) // 4], fmean(ys[-2:])


def _arm_correlation(pairs: Sequence[Pair]) -> float | None:
    by_arm: dict[str, list[float]] = {}
    for pair in pairs:
        if pair.d is None:
            continue
        for window in (pair.candidate, pair.control):
            if isinstance(window.objective, Reading):
                by_arm.setdefault(window.arm, []).append(math.log(window.objective.value))
    series = list(by_arm.values())
    if len(series) != 2 or len(series[0]) < 8:
        return None
    try:
        return correlation(series[0], series[1])
    except StatisticsError:
        return None


def _logs(pairs: Sequence[Pair], bias: float) -> list[tuple[float, float]]:
    """(log candidate, log control) of the pairs that have both, half of the arms' bias taken off each."""
    levels = [(pair.logs, pair.side * bias / 2) for pair in pairs]
    return [(each[0] - half, each[1] + half) for each, half in levels if each is not None]


def _control_mean(pairs: Sequence[Pair], bias: float) -> float:
    return fmean(theirs for _, theirs in _logs(pairs, bias))


def _control_level(run: Run) -> float:
    """The incumbent's mean log objective over its control windows of the last 30 minutes."""
    since = run.trials[-1].block.began - 1800.0
    first = max((trial.number for trial in run.trials if trial.gated), default=0)
    recent = [t for t in run.trials if t.block.began >= since and t.number > first] or [run.trials[-1]]
    return fmean(theirs for trial in recent for _, theirs in _logs(trial.block.pairs(), run.bias))
