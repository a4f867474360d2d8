"""Statements as load: the open-loop generator against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from adapters.load.open_loop import Arm, Rate, is_sql, only_local, read_statements
from tests.postgresql_server import Server, postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One real server for this module."""
    with postgresql() as running:
        yield running


def loaded(url: str, statements: list[tuple[float, str]], rate: float, seconds: float, timeout: float = 2.0) -> Arm:
    """An arm after so many seconds of load."""

    async def play() -> Arm:
        arm = Arm("a", url, statements, 1, timeout, poisson=False)
        sends, sweeps = asyncio.create_task(arm.run(Rate(rate, 1000.0))), asyncio.create_task(arm.sweep())
        await asyncio.sleep(seconds)
        sends.cancel()
        limit = time.monotonic() + timeout + 2.0
        while arm._flying and time.monotonic() < limit:
            await asyncio.sleep(0.02)
        sweeps.cancel()
        await asyncio.gather(sends, sweeps, return_exceptions=True)
        for session in list(arm._idle):
            session.abort()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest, timeout=5.0)
        return arm

    return asyncio.run(play())


def url_of(server: Server) -> str:
    return f"postgresql://postgres@127.0.0.1:{server.port}/postgres"


def test_statements_are_answered_and_counted(server: Server) -> None:
    """Every statement that was due has an answer, with its rows."""
    arm = loaded(url_of(server), [(1.0, "select generate_series(1, 3)")], 50.0, 1.0)
    assert arm.codes["ok"] >= 40
    assert arm.bytes == 3 * arm.codes["ok"]
    assert sum(arm.codes.values()) == arm.codes["ok"] == len(arm.raw)


def test_a_failing_statement_has_its_sqlstate_and_the_session_goes_on(server: Server) -> None:
    """Errors stay in the population under their code; the others are served."""
    statements = [(1.0, "select 1/0"), (1.0, "select 1")]
    arm = loaded(url_of(server), statements, 60.0, 1.0)
    assert arm.codes["22012"] > 5
    assert arm.codes["ok"] > 5
    assert arm.codes["error"] == 0


def test_a_statement_that_never_ends_counts_with_its_full_time(server: Server) -> None:
    """A timeout is an answer that took all of its time."""
    arm = loaded(url_of(server), [(1.0, "select pg_sleep(30)")], 10.0, 0.5, timeout=0.4)
    assert arm.codes["timeout"] >= 3
    assert {seconds for _, seconds, code in arm.raw if code == "timeout"} == {0.4}


def test_a_server_that_is_not_there_is_an_error() -> None:
    """Nobody listens: every statement is an error."""
    arm = loaded("postgresql://postgres@127.0.0.1:1/postgres", [(1.0, "select 1")], 20.0, 0.5)
    assert arm.codes["error"] == sum(arm.codes.values()) > 0


def test_statement_files() -> None:
    """Weight and statement; comments and empty lines say nothing; anything else names its line."""
    text = "# lookups\n\n70 select * from t where id = 1\n0.5 select 2\n"
    assert read_statements(text) == [(70.0, "select * from t where id = 1"), (0.5, "select 2")]
    for wrong, line in (("70\n", "line 1"), ("1 select 1\nx select 2\n", "line 2"), ("0 select 1\n", "no statement")):
        with pytest.raises(ValueError, match=line):
            read_statements(wrong)


def test_only_loopback_and_never_with_a_password() -> None:
    """The address of a database stands in command lines and logs: no secret belongs there."""
    assert is_sql("postgresql://shop@127.0.0.1/shop")
    only_local("postgresql://shop@127.0.0.1:5433/shop", ())
    only_local("postgresql://shop@db1/shop", ("db1",))
    for wrong in ("postgresql://shop@db1/shop", "postgresql://shop:secret@127.0.0.1/shop"):
        with pytest.raises(ValueError) as refused:
            only_local(wrong, ())
        assert "secret" not in str(refused.value)
