"""Every kind of arm for the contract suite of `Actuator`: two views, a foreign hand, and settings that it takes."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from adapters.actuators.joint import JointArm
from adapters.actuators.memory import MemoryArm
from adapters.actuators.process import variables_of
from adapters.actuators.registry import actuator
from adapters.actuators.service import Service
from domain.ports import Actuator
from domain.space import Parameter, SearchSpace, Settings, Value
from domain.target import Arm as Place
from domain.target import Restart
from tests import docker_engine, postgresql_server
from tests.control_groups import control_group
from tests.nginx_server import nginx
from tests.ordinals import sets
from tests.pods import CPU_LIMIT, Shop, shop
from tests.real import need


class Arm(Actuator, Protocol):
    def reap(self, now: float) -> object: ...


@dataclass
class Bench:
    """One arm, another worker's view of the same arm, and a foreign hand that changes `changed` to `edited`."""

    arm: Arm
    other: Arm
    edit: Callable[[], None]
    original: Settings
    fast: Settings
    bad: Settings
    changed: str
    edited: Value
    look: Callable[[], Value] | None = None  # where the foreign hand's value is not what the arm carries

    @property
    def by_hand(self) -> bool:
        """Whether what the foreign hand wrote is still there."""
        seen = self.look() if self.look is not None else self.arm.read().settings[self.changed]
        return seen == self.edited


# --- files and servers -----------------------------------------------------------------------------------------------

_LEVEL, _TIME = "nginx.gzip_comp_level", "nginx.keepalive_timeout"
_NGINX = SearchSpace(
    (Parameter(_LEVEL, "integer", 1, low=1, high=9), Parameter(_TIME, "integer", 75, low=5, high=180, unit="s"))
)
_SIX: Settings = {_LEVEL: 6, _TIME: 75}
_ONE: Settings = {_LEVEL: 1, _TIME: 30}
_WRONG: Settings = {_LEVEL: 4711, _TIME: 75}


