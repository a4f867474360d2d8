"""One running PostgreSQL, by SQL: what its files say, what is in force, and one statement for each line that changes.

Every look is a session of its own, because only a new session proves what the application's next one will get.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from adapters.actuators.postgresql_conf import Content
from adapters.actuators.postgresql_errors import border, shown
from adapters.actuators.postgresql_values import Known
from domain.errors import Misconfigured, Transient

OLDEST = 130000
LOCK = 0x7472696D  # of pg_advisory_lock: one writer at a time
LOCK_SECONDS = 1
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 15
RELOAD_SECONDS = 8.0
LOOK = 0.02  # seconds between two looks at a server that reloads
AUTO = "/postgresql.auto.conf"

_KNOWN = """
    SELECT name, setting, coalesce(unit, ''), vartype, context, source, coalesce(boot_val, ''), coalesce(min_val, ''),
           coalesce(max_val, ''), coalesce(enumvals, '{}'), pending_restart
    FROM pg_settings WHERE name = ANY(%s)
"""
_FILES = "SELECT lower(name), setting, sourcefile, sourceline, error FROM pg_file_settings ORDER BY seqno"


@contextmanager
def session(dsn: str) -> Iterator[Session]:
    """A new session, outside any transaction. Raises Transient while the server is not there, Misconfigured where it
    will not let us in, is too old, or where a connection pooler stands in between."""
    with border(dsn):
        given = conninfo_to_dict(dsn)
        more = {"connect_timeout": CONNECT_SECONDS, "application_name": "trimtab"}
        with psycopg.connect(dsn, autocommit=True, prepare_threshold=None, **_missing(more, given)) as connection:
            found = Session(connection, dsn)
            found.check()
            yield found


class Session:
    """See `session`."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], dsn: str) -> None:
        self._connection, self._dsn = connection, dsn

    @property
    def version(self) -> int:
        """Such as 150018 for 15.18."""
        return self._connection.info.server_version

    def check(self) -> None:
        """That a server of a version we know is at the other end, and nothing in between that swaps sessions."""
        said = self._connection.info.parameter_status("server_version") or ""
        if "bouncer" in said or not self._same_process():
            raise Misconfigured(
                f"{shown(self._dsn)} leads to a connection pooler, where a session is not one session; give host and "
                "port of the server itself (role and database stay the same)"
            )
        if self.version < OLDEST:
            raise Misconfigured(f"{shown(self._dsn)} is PostgreSQL {said}; 13 is the oldest that is supported")
        self._connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'".encode())

    def _same_process(self) -> bool:
        """A pooler hands out process numbers of its own, and cannot know those of the servers behind it."""
        row = self._connection.execute("SELECT pg_backend_pid()").fetchone()
        return row is not None and row[0] == self._connection.info.backend_pid

    # --- looks -------------------------------------------------------------------------------------------------------

    def one(self, query: str) -> Any:
        """The first column of the first row; None if there is no row."""
        row = self._connection.execute(query.encode()).fetchone()
        return row[0] if row is not None else None

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(query.encode(), values or None).fetchall()

    def known(self, names: Sequence[str]) -> dict[str, Known]:
        """What this session has in force, by name. Raises Misconfigured for a parameter that this version lacks."""
        found = {row[0]: _row(row) for row in self.rows(_KNOWN, [*names])}
        missing = [name for name in names if name not in found]
        if missing:
            raise Misconfigured(
                f"{shown(self._dsn)} does not know {', '.join(missing)} (version {self.version // 10000}); take "
                "that out of the target's parameters"
            )
        return found

    def content(self, names: tuple[str, ...]) -> Content:
        """What the files say now, in force or not. Raises Misconfigured for a file that the server cannot read."""
        auto: dict[str, str] = {}
        below: dict[str, str] = {}
        for name, setting, file, line, error in self.rows(_FILES):
            if name is None and file is None:
                continue  # a line that was taken out, of a parameter that waits for a restart
            if name is None:
                raise Misconfigured(
                    f"{file} line {line}: {error}; the server cannot be reloaded until that is corrected"
                )
            (auto if file.endswith(AUTO) else below)[name] = setting
        return Content(auto, below, names)

    def errors(self, names: Sequence[str]) -> str:
        """What the server finds wrong with the lines of these parameters, in its own words; empty if nothing. A line
        that waits for a restart is nothing wrong."""
        waiting = {name for name, known in self.known(names).items() if known.context == "postmaster"}
        found = [
            f"{name} ({file} line {line}): {error}"
            for name, _, file, line, error in self.rows(_FILES)
            if error and name in names and name not in waiting
        ]
        return "; ".join(found)

    # --- acts --------------------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """For as long as this session lasts. Raises Transient if another writer has it; one that has just closed its
        session gets a moment, because the server ends that on its own time."""
        try:
            self._connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'".encode())
            self._connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        except psycopg.errors.LockNotAvailable as error:
            raise Transient(f"another process is writing the settings of {shown(self._dsn)}") from error

    def alter(self, name: str, text: str | None) -> None:
        """ALTER SYSTEM of one line; None takes it out. Durable when it returns, in force after the next reload or
        restart. Raises Rejected for a value that the server does not take."""
        identifier = sql.Identifier(*name.split("."))
        if "." in name:  # a placeholder must be known to the session before ALTER SYSTEM takes it
            self._run(sql.SQL("SET {} = {}").format(identifier, sql.Literal(text or "")))
        if text is None:
            self._run(sql.SQL("ALTER SYSTEM RESET {}").format(identifier))
        else:
            self._run(sql.SQL("ALTER SYSTEM SET {} = {}").format(identifier, sql.Literal(text)))

    def checkpoint(self, seconds: float) -> None:
        """So that the shutdown that follows is short. Where we may not, it takes as long as it takes."""
        try:
            self._run(sql.SQL("SET statement_timeout = {}").format(sql.Literal(f"{round(seconds)}s")))
            self._run(sql.SQL("CHECKPOINT"))
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.QueryCanceled):
            return

    def close(self) -> None:
        """Before the server stops; the lock goes with it."""
        self._connection.close()

    def _run(self, command: sql.SQL | sql.Composed) -> None:
        self._connection.execute(command)


def reload(dsn: str) -> None:
    """Have the files read again, and wait until new sessions start from them. Raises Transient if that takes too long:
    a busy server refuses nothing."""
    with session(dsn) as first:
        before = first.one("SELECT pg_conf_load_time()")
        first.one("SELECT pg_reload_conf()")
    limit = time.monotonic() + RELOAD_SECONDS
    while time.monotonic() < limit:
        with session(dsn) as look:
            if look.one("SELECT pg_conf_load_time()") != before:
                return
        time.sleep(LOOK)
    raise Transient(f"{shown(dsn)} did not read its files again within {RELOAD_SECONDS:.0f} s; see its log")


def _row(row: tuple[Any, ...]) -> Known:
    name, setting, unit, kind, context, source, boot, low, high, choices, pending = row
    return Known(name, setting, unit, kind, context, source, boot, low, high, tuple(choices), pending)


def _missing(wanted: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if given.get(name) is None}
