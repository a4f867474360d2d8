"""The rules as a list, and the vocabulary: names, units, sources."""

from __future__ import annotations

import pytest

from adapters.catalogue import load
from diagnosis.facts import FACTS, KNOWN, told, worst_of
from diagnosis.rules import RULES
from diagnosis.symptom import LAYERS, Rule
from domain.evidence import Missing, Reading
from tests.diagnosis.cases import WRONG, case


def test_rules_have_names_of_their_own() -> None:
    """Ids are unique, every layer but `none` has exactly one rule, and no rule explains an unknown layer."""
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert sorted(rule.layer for rule in RULES) == sorted(set(LAYERS) - {"none"})
    assert {layer for rule in RULES for layer in rule.explains} <= set(LAYERS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_each_rule_says_where_it_comes_from(rule: Rule) -> None:
    """A docstring with the source of its thresholds, and rows of the guide."""
    assert len((rule.judge.__doc__ or "").split()) > 15
    assert rule.rows
    assert all(row.startswith("S") and row.count("-") == 1 for row in rule.rows)
    assert rule.title


@pytest.mark.parametrize("name", WRONG)
def test_symptoms_belong_to_their_rule(name: str) -> None:
    """Layer and refusal of a symptom are those that its rule promises, and its score is a share."""
    for rule in RULES:
        symptom = rule.judge(case(name))
        if symptom is not None:
            assert symptom.layer == rule.layer
            assert bool(symptom.refusal) == rule.refuses
            assert 0 <= symptom.score <= 1
            assert symptom.evidence


def test_parameters_are_those_of_the_catalogue() -> None:
    """Each parameter that can matter is known to the catalogue by this id."""
    known = set(load().entries)
    for name in WRONG:
        for rule in RULES:
            symptom = rule.judge(case(name))
            if symptom is not None:
                assert set(symptom.parameters) <= known, rule.id


def test_facts_have_names_units_and_meanings() -> None:
    """The vocabulary has no name twice, and each entry says what it means."""
    assert len(KNOWN) == len(FACTS)
    for fact in FACTS:
        assert len(fact.meaning) > 5, fact.name
        assert fact.name == fact.name.lower()


def test_the_worst_arm_counts() -> None:
    """Of two arms the worse reading is taken, at whichever end of the scale that is; a reading beats a missing one."""
    one = {"cpu.throttled_share": Reading(0.1), "deploy.minutes_ago": Reading(5.0), "gc.share_of_time": Missing("x")}
    two = {"cpu.throttled_share": Reading(0.4), "deploy.minutes_ago": Reading(90.0), "gc.share_of_time": Reading(0.2)}
    assert worst_of([one, two]) == worst_of([two, one])
    assert worst_of([one, two]) == {**two, "deploy.minutes_ago": Reading(5.0)}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("cpu.throttled_share", 0.371, "37.1 %"),
        ("io.read_bytes_per_s", 4.2e6, "4.2 MB/s"),
        ("pg.temp_bytes_per_s", 5300.0, "5.3 kB/s"),
        ("disk.read_wait_ms", 12.345, "12.3 ms"),
        ("memory.oom_kills", 2.0, "2"),
        ("pg.temp_files_per_s", 28.46, "28.5/s"),
        ("gc.full_per_min", 9.0, "9/min"),
        ("dependency.slower_than_usual", 41.0, "41 times"),
        ("deploy.minutes_ago", 4.02, "4.02 min"),
    ],
)
def test_values_are_told_with_their_unit(name: str, value: float, text: str) -> None:
    """As a person reads them."""
    assert told(KNOWN[name], value) == text
