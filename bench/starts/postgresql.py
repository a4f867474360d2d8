"""PostgreSQL: does it start with the values in force, and does its memory bear what the memory constraint counts?"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import psycopg

from adapters.actuators.postgresql_server import session
from adapters.actuators.postgresql_values import Known, agrees, guc, text_for
from adapters.catalogue import parameter
from adapters.catalogue_data import default_of
from bench.diagnosis.servers import binaries
from bench.starts.draw import Candidate
from bench.starts.group import PATIENCE, Group, Refused
from bench.starts.ports import own_port
from bench.starts.props import USER
from bench.starts.spaces import written
from domain.errors import Rejected, Transient, TrimtabError

SEGMENT = 2**30  # bytes of a table in one file
PAGE = 8192  # bytes
_RESERVED = 3  # connections, for superusers
_CONFIG = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
fsync = off  # of the machine, not of the candidate: nothing here outlives its server
lc_messages = 'C'
log_min_messages = error
"""
_SHM = 'mount -t tmpfs -o size="$SHM_SIZE" tmpfs /dev/shm && exec "$@"'
# One node each that takes work_mem * hash_mem_multiplier, over rows of 1 kB: a hash join whose table just fits, where a
# parallel one may use as much for every planned worker, and a hash aggregate that does not fit (a parallel one would be
# two nodes).
_BUSY = """
SET enable_sort = off; SET enable_mergejoin = off; SET enable_nestloop = on;
SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
"""
_ALONE = f"{_BUSY} SET max_parallel_workers_per_gather = 0;"
_JOIN = """
SELECT count(*) FROM items a JOIN items b ON a.id = b.id WHERE a.name >= b.name AND a.id <= {rows} AND b.id <= {rows}
"""
_ROW = 1010  # bytes of a row in a hash table
_FITS = 0.9  # of the room: what is counted beside the rows
_GROUP = "SELECT count(name) FROM (SELECT id, max(name) AS name FROM items GROUP BY id) AS x"
_INDEX = "CREATE INDEX ON items (name)"


