"""The contract of `Actuator`, over every implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from adapters.actuators.memory import MemoryArm
from adapters.actuators.nginx import NginxArm
from domain.errors import Conflict, Rejected, Stale
from domain.ports import Actuator, Stamp
from domain.space import Parameter, SearchSpace, Settings
from domain.target import Arm as Place
from tests.nginx_server import nginx

LEVEL, KEEPALIVE = "nginx.gzip_comp_level", "nginx.keepalive_timeout"
SPACE = SearchSpace(
    (
        Parameter(LEVEL, "integer", 1, low=1, high=9),
        Parameter(KEEPALIVE, "integer", 75, low=5, high=180, unit="s"),
    )
)
ORIGINAL: Settings = {LEVEL: 6, KEEPALIVE: 75}
FAST: Settings = {LEVEL: 1, KEEPALIVE: 30}
BAD: Settings = {LEVEL: 4711, KEEPALIVE: 75}


class Arm(Actuator, Protocol):
    def reap(self, now: float) -> object: ...


@dataclass
class Bench:
    """One arm, another worker's view of the same arm, and a foreign hand."""

    arm: Arm
    other: Arm
    edit: Callable[[], None]


@pytest.fixture(params=["memory", "nginx"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "memory":
        arm = MemoryArm(SPACE, ORIGINAL)
        arm.refuse(BAD)
        yield Bench(arm, arm, lambda: arm.edit({LEVEL: 3}))
        return
    with nginx(tmp_path / "arm", "gzip_comp_level 6;\nkeepalive_timeout 75s;\ngzip_vary on;\n") as server:

        def edit() -> None:
            text = server.config.read_text()
            changed = "".join(
                "gzip_comp_level 3;\n" if line.startswith("gzip_comp_level") else line
                for line in text.splitlines(keepends=True)
            )
            server.config.write_text(changed)

        at = Place("a", server.place)
        yield Bench(NginxArm(at, SPACE), NginxArm(at, SPACE), edit)


def stamp(generation: int, run: str = "r1") -> Stamp:
    return Stamp(run, generation)


def test_an_untouched_arm_has_no_stamp(bench: Bench) -> None:
    """What a person wrote is read as it is."""
    image = bench.arm.read()
    assert (image.stamp, image.generation, image.protected) == (None, 0, "")
    assert dict(image.settings) == ORIGINAL


def test_what_is_written_is_carried_and_read_back(bench: Bench) -> None:
    """Settings, stamp and proof from the running target."""
    before = bench.arm.read()
    image = bench.arm.write(FAST, stamp(1), before.version)
    assert dict(image.settings) == FAST
    assert image.stamp == stamp(1)
    assert image.version != before.version
    assert dict(bench.other.effective()) == FAST
    assert bench.other.read() == image


def test_a_write_on_an_old_version_is_stale(bench: Bench) -> None:
    """Another writer of ours was faster: nothing is changed."""
    before = bench.arm.read()
    bench.other.write(FAST, stamp(1), before.version)
    with pytest.raises(Stale):
        bench.arm.write(ORIGINAL, stamp(2), before.version)
    assert dict(bench.arm.read().settings) == FAST


def test_generations_only_grow(bench: Bench) -> None:
    """A stamp that is not above the present one is refused."""
    image = bench.arm.write(FAST, stamp(5), bench.arm.read().version)
    with pytest.raises(Stale):
        bench.arm.write(ORIGINAL, stamp(5), image.version)


def test_a_foreign_edit_is_a_conflict(bench: Bench) -> None:
    """Somebody changed a setting under our first line: the stamp no longer counts, and we do not write over it."""
    image = bench.arm.write(FAST, stamp(1), bench.arm.read().version)
    bench.edit()
    assert bench.arm.read().stamp is None
    assert bench.arm.read().settings[LEVEL] == 3
    with pytest.raises(Conflict):
        bench.arm.write(ORIGINAL, stamp(2), image.version)
    assert bench.arm.read().settings[LEVEL] == 3


def test_a_refused_candidate_leaves_what_was_in_force(bench: Bench) -> None:
    """The target says no: the former content is back, and it still serves."""
    image = bench.arm.write(FAST, stamp(1), bench.arm.read().version)
    with pytest.raises(Rejected):
        bench.arm.write(BAD, stamp(2), image.version)
    assert dict(bench.arm.read().settings) == FAST
    assert bench.arm.write(ORIGINAL, stamp(3), bench.arm.read().version).settings[LEVEL] == 6


def test_the_original_comes_back_under_a_new_generation(bench: Bench) -> None:
    """Restore brings the settings back, never the old version: a late writer cannot pass (A, B, A)."""
    before = bench.arm.read()
    bench.arm.protect("r1", 100.0)
    image = bench.arm.write(FAST, stamp(1), before.version)
    restored = bench.arm.restore(stamp(2), image.version)
    assert dict(restored.settings) == ORIGINAL
    assert restored.generation == 2
    assert dict(bench.arm.effective()) == ORIGINAL
    for old in (before.version, image.version):
        with pytest.raises(Stale):
            bench.other.write(FAST, stamp(9), old)


def test_the_before_image_is_taken_once(bench: Bench) -> None:
    """A second protect moves the deadline and keeps the first content; another run's is not overwritten."""
    bench.arm.protect("r1", 100.0)
    image = bench.arm.write(FAST, stamp(1), bench.arm.read().version)
    bench.arm.protect("r1", 200.0)
    assert bench.arm.read().protected == "r1"
    with pytest.raises(Conflict):
        bench.arm.protect("r2", 300.0)
    assert dict(bench.arm.restore(stamp(2), image.version).settings) == ORIGINAL


def test_restore_does_not_touch_a_foreign_edit_unless_forced(bench: Bench) -> None:
    """People win; a person may still insist."""
    bench.arm.protect("r1", 100.0)
    image = bench.arm.write(FAST, stamp(1), bench.arm.read().version)
    bench.edit()
    with pytest.raises(Conflict):
        bench.arm.restore(stamp(2), image.version)
    assert dict(bench.arm.restore(stamp(3), None).settings) == ORIGINAL


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
    bench.arm.write(FAST, stamp(1), bench.arm.read().version)
    bench.other.reap(99.0)
    assert dict(bench.arm.read().settings) == FAST
    bench.other.reap(101.0)
    image = bench.arm.read()
    assert dict(image.settings) == ORIGINAL
    assert image.reaped
    assert image.stamp == Stamp("r1", 2)
    bench.other.reap(102.0)
    assert bench.arm.read() == image


def test_the_watchdog_leaves_foreign_content_alone(bench: Bench) -> None:
    """Past the deadline, but somebody edited the arm since: it is told, not touched."""
    bench.arm.protect("r1", 100.0)
    bench.arm.write(FAST, stamp(1), bench.arm.read().version)
    bench.edit()
    bench.other.reap(101.0)
    assert bench.arm.read().settings[LEVEL] == 3
    assert not bench.arm.read().reaped
