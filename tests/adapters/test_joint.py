"""Two stores in one arm: which goes first, and what a death between the two writes leaves behind."""

from __future__ import annotations

import pytest

from adapters.actuators.joint import JointArm
from adapters.actuators.registry import actuator, families
from domain.errors import Conflict, Misconfigured, Stale
from domain.ports import Image, Stamp
from domain.space import Parameter, SearchSpace, Settings
from domain.target import Arm
from tests.contracts.arms import Store

MEMORY, LEVEL = "docker.memory", "nginx.gzip_comp_level"
AROUND = SearchSpace((Parameter(MEMORY, "integer", 1000, low=1, high=9999, cost="live"),))
INSIDE = SearchSpace((Parameter(LEVEL, "integer", 1, low=1, high=9),))
ORIGINAL: Settings = {MEMORY: 1000, LEVEL: 6}


class Dies(Exception):
    """The worker's process is gone."""


class Mortal(Store):
    """A store whose worker dies before its next write."""

    dies = False

    def write(self, settings: Settings, stamp: Stamp, expected: str) -> Image:
        if self.dies:
            raise Dies
        return super().write(settings, stamp, expected)


class Two:
    def __init__(self) -> None:
        self.around, self.inside = Mortal(AROUND, {MEMORY: 1000}), Mortal(INSIDE, {LEVEL: 6})
        self.arm = JointArm(self.around, AROUND, self.inside, INSIDE)

    def writes(self) -> list[str]:
        return [name for name, store in (("around", self.around), ("inside", self.inside)) if "write" in store.calls]


@pytest.mark.parametrize(("memory", "dying"), [(2000, "inside"), (1000, "inside"), (500, "around")])
def test_a_limit_grows_first_and_shrinks_last(memory: int, dying: str) -> None:
    """The one that goes second is the one that dies; the first has been written by then."""
    two = Two()
    getattr(two, dying).dies = True
    with pytest.raises(Dies):
        two.arm.write({MEMORY: memory, LEVEL: 1}, Stamp("r1", 1), two.arm.read().version)
    assert two.writes() == ["around" if dying == "inside" else "inside"]


@pytest.mark.parametrize(("memory", "dying"), [(2000, "inside"), (500, "around")])
def test_a_death_between_the_writes_is_neither_foreign_nor_lost(memory: int, dying: str) -> None:
    """What is half written bears our stamp and no generation above it; the next write, the way back and the watchdog
    each make it whole."""
    for end in ("write", "restore", "reap"):
        two = Two()
        two.arm.protect("r1", 100.0, two.arm.read().version)
        store = getattr(two, dying)
        store.dies = True
        with pytest.raises(Dies):
            two.arm.write({MEMORY: memory, LEVEL: 1}, Stamp("r1", 1), two.arm.read().version)
        store.dies = False
        image = two.arm.read()
        assert image.stamp == Stamp("r1", 1)
        assert image.generation == 1
        if end == "write":
            wanted: Settings = {MEMORY: memory, LEVEL: 1}
            image = two.arm.write(wanted, Stamp("r1", 2), image.version)
            assert (dict(image.settings), image.generation) == (wanted, 2)
        elif end == "restore":
            image = two.arm.restore(Stamp("r1", 2), image.version)
            assert (dict(image.settings), image.generation) == (ORIGINAL, 2)
        else:
            two.arm.reap(101.0)
            image = two.arm.read()
            assert (dict(image.settings), image.reaped, image.stamp) == (ORIGINAL, True, Stamp("r1", 2))


def test_an_edit_of_either_store_is_a_conflict() -> None:
    """A person changed the limit under our stamp: nothing is written to the other."""
    two = Two()
    image = two.arm.write({MEMORY: 900, LEVEL: 1}, Stamp("r1", 1), two.arm.read().version)
    two.around.edit({MEMORY: 800})
    assert two.arm.read().stamp is None
    two.inside.calls.clear()
    with pytest.raises(Conflict):
        two.arm.write({MEMORY: 700, LEVEL: 2}, Stamp("r1", 2), image.version)
    assert "write" not in two.inside.calls


def test_a_writer_that_was_faster_in_one_store_makes_the_other_stale() -> None:
    """Half a version is none."""
    two = Two()
    image = two.arm.write({MEMORY: 900, LEVEL: 1}, Stamp("r1", 1), two.arm.read().version)
    two.inside.write({LEVEL: 2}, Stamp("r1", 400), image.version.partition("|")[2])
    with pytest.raises(Stale):
        two.arm.write({MEMORY: 700, LEVEL: 2}, Stamp("r1", 500), image.version)


def test_a_kind_writes_the_families_of_its_parts() -> None:
    """And names them where a parameter is of none."""
    assert families("container+postgresql") == ("docker", "postgresql")
    assert families("container+jvm") == ("docker", "jvm", "libc")
    with pytest.raises(Misconfigured, match=r"go\.GOGC cannot be written by actuator 'jvm'; it writes jvm, libc"):
        actuator("jvm", Arm("a"), SearchSpace((Parameter("go.GOGC", "integer", 100, low=1, high=2),)))
    with pytest.raises(Misconfigured, match="'container\\+ruby' is unknown; known: container, container\\+go"):
        families("container+ruby")
