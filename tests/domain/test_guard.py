"""Abort rules: what stops a trial at once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence import Missing, Pair, Reading
from domain.guard import all_missing, check, futile, glance, stopped
from domain.profile import STAGING
from domain.target import Guardrail
from tests.domain.pairs import pair, pairs, window
from tests.domain.rooms import Room

ERRORS = Guardrail("errors", "q", "<", 0.01)
BYTES = Guardrail("bytes", "q", "<", 1.5, relative=True)
SPEED = Guardrail("speed", "q", ">", 0.5)
DS = st.lists(st.floats(-1, 1), min_size=1, max_size=8)
MORE = st.just(0.0) | st.floats(1e-6, 2)  # less than that is rounding, not harm
S0 = st.floats(0.01, 0.3)
HOW = st.fixed_dictionaries({"glances": st.booleans(), "known": st.booleans(), "row": st.integers(2, 3)})


def guarded(candidate: float | None, control: float | None, name: str = "errors") -> Pair:
    def seen(value: float | None) -> Reading | Missing:
        return Missing("blank") if value is None else Reading(value)

    return Pair(
        window("candidate", 0.1, {name: seen(candidate)}),
        window("control", 0.1, {name: seen(control)}, arm="b"),
    )


def test_no_pair_no_abort() -> None:
    """Nothing seen, nothing broken."""
    assert check([], (ERRORS,), {}, 0.1) is None


def test_a_broken_guardrail_aborts_in_the_first_window() -> None:
    """The candidate breaks the limit, its control does not."""
    aborted = check([guarded(0.05, 0.0)], (ERRORS,), {}, 0.1)
    assert aborted is not None
    assert "errors" in aborted.rule
    assert "0.05" in aborted.seen


def test_a_guardrail_broken_on_both_sides_aborts_only_the_worse_candidate() -> None:
    """When the incident itself breaks the limit, only more than 10 % worse counts."""
    assert check([guarded(0.052, 0.05)], (ERRORS,), {}, 0.1) is None
    assert check([guarded(0.06, 0.05)], (ERRORS,), {}, 0.1) is not None


def test_a_relative_limit_is_a_multiple_of_the_original() -> None:
    """1.5 times of 10 000 bytes; without a known original nothing can be broken."""
    assert check([guarded(16_000, 10_000, "bytes")], (BYTES,), {"bytes": 10_000.0}, 0.1) is not None
    assert check([guarded(14_000, 10_000, "bytes")], (BYTES,), {"bytes": 10_000.0}, 0.1) is None
    assert check([guarded(16_000, 10_000, "bytes")], (BYTES,), {}, 0.1) is None


def test_three_times_the_control_aborts_in_one_window_and_twice_in_two() -> None:
    """Ten times as slow never lasts a second window, twice as slow never a third. Where there are glances into a
    window, a whole one counts alone from six times on."""
    assert check([pair(math.log(3.1))], (), {}, 0.9) is not None
    assert check([pair(math.log(2))], (), {}, 0.9) is None
    assert check(pairs([math.log(2)] * 2), (), {}, 0.9) is not None
    assert check([pair(math.log(3.1))], (), {}, 0.9, glances=True) is None
    assert check([pair(math.log(6.1))], (), {}, 0.9, glances=True) is not None


def test_what_is_clearly_slower_at_once_is_aborted_without_a_charge() -> None:
    """In a quiet target the first window is enough; it is no harm beyond what the target allows."""
    aborted = check([pair(0.3)], (), {}, 0.1)
    assert aborted is not None
    assert not aborted.beyond
    assert check([pair(0.2)], (), {}, 0.1) is None
    assert check([pair(0.3)], (), {}, 0.1, known=True) is None


def test_a_burst_in_one_window_is_not_far_slower_in_two() -> None:
    """The mean of two windows counts only if each of them shows it."""
    assert check(pairs([0.0, 0.9]), (), {}, 0.1) is None
    assert check(pairs([0.2, 0.9]), (), {}, 0.1) is not None


def test_a_burst_across_two_windows_is_not_far_slower_in_three() -> None:
    """What is known is taken back for three windows in a row, where glances see harm that lasts before that."""
    assert check(pairs([0.0, 0.0, 0.6, 0.6]), (), {}, 0.1, glances=True, known=True) is not None
    assert check(pairs([0.0, 0.0, 0.6, 0.6]), (), {}, 0.1, glances=True, known=True, row=3) is None
    aborted = check(pairs([0.0, 0.0, 0.6, 0.6, 0.6]), (), {}, 0.1, glances=True, known=True, row=3)
    assert aborted is not None
    assert aborted.rule == "far slower in 3 windows in a row"


@pytest.mark.parametrize(("length", "every", "found"), [(30.0, 10.0, False), (60.0, 30.0, True), (60.0, 0.0, True)])
def test_two_far_slower_windows_of_what_is_known(length: float, every: float, found: bool) -> None:
    """They end it where three glances do not fit into a window."""
    room = Room(replace(STAGING, window=length, glance=every))
    far = pairs([0.0, 0.0, 0.6, 0.6])
    assert (stopped(room.run, far, known=True) is not None) is found
    assert stopped(room.run, far) is not None


def test_a_bias_of_the_arms_is_no_harm() -> None:
    """The slower arm's turn does not abort; without the bias it would."""
    assert check(pairs([0.0, 0.0], bias=0.6), (), {}, 0.05) is not None
    assert check(pairs([0.0, 0.0], bias=0.6), (), {}, 0.05, 0.6) is None


