"""What a PostgreSQL did by itself meanwhile: checkpoints, vacuums, analyses, and the reading of its files.

A pair of windows of which only one was touched would show that instead of the candidate, so it counts in neither. The
server keeps the last event of each kind only; whoever asks soon after a window sees what touched it.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.actuators.postgresql_errors import border
from adapters.actuators.postgresql_server import Session, session

RELOAD_SECONDS = 5.0  # after a reload: caches of plans are built anew, processes of the server take up their settings
VACUUM_SECONDS = 5.0  # before its end that a finished vacuum counts: the server notes when it ended, not when it began

# A checkpoint's time is that of its start, in whole seconds; the control file is written when it is complete. The last
# column: whether the checkpointer works now.
_CHECKPOINT = """
    SELECT extract(epoch FROM checkpoint_time)::float8, extract(epoch FROM clock_timestamp())::float8,
           coalesce((SELECT bool_or(wait_event IS DISTINCT FROM 'CheckpointerMain') FROM pg_stat_activity
                     WHERE backend_type = 'checkpointer'), false)
    FROM pg_control_checkpoint()
"""
_MAY_STAT = "SELECT has_function_privilege('pg_stat_file(text)', 'execute')"
_COMPLETED = "SELECT extract(epoch FROM modification)::float8 FROM pg_stat_file('global/pg_control')"
_LOADED = "SELECT extract(epoch FROM pg_conf_load_time())::float8"
_RUNNING = """
    SELECT extract(epoch FROM activity.xact_start)::float8, progress.what FROM
        (SELECT pid, 'vacuum' AS what FROM pg_stat_progress_vacuum
         UNION ALL SELECT pid, 'analyze' FROM pg_stat_progress_analyze) progress
    JOIN pg_stat_activity activity USING (pid) WHERE activity.xact_start IS NOT NULL
"""
_FINISHED = """
    SELECT extract(epoch FROM ended)::float8, what || ' of ' || schemaname || '.' || relname
    FROM pg_stat_all_tables, LATERAL (VALUES
        (last_vacuum, 'vacuum'), (last_autovacuum, 'autovacuum'),
        (last_analyze, 'analyze'), (last_autoanalyze, 'autoanalyze')) AS events (ended, what)
    WHERE ended > to_timestamp(%s)
"""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """`start` and `end` in Unix seconds of the server's clock; `kind` in words, such as `vacuum of public.orders`."""

    start: float
    end: float
    kind: str


def disturbances(dsn: str, app_dsn: str, since: float, until: float) -> tuple[Disturbance, ...]:
    """What touched the time from `since` to `until` (Unix seconds), as far as the server still knows, oldest first.
    `dsn`: a role that sees every process (pg_monitor); `app_dsn`: into the database whose tables count. Of several
    checkpoints only the last is known; where the role may not see when that was complete, it is taken to last
    until now. Raises Transient and Misconfigured."""
    with border(dsn), session(dsn) as server:
        found = [*_checkpoints(server), *_running(server)]
        loaded = float(server.one(_LOADED))
        found.append(Disturbance(loaded, loaded + RELOAD_SECONDS, "reload"))
    with border(app_dsn), session(app_dsn) as tables:
        for ended, what in tables.rows(_FINISHED, since):
            found.append(Disturbance(ended - VACUUM_SECONDS, ended, what))
    touching = [each for each in found if each.start < until and each.end > since]
    return tuple(sorted(touching, key=lambda each: (each.start, each.kind)))


def _checkpoints(server: Session) -> list[Disturbance]:
    started, now, busy = server.rows(_CHECKPOINT)[0]
    completed = float(server.one(_COMPLETED)) if server.one(_MAY_STAT) else now
    found = [Disturbance(started, max(started + 1.0, completed), "checkpoint")]
    if busy:  # it began some time after the last one was complete
        found.append(Disturbance(max(started + 1.0, completed), now, "checkpoint"))
    return found


def _running(server: Session) -> list[Disturbance]:
    now = float(server.one("SELECT extract(epoch FROM clock_timestamp())::float8"))
    return [Disturbance(began, now, what) for began, what in server.rows(_RUNNING)]
