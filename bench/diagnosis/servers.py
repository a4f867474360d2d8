"""The servers of the situations: a service in front of a dependency, a JVM, nginx in front of a back end, PostgreSQL.

Each gives a target whose keys are the same in every situation of its kind: nothing of what is wrong shows in them.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from adapters.facts.surroundings import PROBES, response_seconds
from bench.diagnosis.stage import ROOT, Stage, forget, run, until
from console.demo.processes import free_port, listens
from domain.profile import PROFILES
from domain.space import SearchSpace
from domain.target import Arm, Objective, Target

USER = "postgres"
_NGINX = """user root;
daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/error.log notice;
events {{ worker_connections {connections}; }}
http {{
    log_format times '$remote_addr "$request" $status rt=$request_time urt=$upstream_response_time';
    access_log {root}/access.log times;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=256;
        location / {{ proxy_pass http://127.0.0.1:{backend}; }}
        location /files/ {{ alias {root}/files/; limit_rate 8k; }}
        location = /status {{ access_log off; stub_status; }}
    }}
}}
"""
_POSTGRESQL = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 40
shared_buffers = '128MB'
max_wal_size = '1GB'
checkpoint_timeout = '15min'
max_parallel_workers_per_gather = 0
autovacuum = off
lc_messages = 'C'
"""


def target(name: str, kind: str, place: dict[str, str]) -> Target:
    """A target of one arm, as a policy would give it."""
    return Target(
        name=name,
        mode="observe",
        actuator=kind,
        arms=(Arm("a", place),),
        space=SearchSpace(()),
        objective=Objective("up"),
        profile=PROFILES["staging"],
    )


@dataclass
class Service:
    """The service with two workers, and the dependency that each request asks."""

    stage: Stage
    port: int
    dependency: int
    usual_ms: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def slow_dependency(self, milliseconds: float) -> None:
        get(f"http://127.0.0.1:{self.dependency}/set?delay_ms={milliseconds}")

    def target(self) -> Target:
        place = {
            "pid": str(self.stage.folder / "service.pid"),
            "cgroup": self.stage.group,
            "dependency": f"http://127.0.0.1:{self.dependency}/",
            "dependency_usual_ms": f"{self.usual_ms:.1f}",
            "probe": f"{self.url}/",
        }
        return target("service", "container", place)


def service(stage: Stage, *options: object) -> Service:
    """Start both; the usual response time of the dependency is measured while nothing is wrong yet."""
    port, dependency = free_port(), free_port()
    backend = stage.python("bench.diagnosis.service", "--port", dependency, "--workers", 1, "--cpu-ms", 0.2)
    stage.outside("dependency", backend, listens(dependency))
    command = stage.python(
        "bench.diagnosis.service",
        *("--port", port, "--dependency", f"http://127.0.0.1:{dependency}/"),
        *("--pid-file", stage.folder / "service.pid", *options),
    )
    stage.inside("service", command, listens(port))
    address = f"http://127.0.0.1:{dependency}/"
    usual = sorted(response_seconds(address) for _ in range(2 * PROBES))[PROBES]
    return Service(stage, port, dependency, max(1.0, 1000 * usual))


def jvm(stage: Stage, classes: Path, heap: str, live_mb: int, garbage_kb: int) -> tuple[Target, str]:
    """The Java service; its target and address."""
    port = free_port()
    pid_file = stage.folder / "java.pid"
    options = [f"-Xmx{heap}", f"-Xms{heap}", "-XX:+UseSerialGC", "-cp", str(classes)]
    command = ["java", *options, "Thrash", str(port), str(live_mb), str(garbage_kb), str(pid_file)]
    stage.inside("java", command, listens(port))
    until(pid_file.exists, "java has not written its pid file")
    place = {"pid": str(pid_file), "cgroup": stage.group, "probe": f"http://127.0.0.1:{port}/"}
    return target("java", "jvm", place), f"http://127.0.0.1:{port}"


def compiled(folder: Path) -> Path:
    """The class files of the Java service."""
    folder.mkdir(parents=True)
    run(["javac", "-d", str(folder), str(ROOT / "bench/diagnosis/Thrash.java")])
    return folder


