"""Dataclasses to JSON and back: every event of the language, and what does not fit."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from domain.codec import from_json, to_json
from domain.evidence import Missing, Reading, Window
from domain.target import Target
from tests.journeys.world import make_target


def test_a_target_survives_with_its_space_profile_and_limits() -> None:
    """What a run journals at its start is the whole target."""
    target = make_target()
    assert from_json(Target, json.loads(json.dumps(to_json(target)))) == target


def test_missing_and_reading_are_told_apart() -> None:
    """A union is read by the fields that are there."""
    window = Window("a", "control", 1.0, 2.0, Missing("why"), {"g": Reading(1.0)})
    assert from_json(Window, to_json(window)) == window


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"value": "1"}, "expected float"),
        ({"value": True}, "expected float"),
        ({"worth": 1.0}, "unknown field 'worth'"),
        ([], "expected an object"),
        ({}, "value"),
    ],
)
def test_what_does_not_fit_is_named(data: object, says: str) -> None:
    """The message names the field and what was found there."""
    with pytest.raises(ValueError, match=says):
        from_json(Reading, data)


def test_what_has_no_json_form_is_refused() -> None:
    """No silent str() of unknown objects."""

    @dataclass
    class Odd:
        thing: object

    with pytest.raises(TypeError, match="no JSON form for object"):
        to_json(Odd(object()))
