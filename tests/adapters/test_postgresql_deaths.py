"""A writer of PostgreSQL settings that dies between any two of its acts: what is left behind is known as ours, and
the original comes back."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from adapters.actuators import postgresql_data, postgresql_server
from adapters.actuators.postgresql import PostgresArm
from adapters.actuators.postgresql_conf import parse
from domain.errors import Rejected
from domain.ports import Stamp
from domain.space import Parameter, SearchSpace, Settings
from tests.postgresql_server import Server, postgresql

MB = 1024 * 1024
WORK = Parameter("pg.work_mem", "integer", 4 * MB, low=MB, high=512 * MB, unit="bytes")
COST = Parameter("pg.random_page_cost", "real", 4.0, low=1.0, high=10.0)
LEVEL = Parameter("pg.wal_level", "categorical", "replica", choices=("minimal", "replica", "logical"), cost="restart")
LIVE, SLOW = SearchSpace((WORK, COST)), SearchSpace((WORK, LEVEL))
CANDIDATE: Settings = {"pg.work_mem": 8 * MB, "pg.random_page_cost": 1.1}
LOGICAL: Settings = {"pg.work_mem": 8 * MB, "pg.wal_level": "logical"}
STOPS: Settings = {"pg.work_mem": 8 * MB, "pg.wal_level": "minimal"}  # the server does not start with it
MOST = 40  # acts that any scene may have


class Death(BaseException):
    """Nobody catches it, as nobody catches SIGKILL."""


@dataclass
class Fate:
    """Lets `left` acts happen and kills the actor before the next."""

    left: int

    def strikes(self, act: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **named: object) -> object:
            if self.left == 0:
                raise Death
            self.left -= 1
            return act(*arguments, **named)

        return counted


@contextlib.contextmanager
def mortal(left: int) -> Iterator[list[bool]]:
    """Every line that is written, every reload, stop, start and edit of the file may be the last. Yields whether it
    came to that."""
    died = [False]
    with pytest.MonkeyPatch.context() as patch:
        fate = Fate(left)
        patch.setattr(postgresql_server.Session, "alter", fate.strikes(postgresql_server.Session.alter))
        patch.setattr("adapters.actuators.postgresql_write.reload", fate.strikes(postgresql_server.reload))
        for name in ("stop", "start", "edit"):
            patch.setattr(postgresql_data.Data, name, fate.strikes(getattr(postgresql_data.Data, name)))
        try:
            yield died
        except Death:
            died[0] = True


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresql() as running:
        yield running


def fresh(server: Server) -> None:
    """As if nobody of ours had ever been here, in force."""
    if server.pid() is None:
        server.auto.write_text("")
        server.start()
    server.fresh("work_mem = '2MB'\n")
    if server.query("SELECT bool_or(pending_restart) FROM pg_settings") == [(True,)]:
        server.kill(signal.SIGINT)
        server.start()


def write(arm: PostgresArm, settings: Settings) -> None:
    with contextlib.suppress(Rejected):
        arm.write(settings, Stamp("r1", arm.read().generation + 1), arm.read().version)


def restore(arm: PostgresArm) -> None:
    arm.restore(Stamp("r1", arm.read().generation + 1), arm.read().version)


def renew(arm: PostgresArm) -> None:
    arm.renew(float("inf"))


Act = Callable[[PostgresArm], None]
SCENES: dict[str, tuple[SearchSpace, list[Act], Act]] = {
    # scene: (space, what happened before, what may die)
    "write": (LIVE, [], lambda arm: write(arm, CANDIDATE)),
    "write again": (
        LIVE,
        [lambda arm: write(arm, CANDIDATE)],
        lambda arm: write(arm, {**CANDIDATE, WORK.name: 16 * MB}),
    ),
    "restore": (LIVE, [lambda arm: write(arm, CANDIDATE)], restore),
    "reap": (LIVE, [lambda arm: write(arm, CANDIDATE)], lambda arm: print(arm.reap(101.0))),
    "protect": (LIVE, [lambda arm: write(arm, CANDIDATE)], lambda arm: arm.protect("r1", 100.0)),
    "restart": (SLOW, [], lambda arm: write(arm, LOGICAL)),
    "restart back": (SLOW, [lambda arm: write(arm, LOGICAL)], restore),
    "renew": (SLOW, [lambda arm: write(arm, LOGICAL)], renew),
    "crash": (SLOW, [], lambda arm: write(arm, STOPS)),
}


def lives(server: Server, scene: str) -> Iterator[tuple[PostgresArm, Settings, str]]:
    """The scene again and again, each time with one act more before the death, until it is lived through: the arm as
    another process finds it, the original settings, and the version before the act."""
    space, past, act = SCENES[scene]
    place = server.restartable if space is SLOW else server.arm
    for left in range(MOST):
        fresh(server)
        arm = PostgresArm(place, space)
        before = dict(arm.read().settings)
        arm.protect("r1", 100.0)
        for earlier in past:
            earlier(arm)
        version = arm.read().version
        with mortal(left) as died:
            act(arm)
        yield PostgresArm(place, space), before, version
        if not died[0]:
            return
    raise AssertionError(f"{scene} has more than {MOST} acts")


def is_original(server: Server, arm: PostgresArm, before: Settings) -> None:
    """Stored, in force, and no line of the candidate is left."""
    assert dict(arm.read().settings) == before == dict(arm.effective())
    lines = parse(server.auto.read_text())
    assert {name: text for name, text in lines.items() if not name.startswith("trimtab.")} == {"work_mem": "2MB"}


@pytest.mark.parametrize("scene", list(SCENES))
def test_the_watchdog_brings_the_original_back_after_any_death(server: Server, scene: str) -> None:
    """Past the deadline. Nothing that was left behind is taken for somebody else's."""
    times = 0
    for arm, before, _ in lives(server, scene):
        times += 1
        told = arm.reap(101.0)
        assert told is None or "not ours" not in told
        is_original(server, arm, before)
        assert arm.read().stamp is None or arm.read().stamp == Stamp("r1", arm.read().generation)
    assert times > 1