def test_a_very_noisy_target_does_not_abort_what_is_no_slower() -> None:
    """Noise of half a unit and a candidate as fast as its control: no abort."""
    assert check(pairs([0.02, -0.02]), (), {}, 0.9) is None


def test_missing_on_the_candidate_only_is_harm() -> None:
    """Two windows in a row without data while the control has some."""
    aborted = check(pairs([None, None]), (), {}, 0.1)
    assert aborted is not None
    assert "without data" in aborted.rule
    assert check(pairs([None, -0.1, None]), (), {}, 0.1) is None


def test_nobody_sees_anything() -> None:
    """Both sides blank twice in a row: no decision can rest on this trial."""
    blank = Pair(window("candidate", None), window("control", None, arm="b"))
    assert all_missing([blank, blank])
    assert not all_missing([blank])
    assert check([blank, blank], (), {}, 0.1) is None


# --- glances ---------------------------------------------------------------------------------------------------------

HEADROOM = math.log(1.2)


def test_slices_beyond_the_headroom_stop_a_candidate() -> None:
    """Three in a row beyond it, or two of a new candidate far beyond; one alone may be a burst."""
    assert glance([], (), {}, 0.1, HEADROOM) is None
    assert glance(pairs([0.9]), (), {}, 0.1, HEADROOM) is None
    assert glance(pairs([0.2, 0.2]), (), {}, 0.1, HEADROOM) is None
    assert glance(pairs([0.4, 0.4]), (), {}, 0.1, HEADROOM) is not None
    assert glance(pairs([0.4, 0.4]), (), {}, 0.1, HEADROOM, known=True) is None
    assert glance(pairs([0.2, 0.2, 0.2]), (), {}, 0.1, HEADROOM, known=True) is not None
    assert glance(pairs([0.4, None, 0.4]), (), {}, 0.1, HEADROOM) is not None
    assert glance([guarded(0.05, 0.0)], (ERRORS,), {}, 0.1, HEADROOM) is not None


# --- not worth going on ----------------------------------------------------------------------------------------------


def test_a_trial_is_given_up_only_by_what_was_expected_and_seen() -> None:
    """Nothing expected, nothing given up; then both count by their precision."""
    assert not futile([0.5], 0.1, None, None, 0.015)
    assert not futile([], 0.1, -0.3, 0.02, 0.015)
    assert futile([0.3], 0.1, 0.1, 0.05, 0.015)
    assert not futile([0.3], 0.1, -0.3, 0.02, 0.015)


@given(ds=DS, more=st.floats(0, 1), s0=st.floats(0.01, 0.3), mu=st.floats(-0.5, 0.5), sd=st.floats(0.001, 0.3))
def test_more_harm_never_makes_a_futile_trial_worth_while(
    ds: list[float], more: float, s0: float, mu: float, sd: float
) -> None:
    """Giving up is monotone in harm."""
    if futile(ds, s0, mu, sd, 0.015):
        assert futile([d + more for d in ds], s0, mu, sd, 0.015)


# --- monotone in harm ------------------------------------------------------------------------------------------------


@given(ds=DS, more=MORE, s0=S0, bias=st.floats(-0.5, 0.5), how=HOW, every=st.integers(0, 3))
@settings(max_examples=500)
def test_more_harm_never_turns_an_abort_into_none(
    ds: list[float], more: float, s0: float, bias: float, how: dict[str, Any], every: int
) -> None:
    """Abort rules are monotone in harm, whatever the bias of the arms, whether there are glances, known or new."""
    if check(pairs(ds, every), (), {}, s0, bias, **how) is not None:
        assert check(pairs([d + more for d in ds], every), (), {}, s0, bias, **how) is not None


@given(ds=DS, more=MORE, s0=S0, bias=st.floats(-0.5, 0.5), known=st.booleans(), every=st.integers(0, 3))
@settings(max_examples=500)
def test_more_harm_never_hides_from_a_glance(
    ds: list[float], more: float, s0: float, bias: float, known: bool, every: int
) -> None:
    """Glances are monotone in harm too."""
    if glance(pairs(ds, every), (), {}, s0, HEADROOM, bias, known=known) is not None:
        worse = pairs([d + more for d in ds], every)
        assert glance(worse, (), {}, s0, HEADROOM, bias, known=known) is not None


@given(
    value=st.floats(0, 2),
    control=st.floats(0, 2) | st.none(),
    more=st.floats(0, 2),
    rule=st.sampled_from([ERRORS, BYTES, SPEED]),
)
def test_a_worse_guardrail_value_never_turns_a_breach_into_none(
    value: float, control: float | None, more: float, rule: Guardrail
) -> None:
    """Further beyond a limit is never better, upwards or downwards."""
    levels = {"bytes": 0.5}
    if check([guarded(value, control, rule.name)], (rule,), levels, 0.1) is not None:
        worse = value + more if rule.op == "<" else value - more
        assert check([guarded(worse, control, rule.name)], (rule,), levels, 0.1) is not None


@given(ds=DS, s0=S0, bias=st.floats(-0.3, 0.3))
def test_a_glance_into_windows_asks_for_more_in_a_whole_one(ds: list[float], s0: float, bias: float) -> None:
    """What aborts where there are glances aborts where there are none."""
    if check(pairs(ds), (), {}, s0, bias, glances=True) is not None:
        assert check(pairs(ds), (), {}, s0, bias) is not None