def nginx(stage: Stage, connections: int, delay_ms: float) -> tuple[Target, str]:
    """nginx with one worker in front of a back end that answers after a delay; its target and address."""
    port, backend = free_port(), free_port()
    command = stage.python(
        "bench.diagnosis.service", "--port", backend, "--workers", 1, "--cpu-ms", 0.2, "--delay-ms", delay_ms
    )
    stage.outside("backend", command, listens(backend))
    root = stage.folder
    (root / "files").mkdir()
    (root / "files" / "film").write_bytes(os.urandom(1 << 20))
    (root / "nginx.conf").write_text(_NGINX.format(root=root, port=port, backend=backend, connections=connections))
    stage.inside("nginx", ["nginx", "-c", str(root / "nginx.conf"), "-p", str(root)], listens(port))
    place = {
        "pid": str(root / "nginx.pid"),
        "cgroup": stage.group,
        "stub_status": f"http://127.0.0.1:{port}/status",
        "error_log": str(root / "error.log"),
        "access_log": str(root / "access.log"),
    }
    return target("proxy", "nginx", place), f"http://127.0.0.1:{port}"


@dataclass
class Postgresql:
    """A server started from a copy of the template."""

    stage: Stage
    port: int
    data: Path

    def pgbench(self, script: str, clients: int, rate: float = 0.0, seconds: int = 25) -> None:
        """Sessions that repeat a script, outside of the group."""
        path = self.stage.folder / "script.sql"
        path.write_text(script)
        how = ["-R", f"{rate:g}"] if rate else []
        threads = ["-c", str(clients), "-j", "1", "-T", str(seconds), "-M", "prepared", "-n", *how]
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        self.stage.outside("pgbench", [f"{binaries()}/pgbench", *address, *threads, "-f", str(path), "shop"])

    def forget(self) -> None:
        """Drop this server's own data files from the page cache."""
        for path in self.data.glob("base/*/*"):
            with contextlib.suppress(OSError):
                forget(path)

    def target(self) -> Target:
        place = {
            "pid": str(self.data / "postmaster.pid"),
            "cgroup": self.stage.group,
            "dsn": f"host=127.0.0.1 port={self.port} user={USER} dbname=shop",
        }
        return target("database", "postgresql", place)


def postgresql(stage: Stage, template: Path, **settings: str) -> Postgresql:
    """A server with some settings of its own."""
    data, port = stage.folder / "data", free_port()
    shutil.copytree(template, data)
    _own(data)
    with (data / "postgresql.conf").open("a") as file:
        file.write(_POSTGRESQL.format(port=port))
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    stage.inside("postgres", [f"{binaries()}/postgres", "-D", str(data)], listens(port), USER)
    server = Postgresql(stage, port, data)
    until(lambda: _answers(server), "PostgreSQL does not answer")
    return server


def template(folder: Path, rows: int) -> Path:
    """A cluster with a database `shop`: `items` (about 1 kB a row), `log` (empty) and `counter` (few rows)."""
    folder.mkdir(parents=True)
    shutil.chown(folder, USER)
    data = folder / "data"
    port = free_port()
    own = ["-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
    run([f"{binaries()}/initdb", "-D", str(data), *own], USER)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_wal_size=4GB"
    control = [f"{binaries()}/pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log")]
    run([*control, "-o", options, "start"], USER)
    try:
        tables = f"""
        CREATE TABLE items (id int PRIMARY KEY, price int, name text);
        ALTER TABLE items ALTER name SET STORAGE PLAIN;
        INSERT INTO items SELECT n, (n::bigint * 7919) % 100003, repeat(md5(n::text), 30)
            FROM generate_series(1, {rows}) n;
        CREATE TABLE log (id bigserial, at timestamptz DEFAULT now(), note text);
        CREATE TABLE counter (id int PRIMARY KEY, n bigint);
        INSERT INTO counter SELECT n, 0 FROM generate_series(1, 10) n;
        VACUUM ANALYZE;
        """
        address = ["-h", "127.0.0.1", "-p", str(port), "-U", USER, "-v", "ON_ERROR_STOP=1", "-q"]
        run([f"{binaries()}/psql", *address, "-c", "CREATE DATABASE shop", "postgres"])
        for statement in tables.split(";"):
            if statement.strip():
                run([f"{binaries()}/psql", *address, "-c", statement, "shop"])
    finally:
        run([*control, "-m", "fast", "stop"], USER)
    return data


def binaries() -> str:
    """The folder of the newest PostgreSQL that is installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda each: (len(each), each))
    return found[-1] if found else "/usr/bin"


def get(url: str) -> bytes:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=5) as answer:
        body: bytes = answer.read()
    return body


def _answers(server: Postgresql) -> bool:
    address = ["-h", "127.0.0.1", "-p", str(server.port), "-U", USER, "-d", "shop", "-t", "1"]
    with contextlib.suppress(Exception):
        run([f"{binaries()}/pg_isready", *address])
        return True
    return False


def _own(folder: Path) -> None:
    shutil.chown(folder, USER, USER)
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        shutil.chown(path, USER, USER)