@contextmanager
def memory(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    arm = MemoryArm(_NGINX, _SIX)
    arm.refuse(_WRONG)
    yield Bench(arm, arm, lambda: arm.edit({_LEVEL: 3}), _SIX, _ONE, _WRONG, _LEVEL, 3)


@contextmanager
def of_nginx(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    with nginx(root, "gzip_comp_level 6;\nkeepalive_timeout 75s;\ngzip_vary on;\n") as server:
        edit = _replacing(server.config, "gzip_comp_level", "gzip_comp_level 3;")
        yield _bench("nginx", Place("a", server.place), _NGINX, edit, _SIX, _ONE, _WRONG, 3)


@contextmanager
def postgresql(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    workers, timeout = "pg.max_parallel_workers_per_gather", "pg.checkpoint_timeout"
    space = SearchSpace(
        (
            Parameter(workers, "integer", 1, low=1, high=9),
            Parameter(timeout, "integer", 75, low=5, high=180, unit="s"),
        )
    )
    server: postgresql_server.Server = request.getfixturevalue("postgres")
    server.fresh("max_parallel_workers_per_gather = 6\ncheckpoint_timeout = 75s\n")

    def edit() -> None:
        server.alter("max_parallel_workers_per_gather", "3")

    original: Settings = {workers: 6, timeout: 75}
    bad: Settings = {workers: 4711, timeout: 75}
    yield _bench("postgresql", server.arm, space, edit, original, {workers: 1, timeout: 30}, bad, 3)


# --- programs that are started with variables ------------------------------------------------------------------------

_READER = """
import os, signal, sys
if os.environ.get("GOGC") == "4711":
    sys.exit("4711 is more than this program bears")
with open(sys.argv[1] + ".new", "w") as file:
    print(os.getpid(), file=file)
os.replace(sys.argv[1] + ".new", sys.argv[1])
signal.pause()
"""
_NODE = """
const fs = require("fs");
fs.writeFileSync(process.argv[2] + ".new", process.pid + "\\n");
fs.renameSync(process.argv[2] + ".new", process.argv[2]);
setInterval(() => {}, 60000);
"""
_JAVA = """
import java.nio.file.*;
public class Serving {
    public static void main(String[] a) throws Exception {
        Path at = Path.of(a[0]), fresh = Path.of(a[0] + ".new");
        Files.writeString(fresh, ProcessHandle.current().pid() + "\\n");
        Files.move(fresh, at, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        Thread.sleep(600000);
    }
}
"""


def started(root: Path, argv: list[str], environment: str) -> Place:
    """An arm whose program serves once the file `serving` holds the pid of its pid file."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "env").write_text(environment)
    ready = ("cmp", "-s", str(root / "serving"), str(root / "pid"))
    command = (*argv, str(root / "serving"))
    restart = Restart(command, str(root / "pid"), ready, seconds=20.0, log=str(root / "log"))
    return Place("a", {"env": str(root / "env")}, restart)


def reader(root: Path, environment: str) -> Place:
    """A small program that only reads its environment, and refuses one value."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "reader.py").write_text(_READER)
    return started(root, [sys.executable, "-S", "-E", str(root / "reader.py")], environment)


@contextmanager
def running(place: Place) -> Iterator[Service]:
    """The arm's program, started with what its environment file says, as its owner would."""
    assert place.restart is not None
    service = Service(place.restart)
    service.start(variables_of(Path(place.place["env"]).read_text()))
    try:
        yield service
    finally:
        service.stop()


@contextmanager
def go(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    pace, threads = "go.GOGC", "go.GOMAXPROCS"
    space = SearchSpace(
        (
            Parameter(pace, "integer", 100, low=25, high=9999, cost="restart"),
            Parameter(threads, "integer", "computed", low=1, high=8, cost="restart"),
        )
    )
    place = reader(root, "GOGC=600\nSHOP=front\nGOMAXPROCS=4\n")
    with running(place):
        edit = _replacing(root / "env", "GOGC", "GOGC=300")
        original: Settings = {pace: 600, threads: 4}
        yield _bench("go", place, space, edit, original, {pace: 100, threads: 2}, {pace: 4711, threads: 4}, 300)


@contextmanager
def node(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    threads, heap = "node.UV_THREADPOOL_SIZE", "node.max_old_space_size"
    space = SearchSpace(
        (
            Parameter(threads, "integer", 4, low=1, high=16, cost="restart"),
            Parameter(heap, "integer", "computed", low=1, high=512, unit="MiB", cost="restart"),
        )
    )
    root.mkdir(parents=True)
    (root / "serve.js").write_text(_NODE)
    environment = "UV_THREADPOOL_SIZE=6\nNODE_OPTIONS=--no-deprecation --max-old-space-size=128\n"
    place = started(root, [need("node"), str(root / "serve.js")], environment)
    with running(place):
        edit = _replacing(root / "env", "UV_THREADPOOL_SIZE", "UV_THREADPOOL_SIZE=3")
        original: Settings = {threads: 6, heap: 128}
        yield _bench("node", place, space, edit, original, {threads: 1, heap: 64}, {threads: 6, heap: 1}, 3)


@functools.cache
def java_classes() -> str:
    """The directory of the compiled program, once for all tests of this process."""
    need("jcmd")
    folder = Path(tempfile.mkdtemp(prefix="trimtab-java-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "Serving.java").write_text(_JAVA)
    subprocess.run([need("javac"), "-d", str(folder), str(folder / "Serving.java")], check=True, timeout=60)
    return str(folder)


def jvm_program(root: Path, options: str) -> Place:
    """A JVM that serves, with these options of its owner."""
    return started(root, [need("java"), "-Xshare:auto", "-cp", java_classes(), "Serving"], options)


@contextmanager
def jvm(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    ratio, heap = "jvm.NewRatio", "jvm.MaxHeapSize"
    space = SearchSpace(
        (
            Parameter(ratio, "integer", 2, low=1, high=9, cost="restart"),
            Parameter(heap, "integer", "ergonomic", low=1, high=2**30, unit="bytes", cost="restart"),
        )
    )
    place = jvm_program(root, "JDK_JAVA_OPTIONS=-Dshop=front -XX:+UseSerialGC -XX:NewRatio=6 -Xmx64m\n")
    with running(place):
        edit = _replacing(root / "env", "JDK_JAVA_OPTIONS", "JDK_JAVA_OPTIONS=-XX:+UseSerialGC -XX:NewRatio=3 -Xmx64m")
        original: Settings = {ratio: 6, heap: 64 * 2**20}
        fast: Settings = {ratio: 1, heap: 100_000_001}
        yield _bench("jvm", place, space, edit, original, fast, {ratio: 6, heap: 1}, 3)


# --- containers ------------------------------------------------------------------------------------------------------

_SHARES, _CPUS = "docker.cpu_shares", "docker.cpus"
_LIMITS = SearchSpace(
    (
        Parameter(_SHARES, "integer", 1024, low=2, high=9999, log=True, cost="live"),
        Parameter(_CPUS, "real", "unlimited", low=0.00001, high=2.0, unit="cores", cost="live"),
    )
)
_STATE = "TRIMTAB_DOCKER_CPU_SHARES=600\nTRIMTAB_DOCKER_CPUS=0.75\n"


@contextmanager
def container(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    root.mkdir(parents=True)
    (root / "env").write_text(_STATE)
    with control_group("cpu") as group:
        group.write("cpu.shares", "600")
        group.write("cpu.cfs_quota_us", "75000")
        place = Place("a", {"env": str(root / "env"), "cgroup": group.path})
        edit = _replacing(root / "env", "TRIMTAB_DOCKER_CPU_SHARES", "TRIMTAB_DOCKER_CPU_SHARES=300")
        yield _limits("container", place, edit, {_SHARES: 600, _CPUS: 0.00001})


@contextmanager
def docker(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    root.mkdir(parents=True)
    (root / "state").write_text(_STATE)
    with docker_engine.fake(root / "engine.sock", {"CpuShares": 600, "NanoCpus": 750_000_000}) as engine:
        engine.refuse("CpuShares", 4711)
        keys = {"state": str(root / "state"), "container": "shop", "engine": engine.address}
        edit = _replacing(root / "state", "TRIMTAB_DOCKER_CPU_SHARES", "TRIMTAB_DOCKER_CPU_SHARES=300")
        yield _limits("docker", Place("a", keys), edit, {_SHARES: 4711, _CPUS: 0.75})


def _limits(kind: str, place: Place, edit: Callable[[], None], bad: Settings) -> Bench:
    return _bench(kind, place, _LIMITS, edit, {_SHARES: 600, _CPUS: 0.75}, {_SHARES: 100, _CPUS: 0.3333333}, bad, 300)


# --- two stores in one -----------------------------------------------------------------------------------------------

_MEMORY = "docker.memory"
_AROUND = SearchSpace((Parameter(_MEMORY, "integer", 2**30, low=1, high=2**31, cost="live"),))


class Store(MemoryArm):
    """A store that tells what its watchdog did."""

    def reap(self, now: float) -> str | None:  # type: ignore[override]
        return "the original is back" if super().reap(now) else None


@contextmanager
def joint(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    """The limit shrinks and the inner settings are refused: the inner go first, and nothing else is touched."""
    yield _two(memory=1000, fast=900, bad=800, refused_inside=True)


@contextmanager
def joint_growing(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    """The limit grows first and has to come back, because the inner settings are refused then."""
    yield _two(memory=1000, fast=1100, bad=1200, refused_inside=True)


@contextmanager
def joint_limit(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    """The inner settings shrink first and have to come back, because the limit is refused then."""
    yield _two(memory=1000, fast=900, bad=800, refused_inside=False)


def _two(*, memory: int, fast: int, bad: int, refused_inside: bool) -> Bench:
    around, inside = Store(_AROUND, {_MEMORY: memory}), Store(_NGINX, _SIX)
    if refused_inside:
        inside.refuse(_WRONG)
    else:
        around.refuse({_MEMORY: bad})
    arm = JointArm(around, _AROUND, inside, _NGINX)
    return Bench(
        arm,
        JointArm(around, _AROUND, inside, _NGINX),
        lambda: inside.edit({_LEVEL: 3}),
        {_MEMORY: memory, **_SIX},
        {_MEMORY: fast, **_ONE},
        {_MEMORY: bad, **_WRONG},
        _LEVEL,
        3,
    )


# --- pods of a cluster ---------------------------------------------------------------------------------------------


@contextmanager
def pod(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    with shop() as cluster:
        yield _in_cluster(cluster)


@contextmanager
def ordinal(request: pytest.FixtureRequest, root: Path) -> Iterator[Bench]:
    with sets() as cluster:
        yield _in_cluster(cluster)


def _in_cluster(cluster: Shop) -> Bench:
    one, other = (cluster.arms()["a"] for _ in range(2))
    return Bench(
        one,
        other,
        lambda: cluster.edit("300m"),
        {CPU_LIMIT: 0.15, _LEVEL: 6},
        {CPU_LIMIT: 0.3333333, _LEVEL: 1},
        {CPU_LIMIT: 0.2, _LEVEL: 4711},
        CPU_LIMIT,
        "300m",
        lambda: cluster.in_template("limits", "cpu"),
    )


# --- all of them -----------------------------------------------------------------------------------------------------

BENCHES: dict[str, Callable[[pytest.FixtureRequest, Path], AbstractContextManager[Bench]]] = {
    "memory": memory,
    "nginx": of_nginx,
    "postgresql": postgresql,
    "go": go,
    "node": node,
    "jvm": jvm,
    "container": container,
    "docker": docker,
    "joint": joint,
    "joint-growing": joint_growing,
    "joint-limit": joint_limit,
    "pod": pod,
    "ordinal": ordinal,
}

REAL = ("nginx", "postgresql", "node", "jvm", "container")  # need programs, or a kernel's files, of this machine


def _bench(
    kind: str,
    place: Place,
    space: SearchSpace,
    edit: Callable[[], None],
    original: Settings,
    fast: Settings,
    bad: Settings,
    edited: Value,
) -> Bench:
    one, other = (actuator(kind, place, space) for _ in range(2))
    return Bench(one, other, edit, original, fast, bad, space.parameters[0].name, edited)


def _replacing(path: Path, begins: str, line: str) -> Callable[[], None]:
    """A person's editor: the line that begins so becomes another, under whatever first line is there."""

    def edit() -> None:
        lines = path.read_text().splitlines()
        path.write_text("".join(f"{line if each.startswith(begins) else each}\n" for each in lines))

    return edit
