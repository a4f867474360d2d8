"""The contract of `Actuator`, over every implementation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import Conflict, Rejected, Stale
from domain.ports import Stamp
from tests import postgresql_server
from tests.contracts.arms import BENCHES, REAL, Bench


@pytest.fixture(scope="module")
def postgres() -> Iterator[postgresql_server.Server]:
    """One server for all tests of this module; each finds it as if it were new."""
    with postgresql_server.postgresql() as server:
        yield server


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.real] if name in REAL else []) for name in BENCHES])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with BENCHES[request.param](request, tmp_path / "arm") as made:
        yield made


def stamp(generation: int, run: str = "r1") -> Stamp:
    return Stamp(run, generation)


def test_an_untouched_arm_has_no_stamp(bench: Bench) -> None:
    """What a person wrote is read as it is."""
    image = bench.arm.read()
    assert (image.stamp, image.generation, image.protected) == (None, 0, "")
    assert dict(image.settings) == bench.original


def test_what_is_written_is_carried_and_read_back(bench: Bench) -> None:
    """Settings, stamp and proof from the running target."""
    before = bench.arm.read()
    image = bench.arm.write(bench.fast, stamp(1), before.version)
    assert dict(image.settings) == bench.fast
    assert image.stamp == stamp(1)
    assert image.version != before.version
    assert dict(bench.other.effective()) == bench.fast
    assert bench.other.read() == image


def test_a_write_on_an_old_version_is_stale(bench: Bench) -> None:
    """Another writer of ours was faster: nothing is changed."""
    before = bench.arm.read()
    bench.other.write(bench.fast, stamp(1), before.version)
    with pytest.raises(Stale):
        bench.arm.write(bench.original, stamp(2), before.version)
    assert dict(bench.arm.read().settings) == bench.fast


def test_generations_only_grow(bench: Bench) -> None:
    """A stamp that is not above the present one is refused."""
    image = bench.arm.write(bench.fast, stamp(5), bench.arm.read().version)
    with pytest.raises(Stale):
        bench.arm.write(bench.original, stamp(5), image.version)


def test_a_foreign_edit_is_a_conflict(bench: Bench) -> None:
    """Somebody changed a setting under our first line: the stamp no longer counts, and we do not write over it."""
    image = bench.arm.write(bench.fast, stamp(1), bench.arm.read().version)
    bench.edit()
    assert bench.arm.read().stamp is None
    assert bench.by_hand
    with pytest.raises(Conflict):
        bench.arm.write(bench.original, stamp(2), image.version)
    assert bench.by_hand


def test_a_refused_candidate_leaves_what_was_in_force(bench: Bench) -> None:
    """The target says no: the former content is back, and it still serves."""
    image = bench.arm.write(bench.fast, stamp(1), bench.arm.read().version)
    with pytest.raises(Rejected):
        bench.arm.write(bench.bad, stamp(2), image.version)
    assert dict(bench.arm.read().settings) == bench.fast
    image = bench.arm.write(bench.original, stamp(3), bench.arm.read().version)
    assert dict(image.settings) == bench.original


def test_the_original_comes_back_under_a_new_generation(bench: Bench) -> None:
    """Restore brings the settings back, never the old version: a late writer cannot pass (A, B, A)."""
    before = bench.arm.read()
    bench.arm.protect("r1", 100.0)
    image = bench.arm.write(bench.fast, stamp(1), before.version)
    restored = bench.arm.restore(stamp(2), image.version)
    assert dict(restored.settings) == bench.original
    assert restored.generation == 2
    assert dict(bench.arm.effective()) == bench.original
    for old in (before.version, image.version):
        with pytest.raises(Stale):
            bench.other.write(bench.fast, stamp(9), old)


def test_the_before_image_is_taken_once(bench: Bench) -> None:
    """A second protect moves the deadline and keeps the first content; another run's is not overwritten."""
    bench.arm.protect("r1", 100.0)
    image = bench.arm.write(bench.fast, stamp(1), bench.arm.read().version)
    bench.arm.protect("r1", 200.0)
    assert bench.arm.read().protected == "r1"
    with pytest.raises(Conflict):
        bench.arm.protect("r2", 300.0)
    assert dict(bench.arm.restore(stamp(2), image.version).settings) == bench.original


def test_restore_does_not_touch_a_foreign_edit_unless_forced(bench: Bench) -> None:
    """People win; a person may still insist."""
    bench.arm.protect("r1", 100.0)
    image = bench.arm.write(bench.fast, stamp(1), bench.arm.read().version)
    bench.edit()
    with pytest.raises(Conflict):
        bench.arm.restore(stamp(2), image.version)
    assert dict(bench.arm.restore(stamp(3), None).settings) == bench.original


def test_release_removes_the_way_back_and_may_be_repeated(bench: Bench) -> None:
    """A closed run leaves no before-image; releasing again, or another run's, changes nothing."""
    bench.arm.protect("r1", 100.0)
    bench.arm.release("r2")
    assert bench.arm.read().protected == "r1"
    bench.arm.release("r1")
    bench.arm.release("r1")
    assert bench.arm.read().protected == ""
    with pytest.raises(Conflict):
        bench.arm.restore(stamp(1), None)


def test_the_watchdog_restores_only_past_the_deadline(bench: Bench) -> None:
    """Before the deadline nothing; after it the original is back, once, and the arm says that it was reaped."""
    bench.arm.protect("r1", 100.0)
    bench.arm.write(bench.fast, stamp(1), bench.arm.read().version)
    bench.other.reap(99.0)
    assert dict(bench.arm.read().settings) == bench.fast
    bench.other.reap(101.0)
    image = bench.arm.read()
    assert dict(image.settings) == bench.original
    assert image.reaped
    assert image.stamp == Stamp("r1", 2)
    bench.other.reap(102.0)
    assert bench.arm.read() == image


def test_the_watchdog_leaves_foreign_content_alone(bench: Bench) -> None:
    """Past the deadline, but somebody edited the arm since: it is told, not touched."""
    bench.arm.protect("r1", 100.0)
    bench.arm.write(bench.fast, stamp(1), bench.arm.read().version)
    bench.edit()
    bench.other.reap(101.0)
    assert bench.by_hand
    assert not bench.arm.read().reaped
