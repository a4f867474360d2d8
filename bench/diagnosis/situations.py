"""Twelve situations with a known bottleneck. Each sets its servers up and under load, and gives the target.

Each has two grades: one that anybody would notice, and a mild one that is near what is still healthy.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.diagnosis.servers import compiled, jvm, nginx, postgresql, service, template
from bench.diagnosis.stage import Stage, forget
from diagnosis.symptom import Layer
from domain.target import Target

ROWS = 300_000
T = TypeVar("T")
SORT = "SELECT count(*) FROM (SELECT name, price FROM items WHERE id <= {} ORDER BY price, name OFFSET 1) AS sorted;\n"
POINT = "\\set id random(1, 300000)\nSELECT price FROM items WHERE id = :id;\n"
WRITE = "\\set id random(1, 299000)\nUPDATE items SET price = price + 1 WHERE id BETWEEN :id AND :id + 300;\n"
COLD = 4 * POINT + "INSERT INTO log (note) VALUES ('seen');\n"
HOT = (
    "BEGIN;\nUPDATE counter SET n = n + 1 WHERE id = 1;\nSELECT price FROM items WHERE id = 7;\n\\sleep 5 ms\nCOMMIT;\n"
)


@dataclass
class Props:
    """What is made once and used by many situations."""

    folder: Path
    mild: bool = False
    _classes: Path | None = None
    _template: Path | None = None
    _file: Path | None = None

    def pick(self, strong: T, mild: T) -> T:
        """How bad it is."""
        return mild if self.mild else strong

    @property
    def classes(self) -> Path:
        self._classes = self._classes or compiled(self.folder / "classes")
        return self._classes

    @property
    def template(self) -> Path:
        self._template = self._template or template(self.folder / "template", ROWS)
        return self._template

    @property
    def file(self) -> Path:
        """240 MB to read from."""
        if self._file is None:
            self._file = self.folder / "file"
            block = os.urandom(1 << 20)
            with self._file.open("wb") as out:
                for _ in range(240):
                    out.write(block)
        return self._file


@dataclass(frozen=True)
class Situation:
    """`truth` is the layer that a right diagnosis names; `play(stage, props, run)` stages it. `tunable` says whether a
    proposal is right."""

    name: str
    truth: Layer
    tunable: bool
    about: str
    play: Callable[[Stage, Props, int], Target]


def _cpu_quota(stage: Stage, props: Props, run: int) -> Target:
    stage.limit("cpu", "cpu.cfs_quota_us", props.pick("30000", "45000"))
    served = service(stage, "--cpu-ms", 10)
    stage.load("load", served.url, 40)
    return served.target()


def _memory_limit(stage: Stage, props: Props, run: int) -> Target:
    forget(props.file)
    stage.limit("memory", "memory.limit_in_bytes", str(props.pick(200, 250) << 20))
    options = (
        "--hold-mb",
        60,
        "--file",
        props.file,
        "--reads",
        8,
        "--burst-mb",
        24,
        "--burst-every",
        props.pick(8, 40),
    )
    served = service(stage, *options)
    stage.load("load", served.url, 40)
    return served.target()


def _gc(stage: Stage, props: Props, run: int) -> Target:
    target, url = jvm(stage, props.classes, "64m", props.pick(38, 35), 1500)
    stage.load("load", url, 60)
    return target


def _pg_memory(stage: Stage, props: Props, run: int) -> Target:
    server = postgresql(stage, props.template, work_mem="64kB", shared_buffers="256MB")
    server.pgbench(SORT.format(props.pick(20_000, 2_000)), 2, rate=props.pick(0, 15))
    return server.target()


def _pg_checkpoint(stage: Stage, props: Props, run: int) -> Target:
    server = postgresql(stage, props.template, max_wal_size=props.pick("32MB", "64MB"), min_wal_size="32MB")
    server.pgbench(WRITE, 2, rate=props.pick(0, 30))
    return server.target()


def _pg_locks(stage: Stage, props: Props, run: int) -> Target:
    server = postgresql(stage, props.template)
    server.pgbench(HOT, props.pick(8, 3))
    return server.target()


def _nginx_workers(stage: Stage, props: Props, run: int) -> Target:
    target, url = nginx(stage, props.pick(32, 44), 0)
    stage.load("downloads", url, 8, "/files/film")
    stage.load("load", url, 30)
    return target


def _upstream(stage: Stage, props: Props, run: int) -> Target:
    target, url = nginx(stage, 1024, props.pick(250, 80))
    stage.load("load", url, 40)
    return target


def _io_storage(stage: Stage, props: Props, run: int) -> Target:
    device = os.stat(props.folder).st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    server = postgresql(stage, props.template, shared_buffers="8MB")
    server.forget()
    for kind, most in (("read", props.pick(300, 1200)), ("write", props.pick(150, 600))):
        stage.limit("blkio", f"blkio.throttle.{kind}_iops_device", f"{name} {most}")
    server.pgbench(COLD, 6)
    return server.target()


def _dependency(stage: Stage, props: Props, run: int) -> Target:
    served = service(stage)
    stage.load("load", served.url, 30)
    served.slow_dependency(props.pick(200, 40))
    return served.target()


def _cpu_node(stage: Stage, props: Props, run: int) -> Target:
    served = service(stage, "--cpu-ms", 10)
    for number in range(props.pick(6, 2)):
        stage.outside(f"burner-{number}", [sys.executable, "-c", "while True: pass"])
    stage.load("load", served.url, 40)
    return served.target()


def _none(stage: Stage, props: Props, run: int) -> Target:
    """One kind of server a run: the service, nginx, PostgreSQL; with `mild`, nearer to trouble."""
    match run % 3:
        case 0:
            served = service(stage)
            stage.load("load", served.url, props.pick(25, 60))
            return served.target()
        case 1:
            target, url = nginx(stage, 1024, 1)
            stage.load("load", url, props.pick(40, 120))
            return target
        case _:
            server = postgresql(stage, props.template, shared_buffers="512MB")
            server.pgbench(POINT, 4, rate=props.pick(60, 300))
            return server.target()


SITUATIONS = (
    Situation("cpu-quota", "cpu_quota", True, "a service needs 0.4 CPU and has a quota of 0.3", _cpu_quota),
    Situation(
        "memory-limit", "memory_limit", True, "reads and bursts in a memory limit that is too low", _memory_limit
    ),
    Situation("gc-thrash", "gc", True, "a Java service with 38 MB of live data in a heap of 64 MB", _gc),
    Situation("small-work-mem", "pg_memory", True, "sorts of 20 MB with work_mem 64 kB", _pg_memory),
    Situation("checkpoint-storm", "pg_checkpoint", True, "heavy updates with max_wal_size 32 MB", _pg_checkpoint),
    Situation("hot-row", "pg_locks", False, "eight sessions update one row", _pg_locks),
    Situation("nginx-limit", "nginx_workers", True, "slow downloads hold 32 worker_connections", _nginx_workers),
    Situation("slow-upstream", "upstream", False, "nginx in front of a back end that takes 250 ms", _upstream),
    Situation("slow-disk", "io_storage", True, "cold reads and commits on a device of 300 reads/s", _io_storage),
    Situation("slow-dependency", "dependency", False, "a dependency takes 200 ms more than usual", _dependency),
    Situation("noisy-neighbour", "cpu_node", False, "six busy loops beside a service on this node", _cpu_node),
    Situation("nothing-wrong", "none", False, "a service, an nginx and a PostgreSQL at ease", _none),
)
