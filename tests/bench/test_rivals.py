"""The rivals: their tests against scipy, their rules, and that they see the same service as the product."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bench.gate.rival_judges import CONFIDENCE, classify, improvement_p, shift
from bench.gate.rivals import BUDGET, FIXED, RIVALS, WINDOW, before_after, judge_alone, run_rivals, search
from bench.gate.service import UNSAFE, Service, World

QUIET = World(drift=0.0, diurnal=0.0, white=0.0, outliers=0.0)
NOTHING = World(flat=(0.0, 0.0))  # every candidate is as good as the original
TRIAL = 180.0  # seconds


# --- the judges ------------------------------------------------------------------------------------------------------


def test_the_t_test_is_that_of_scipy() -> None:
    """One-sided, on differences, for improvement."""
    rng = np.random.default_rng(1)
    for n in (2, 4, 11, 40):
        ds = rng.normal(-0.02, 0.05, n)
        assert improvement_p(list(ds)) == pytest.approx(stats.ttest_1samp(ds, 0.0, alternative="less").pvalue)
    assert improvement_p([-0.1]) == 1.0
    assert improvement_p([0.1, 0.1]) == 1.0
    assert improvement_p([-0.1, -0.1]) == 0.0


def test_the_interval_inverts_the_mann_whitney_test_of_scipy() -> None:
    """Shifts inside the interval are not rejected at 1 - confidence, those outside are."""
    rng = np.random.default_rng(2)
    for n, m in ((10, 10), (50, 50), (12, 17)):
        experiment, control = rng.normal(0.1, 0.02, n), rng.exponential(0.02, m) + 0.09
        low, estimate, high = shift(list(experiment), list(control), CONFIDENCE)
        assert low < estimate < high

        def p(mu: float, ours: object = experiment, theirs: object = control) -> float:
            return float(stats.mannwhitneyu(ours - mu, theirs, method="asymptotic").pvalue)  # type: ignore[operator]

        assert p(low - 1e-9) < 1 - CONFIDENCE <= p(low + 1e-9)
        assert p(high + 1e-9) < 1 - CONFIDENCE <= p(high - 1e-9)


def test_the_interval_is_that_of_kayenta() -> None:
    """The figures of Kayenta's own test; and where so few values prove nothing, the whole range."""
    ours, theirs = [10.0, 20.0, 30.0, 40.0], [1.0, 2.0, 3.0, 4.0]
    assert shift(ours, theirs, 0.95) == (6.0, 22.5, 39.0)
    assert shift(ours[:2], theirs[:2], 0.98) == (8.0, 13.5, 19.0)


def test_kayenta_classifies() -> None:
    """High and Low need the interval beyond a quarter of the estimate; a large shift with few points is no proof."""
    control = [float(x) for x in np.linspace(0.09, 0.11, 50)]
    assert classify([x * 1.2 for x in control], control) == "High"
    assert classify([x * 0.8 for x in control], control) == "Low"
    assert classify([x * 1.005 for x in control], control) == "Pass"
    assert classify(control[::-1], control) == "Pass"
    wide = [float(x) for x in np.linspace(0.05, 0.15, 10)]
    better = [x - 0.035 for x in wide]
    assert shift(better, wide, CONFIDENCE)[1] == pytest.approx(-0.035)
    assert classify(better, wide) == "Pass"


def test_judges_promote_what_is_much_better_and_say_by_how_much() -> None:
    """A candidate that is 20 % faster is kept by every judge, and claimed within a few percent."""
    world = World(flat=(math.log(0.8), math.log(0.8)))
    for seed in range(5):
        for name, course in judge_alone(world, seed).items():
            assert course.kept is not None, name
            assert course.truth == pytest.approx(math.log(0.8))
            assert course.claimed == pytest.approx(course.truth, abs=0.06)
            assert course.first_verified == course.searched > 0


def test_a_null_candidate_is_kept_by_those_who_do_not_ask_for_proof() -> None:
    """Peeking and Pass keep what is no better; the gate at most here and there."""
    kept = dict.fromkeys(("naive+check", "peeking", "kayenta-pass"), 0)
    for seed in range(60):
        for name, course in judge_alone(NOTHING, seed, tuple(kept)).items():
            kept[name] += course.kept is not None
            assert course.first_verified is None
    assert kept["naive+check"] <= 3
    assert kept["peeking"] > 6
    assert kept["kayenta-pass"] > 40