@pytest.mark.parametrize("scene", ["write", "write again", "restore", "protect"])
def test_another_worker_can_go_on_after_any_death(server: Server, scene: str) -> None:
    """What it reads is ours, or nothing has happened yet; it takes the original back under the version that it read."""
    for arm, before, version in lives(server, scene):
        image = arm.read()
        assert image.version == version or image.stamp == Stamp("r1", image.generation)
        arm.restore(Stamp("r1", image.generation + 1), image.version)
        is_original(server, arm, before)


@pytest.mark.parametrize("scene", ["restart", "renew"])
def test_a_server_whose_writer_died_between_stop_and_start_does_not_stay_down(server: Server, scene: str) -> None:
    """Long before the deadline: nobody who lives holds the lock, and the file says that a write did not end."""
    down = 0
    for arm, before, _ in lives(server, scene):
        if server.pid() is None:
            down += 1
            assert "started again" in str(arm.reap(1.0))
            is_original(server, arm, before)
    assert down >= 1


def test_a_server_that_people_stopped_stays_down(server: Server) -> None:
    """No write of ours was under way, and the deadline is not over."""
    fresh(server)
    arm = PostgresArm(server.restartable, SLOW)
    arm.protect("r1", 100.0)
    write(arm, LOGICAL)
    server.kill(signal.SIGINT)
    assert arm.reap(99.0) is None
    assert server.pid() is None


def test_an_edit_in_the_middle_of_a_write_is_not_ours(server: Server) -> None:
    """Neither what stood there nor what was to stand there: somebody else's."""
    fresh(server)
    arm = PostgresArm(server.arm, LIVE)
    arm.protect("r1", 100.0)
    with mortal(2):
        write(arm, CANDIDATE)
    server.alter("random_page_cost", "3")
    assert arm.read().stamp is None
    assert "not ours" in str(arm.reap(101.0))
    assert arm.read().settings[COST.name] == 3.0
