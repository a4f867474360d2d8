"""Would it have recovered anyway? The trend test, when the original is looked at, and what a look says."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from domain import attribution
from domain.events import Calibrated, Looked, Looking, Measured
from domain.evidence import Missing, Reading, Window
from tests.domain.rooms import QUICK, Room

HEALTHY, NOTICED = 0.1, 0.2


def noticed(healthy: float | None = HEALTHY, level: float | None = NOTICED) -> Room:
    """A run that an alert opened, twice as slow as when it was healthy."""
    room = Room(QUICK)
    signal = replace(room.run.opened.signal, kind="alert")
    room.run.opened = replace(room.run.opened, signal=signal)
    room.tell(Calibrated((), 0.1, 0.0, None, 0.0, {}, False, healthy=healthy, noticed=level))
    return room


def look(room: Room, *levels: float | None) -> Looked:
    """A look at the original with these levels, both arms alike; its end is told too."""
    room.tell(Looking("?"))
    for level in levels:
        seen = Missing("blank") if level is None else Reading(level)
        start = room.now
        room.now += 15.0
        room.tell(Measured(tuple(Window(arm, "control", start, room.now, seen) for arm in "ab")))
    assert room.run.look is not None
    looked = attribution.looked(room.run, room.run.look)
    room.tell(looked)
    return looked


# --- trend -----------------------------------------------------------------------------------------------------------


@given(ys=st.lists(st.floats(-5, 5), min_size=4, max_size=20, unique=True))
def test_mann_kendall_is_kendalls_tau_against_time(ys: list[float]) -> None:
    """Z from S = tau * n(n-1)/2 with the continuity correction, by scipy and by counting."""
    n = len(ys)
    tau = float(kendalltau(range(n), ys).statistic)
    s = round(tau * n * (n - 1) / 2)
    assert s == sum(math.copysign(1, b - a) for a, b in combinations(ys, 2))
    expected = (s - (s > 0) + (s < 0)) / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    assert attribution.mann_kendall(ys) == pytest.approx(expected)


@given(ys=st.lists(st.floats(-5, 5), max_size=12))
def test_the_trend_backwards_is_the_opposite(ys: list[float]) -> None:
    """Ties or not; fewer than four values have none."""
    assert attribution.mann_kendall(ys) == pytest.approx(-attribution.mann_kendall(ys[::-1]))
    if len(ys) < 4:
        assert attribution.mann_kendall(ys) == 0.0


# --- when ------------------------------------------------------------------------------------------------------------


def test_half_way_needs_a_noticed_excess() -> None:
    """A person's run has no signal level; an excess below ten per cent is nothing to recover from."""
    assert attribution.halfway(Room().run) is None
    assert attribution.halfway(noticed(None).run) is None
    assert attribution.halfway(noticed(HEALTHY, 1.05 * HEALTHY).run) is None
    middle = attribution.halfway(noticed().run)
    assert middle == pytest.approx(math.log(math.sqrt(HEALTHY * NOTICED)))


def test_the_original_is_looked_at_first_and_after_every_few_trials() -> None:
    """Due before the first trial, then not until four trials later."""
    room = noticed()
    assert attribution.due(room.run)
    look(room, NOTICED, NOTICED)
    assert not attribution.due(room.run)
    for _ in range(3):
        room.trial(0.0)
        assert not attribution.due(room.run)
    room.trial(0.0)
    assert attribution.due(room.run)
    look(room, NOTICED, NOTICED)
    assert not attribution.due(room.run)


def test_what_goes_away_is_looked_at_again_before_anything_is_tried() -> None:
    """As long as it falls, up to the most looks."""
    room = noticed()
    look(room, 0.12, 0.12)
    assert attribution.going_away(room.run)
    assert attribution.due(room.run)
    for _ in range(20):
        look(room, 0.145, 0.14)
    assert len(room.run.looks) > room.run.profile.most_looks
    assert not attribution.due(room.run)


# --- what a look says ------------------------------------------------------------------------------------------------


def test_recovery_needs_evidence_over_several_looks() -> None:
    """Two slots near healthy prove nothing; six of them do, and nothing is due any more."""
    room = noticed()
    said = [look(room, 0.1 + 0.001 * n, 0.105).recovered for n in range(3)]
    assert said == [False, False, True]
    assert room.run.recovered is not None
    assert not attribution.due(room.run)


def test_a_service_that_stays_slow_never_recovers() -> None:
    """At the level of the signal, or exactly half-way: not recovered, however long it is looked at."""
    for level in (NOTICED, 1.01 * math.sqrt(HEALTHY * NOTICED)):
        room = noticed()
        assert not any(look(room, level * (1 + 0.01 * (n % 3)), level).recovered for n in range(10))


def test_a_recovery_after_a_long_slow_time_is_seen() -> None:
    """Only the latest slots count."""
    room = noticed()
    for n in range(10):
        assert not look(room, NOTICED * (1 + 0.01 * (n % 2)), NOTICED).recovered
    assert any(look(room, 0.1 + 0.001 * (n % 3), 0.105).recovered for n in range(5))


@given(levels=st.lists(st.none() | st.floats(0.09, 0.3), min_size=2, max_size=12))
def test_missing_data_never_recovers(levels: list[float | None]) -> None:
    """Gaps are left out; without any number the original could not be read."""
    room = noticed()
    looked = look(room, *levels)
    if all(level is None for level in levels):
        assert (looked.level, looked.recovered) == (None, False)
    whole = [level for level in levels if level is not None]
    assume(whole)
    again = look(noticed(), *whole)
    assert (again.log_e, again.recovered) == (looked.log_e, looked.recovered)
