"""A shop's database as it comes out of the package: point lookups and small reports, until its traffic grows."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from adapters.actuators.service import Service
from console.demo.scenarios.base import ARMS, EXAMPLES, Scenario, fill, program, restart_text
from console.demo.stage import Stage
from domain.errors import Misconfigured, Transient
from domain.target import Restart

SEARCHED = "{preset: postgresql-reload}"
SEARCHED_WITH_RESTART = "{preset: postgresql-analytic}"
STATEMENTS = 400
_ORDERS, _DAYS, _REGIONS = 300_000, 730, 50  # as in examples/postgresql/schema.sql


class PostgreSQL(Scenario):
    name = example = "postgresql"
    service = "demo-database"
    players = "two PostgreSQL"
    histogram = "sql_statement_duration_seconds"
    moderate = 20.0
    most_rate = 400.0
    slow = 1.0

    def __init__(self, *, allow_restart: bool = False) -> None:
        super().__init__(allow_restart=allow_restart)
        self.settle = 8.0 if allow_restart else 2.0
        self._binaries = _binaries()
        self._data: dict[str, Path] = {}

    def write(self, stage: Stage) -> None:
        (stage.directory / "requests.txt").write_text(_statements(stage.seed))
        for arm in ARMS:
            self._data[arm] = self._cluster(stage, arm)

    def policy(self, stage: Stage) -> dict[str, object]:
        values: dict[str, object] = {f"data_{arm}": self._data[arm] for arm in ARMS}
        return values | {
            "restart_a": self._told_restart(stage, "a"),
            "restart_b": self._told_restart(stage, "b"),
            "parameters": SEARCHED_WITH_RESTART if self.allow_restart else SEARCHED,
            "profile": "demo-restart" if self.allow_restart else "demo",
            "restart": str(self.allow_restart).lower(),
            "version": self._binaries.parent.name,
        }

    def start(self, stage: Stage) -> None:
        schema = EXAMPLES / "postgresql" / "schema.sql"
        for arm in ARMS:
            self._service(stage, arm).start()
            command = [str(self._binaries / "psql"), "-q", "-v", "ON_ERROR_STOP=1", "-f", str(schema)]
            command.append(self._superuser(stage, arm))
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            if done.returncode != 0:
                raise Transient(f"the schema could not be loaded: {done.stderr.strip()[-300:]}")

    def stop(self, stage: Stage) -> None:
        for arm, data in self._data.items():
            self._service(stage, arm).stop()
            shutil.rmtree(data, ignore_errors=True)

    def address(self, stage: Stage, arm: str) -> str:
        return f"postgresql://shop@127.0.0.1:{stage.ports[arm]}/shop"

    def pids(self, stage: Stage, arm: str) -> list[int]:
        server = self._service(stage, arm).pid()
        if server is None:
            return []
        return [server, *map(int, Path(f"/proc/{server}/task/{server}/children").read_text().split())]

    # --- details -----------------------------------------------------------------------------------------------------

    def _superuser(self, stage: Stage, arm: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{stage.ports[arm]}/postgres"

    def _cluster(self, stage: Stage, arm: str) -> Path:
        """A new data directory; outside of the stage's, which another user might not be able to enter."""
        data = Path(tempfile.mkdtemp(prefix=f"trimtab-demo-{arm}-"))
        if os.geteuid() == 0:
            shutil.chown(data, "postgres", "postgres")
        initdb = [*_as_user(), str(self._binaries / "initdb"), "-D", str(data), "-U", "postgres"]
        options = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run([*initdb, *options], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise Transient(f"initdb: {done.stderr.strip()[-300:]}")
        values: dict[str, object] = {"port": stage.ports[arm]}
        fill(EXAMPLES / "postgresql" / "postgresql.conf", data / "conf.new", values)
        with (data / "postgresql.conf").open("a") as conf:
            conf.write((data / "conf.new").read_text())
        (data / "conf.new").unlink()
        return data

    def _restart(self, stage: Stage, arm: str) -> Restart:
        data = self._data[arm]
        argv = (*_as_user(), str(self._binaries / "postgres"), "-D", str(data))
        ready = (str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(stage.ports[arm]))
        return Restart(
            argv, str(data / "postmaster.pid"), ready, writes_pid=True, log=str(stage.directory / f"{arm}.log")
        )

    def _told_restart(self, stage: Stage, arm: str) -> str:
        """The arm's `restart` in the policy; nothing where it is not allowed."""
        return f"restart: {restart_text(self._restart(stage, arm))}" if self.allow_restart else ""

    def _service(self, stage: Stage, arm: str) -> Service:
        return Service(self._restart(stage, arm), signal.SIGINT)


def _as_user() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return [program("setpriv", "postgresql", "util-linux"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def _binaries() -> Path:
    """The directory of the newest server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise Misconfigured(
            "no PostgreSQL server is installed; run `make demo SCENARIO=postgresql`, or: apt-get install postgresql"
        )
    return found[-1].parent


def _statements(seed: int) -> str:
    """Lines of `weight statement`: the example's templates, each with many values."""
    rng, lines = random.Random(seed), []
    templates = (EXAMPLES / "postgresql" / "statements.sql").read_text().splitlines()
    templates = [line for line in templates if line and not line.startswith("--")]
    for line in templates:
        weight, statement = line.split(None, 1)
        for _ in range(STATEMENTS // len(templates)):
            values = {
                "id": rng.randrange(1, _ORDERS),
                "day": rng.randrange(_DAYS - 60),
                "region": rng.randrange(_REGIONS),
            }
            lines.append(f"{float(weight) / (STATEMENTS // len(templates)):g} {statement.format(**values)}")
    return "\n".join(lines) + "\n"
