"""What the product is compared with: others' ways to search and to decide, on the same simulated service.

All of them share one naive search (`search`): Bayesian optimization over the whole cube, every trial alone on arm a,
compared with the level that the original showed at the start. They differ in what they do with its best sample:

- `naive` keeps it if it looks better at all; `fixed10` if it looks better by 10 %. All 360 windows are for the search.
- `naive+check` stops after 300 windows and asks the product's gate, on fresh pairs of both arms, for the rest.
- `peeking` takes the same pairs, but an ordinary t-test after each from the fourth on, and keeps at the first p < 0.05.
- `kayenta-low` and `kayenta-pass` run a canary of 50 points of 30 s (Spinnaker's documentation asks for at least 50) on
  arm a beside a fresh baseline on arm b, without a swap. The first keeps if Kayenta calls the candidate Low, the second
  if it does not call it High, which is what canaries are promoted on.

A rival's answer comes when its budget or its test ends, and time until then is all searching: nothing here aborts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np

from bench.gate.rival_judges import classify, improvement_p
from bench.gate.service import UNSAFE, Array, Service, World
from domain.evidence import Missing, Pair, Role, Window
from domain.gate import gate_alpha, judge
from domain.profile import STAGING
from domain.space import SearchSpace, Settings, from_unit
from optimizers.region import places
from optimizers.surrogate import Surrogate, encode, log_expected_improvement

RIVALS: tuple[str, ...] = ("naive", "naive+check", "fixed10", "peeking", "kayenta-low", "kayenta-pass")
JUDGES = ("naive+check", "peeking", "kayenta-low", "kayenta-pass")  # those that measure the candidate again
WINDOW = 30.0  # seconds
WARM_UP, MEASURED = 2, 4  # windows of a trial
BUDGET, SEARCH_ONLY = 360, 300  # windows: of everything, of the search where a check follows
POOL = 1000  # places that a choice is made from, uniform over the cube
NOISES = (0.01, 0.02, 0.04, 0.08, 0.16)  # sd of a trial's effect; what fits best is taken
SETTLE = 20.0  # seconds after a swap
MOST_PAIRS = 40
FIRST_PEEK, PEEK_ALPHA = 4, 0.05
FIXED = math.log(0.90)
POINTS, CANARY_WARM_UP = 50, 60.0
ALPHA = 0.05
PROFILE = replace(STAGING, window=WINDOW, settle=SETTLE, gate_max_pairs=MOST_PAIRS)
CALIBRATION, ONSET = 20, 90.0  # A/A pairs from the past; seconds before the run that show the change itself
SHARE = 0.5  # of the users on one of two arms
INCIDENT_TRIALS, INCIDENT_GAIN, ALERT_WINDOWS = 10, math.log(0.95), 2


@dataclass(frozen=True, slots=True)
class Sample:
    """One trial of the naive search: what it saw (log against the original at the start), and what is true."""

    settings: Settings
    effect: float
    truth: float


@dataclass(slots=True)
class RivalCourse:
    """What a rival did, seen from outside. Effects are log differences, times seconds since the run opened.

    `first_verified` is when it answered, if it kept something that is better in truth, as in `drive.Course`; those that
    verify nothing answer at the end of their budget."""

    kept: Settings | None = None
    truth: float = 0.0
    claimed: float | None = None
    first_verified: float | None = None
    searched: float = 0.0
    unsafe: float = 0.0
    harm: float = 0.0


def run_rivals(world: World, seed: int, strategy: str, names: Sequence[str] = RIVALS) -> dict[str, RivalCourse]:
    """Every named rival on the service of this world and seed. `strategy` is "bayesian" or "random"."""
    samples = search(Service(world, seed), seed, strategy)
    return {name: _course(name, Service(world, seed), samples) for name in names}


def judge_alone(world: World, seed: int, names: Sequence[str] = JUDGES) -> dict[str, RivalCourse]:
    """The judges without a search before them: each asked once about a candidate drawn by lot. In a world with `flat`
    (0, 0) it is no better and no worse than the original, and whatever is kept is a false promotion."""
    rng = np.random.default_rng((seed, 2))
    space = Service(world, seed).space
    candidate = _decoded(space, rng.random(len(space.parameters)))
    return {name: _checked(name, Service(world, seed), candidate, 0.0) for name in names}


def before_after(world: World, seed: int) -> RivalCourse:
    """For incidents: up to ten candidates in turn, four windows each, compared with the level at the alert. The best is
    kept if it is more than 5 % below; whoever recovers meanwhile gives it the credit."""
    service = Service(world, seed)
    rng = np.random.default_rng((seed, 3))
    alert = _level(service, "a", -ALERT_WINDOWS * WINDOW, ALERT_WINDOWS)
    samples: list[Sample] = []
    for number in range(INCIDENT_TRIALS):
        settings = _decoded(service.space, rng.random(len(service.space.parameters)))
        start = number * MEASURED * WINDOW
        service.carry({"a": settings}, start)
        effect = _level(service, "a", start, MEASURED) - alert
        samples.append(Sample(settings, effect, service.truth(settings)))
    course = RivalCourse(searched=len(samples) * MEASURED * WINDOW)
    _charge(course, sum(sample.truth > UNSAFE for sample in samples) * MEASURED * WINDOW)
    best = _best(samples)
    if best.effect < INCIDENT_GAIN:
        _keep(course, best.settings, best.truth, best.effect)
    return course


# --- the search ------------------------------------------------------------------------------------------------------


def search(service: Service, seed: int, strategy: str) -> list[Sample]:
    """Trials until the budget is spent. The original at the start counts as one of them, so there are 59."""
    if strategy not in ("bayesian", "random"):
        raise ValueError(f"no strategy {strategy!r}")
    rng, space = np.random.default_rng((seed, 1)), service.space
    start = _trial(service, service.original, 0)
    rows, effects = places(space, [service.original]), [0.0]
    samples: list[Sample] = []
    for number in range(1, BUDGET // (WARM_UP + MEASURED)):
        if strategy == "bayesian":
            place = _most_improvement(space, rows, np.array(effects), rng)
        else:
            place = rng.random(len(space.parameters))
        settings = _decoded(space, place)
        effect = _trial(service, settings, number) - start
        rows, effects = np.vstack((rows, place)), [*effects, effect]
        samples.append(Sample(settings, effect, service.truth(settings)))
    return samples


def _trial(service: Service, settings: Settings, number: int) -> float:
    """Mean log level of the measured windows of the `number`-th trial, on arm a alone."""
    start = number * (WARM_UP + MEASURED) * WINDOW
    service.carry({"a": settings}, start)
    return _level(service, "a", start + WARM_UP * WINDOW, MEASURED)


def _most_improvement(space: SearchSpace, rows: Array, effects: Array, rng: np.random.Generator) -> Array:
    """The place of the pool with the largest expected improvement over the best sample."""
    pool: Array = rng.random((POOL, len(space.parameters)))
    model = _learned(encode(space, rows), effects)
    mean, sd = model.at(encode(space, pool))
    best = int(np.argmax(log_expected_improvement(mean, sd, float(effects.min()))))
    return np.asarray(pool[best])


def _learned(rows: Array, effects: Array) -> Surrogate:
    """The product's surrogate with one noise for all trials, the likeliest of `NOISES` under its hyperparameters."""
    first = NOISES[len(NOISES) // 2]
    model = Surrogate(rows, effects, np.full(len(effects), first**2))
    noise = max(NOISES, key=lambda sd: _likelihood(model, rows, effects, sd))
    return model if noise == first else Surrogate(rows, effects, np.full(len(effects), noise**2))


def _likelihood(model: Surrogate, rows: Array, effects: Array, noise: float) -> float:
    scaled = rows / model.lengths
    r = math.sqrt(5) * np.sqrt(((scaled[:, None, :] - scaled[None, :, :]) ** 2).sum(-1))
    covariance = model.sd**2 * (1 + r + r**2 / 3) * np.exp(-r) + noise**2 * np.eye(len(effects))
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, effects)
    return -0.5 * float(white @ white) - float(np.log(np.diag(factor)).sum())


