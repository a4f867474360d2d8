"""The gate: its rules one by one, and what can never end in Keep. Its level is in `test_gate_level.py`."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.estimate import estimate
from domain.evidence import Missing, Pair, Reading, Window
from domain.gate import Ruling, both_sides, gate_alpha, harmful, judge, rare_harm, spread
from domain.profile import Profile
from domain.steps import Span
from tests.domain.pairs import pair, pairs, sides
from tests.domain.rooms import QUICK, gate

ALPHA = gate_alpha(1, 0.05)


def ruling(
    seen: Sequence[float | None] | Sequence[Pair],
    *,
    uneasy: bool = False,
    profile: Profile = QUICK,
    screening: Sequence[float | None] = (),
) -> Ruling:
    """The gate's ruling on pairs, or on pairs with these log differences."""
    whole = [each for each in seen if isinstance(each, Pair)]
    whole = whole or pairs([each for each in seen if not isinstance(each, Pair)])
    return judge(whole, (), alpha=ALPHA, uneasy=uneasy, profile=profile, mei=profile.mei, screening=pairs(screening))


def noisy(mean: float, sd: float, n: int, seed: int) -> list[float | None]:
    rng = random.Random(seed)
    return [mean + rng.gauss(0, sd) for _ in range(n)]


def first(ds: Sequence[float | None] | Sequence[Pair]) -> tuple[int, Ruling]:
    """The first ruling of a look after every pair."""
    for n in range(1, len(ds) + 1):
        seen = ruling(ds[:n])
        if seen.verdict is not None:
            return n, seen
    raise AssertionError("no ruling")


# --- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "threshold"), [(1, 16.4), (2, 65.8), (3, 148.0)])
def test_alpha_is_spent_over_gates(number: int, threshold: float) -> None:
    """Each further gate asks for more; all levels together stay below alpha."""
    assert 1 / (2 * gate_alpha(number, 0.05)) == pytest.approx(threshold, rel=0.005)
    assert sum(gate_alpha(k, 0.05) for k in range(1, 1000)) < 0.05


def test_a_frozen_series_proves_nothing() -> None:
    """Identical pairs are a broken measurement, not certainty."""
    assert ruling([-0.3] * 20).verdict is None
    assert ruling([-0.3] * 20).log_e == 0.0


@pytest.mark.parametrize("seed", range(10))
def test_a_clear_gain_is_kept_after_at_least_six_pairs(seed: int) -> None:
    """A third less latency with noise of a tenth is proven within two dozen pairs."""
    n, seen = first(noisy(-0.4, 0.1, 40, seed))
    assert seen.verdict == "Keep"
    assert 6 <= n <= 24
    assert seen.effect == pytest.approx(-0.4, abs=0.12)


def test_a_gain_that_a_bias_of_the_arms_hides_is_kept_and_a_bias_alone_is_not() -> None:
    """One arm is 30 % slower than the other: swapped pairs tell that from the effect."""
    hidden, alone = (pairs(noisy(mean, 0.04, 40, 1), bias=0.26) for mean in (-0.2, 0.0))
    assert spread(hidden)[0] == pytest.approx(0.0, abs=0.05)
    assert first(hidden)[1].verdict == "Keep"
    assert first(alone)[1].verdict == "RollBack"


def test_without_swapped_pairs_nothing_is_kept() -> None:
    """On one side only, a bias of the arms would look like a gain."""
    seen = pairs(noisy(-0.4, 0.05, 40, 2), every=0)
    assert not both_sides(seen)
    assert all(ruling(seen[:n]).verdict != "Keep" for n in range(1, 41))


def test_a_loss_is_rolled_back_and_a_dull_candidate_is_not_kept() -> None:
    """Proven losses and improbable gains both end the gate."""
    assert first(noisy(0.3, 0.05, 40, 4))[1].verdict == "RollBack"
    assert first(noisy(0.02, 0.01, 40, 4))[1].verdict == "RollBack"


def test_not_proven_within_the_cap_is_inconclusive() -> None:
    """Noise that hides everything ends at 40 pairs without a Keep."""
    assert ruling(noisy(-0.05, 0.15, 40, 5)).verdict == "Inconclusive"


def test_rare_harm_is_never_kept() -> None:
    """Better on average, but now and then more than half as slow again: not kept; twice of it ends the gate."""
    once = [*noisy(-0.3, 0.02, 38, 6), 0.5, -0.3]
    assert ruling(once).verdict == "Inconclusive"
    assert ruling(once[20:]).verdict is None
    assert ruling([*once[20:], 0.5]).verdict == "Inconclusive"


def test_rare_harm_of_the_screening_counts_too() -> None:
    """What a trial saw of the candidate may speak against it, never for it."""
    good = noisy(-0.3, 0.02, 20, 6)
    assert ruling(good).verdict == "Keep"
    assert ruling(good, screening=[0.5]).verdict is None
    assert ruling(good, screening=[0.5, 0.6]).verdict == "Inconclusive"
    assert ruling(noisy(0.0, 0.02, 3, 6), screening=[-0.3] * 30).verdict is None
    assert rare_harm(pairs([0.5, -0.5, None, 0.1])) == 0


