"""The PostgreSQL actuator where restarts are allowed: shared memory, servers that do not come back, or are
down."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from adapters.actuators.postgresql import PostgresArm
from adapters.actuators.postgresql_conf import parse
from adapters.catalogue import load, space_for
from adapters.catalogue_data import exists
from domain.errors import Conflict, Misconfigured, Rejected, Transient
from domain.ports import Stamp
from domain.space import Parameter, SearchSpace, Settings, Value, sample
from domain.target import Arm
from tests.postgresql_server import Server, postgresql

MB = 1024 * 1024
WORK = Parameter("pg.work_mem", "integer", 4 * MB, low=MB, high=512 * MB, unit="bytes")
BUFFERS = Parameter("pg.shared_buffers", "integer", 128 * MB, low=16 * MB, high=1024 * MB, unit="bytes", cost="restart")
WAL = Parameter("pg.wal_buffers", "integer", -1, low=MB, high=64 * MB, unit="bytes", special=(-1,), cost="restart")
WAL_LEVEL = Parameter(
    "pg.wal_level", "categorical", "replica", choices=("minimal", "replica", "logical"), cost="restart"
)
SLOW = SearchSpace((WORK, BUFFERS))
BUILDS = ("pg.io_method", "pg.wal_compression")  # some builds lack some of their words
ENVIRONMENT: dict[str, Value] = {
    "mem": 2048 * MB, "cpu": 2.0, "node_cpu": 2, "conns": 40, "active": 8, "disk": "ssd", "workload": "oltp",
    "db_size": 1000 * MB, "wal_disk": 10240 * MB,
}  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with postgresql() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    """As if nobody of ours had ever been here, with the shared memory of the start in force."""
    if running.pid() is None:
        running.start()
    running.fresh("work_mem = '2MB'\n")
    if running.query("SELECT bool_or(pending_restart) FROM pg_settings") == [(True,)]:
        running.kill(signal.SIGINT)
        running.start()
    return running


def write(arm: PostgresArm, settings: Settings, generation: int = 1) -> None:
    arm.write(settings, Stamp("r1", generation), arm.read().version)


def test_a_restart_brings_shared_memory_into_force(server: Server) -> None:
    """Written, stopped, started, read back from the new server; the way back goes the same way."""
    arm = PostgresArm(server.restartable, SLOW)
    before = dict(arm.read().settings)
    arm.protect("r1", 1e12)
    first = server.pid()
    write(arm, {"pg.work_mem": 8 * MB, "pg.shared_buffers": 32 * MB})
    assert server.pid() != first
    assert server.query("SHOW shared_buffers", server.app) == [("32MB",)]
    assert dict(arm.effective()) == {"pg.work_mem": 8 * MB, "pg.shared_buffers": 32 * MB}
    arm.restore(Stamp("r1", 2), arm.read().version)
    assert dict(arm.effective()) == before
    assert "shared_buffers" not in parse(server.auto.read_text())


def test_everything_that_may_be_searched_is_carried_together(server: Server) -> None:
    """All automatic parameters of the catalogue that this version has, drawn inside their constraints."""
    version = str(server.version // 10000)
    ids = [
        entry.id
        for entry in load().entries.values()
        if entry.family == "postgresql" and entry.policy == "auto" and exists(entry, version) and entry.id not in BUILDS
    ]
    space, seeds = space_for(ids, ENVIRONMENT, version=version)
    assert len(space.parameters) > 25
    arm = PostgresArm(server.restartable, space)
    before = dict(arm.read().settings)
    arm.protect("r1", 1e12)
    for generation, settings in enumerate([*seeds, *sample(space, random.Random(1), 2)], start=1):
        write(arm, settings, generation)
        assert dict(arm.effective()) == dict(settings) == dict(arm.read().settings)
    arm.restore(Stamp("r1", 99), arm.read().version)
    assert dict(arm.effective()) == before


def test_a_server_that_a_value_stops_comes_back_with_its_former_settings(server: Server) -> None:
    """ALTER SYSTEM takes it and no limit forbids it; only the start shows that it cannot be."""
    arm = PostgresArm(server.restartable, SearchSpace((WORK, WAL_LEVEL)))
    before = arm.read()
    arm.protect("r1", 1e12)
    with pytest.raises(Rejected, match=r"crashed.*max_wal_senders"):
        write(arm, {"pg.work_mem": 8 * MB, "pg.wal_level": "minimal"})
    assert arm.read().version == before.version
    assert dict(arm.effective()) == dict(before.settings)
    write(arm, {"pg.work_mem": 8 * MB, "pg.wal_level": "logical"}, generation=2)
    assert arm.effective()["pg.wal_level"] == "logical"


def test_automatic_is_written_bare_and_proven_by_what_the_server_computed(server: Server) -> None:
    """-1 of wal_buffers: the server shows the number that it took instead."""
    arm = PostgresArm(server.restartable, SearchSpace((WAL,)))
    write(arm, {"pg.wal_buffers": 2 * MB})
    write(arm, {"pg.wal_buffers": -1}, generation=2)
    assert dict(arm.effective()) == {"pg.wal_buffers": -1}
    assert parse(server.auto.read_text())["wal_buffers"] == "-1"


def test_a_new_placement_is_a_restart_with_the_stored_settings(server: Server) -> None:
    """Once for each candidate: not again if it was started since."""
    arm = PostgresArm(server.restartable, SLOW)
    write(arm, {"pg.work_mem": 8 * MB, "pg.shared_buffers": 16 * MB})
    first, since = server.pid(), time.time()
    time.sleep(0.05)  # births are known to a tick
    arm.renew(since)
    second = server.pid()
    arm.renew(since)
    assert first != second == server.pid()
    assert arm.read().stamp == Stamp("r1", 1)
    with pytest.raises(Misconfigured, match="restart"):
        PostgresArm(server.arm, SearchSpace((WORK,))).renew(since)


def test_the_watchdog_starts_a_server_that_went_down_with_a_candidate(server: Server) -> None:
    """Past the deadline, and only then: the file is put right while it is down."""
    arm = PostgresArm(server.restartable, SLOW)
    before = dict(arm.read().settings)
    arm.protect("r1", 100.0)
    write(arm, {"pg.work_mem": 8 * MB, "pg.shared_buffers": 32 * MB})
    server.kill()
    assert arm.reap(99.0) is None
    assert "started again" in str(arm.reap(101.0))
    image = arm.read()
    assert dict(image.settings) == before == dict(arm.effective())
    assert image.reaped
    assert image.stamp == Stamp("r1", 2)
    assert arm.reap(102.0) is None


def test_a_person_may_restore_a_server_that_is_down(server: Server) -> None:
    """Forced, as `trimtab restore` does; without force nothing is done to a server that cannot be asked."""
    arm = PostgresArm(server.restartable, SLOW)
    before = dict(arm.read().settings)
    arm.protect("r1", 1e12)
    write(arm, {"pg.work_mem": 8 * MB, "pg.shared_buffers": 32 * MB})
    version = arm.read().version
    server.kill()
    with pytest.raises(Transient):
        arm.restore(Stamp("r1", 2), version)
    assert dict(arm.restore(Stamp("r1", 2), None).settings) == before
    assert not arm.read().reaped


def test_the_watchdog_leaves_a_server_alone_that_others_changed_while_it_was_down(server: Server) -> None:
    """People win, also on a file that nobody serves right now."""
    arm = PostgresArm(server.restartable, SLOW)
    arm.protect("r1", 100.0)
    write(arm, {"pg.work_mem": 8 * MB, "pg.shared_buffers": 32 * MB})
    server.kill()
    text = server.auto.read_text().replace("8388608B", "9MB")
    server.auto.write_text(text)
    assert "not ours" in str(arm.reap(101.0))
    assert server.auto.read_text() == text
    assert server.pid() is None
    server.start()
    with pytest.raises(Conflict):
        arm.write({"pg.work_mem": 8 * MB, "pg.shared_buffers": 32 * MB}, Stamp("r1", 9), "1:old")


def test_half_a_description_of_a_restart_is_refused(server: Server) -> None:
    """The pid file is PostgreSQL's own, and the data directory must be known."""
    restart = server.restartable.restart
    assert restart is not None
    for place, wrong in (
        ({"dsn": server.admin, "app_dsn": server.app}, restart),
        (server.arm.place, replace(restart, writes_pid=False)),
        (server.arm.place, replace(restart, pid_file="/run/other.pid")),
    ):
        with pytest.raises(Misconfigured, match=r"data|pid_file"):
            PostgresArm(Arm("main", place, wrong), SLOW)
    other = {**server.arm.place, "data": str(server.root)}
    own = replace(restart, pid_file=str(server.root / "postmaster.pid"))
    (server.root / "postmaster.pid").write_text(f"{server.pid()}\n")
    with pytest.raises(Misconfigured, match="the server serves"):
        PostgresArm(Arm("main", other, own), SLOW).protect("r1", 1e12)