# --- the decision ----------------------------------------------------------------------------------------------------


def _course(name: str, service: Service, samples: Sequence[Sample]) -> RivalCourse:
    if name in JUDGES:
        seen = samples[: SEARCH_ONLY // (WARM_UP + MEASURED) - 1]
        best = _best(seen)
        course = _checked(name, service, best.settings, SEARCH_ONLY * WINDOW) if best.effect < 0 else RivalCourse()
        course.searched = course.searched or SEARCH_ONLY * WINDOW
    elif name in ("naive", "fixed10"):
        seen, best = samples, _best(samples)
        course = RivalCourse(searched=BUDGET * WINDOW)
        if best.effect < 0 and (name == "naive" or best.effect <= FIXED):
            _keep(course, best.settings, best.truth, best.effect)
    else:
        raise ValueError(f"no rival {name!r}")
    _charge(course, sum(sample.truth > UNSAFE for sample in seen) * (WARM_UP + MEASURED) * WINDOW)
    return course


def _checked(name: str, service: Service, candidate: Settings, start: float) -> RivalCourse:
    """A judge's own measurements of the candidate, from `start` on, and its answer."""
    if name == "naive+check":
        end, claim = _gate(service, candidate, start)
    elif name == "peeking":
        end, claim = _peek(service, candidate, start)
    elif name in ("kayenta-low", "kayenta-pass"):
        end, claim = _canary(service, candidate, start, ("Low",) if name == "kayenta-low" else ("Low", "Pass"))
    else:
        raise ValueError(f"no judge {name!r}")
    course, truth = RivalCourse(searched=end), service.truth(candidate)
    _charge(course, (end - start) * (truth > UNSAFE))
    if claim is not None:
        _keep(course, candidate, truth, claim)
    return course


def _gate(service: Service, candidate: Settings, start: float) -> tuple[float, float | None]:
    """The end, and the effect claimed if the product's gate keeps: with the profile's MEI, and never uneasy. A run asks
    for more where its service is noisy."""
    past = [
        _pair(service, ("a", "b") if number % 2 else ("b", "a"), -ONSET - (number + 1) * WINDOW)
        for number in reversed(range(CALIBRATION))
    ]
    pairs: list[Pair] = []
    for pair in _duet(service, candidate, start):
        pairs.append(pair)
        ruling = judge(pairs, past, alpha=gate_alpha(1, ALPHA), uneasy=False, profile=PROFILE, mei=PROFILE.mei)
        if ruling.verdict is not None:
            return pair.candidate.end, ruling.effect if ruling.verdict == "Keep" else None
    return pairs[-1].candidate.end, None


def _peek(service: Service, candidate: Settings, start: float) -> tuple[float, float | None]:
    ds: list[float] = []
    end = start
    for pair in _duet(service, candidate, start):
        end = pair.candidate.end
        ds += [pair.d] if pair.d is not None else []
        if len(ds) >= FIRST_PEEK and improvement_p(ds) < PEEK_ALPHA:
            return end, fmean(ds)
    return end, None


def _canary(service: Service, candidate: Settings, start: float, good: tuple[str, ...]) -> tuple[float, float | None]:
    """The end, and the log of the ratio of means that Kayenta shows, if its word is one of the good ones."""
    service.carry({"a": candidate, "b": service.original}, start)
    begin = start + CANARY_WARM_UP
    ours, theirs = ([math.exp(y) for y in _levels(service, arm, begin, POINTS)] for arm in ("a", "b"))
    claim = math.log(fmean(ours) / fmean(theirs)) if classify(ours, theirs) in good else None
    return begin + POINTS * WINDOW, claim


def _duet(service: Service, candidate: Settings, start: float) -> Iterator[Pair]:
    """Fresh pairs that swap the arms each time: at most 40, or what the rest of the budget holds."""
    rest = BUDGET * WINDOW - start
    for number in range(min(MOST_PAIRS, int(rest / (SETTLE + WINDOW)))):
        arms = ("b", "a") if number % 2 else ("a", "b")
        now = start + number * (SETTLE + WINDOW)
        service.carry({arms[0]: candidate, arms[1]: service.original}, now)
        yield _pair(service, arms, now + SETTLE)


# --- details ---------------------------------------------------------------------------------------------------------


def _pair(service: Service, arms: tuple[str, str], start: float) -> Pair:
    def window(arm: str, role: Role) -> Window:
        return Window(arm, role, start, start + WINDOW, service.read(arm, start, start + WINDOW))

    return Pair(window(arms[0], "candidate"), window(arms[1], "control"))


def _level(service: Service, arm: str, start: float, count: int) -> float:
    return fmean(_levels(service, arm, start, count))


def _levels(service: Service, arm: str, start: float, count: int) -> list[float]:
    """Logs of `count` windows in a row."""
    logs: list[float] = []
    for number in range(count):
        seen = service.read(arm, start + number * WINDOW, start + (number + 1) * WINDOW)
        if isinstance(seen, Missing):
            raise ValueError(f"nothing to read on {arm} from {start:.0f} s on: {seen.reason}")
        logs.append(math.log(seen.value))
    return logs


def _decoded(space: SearchSpace, place: Array) -> Settings:
    return {p.name: from_unit(p, float(x)) for p, x in zip(space.parameters, place, strict=True)}


def _best(samples: Sequence[Sample]) -> Sample:
    return min(samples, key=lambda sample: sample.effect)


def _charge(course: RivalCourse, unsafe: float) -> None:
    course.unsafe += unsafe
    course.harm += SHARE * unsafe


def _keep(course: RivalCourse, settings: Settings, truth: float, claimed: float) -> None:
    course.kept, course.truth, course.claimed = settings, truth, claimed
    course.first_verified = course.searched if truth < 0 else None
