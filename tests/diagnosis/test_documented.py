"""docs/diagnosis.md tells of every rule, layer and key."""

from __future__ import annotations

from pathlib import Path

from adapters.facts.registry import PLACE_KEYS
from diagnosis.rules import RULES

TEXT = (Path(__file__).parents[2] / "docs" / "diagnosis.md").read_text()


def test_each_rule_has_its_line() -> None:
    """Id, layer, and whether it refuses."""
    for rule in RULES:
        line = next(line for line in TEXT.splitlines() if line.startswith(f"| {rule.id} |"))
        assert f"`{rule.layer}`" in line
        assert ("refuses" in line) == rule.refuses, rule.id
    assert TEXT.count("\n| D-") == len(RULES)


def test_each_key_of_an_arm_is_explained() -> None:
    """Whoever writes a policy finds every key that the collectors read."""
    assert [key for key in PLACE_KEYS if f"`{key}`" not in TEXT] == []
