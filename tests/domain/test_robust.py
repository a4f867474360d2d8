"""Outliers pulled in."""

from __future__ import annotations

from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from domain.robust import clip_improvements, reach, winsorised

DS = st.lists(st.floats(-3, 3), min_size=0, max_size=30)


def test_clipping_never_touches_losses() -> None:
    """A lucky window is pulled in, a bad one counts in full."""
    clipped = clip_improvements([-0.05, -0.06, -0.05, -3.0, 0.9])
    assert clipped[3] > -0.2
    assert clipped[4] == 0.9


@given(ds=DS)
def test_clipping_only_ever_speaks_against_the_candidate(ds: list[float]) -> None:
    """No value falls, and those above the median stay as they are."""
    clipped = clip_improvements(ds)
    assert len(clipped) == len(ds)
    assert all(after >= before for before, after in zip(ds, clipped, strict=True))
    assert all(after == before for before, after in zip(ds, clipped, strict=True) if before >= median(ds))


@given(ds=DS)
def test_winsorised_values_lie_within_reach_of_the_median(ds: list[float]) -> None:
    """Both tails end at the median and three robust sd; what lies inside is untouched."""
    pulled = winsorised(ds)
    if len(ds) < 3:
        assert pulled == ds
        return
    middle, far = median(ds), reach(ds)
    for before, after in zip(ds, pulled, strict=True):
        assert middle - far <= after <= middle + far
        assert after == before or abs(before - middle) > far
