"""What pairs of identical arms say before a run."""

from __future__ import annotations

import math

import pytest

from domain.evidence import Pair
from domain.screening import calibrated
from tests.domain.pairs import pair
from tests.domain.rooms import QUICK, Room

NOISE = (0.004, -0.003, 0.006, -0.005)  # of neighbouring pairs, not correlated


def past(room: Room, offset: float, count: int, bias: float = 0.0) -> list[Pair]:
    """So many pairs that ended before the onset; the candidate seems slower by `offset`."""
    end = room.run.began - QUICK.onset_windows * QUICK.window - 10.0
    return [
        pair(offset + NOISE[i % 4], side=1 if i // 2 % 2 == 0 else -1, start=end - 5.0 * (count - i), bias=bias)
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("offset", "count", "refused"),
    [(-0.2, 20, True), (-0.2, 8, True), (-0.2, 7, False), (-0.2, 3, False), (0, 20, False)],
)
def test_identical_arms_that_differ_are_a_fault(offset: float, count: int, refused: bool) -> None:
    """Whichever is called the candidate; fewer than eight pairs cannot tell that from noise."""
    room = Room()
    seen = calibrated(room.run, past(room, offset, count))
    assert len(seen.pairs) == count
    assert bool(seen.fault) is refused
    assert not refused or "identical arms differ by -18" in seen.fault


def test_one_arm_slower_than_the_other_is_no_fault() -> None:
    """It is their bias, which swaps take out of every decision."""
    room = Room()
    seen = calibrated(room.run, past(room, 0.0, 20, bias=0.2))
    assert not seen.fault
    assert seen.bias == pytest.approx(0.2, abs=0.01)
    assert math.isclose(seen.offset, 0.0, abs_tol=0.01)


def test_nothing_before_the_run_is_a_fault() -> None:
    """Who cannot read both arms cannot compare them."""
    assert "no data" in calibrated(Room().run, []).fault
