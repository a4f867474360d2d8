"""What is made once for many candidates: files to serve, programs to start, a database to copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bench.diagnosis.servers import binaries
from bench.diagnosis.stage import run
from bench.starts import nginx
from bench.starts.draw import root
from console.demo.processes import free_port
from domain.errors import Misconfigured

USER = "postgres"
PROGRAMS = Path(__file__).with_name("programs")
ROWS = 400_000  # of about 1 kB
_DONE = ".done"


def made(folder: Path, families: Iterable[str]) -> None:
    """Everything that players of these families need, below `folder`; what is there already stays."""
    for family in families:
        for name, make in _MAKERS.get(family, {}).items():
            if (folder / name / _DONE).exists():
                continue
            shutil.rmtree(folder / name, ignore_errors=True)
            make(folder / name)
            (folder / name / _DONE).touch()


def _site(folder: Path) -> None:
    nginx.site(folder)


def _classes(folder: Path) -> None:
    folder.mkdir(parents=True)
    sources = [root() / "examples/jvm/Orders.java", PROGRAMS / "Busy.java"]
    run(["javac", "-d", str(folder), *map(str, sources)])


def _go(folder: Path) -> None:
    folder.mkdir(parents=True)
    go = shutil.which("go", path=os.environ.get("PATH", "") + ":/usr/local/go/bin")
    if go is None:
        raise Misconfigured("go is not installed; the presets of Go services need it")
    environment = {**os.environ, "GOCACHE": str(folder / "cache"), "CGO_ENABLED": "0"}
    for name, place, source in (("catalogue", root() / "examples/go", "."), ("busy", PROGRAMS, "busy.go")):
        command = [go, "build", "-o", str(folder / name), source]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Misconfigured(f"{' '.join(command)}: {done.stderr[-500:]}")
    shutil.rmtree(folder / "cache", ignore_errors=True)


def _clusters(folder: Path) -> None:
    """An empty cluster for starts, and one with `items` and the empty `filler` for loads; then what the server says of
    its parameters."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    shutil.chown(folder, USER)
    for name, script in (("empty", "SELECT 1;"), ("full", _TABLES.format(rows=ROWS))):
        data, port = folder / name, free_port()
        own = ["-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        run([f"{binaries()}/initdb", "-D", str(data), *own], USER)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        options += " -c max_wal_size=4GB -c wal_level=minimal -c max_wal_senders=0"
        control = [f"{binaries()}/pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log")]
        run([*control, "-o", options, "start"], USER)
        address = ["-h", "127.0.0.1", "-p", str(port), "-U", USER, "-v", "ON_ERROR_STOP=1", "-qAt"]
        psql = [f"{binaries()}/psql", *address, "postgres", "-c"]
        try:
            for statement in filter(str.strip, script.split(";")):
                run([*psql, statement])
            if name == "empty":
                (folder / "settings.json").write_text(run([*psql, _SETTINGS]))
            else:
                (folder / "filler").write_text(run([*psql, "SELECT pg_relation_filepath('filler')"]).strip())
        finally:
            run([*control, "-m", "fast", "stop"], USER)
    json.loads((folder / "settings.json").read_text())


_TABLES = """
CREATE EXTENSION pg_prewarm;
CREATE TABLE items (id int, name text);
ALTER TABLE items ALTER name SET STORAGE PLAIN;
INSERT INTO items SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, {rows}) n;
CREATE TABLE filler (n int);
VACUUM ANALYZE items;
CHECKPOINT;
"""
_SETTINGS = """
SELECT json_object_agg(name, json_build_array(name, setting, coalesce(unit, ''), vartype, context, source,
       coalesce(boot_val, ''), coalesce(min_val, ''), coalesce(max_val, ''), coalesce(enumvals, '{}'), pending_restart))
FROM pg_settings
"""
_MAKERS: Mapping[str, Mapping[str, Callable[[Path], None]]] = {
    "nginx": {"site": _site},
    "jvm": {"classes": _classes},
    "go": {"go": _go},
    "postgresql": {"clusters": _clusters},
}