class Postgresql:
    """See `play.Player`."""

    def __init__(self, candidate: Candidate, group: Group, props: Path) -> None:
        self._candidate, self._group = candidate, group
        self._clusters = props / "clusters"
        self._data, self._port = group.folder / "data", own_port()
        self._space, self._values = written(candidate, "postgresql")
        self._dsn = f"host=127.0.0.1 port={self._port} user={USER} dbname=postgres"
        self._texts: dict[str, str] = {}

    def start(self) -> None:
        shape = "full" if self._candidate.loaded else "empty"
        _run(["cp", "-a", str(self._clusters / shape), str(self._data)])
        known = json.loads((self._clusters / "settings.json").read_text())
        try:
            for each in self._space.parameters:
                row = Known(*known[guc(each)])
                self._texts[row.name] = text_for(each, self._values[each.name], row)
        except Rejected as error:
            raise Refused(str(error)) from error
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(_CONFIG.format(port=self._port))
            file.writelines(f"{name} = '{text}'\n" for name, text in self._texts.items())
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        command += [f"{binaries()}/postgres", "-D", str(self._data)]
        variables = {}
        if "docker.memory" in self._candidate.settings:  # a container has a /dev/shm of its own
            command = ["unshare", "-m", "/bin/sh", "-c", _SHM, "sh", *command]
            variables = {"SHM_SIZE": str(default_of(parameter("docker.shm_size"), ""))}
        self._group.start(command, variables)
        self._group.until(self._answers)

    def problems(self) -> list[str]:
        known = self._known(*self._texts)
        return [
            f"{name}: {text} was written, and {known[name].setting} {known[name].unit} is in force"
            for name, text in self._texts.items()
            if known[name].pending or not agrees(text, known[name])
        ]

    def load(self, seconds: float) -> list[str]:
        """Shared buffers full, `conns` sessions that were used once, `active` of them in a query that takes all of its
        memory, one index build with maintenance_work_mem, and one with the memory of autovacuum in the place of each of
        its workers."""
        errors: list[str] = []
        active = self._candidate.size("active")
        with contextlib.ExitStack() as stack:
            try:
                known = self._known(
                    "shared_buffers", "max_connections", "autovacuum_work_mem", "autovacuum_max_workers"
                )
                self._fill(int(known["shared_buffers"].setting) * PAGE)
                workers = int(known["autovacuum_max_workers"].setting)
                most = int(known["max_connections"].setting) - _RESERVED
                active = min(active, max(1, most - workers - 1))
                waiting = min(self._candidate.size("conns"), most) - active - workers - 1
                for _ in range(max(0, waiting)):
                    self._used(stack)
            except (psycopg.Error, TrimtabError) as error:
                return [f"before the load: {error}"]
            memory = int(known["autovacuum_work_mem"].setting)
            own = f"SET maintenance_work_mem = '{memory}kB';" if memory >= 0 else ""
            join = _JOIN.format(rows=self._rows())
            jobs = [(_BUSY, join) if number % 2 else (_ALONE, _GROUP) for number in range(active)]
            jobs += [("", _INDEX), *[(own, _INDEX)] * workers]
            self._together(jobs, seconds, errors)
        return errors

    def _rows(self) -> int:
        """Of a join whose hash table has just room in the memory of a leader and all planned workers."""
        names = ("work_mem", "hash_mem_multiplier", "max_parallel_workers_per_gather")
        known = self._known(*names)
        work_mem, multiplier, workers = (float(known[name].setting) for name in names)
        return int(_FITS * 1024 * work_mem * multiplier * (1 + workers) / _ROW)

    def _together(self, jobs: list[tuple[str, str]], seconds: float, errors: list[str]) -> None:
        """Each job in a session of its own, again and again for so long."""
        end = time.monotonic() + seconds
        sessions: list[psycopg.Connection[tuple[object, ...]]] = []

        def work(prepare: str, statement: str) -> None:
            try:
                with psycopg.connect(self._dsn, autocommit=True, connect_timeout=60) as connection:
                    sessions.append(connection)
                    if prepare:
                        connection.execute(prepare.encode())
                    while time.monotonic() < end:
                        connection.execute(statement.encode())
            except psycopg.errors.QueryCanceled:
                return  # by us, at the end
            except psycopg.Error as error:
                errors.append(f"{statement[:40]}: {type(error).__name__}: {error}".strip())

        threads = [threading.Thread(target=work, args=job) for job in jobs]
        for thread in threads:
            thread.start()
        time.sleep(max(0.0, end - time.monotonic()))
        while any(thread.is_alive() for thread in threads):
            for connection in list(sessions):
                with contextlib.suppress(psycopg.Error, TimeoutError):
                    connection.cancel_safe(timeout=5.0)
            threads[-1].join(0.1)
        for thread in threads:
            thread.join()

    def _fill(self, size: int) -> None:
        """Read a table that is as large as shared buffers, whose files are holes, into them."""
        path = self._data / (self._clusters / "filler").read_text()
        for number in range((size + SEGMENT - 1) // SEGMENT):
            file = path if number == 0 else path.with_name(f"{path.name}.{number}")
            file.touch()
            os.truncate(file, min(SEGMENT, size - number * SEGMENT) // PAGE * PAGE)
            shutil.chown(file, USER, USER)
        with psycopg.connect(self._dsn, autocommit=True, connect_timeout=60) as connection:
            connection.execute("SELECT pg_prewarm('filler')")
            connection.execute("SELECT pg_prewarm('items')")

    def _used(self, stack: contextlib.ExitStack) -> None:
        connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=60)
        stack.callback(connection.close)
        connection.execute("SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid")

    def _known(self, *names: str) -> dict[str, Known]:
        """What is in force. A server with little CPU may need more than one try."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with session(self._dsn) as server:
                    return server.known(names)
            except Transient:
                if time.monotonic() > deadline or not self._group.runs():
                    raise

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.Error), psycopg.connect(self._dsn, connect_timeout=5) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
        return False


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Transient(f"{command[0]}: {done.stderr[-300:]}")
