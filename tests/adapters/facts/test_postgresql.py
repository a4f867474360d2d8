"""Facts about PostgreSQL: arithmetic on samples, and a real server."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psycopg
import pytest

from adapters.facts.postgresql import PostgresqlCollector, facts, kind_of
from diagnosis.diagnose import diagnose
from domain.errors import Transient
from domain.evidence import Reading
from tests.adapters.facts.trees import numbers
from tests.postgresql_server import Server, postgresql

FIRST = {
    "looks": 20.0,
    "wait.all": 40.0,
    "wait.lock": 30.0,
    "wait.cpu": 10.0,
    "temp_bytes": 0.0,
    "temp_files": 0.0,
    "blks_read": 0.0,
    "blks_hit": 0.0,
    "checkpoints.requested": 3.0,
    "written.sessions": 0.0,
    "written.checkpointer": 0.0,
    "written.cleaner": 0.0,
    "wal.bytes": 0.0,
    "wal.records": 0.0,
    "wal.images": 0.0,
    "deadlocks": 0.0,
    "commits": 0.0,
    "connections.of_limit": 0.2,
}
SECOND = {
    **FIRST,
    "wait.all": 60.0,
    "wait.lock": 45.0,
    "wait.cpu": 15.0,
    "temp_bytes": 5e6,
    "temp_files": 10.0,
    "blks_read": 100.0,
    "blks_hit": 300.0,
    "checkpoints.requested": 5.0,
    "written.sessions": 10.0,
    "written.checkpointer": 30.0,
    "wal.bytes": 5000.0,
    "wal.records": 100.0,
    "wal.images": 25.0,
    "deadlocks": 1.0,
    "commits": 50.0,
    "connections.of_limit": 0.4,
}


def test_facts_of_two_samples() -> None:
    """Waits are shares of the sessions seen in all looks of both samples; counters are rates between them."""
    assert numbers(facts(FIRST, SECOND, 5.0)) == pytest.approx(
        {
            "pg.active_sessions": 2.5,
            "pg.wait.lock_share": 0.75,
            "pg.wait.io_share": 0.0,
            "pg.wait.wal_share": 0.0,
            "pg.wait.temp_share": 0.0,
            "pg.wait.cpu_share": 0.25,
            "pg.temp_bytes_per_s": 1e6,
            "pg.temp_files_per_s": 2.0,
            "pg.blocks_read_share": 0.25,
            "pg.blocks_read_per_s": 20.0,
            "pg.checkpoints_requested": 2.0,
            "pg.checkpoints_requested_per_min": 24.0,
            "pg.wal_bytes_per_s": 1000.0,
            "pg.full_page_share": 0.25,
            "pg.backend_writes_share": 0.25,
            "pg.deadlocks_per_min": 12.0,
            "pg.commits_per_s": 10.0,
            "conns.used_of_limit": 0.4,
        }
    )


def test_nobody_at_work_and_statistics_set_back() -> None:
    """An idle server waits for nothing; a counter that was reset in between is left out."""
    seen = facts({"looks": 20.0, "temp_bytes": 9.0}, {"looks": 20.0, "temp_bytes": 1.0}, 5.0)
    assert seen["pg.active_sessions"] == Reading(0.0)
    assert seen["pg.wait.lock_share"] == Reading(0.0)
    assert "pg.temp_bytes_per_s" not in seen
    assert "pg.blocks_read_share" not in seen


@pytest.mark.parametrize(
    ("kind", "event", "meaning"),
    [
        ("IO", "DataFileRead", "io"),
        ("IO", "BufFileWrite", "temp"),
        ("IO", "WALSync", "wal"),
        ("LWLock", "WALWrite", "wal"),
        ("LWLock", "BufferContent", "other"),
        ("IPC", "BufferIO", "io"),
        ("Lock", "transactionid", "lock"),
        ("CPU", "", "cpu"),
        ("Client", "ClientRead", "client"),
    ],
)
def test_what_waits_mean(kind: str, event: str, meaning: str) -> None:
    """Temporary files and WAL are told apart from other reads and writes."""
    assert kind_of(kind, event) == meaning


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresql() as running:
        yield running


@pytest.mark.real
@pytest.mark.timeout(60)
def test_a_session_that_waits_for_a_lock_is_seen(server: Server) -> None:
    """One session holds a row, another wants it: half of what is active waits for a lock, and we count for nothing."""
    server.query("CREATE TABLE IF NOT EXISTS hot AS SELECT 1 AS id", server.app)
    with psycopg.connect(server.app) as holder, psycopg.connect(server.app) as waiter:
        holder.execute("UPDATE hot SET id = 1")

        def wait() -> None:
            with pytest.raises(psycopg.errors.QueryCanceled):
                waiter.execute("UPDATE hot SET id = 2")

        thread = threading.Thread(target=wait)
        thread.start()
        try:
            while not server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                pass
            raw = PostgresqlCollector({"dsn": server.admin}, pause=lambda _: None, looks=3).sample()
        finally:
            waiter.cancel()
            thread.join(10)
        holder.rollback()
        waiter.rollback()
    seen = numbers(facts(raw, raw, 1.0))
    assert seen["pg.wait.lock_share"] == 1.0
    assert seen["pg.active_sessions"] == 1.0
    assert 0 < seen["conns.used_of_limit"] <= 0.1


@pytest.mark.real
@pytest.mark.timeout(60)
def test_a_sort_that_spills_is_seen(server: Server) -> None:
    """Temporary bytes grow by what the sort needs beyond work_mem."""
    collector = PostgresqlCollector({"dsn": server.admin}, "main", pause=lambda _: None, looks=1)
    first = collector.sample()
    with psycopg.connect(server.app, autocommit=True) as session:
        session.execute("SET work_mem = '64kB'")
        session.execute("SELECT count(*) FROM (SELECT md5(n::text) AS m FROM generate_series(1, 50000) n ORDER BY m) s")
    second = first
    while second["temp_bytes"] == first["temp_bytes"]:  # a session reports when it ends
        second = collector.sample()
    seen = numbers(collector.facts(first, second, 2.0))
    assert collector.name == "main/postgresql"
    assert seen["pg.temp_bytes_per_s"] > 1e6
    assert seen["pg.temp_files_per_s"] >= 0.5
    assert seen["pg.checkpoints_requested"] == 0.0


@pytest.mark.real
@pytest.mark.timeout(60)
def test_a_server_without_free_connections_tells_that(server: Server) -> None:
    """Whoever takes the last connection keeps the diagnosis out, too; that it was kept out is the answer."""
    with contextlib.ExitStack() as sessions:
        for _ in range(50):  # more than max_connections of the server
            with contextlib.suppress(psycopg.OperationalError):
                sessions.enter_context(psycopg.connect(server.app))
        raw = PostgresqlCollector({"dsn": server.app}).sample()
    assert facts(raw, raw, 5.0) == {"conns.used_of_limit": Reading(1.0)}
    assert diagnose(facts(raw, raw, 5.0)).layer == "system_limits"


@pytest.mark.real
@pytest.mark.timeout(60)
def test_a_server_that_does_not_answer(server: Server) -> None:
    """The reason is told, without the password of the connection string."""
    dsn = f"host=127.0.0.1 port={server.port} user=nobody password=secret-word dbname=shop connect_timeout=1"
    with pytest.raises(Transient, match="dsn: PostgreSQL does not tell its statistics") as told:
        PostgresqlCollector({"dsn": dsn}).sample()
    assert "secret-word" not in str(told.value)
