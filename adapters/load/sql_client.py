"""Statements instead of requests: the load generator's client for PostgreSQL, over connections that stay open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg

from adapters.load.http_client import Done, Names


class SqlClient:
    """What the load generator needs of one server. A statement is sent as it stands; all rows are fetched. The code is
    `ok`, else the SQLSTATE."""

    codes = ("ok",)
    names = Names("sql_statement_duration_seconds", "sql_statements_total", "sql_rows_total")
    most = 40  # connections: what is due beyond them waits, and its wait counts

    def __init__(self, url: str) -> None:
        self._url = url

    def encode(self, statement: str) -> bytes:
        return statement.encode()

    async def dial(self, idle: Callable[[Session], None], lost: Callable[[Session], None]) -> Session:
        """A new connection. Raises OSError."""
        try:
            connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True, prepare_threshold=None)
        except psycopg.Error as error:
            raise OSError(str(error)) from error
        return Session(connection, idle, lost)


class Session:
    """One connection, one statement at a time. `idle` is called when it may take the next, `lost` when it is gone."""

    def __init__(
        self,
        connection: psycopg.AsyncConnection[tuple[object, ...]],
        idle: Callable[[Session], None],
        lost: Callable[[Session], None],
    ) -> None:
        self._connection, self._idle, self._lost = connection, idle, lost
        self._done: Done | None = None
        self._task: asyncio.Task[None] | None = None

    def send(self, statement: bytes, done: Done) -> None:
        self._done = done
        self._task = asyncio.get_running_loop().create_task(self._execute(statement))

    def forget(self) -> None:
        """The unfinished statement is nobody's any more (it timed out)."""
        self._done = None

    def abort(self) -> None:
        """Close without a word; the server notices when it next writes."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
        else:
            asyncio.get_running_loop().create_task(self._gone())

    async def _execute(self, statement: bytes) -> None:
        code, size = "", 0
        try:
            async with self._connection.cursor() as cursor:
                await cursor.execute(statement)
                rows = await cursor.fetchall() if cursor.description else []
                code, size = "ok", len(rows)
        except psycopg.Error as error:
            code = error.sqlstate or ""
        except asyncio.CancelledError:
            pass
        done, self._done = self._done, None
        if self._connection.closed or not code:
            await self._gone()
        else:
            self._idle(self)
        if done is not None:
            done(code, size, False)

    async def _gone(self) -> None:
        await self._connection.close()
        self._lost(self)
