"""What a PostgreSQL does by itself while windows are measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from adapters.actuators.postgresql import PostgresArm
from adapters.actuators.postgresql_events import disturbances
from domain.space import Parameter, SearchSpace
from tests.postgresql_server import Server, postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresql() as running:
        running.query("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id", running.app)
        yield running


def clock(server: Server) -> float:
    return float(server.query("SELECT extract(epoch FROM clock_timestamp())::float8")[0][0])


def kinds(server: Server, since: float, until: float) -> list[str]:
    return [each.kind for each in disturbances(server.admin, server.app, since, until)]


def test_nothing_happened(server: Server) -> None:
    """A window long before the server began shows nothing, however much happened later."""
    server.query("CHECKPOINT")
    assert kinds(server, 1000.0, 1010.0) == []


def test_a_checkpoint_touches_the_windows_that_it_overlaps(server: Server) -> None:
    """From its start until it was complete; to the whole second at which it began."""
    server.query("INSERT INTO orders SELECT generate_series(1, 5000)", server.app)
    since = clock(server)
    server.query("CHECKPOINT")
    until = clock(server)
    assert "checkpoint" in kinds(server, since, until)
    assert "checkpoint" not in kinds(server, until + 2.0, until + 3.0)


@pytest.mark.parametrize(("command", "kind"), [("VACUUM orders", "vacuum"), ("ANALYZE orders", "analyze")])
def test_a_vacuum_or_analysis_touches_the_window_in_which_it_ended(server: Server, command: str, kind: str) -> None:
    """With the table's name, from the application's database."""
    since = clock(server)
    server.query(command, server.app)
    patience = time.monotonic() + 5
    while f"{kind} of public.orders" not in (found := kinds(server, since, clock(server) + 1.0)):
        assert time.monotonic() < patience, found
        time.sleep(0.05)
    assert f"{kind} of public.orders" not in kinds(server, since - 100.0, since - 50.0)


def test_no_window_begins_within_seconds_of_a_reload(server: Server) -> None:
    """Plans are made anew and processes take up their settings."""
    server.fresh("work_mem = '5MB'\n")
    at = clock(server)
    assert "reload" in kinds(server, at + 4.0, at + 30.0)
    assert "reload" not in kinds(server, at + 6.0, at + 30.0)


def test_a_vacuum_that_still_runs_is_seen(server: Server) -> None:
    """Since its start, in whichever database."""
    rows = "SELECT g AS id, repeat('x', 500) AS text FROM generate_series(1, 20000) g"
    server.query(f"CREATE TABLE wide AS {rows}", server.app)
    slowly = server.app + " options='-c vacuum_cost_delay=20 -c vacuum_cost_limit=1'"
    since = clock(server)
    with ThreadPoolExecutor(1) as aside:
        vacuum = aside.submit(server.query, "VACUUM wide", slowly)
        patience = time.monotonic() + 10
        while "vacuum" not in (found := kinds(server, since, since + 1.0)):
            assert time.monotonic() < patience, found
            time.sleep(0.02)
        server.query("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum")
        with pytest.raises(psycopg.errors.QueryCanceled):
            vacuum.result(10)


def test_the_arm_says_it_in_words(server: Server) -> None:
    """As the port wants it: empty if nothing is known."""
    arm = PostgresArm(server.arm, SearchSpace((Parameter("pg.jit", "categorical", True, choices=(False, True)),)))
    since = clock(server)
    server.query("CHECKPOINT")
    assert "checkpoint" in arm.disturbed(since, clock(server))
    assert arm.disturbed(1000.0, 1010.0) == ""
