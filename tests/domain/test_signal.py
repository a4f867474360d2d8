"""Admission: what a signal leads to, and the words when it leads to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.signal import Facts, Ignore, Join, Open, Signal, admit, cause, occasion
from domain.target import Limits, Mode, Target
from tests.journal_factory import target

NOW = 1_795_529_700.0
HOUR = 3600.0
FREE = Facts({}, {})


def signal(**changes: Any) -> Signal:
    labels = {"alertname": "HighLatency", "service": "shop-front", "severity": "page"}
    return replace(Signal("fp/1#2", "alert", "firing", NOW, "p95 is high", labels=labels), **changes)


def by_name(*targets: Target) -> Mapping[str, Target]:
    return {each.name: each for each in targets}


SHOP = by_name(target())


def test_a_known_alert_on_a_quiet_target_opens() -> None:
    """More labels than `when` names do no harm."""
    assert admit(signal(), SHOP, FREE, NOW) == Open("shop-front")


@pytest.mark.parametrize("mode", ["observe", "recommend", "approve", "act"])
def test_the_mode_does_not_decide(mode: Mode) -> None:
    """What a run may write is the worker's business."""
    assert admit(signal(), by_name(target(mode=mode)), FREE, NOW) == Open("shop-front")


@pytest.mark.parametrize(
    "labels", [{}, {"alertname": "HighLatency"}, {"alertname": "highlatency", "service": "shop-front"}]
)
def test_labels_that_fit_no_target_are_ignored(labels: Mapping[str, str]) -> None:
    """All labels of `when` must be there, letter by letter."""
    assert admit(signal(labels=labels), SHOP, FREE, NOW) == Ignore(
        "", "no target of the policy has these labels in `when`"
    )


def test_a_target_without_when_is_meant_by_no_alert() -> None:
    """An empty `when` would otherwise fit everything."""
    assert isinstance(admit(signal(), by_name(target(when={})), FREE, NOW), Ignore)


def test_the_most_specific_target_wins() -> None:
    """Of two that fit, the one with more labels in `when`."""
    wide = target("everything", when={"alertname": "HighLatency"})
    assert admit(signal(), by_name(wide, target()), FREE, NOW) == Open("shop-front")


def test_two_equally_specific_targets_are_a_mistake_that_is_told() -> None:
    """Nothing is chosen by chance."""
    other = target("shop-back", when={"alertname": "HighLatency", "severity": "page"})
    found = admit(signal(), by_name(target(), other), FREE, NOW)
    assert found == Ignore("", "the labels fit shop-back and shop-front equally; make `when` narrower")


def test_a_name_is_taken_at_its_word() -> None:
    """A person or the watcher names the target; labels play no part."""
    assert admit(signal(kind="person", target="shop-front", labels={}), SHOP, FREE, NOW) == Open("shop-front")
    unknown = admit(signal(kind="person", target="shop", labels={}), SHOP, FREE, NOW)
    assert unknown == Ignore("", "target 'shop' is not in the policy")


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_a_signal_for_an_open_run_joins_it(status: Any) -> None:
    """Whatever it says, the run hears it; cool-down, limits and freezes are for opening."""
    busy = Facts({"shop-front": "run-1"}, {"shop-front": NOW - 1}, 1, ((NOW - 1, NOW + 1),))
    assert admit(signal(status=status), SHOP, busy, NOW) == Join("shop-front", "run-1")


def test_resolved_without_a_run_is_ignored() -> None:
    """There is nothing to end."""
    assert admit(signal(status="resolved"), SHOP, FREE, NOW) == Ignore("shop-front", "it resolved, and no run is open")


def test_the_cool_down_holds_alerts_back_and_then_lets_them_pass() -> None:
    """Counted from the end of the target's last run; an alert that still fires may then open again."""
    patient = by_name(target(limits=Limits(cooldown=6 * HOUR)))
    facts = Facts({}, {"shop-front": NOW - 5 * HOUR})
    assert admit(signal(), patient, facts, NOW) == Ignore("shop-front", "cooling down for another 3600 s")
    assert admit(signal(), patient, facts, NOW + HOUR) == Open("shop-front")


def test_a_person_does_not_wait_for_the_cool_down() -> None:
    """Somebody who asks has a reason."""
    facts = Facts({}, {"shop-front": NOW - 1})
    assert admit(signal(kind="person", target="shop-front"), SHOP, facts, NOW) == Open("shop-front")


@pytest.mark.parametrize("kind", ["alert", "regression", "person", "schedule"])
def test_a_freeze_holds_everybody_back(kind: Any) -> None:
    """From its start up to, not including, its end."""
    facts = Facts({}, {}, 1, ((NOW, NOW + 60),))
    assert admit(signal(kind=kind), SHOP, facts, NOW) == Ignore("shop-front", "changes are frozen for another 60 s")
    assert admit(signal(kind=kind), SHOP, facts, NOW + 60) == Open("shop-front")


def test_no_more_runs_than_allowed_are_open() -> None:
    """Runs of targets that the policy no longer knows count too."""
    facts = Facts({"gone": "run-1"}, {}, 1)
    assert admit(signal(), SHOP, facts, NOW) == Ignore("shop-front", "1 runs are open, and 1 may be (limits.open_runs)")
    assert admit(signal(), SHOP, replace(facts, most_open=2), NOW) == Open("shop-front")


def test_a_shared_lock_excludes() -> None:
    """Two targets on one dependency never have runs at the same time; others may."""
    targets = by_name(target(lock="db"), target("shop-back", lock="db"), target("blog", lock="cache"))
    found = admit(signal(), targets, Facts({"shop-back": "run-1"}, {}, 9), NOW)
    assert found == Ignore("shop-front", "shop-back has an open run and shares the lock 'db'")
    assert admit(signal(), targets, Facts({"blog": "run-1"}, {}, 9), NOW) == Open("shop-front")


def test_an_alert_that_began_long_ago_may_open() -> None:
    """How long it has been firing is no reason to leave it."""
    assert admit(signal(at=NOW - 90 * 24 * HOUR), SHOP, FREE, NOW) == Open("shop-front")


def test_an_occasion_is_the_same_for_repeats_within_the_hour() -> None:
    """So that repeats are recognised, and a later one may open a run after the cool-down."""
    start = 495_000 * HOUR
    assert occasion("fp/1", start) == occasion("fp/1", start + HOUR - 1) != occasion("fp/1", start + HOUR)


@given(st.text(min_size=1), st.floats(0, 1e11))
def test_the_cause_of_an_occasion_is_what_it_was_made_from(text: str, now: float) -> None:
    """Also where the text itself holds the separator."""
    assert cause(occasion(text, now)) == text


def test_an_id_without_occasion_is_its_own_cause() -> None:
    """A person's signals never repeat."""
    assert cause("person/1795529700.000000") == "person/1795529700.000000"