def test_a_bias_of_the_arms_fools_only_those_who_do_not_swap() -> None:
    """With arms that differ by themselves, a canary looks better than it is; swapped pairs do not."""
    world, low = replace(NOTHING, node=0.2), 0
    for seed in range(20):
        courses = judge_alone(world, seed, ("naive+check", "kayenta-low"))
        assert courses["naive+check"].kept is None
        low += courses["kayenta-low"].kept is not None
    assert low >= 5


# --- the search ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["bayesian", "random"])
def test_without_noise_naive_finds_something_better_and_claims_the_truth(strategy: str) -> None:
    """What it saw is what is: no noise, and the warm-up covers transient and carry-over."""
    for seed in range(3):
        course = run_rivals(QUIET, seed, strategy, ("naive",))["naive"]
        assert course.kept is not None
        assert course.truth < 0
        assert course.claimed == pytest.approx(course.truth)
        assert course.truth == pytest.approx(Service(QUIET, seed).truth(course.kept))


def test_the_model_searches_better_than_chance() -> None:
    """Without noise, expected improvement finds better settings than uniform points on most services."""
    better = 0
    for seed in range(6):
        found = [run_rivals(QUIET, seed, how, ("naive",))["naive"].truth for how in ("bayesian", "random")]
        better += found[0] < found[1]
    assert better >= 5


def test_the_search_spends_its_budget_and_charges_what_it_did() -> None:
    """59 candidates and the original make 360 windows; each unsafe one costs a whole trial, on half of the users."""
    samples = search(Service(World(), 3), 3, "random")
    course = run_rivals(World(), 3, "random", ("naive",))["naive"]
    assert (len(samples) + 1) * TRIAL == course.searched == BUDGET * WINDOW
    unsafe = sum(sample.truth > UNSAFE for sample in samples)
    assert unsafe > 0
    assert course.unsafe == unsafe * TRIAL
    assert course.harm == course.unsafe / 2


def test_the_fixed_rule_keeps_nothing_below_its_threshold() -> None:
    """It keeps what naive keeps, where that looks better by 10 %, and nothing else."""
    kept = 0
    for seed in range(30):
        both = run_rivals(World(null=True), seed, "random", ("naive", "fixed10"))
        naive, fixed = both["naive"], both["fixed10"]
        assert (fixed.kept is not None) == (naive.claimed is not None and naive.claimed <= FIXED)
        if fixed.kept is not None:
            kept += 1
            assert (fixed.kept, fixed.claimed) == (naive.kept, naive.claimed)
    assert 0 < kept < 30


def test_those_who_check_have_the_same_budget() -> None:
    """A check ends within the three hours, and begins after 300 windows."""
    for seed in range(5):
        for name, course in run_rivals(World(), seed, "random").items():
            assert course.searched <= BUDGET * WINDOW, name
            assert course.searched >= 300 * WINDOW, name
            assert (course.kept is None) == (course.claimed is None)


@pytest.mark.parametrize("strategy", ["bayesian", "random"])
def test_the_same_seed_gives_the_same_courses(strategy: str) -> None:
    """Also when fewer rivals are asked for; another seed gives another service."""
    once = run_rivals(World(), 5, strategy)
    assert tuple(once) == RIVALS
    assert once == run_rivals(World(), 5, strategy)
    assert run_rivals(World(), 5, strategy, ("peeking",)) == {"peeking": once["peeking"]}
    assert once != run_rivals(World(), 6, strategy)


def test_unknown_names_are_refused() -> None:
    """A misspelt rival or strategy must not look like one that keeps nothing."""
    with pytest.raises(ValueError, match="rival"):
        run_rivals(World(), 1, "random", ("nobody",))
    with pytest.raises(ValueError, match="judge"):
        judge_alone(World(), 1, ("naive",))
    with pytest.raises(ValueError, match="strategy"):
        run_rivals(World(), 1, "grid")


# --- incidents -------------------------------------------------------------------------------------------------------


def test_before_and_after_takes_credit_for_what_heals_by_itself() -> None:
    """Ten candidates without any effect: one is kept where the incident heals, none where it stays."""
    incident = replace(QUIET, flat=(0.0, 0.0), excess=0.3)
    healed = [before_after(replace(incident, heals=200.0), seed) for seed in range(10)]
    assert sum(course.kept is not None for course in healed) >= 8
    assert all(course.first_verified is None and course.truth == 0 for course in healed)
    stays = [before_after(incident, seed) for seed in range(10)]
    assert not any(course.kept is not None for course in stays)
    assert stays[0].searched == 10 * 4 * WINDOW
