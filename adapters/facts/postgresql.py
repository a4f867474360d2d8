"""Facts about a PostgreSQL server (13 to 18) from its statistics views; no log is read.

What sessions wait for is looked at many times within a second: a wait event is a state, not a counter. The session that
looks is named, short, and counts for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from adapters.facts.collector import Raw, delta, rate, ratio, readings, share
from domain.errors import Misconfigured, Transient
from domain.evidence import Seen

LOOKS = 20
LOOK_SECONDS = 0.05
CONNECT_SECONDS = 3
STATEMENT_MS = 2000
CHECKPOINTER_VIEW = 170000  # pg_stat_checkpointer took these columns out of pg_stat_bgwriter
WAL_VIEW = 140000
BLIND = ("pg.active_sessions", "pg.wait.lock_share", "pg.wait.io_share", "pg.temp_bytes_per_s")

WAITS = """
SELECT coalesce(wait_event_type, 'CPU') AS kind, coalesce(wait_event, '') AS event, count(*)::float8 AS sessions
FROM pg_stat_activity
WHERE backend_type IN ('client backend', 'parallel worker') AND state = 'active' AND pid <> pg_backend_pid()
GROUP BY 1, 2
"""
DATABASES = """
SELECT sum(temp_files)::float8 AS temp_files, sum(temp_bytes)::float8 AS temp_bytes,
       sum(blks_read)::float8 AS blks_read, sum(blks_hit)::float8 AS blks_hit,
       sum(deadlocks)::float8 AS deadlocks, sum(xact_commit)::float8 AS commits
FROM pg_stat_database
"""
CONNECTIONS = """
SELECT count(*)::float8 AS used, current_setting('max_connections')::float8 AS most
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
CHECKPOINTS = """
SELECT checkpoints_req::float8 AS requested, buffers_checkpoint::float8 AS checkpointer,
       buffers_clean::float8 AS cleaner, buffers_backend::float8 AS sessions
FROM pg_stat_bgwriter
"""
CHECKPOINTS_17 = """
SELECT num_requested::float8 AS requested, c.buffers_written::float8 AS checkpointer,
       buffers_clean::float8 AS cleaner,
       (SELECT sum(writes)::float8 FROM pg_stat_io
        WHERE backend_type = 'client backend' AND object = 'relation') AS sessions
FROM pg_stat_checkpointer AS c, pg_stat_bgwriter
"""
WAL = "SELECT wal_bytes::float8 AS bytes, wal_records::float8 AS records, wal_fpi::float8 AS images FROM pg_stat_wal"

# Wait events by what they mean here. The names are those of the documentation of pg_stat_activity.
_TEMP = ("BufFileRead", "BufFileWrite", "BufFileTruncate")
_FULL = ("too many clients", "connection slots are reserved", "too many connections for")
_WAL = ("WALWrite", "WALSync", "WALInitWrite", "WALInitSync", "WalSync", "WalWrite", "WALWriteLock", "WALInsert")


