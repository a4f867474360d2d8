"""What a diagnosis leaves to the search."""

from __future__ import annotations

from domain.events import Diagnosed
from domain.ports import Advice
from domain.search import advised, focus, narrowed, request
from domain.space import Parameter, SearchSpace, inside
from tests.domain.rooms import Room

SPACE = SearchSpace(
    (
        Parameter("level", "integer", 1, low=1, high=99),
        Parameter("buffers", "integer", 8, low=1, high=64),
        Parameter("mode", "categorical", "off", choices=("off", "on")),
    ),
    ("level * buffers <= 200", "buffers <= 32", "mode != 'off' or level <= 50"),
)
ORIGINAL = {"level": 6, "buffers": 8, "mode": "off"}


def test_the_others_stand_where_they_are_and_constraints_know_it() -> None:
    """Constraints keep the present values of what is not searched; those without a searched parameter are gone."""
    small = narrowed(SPACE, frozenset({"level"}), ORIGINAL)
    assert [parameter.name for parameter in small.parameters] == ["level"]
    assert small.constraints == ("level * 8 <= 200", "'off' != 'off' or level <= 50")
    assert narrowed(SPACE, frozenset(ORIGINAL), ORIGINAL) is SPACE


def test_a_table_of_candidates_keeps_the_rows_that_agree() -> None:
    """Only rows in which the others stand where they are."""
    table = SearchSpace(SPACE.parameters, (), (ORIGINAL, {**ORIGINAL, "level": 1}, {**ORIGINAL, "mode": "on"}))
    assert narrowed(table, frozenset({"level"}), ORIGINAL).candidates == ({"level": 6}, {"level": 1})


def test_a_value_outside_the_bounds_is_moved_to_the_nearest_inside() -> None:
    """What was in force before anybody asked: too large, a step that is not offered, a word that is no number, a choice
    that is not open. What is inside stays as it is."""
    space = SearchSpace(
        (
            Parameter("level", "integer", 1, low=1, high=9),
            Parameter("share", "real", 0.5, low=0.1, high=0.9),
            Parameter("region", "ordinal", 4, choices=(2, 4, 8)),
            Parameter("mode", "categorical", "off", choices=("off", "on")),
            Parameter("limit", "integer", 0, low=10, high=20, special=("unset",)),
        )
    )
    strange = {"level": 2**63, "share": 0.0, "region": 0, "mode": "auto", "limit": "computed"}
    assert inside(space, strange) == {"level": 9, "share": 0.1, "region": 2, "mode": "off", "limit": 10}
    fine = {"level": 3, "share": 0.25, "region": 8, "mode": "on", "limit": "unset"}
    assert inside(space, fine) == fine


def test_only_parameters_of_the_target_count() -> None:
    """A diagnosis speaks of the whole catalogue. One that names nothing of this target leaves the search as it is."""
    room = Room()
    assert focus(room.run) == {"level"}
    room.tell(Diagnosed("pg_locks", "waiting for locks", parameters=("pg.deadlock_timeout",)))
    assert focus(room.run) == {"level"}
    assert request(room.run).space is room.run.target.space


def test_what_the_strategy_says_is_completed_for_the_journal() -> None:
    """Whatever was left out of the search stands in the journal as it is."""
    room = Room()
    answer = advised(Advice(({"level": 3},), {"level": 2}, -0.1, 0.02, 0.1, "scripted", simpler={"level": 2}), room.run)
    assert answer.recommend == {"level": 2}
    assert answer.proposal == {"level": 3}
    assert answer.replicate is None
