"""A real PostgreSQL of our own for tests: one cluster on a free loopback port, run by an unprivileged user."""

from __future__ import annotations

import atexit
import contextlib
import functools
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from domain.target import Arm, Restart
from tests.nginx_server import free_port
from tests.real import need

# Small and quick; durability is tested by killing the server, not the power.
_CONFIG = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 40
shared_buffers = '16MB'
fsync = off
autovacuum = off
logging_collector = off
lc_messages = 'C'
"""


def binaries() -> Path:
    """The folder of initdb and postgres: `TRIMTAB_TEST_POSTGRESQL` if set, else the newest that is installed. Skips
    the test, or fails it under CI=true, where there is none."""
    named = os.environ.get("TRIMTAB_TEST_POSTGRESQL", "")
    found = sorted([named] if named else glob.glob("/usr/lib/postgresql/*/bin"), key=lambda each: (len(each), each))
    for folder in reversed(found):
        if (Path(folder) / "initdb").exists():
            return Path(folder)
    return Path(need("initdb")).parent


def _as_unprivileged() -> tuple[str, ...]:
    """PostgreSQL refuses to run as root: the words before a command that make it another user's."""
    if os.geteuid() != 0:
        return ()
    user = _user()
    return (need("setpriv"), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")


def _user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    pytest.skip("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


@functools.cache
def _template(folder: str) -> Path:
    """One initdb for all tests of a process; each server starts from a copy."""
    root = _own(Path(tempfile.mkdtemp(prefix="trimtab-initdb-")))
    command = [
        *_as_unprivileged(), f"{folder}/initdb", "-D", str(root / "data"), "-U", "postgres", "-A", "trust",
        "-E", "UTF8", "--no-locale", "--no-sync",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        shutil.rmtree(root, ignore_errors=True)
        raise RuntimeError(f"initdb failed: {done.stderr[-500:]}")
    atexit.register(shutil.rmtree, root, True)
    return root / "data"


def _own(path: Path) -> Path:
    if os.geteuid() == 0:
        os.chown(path, _user().pw_uid, _user().pw_gid)
    return path


@dataclass
class Server:
    """`admin` and `app` are connection strings: of the superuser, and of the role and database of an application."""

    root: Path
    port: int
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def auto(self) -> Path:
        return self.data / "postgresql.auto.conf"

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    @property
    def admin(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    @property
    def app(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=app dbname=shop"

    @property
    def argv(self) -> tuple[str, ...]:
        return (*_as_unprivileged(), str(self.folder / "postgres"), "-D", str(self.data))

    @property
    def arm(self) -> Arm:
        """As a policy would say it, without restarts."""
        return Arm("main", {"dsn": self.admin, "app_dsn": self.app, "data": str(self.data)})

    @property
    def restartable(self) -> Arm:
        """As a policy would say it, with restarts."""
        restart = Restart(self.argv, str(self.pid_file), seconds=8.0, writes_pid=True, log=str(self.root / "log"))
        return Arm("main", {"dsn": self.admin, "app_dsn": self.app, "data": str(self.data)}, restart)

    @property
    def version(self) -> int:
        """Such as 150018."""
        return int(self.query("SHOW server_version_num")[0][0])

    def query(self, text: str, dsn: str = "") -> list[tuple[Any, ...]]:
        """Run one statement in a session of its own, outside a transaction."""
        with psycopg.connect(dsn or self.admin, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description is not None else []

    def alter(self, name: str, value: str | None) -> None:
        """What a person would type: ALTER SYSTEM, and a reload."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            command = sql.SQL("ALTER SYSTEM RESET {}") if value is None else sql.SQL("ALTER SYSTEM SET {} = {}")
            connection.execute(
                command.format(*[sql.Identifier(name), *([] if value is None else [sql.Literal(value)])])
            )
            connection.execute("SELECT pg_reload_conf()")

    def fresh(self, auto: str) -> None:
        """As if nobody of ours had ever been here: postgresql.auto.conf with this text, in force."""
        before = self.query("SELECT pg_conf_load_time()")
        self.auto.write_text(auto)
        self.query("SELECT pg_reload_conf()")
        patience = time.monotonic() + 10
        while self.query("SELECT pg_conf_load_time()") == before:
            if time.monotonic() > patience:
                raise RuntimeError(f"postgres did not reload: {self.log()[-500:]}")
            time.sleep(0.01)

    def log(self) -> str:
        return (self.root / "log").read_text(errors="replace")

    def start(self) -> None:
        """Return once it accepts connections; RuntimeError with its log otherwise."""
        with open(self.root / "log", "ab") as log:
            process = subprocess.Popen(self.argv, stdout=log, stderr=log, cwd="/")
        self.processes.append(process)
        patience = time.monotonic() + 30
        while time.monotonic() < patience and process.poll() is None:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.admin, connect_timeout=2).close()
                return
            time.sleep(0.02)
        raise RuntimeError(f"postgres did not start: {self.log()[-800:]}")

    def pid(self) -> int | None:
        try:
            return int(self.pid_file.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def kill(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop whatever serves this data directory, whoever started it; nothing if nothing does."""
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        for process in self.processes:
            process.wait(20)
        self.processes.clear()
        patience = time.monotonic() + 20
        while pid is not None and _runs(pid) and time.monotonic() < patience:
            time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@contextlib.contextmanager
def postgresql() -> Iterator[Server]:
    """A running server with a role `app` that owns a database `shop`."""
    folder = binaries()
    root = _own(Path(tempfile.mkdtemp(prefix="trimtab-pg-")))
    server = Server(root, free_port(), folder)
    try:
        subprocess.run(
            [*_as_unprivileged(), "cp", "-a", str(_template(str(folder))), str(server.data)], check=True, cwd="/"
        )
        with open(server.data / "postgresql.conf", "a") as config:
            config.write(_CONFIG.format(port=server.port))
        server.start()
        server.query("CREATE ROLE app LOGIN")
        server.query("CREATE DATABASE shop OWNER app")
        yield server
    finally:
        server.kill()
        shutil.rmtree(root, ignore_errors=True)