class PostgresqlCollector:
    """See `Collector`. `place`: `dsn`. The role needs `pg_read_all_stats` to see the waits of other roles."""

    def __init__(
        self, place: Mapping[str, str], arm: str = "", pause: Callable[[float], None] = time.sleep, looks: int = LOOKS
    ) -> None:
        self.name = f"{arm}/postgresql"
        self._dsn, self._pause, self._looks = place["dsn"], pause, looks

    def sample(self) -> Raw:
        try:
            import psycopg
            from psycopg.rows import dict_row
        except ImportError as error:
            raise Misconfigured(
                "facts about PostgreSQL need psycopg; install the extra `postgres`: pip install trimtab[postgres]"
            ) from error
        try:
            with psycopg.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                application_name="trimtab",
                options=f"-c statement_timeout={STATEMENT_MS}",
                row_factory=dict_row,
            ) as connection:
                version = connection.info.server_version

                def ask(query: str) -> list[dict[str, Any]]:
                    return list(connection.execute(query.encode()))

                return {**_counters(ask, version), **_waits(ask, self._looks, self._pause)}
        except psycopg.Error as error:
            if any(words in str(error) for words in _FULL):
                return {"connections.of_limit": 1.0}  # which is a fact, and the one that matters
            # A message of libpq may quote the connection string; its first line without it is enough.
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise Transient(f"dsn: PostgreSQL does not tell its statistics: {reason[:200]}") from None

    @staticmethod
    def facts(first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        return facts(first, second, seconds)

    @staticmethod
    def blind() -> tuple[str, ...]:
        return BLIND


def facts(first: Raw, second: Raw, seconds: float) -> dict[str, Seen]:
    """Facts of one server from two samples; the waits are those of the looks of both."""
    looks = first.get("looks", 0.0) + second.get("looks", 0.0)
    active = first.get("wait.all", 0.0) + second.get("wait.all", 0.0)

    def waiting(kind: str) -> float | None:
        if not looks:
            return None
        return (first.get(f"wait.{kind}", 0.0) + second.get(f"wait.{kind}", 0.0)) / active if active else 0.0

    read, hit = delta(first, second, "blks_read"), delta(first, second, "blks_hit")
    written = [delta(first, second, f"written.{who}") for who in ("sessions", "checkpointer", "cleaner")]
    whole = sum(each for each in written if each is not None)
    requested = delta(first, second, "checkpoints.requested")
    return readings(
        {
            "pg.active_sessions": ratio(active, looks),
            "pg.wait.lock_share": waiting("lock"),
            "pg.wait.io_share": waiting("io"),
            "pg.wait.wal_share": waiting("wal"),
            "pg.wait.temp_share": waiting("temp"),
            "pg.wait.cpu_share": waiting("cpu"),
            "pg.temp_bytes_per_s": rate(first, second, "temp_bytes", seconds),
            "pg.temp_files_per_s": rate(first, second, "temp_files", seconds),
            "pg.blocks_read_share": ratio(read, None if read is None or hit is None else read + hit),
            "pg.blocks_read_per_s": ratio(read, seconds),
            "pg.checkpoints_requested": requested,
            "pg.checkpoints_requested_per_min": ratio(requested, seconds / 60),
            "pg.wal_bytes_per_s": rate(first, second, "wal.bytes", seconds),
            "pg.full_page_share": share(ratio(delta(first, second, "wal.images"), delta(first, second, "wal.records"))),
            "pg.backend_writes_share": ratio(written[0], whole),
            "pg.deadlocks_per_min": rate(first, second, "deadlocks", seconds / 60),
            "pg.commits_per_s": rate(first, second, "commits", seconds),
            "conns.used_of_limit": second.get("connections.of_limit"),
        }
    )


def _counters(ask: Callable[[str], list[dict[str, Any]]], version: int) -> dict[str, float]:
    (databases,), (connections,) = ask(DATABASES), ask(CONNECTIONS)
    (written,) = ask(CHECKPOINTS_17 if version >= CHECKPOINTER_VIEW else CHECKPOINTS)
    wal = ask(WAL)[0] if version >= WAL_VIEW else {}
    raw = {name: float(number) for name, number in databases.items() if number is not None}
    raw |= {f"wal.{name}": float(number) for name, number in wal.items() if number is not None}
    raw |= {
        "checkpoints.requested" if name == "requested" else f"written.{name}": float(number)
        for name, number in written.items()
        if number is not None
    }
    return {**raw, "connections.of_limit": connections["used"] / connections["most"]}


def _waits(ask: Callable[[str], list[dict[str, Any]]], looks: int, pause: Callable[[float], None]) -> dict[str, float]:
    """Session counts summed over the looks, by what the sessions wait for."""
    raw = {"looks": float(looks)}
    for look in range(looks):
        if look:
            pause(LOOK_SECONDS)
        for row in ask(WAITS):
            for kind in ("all", kind_of(row["kind"], row["event"])):
                raw[f"wait.{kind}"] = raw.get(f"wait.{kind}", 0.0) + float(row["sessions"])
    return raw


def kind_of(kind: str, event: str) -> str:
    """What a wait means: temporary files and WAL apart from other I/O; a session that waits for its client is idle in
    all but name; every other wait counts as `other`."""
    if event in _TEMP:
        return "temp"
    if event in _WAL:
        return "wal"
    if event == "BufferIO":  # another session reads that block already
        return "io"
    return {"Lock": "lock", "IO": "io", "CPU": "cpu", "Client": "client"}.get(kind, "other")
