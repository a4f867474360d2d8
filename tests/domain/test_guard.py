"""Abort rules: what stops a trial at once."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from domain.evidence import Missing, Pair, Reading
from domain.guard import all_missing, check
from domain.target import Guardrail
from tests.domain.pairs import pair, pairs, window

ERRORS = Guardrail("errors", "q", "<", 0.01)
BYTES = Guardrail("bytes", "q", "<", 1.5, relative=True)


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
    """Ten times as slow never lasts a second window, twice as slow never a third."""
    assert check([pair(math.log(3.1))], (), {}, 0.2) is not None
    assert check(pairs([math.log(2)]), (), {}, 0.1) is None
    assert check(pairs([math.log(2)] * 2), (), {}, 0.1) is not None


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


@given(ds=st.lists(st.floats(-1, 1), min_size=1, max_size=8), more=st.floats(0, 2), s0=st.floats(0.01, 0.3))
def test_more_harm_never_turns_an_abort_into_none(ds: list[float], more: float, s0: float) -> None:
    """Abort rules are monotone in harm."""
    if check(pairs(ds), (), {}, s0) is not None:
        assert check(pairs([d + more for d in ds]), (), {}, s0) is not None