def test_arms_that_see_different_effects_are_unstable() -> None:
    """A gain on one arm and none on the other is no setting to keep; a bias of the arms alone is no instability."""
    unstable = [d - (0.5 if side == 1 else 0.05) for d, side in zip(noisy(0, 0.02, 40, 7), sides(40), strict=True)]
    assert spread(pairs(unstable))[0] == pytest.approx(0.45, abs=0.05)
    assert spread(pairs(noisy(-0.3, 0.02, 40, 7), bias=0.4))[0] == pytest.approx(0.0, abs=0.05)
    assert first(pairs(unstable))[1].verdict == "Inconclusive"


def test_a_load_that_comes_and_goes_is_no_instability() -> None:
    """Both arms are eight times as slow while the candidate is on arm a: against its own control, each arm seems to see
    another effect. The pairs, measured at the same time, say that it is the same."""
    ds, ways = noisy(-1.5, 0.1, 8, 3), sides(8)
    busy = [pair(d, 0.8 if side == 1 else 0.1, side=side) for d, side in zip(ds, ways, strict=True)]
    assert spread(busy)[0] < 0.2
    assert first(busy)[1].verdict == "Keep"


def test_noise_is_no_instability() -> None:
    """Six pairs that differ by themselves cannot show that the arms differ."""
    apart, error = spread(pairs([-1.0, -1.7, -2.1, -1.6, -0.9, -1.6]))
    assert apart > 0.3
    assert apart < 2 * error


def test_an_uneasy_calibration_asks_for_twenty_pairs() -> None:
    """Correlation, skew or outliers in A/A make the gate longer."""
    ds = noisy(-0.4, 0.03, 20, 7)
    assert ruling(ds[:18]).verdict == "Keep"
    assert ruling(ds[:18], uneasy=True).verdict is None
    assert ruling(ds, uneasy=True).verdict == "Keep"


def test_correlation_that_the_calibration_proved_makes_the_gate_longer() -> None:
    """The same pairs, after an A/A that shows correlation, are fewer pairs."""
    rng, xs = random.Random(3), [0.0]
    for _ in range(39):
        xs.append(0.9 * xs[-1] + rng.gauss(0, 0.05))
    ds = pairs(noisy(-0.2, 0.1, 20, 9))
    free = judge(ds, (), alpha=ALPHA, uneasy=False, profile=QUICK, mei=0.03)
    held = judge(ds, pairs(list(xs)), alpha=ALPHA, uneasy=False, profile=QUICK, mei=0.03)
    assert held.log_e < free.log_e


def test_harm_in_the_watch_needs_evidence_beyond_two_percent() -> None:
    """A kept change that is slower is found; one per cent of noise is not harm, and neither is a gain."""
    rng = random.Random(9)
    assert harmful(estimate([0.2 + rng.gauss(0, 0.03) for _ in range(20)], sides(20)))
    assert not harmful(estimate([0.01 + rng.gauss(0, 0.03) for _ in range(10)], sides(10)))
    assert not harmful(estimate([-0.3 + rng.gauss(0, 0.03) for _ in range(10)], sides(10)))
    assert not harmful(None)


# --- what can never happen -------------------------------------------------------------------------------------------


@given(ds=st.lists(st.floats(-5, 5), min_size=0, max_size=44), uneasy=st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_ruling_is_finite_and_its_interval_ordered(ds: list[float], uneasy: bool) -> None:
    """No input makes the gate raise, or report a number that is none."""
    result = ruling(list(ds), uneasy=uneasy)
    assert math.isfinite(result.log_e)
    low, high = result.interval
    assert (low is None) == (high is None)
    if low is not None and high is not None:
        assert low <= high


@given(
    ds=st.lists(st.floats(-1, 1), min_size=6, max_size=40),
    mean=st.floats(0.1, 0.5),
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=12),
    data=st.data(),
)
@settings(max_examples=300, deadline=None)
def test_adding_missing_never_turns_rollback_into_keep(
    ds: list[float], mean: float, gaps: list[int], data: st.DataObject
) -> None:
    """Gaps are no argument for a candidate, wherever they stand, and whenever the gate stops after them."""
    before = pairs([mean + d / 10 for d in ds])
    if ruling(before).verdict != "RollBack":
        return
    after = list(before)
    for place in sorted(gaps, reverse=True):
        both = data.draw(st.booleans())
        gap = pair(None, side=data.draw(st.sampled_from([-1, 1])))
        blank = replace(gap.control, objective=Missing("blank")) if both else gap.control
        after.insert(min(place, len(after)), Pair(gap.candidate, blank))
    assert ruling(after).verdict != "Keep"
    for extra in range(1, 6):
        assert ruling([*before, *[pair(None, side=1)] * extra]).verdict != "Keep"


@given(ds=st.lists(st.floats(-2, 2), min_size=2, max_size=40), blanks=st.sets(st.integers(0, 39), min_size=1))
@settings(max_examples=200, deadline=None)
def test_more_than_a_tenth_without_data_is_never_kept(ds: list[float], blanks: set[int]) -> None:
    """Whatever the rest says, a gate with too many gaps keeps nothing."""
    shown = [None if i in blanks else d / 20 - 0.5 for i, d in enumerate(ds)]
    assume(sum(d is None for d in shown) * 10 > len(shown))
    assert ruling(shown, profile=QUICK).verdict != "Keep"


# --- whole gates, window by window -----------------------------------------------------------------------------------


def windows(
    rng: random.Random,
    *,
    gain: float = -0.4,
    sd: float = 0.08,
    blank: Callable[[int, Span], bool] = lambda slot, span: False,
    bad: Callable[[int], bool] = lambda slot: False,
) -> Callable[[int, Span], Window]:
    """A service whose candidate has this effect; `bad` slots break a guardrail on the candidate's side."""

    def window(slot: int, span: Span) -> Window:
        ours = span.role == "candidate"
        value = 0.1 * math.exp(rng.gauss(0, sd) + (gain if ours else 0.0))
        errors = 0.2 if ours and bad(slot) else 0.0
        seen: tuple[Reading | Missing, Reading | Missing] = (Reading(value), Reading(errors))
        if blank(slot, span):
            seen = (Missing("blank"), Missing("blank"))
        return Window(span.arm, span.role, span.start, span.end, seen[0], {"errors": seen[1]})

    return window


@given(
    seed=st.integers(0, 10**6),
    gain=st.floats(-0.7, 0.2),
    every=st.integers(1, 9),
    at=st.integers(0, 8),
    side=st.sampled_from(["candidate", "control", "both"]),
)
@settings(max_examples=60, deadline=None)
def test_a_gate_with_more_than_a_tenth_of_its_windows_blank_is_never_kept(
    seed: int, gain: float, every: int, at: int, side: str
) -> None:
    """Every so many slots one side, or both, has no data: more than a tenth of whatever the gate saw."""
    blank = lambda slot, span: slot % every == at % every and side in ("both", span.role)  # noqa: E731
    judged, seen = gate(windows(random.Random(seed), gain=gain, blank=blank))
    missing = sum(pair.d is None for pair in seen)
    assert not (judged.verdict == "Keep" and missing * 10 > len(seen))


@given(seed=st.integers(0, 10**6), chances=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_gate_with_windows_blank_at_random_is_never_kept_beyond_a_tenth(seed: int, chances: float) -> None:
    """Scattered gaps on either side, as many as you like: a Keep has at most a tenth of them."""
    lots = random.Random(seed)
    judged, seen = gate(windows(random.Random(seed), blank=lambda slot, span: lots.random() < chances))
    if judged.verdict == "Keep":
        assert sum(pair.d is None for pair in seen) * 10 <= len(seen)


@given(seed=st.integers(0, 10**6), bad=st.sets(st.integers(0, 12), min_size=1))
@settings(max_examples=60, deadline=None)
def test_a_candidate_that_breaks_a_guardrail_is_never_kept(seed: int, bad: set[int]) -> None:
    """However good its latency: one window beyond the limit ends the gate."""
    judged, seen = gate(windows(random.Random(seed), bad=lambda slot: slot in bad))
    assert judged.verdict == "RollBack" or len(seen) <= min(bad)


@given(seed=st.integers(0, 10**6), every=st.integers(1, 5), at=st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_blanking_the_windows_that_break_a_guardrail_does_not_help(seed: int, every: int, at: int) -> None:
    """A candidate that breaks a guardrail now and then, and whose windows are missing exactly there, is not kept, if
    it happens in more than a tenth of them."""
    broken = lambda slot: slot % every == at % every  # noqa: E731
    blank = lambda slot, span: broken(slot) and span.role == "candidate"  # noqa: E731
    judged, _ = gate(windows(random.Random(seed), bad=broken, blank=blank))
    assert judged.verdict != "Keep"


def test_a_single_blank_window_that_breaks_a_guardrail_does_not_help() -> None:
    """The same with one such window in a gate."""
    for seed in range(20):
        blank = lambda slot, span: slot == 3 and span.role == "candidate"  # noqa: E731
        assert gate(windows(random.Random(seed), blank=blank))[0].verdict != "Keep"


def test_a_candidate_whose_guardrails_cannot_be_read_is_never_kept() -> None:
    """Missing data never keeps a candidate: here latency is there, and the guardrail never is."""
    plain = windows(random.Random(1))

    def window(slot: int, span: Span) -> Window:
        return replace(plain(slot, span), guards={"errors": Missing("blank")})

    assert gate(window)[0].verdict != "Keep"
