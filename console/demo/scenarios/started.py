"""Programs that take their settings when they start: a Java, a Go, a Node.js service, and one inside a CPU quota."""

from __future__ import annotations

import shutil
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from adapters.actuators.layers.cgroup import begins_in
from adapters.actuators.process import variables_of
from adapters.actuators.service import Service
from console.demo.cgroups import Groups
from console.demo.scenarios.base import ARMS, EXAMPLES, Scenario, program, restart_text
from console.demo.stage import Stage
from domain.errors import Transient
from domain.target import Restart

BUILD_SECONDS = 180


class Started(Scenario):
    """`environment` is what the file that Trimtab owns says at the beginning; `limits` are those of a control group
    around each arm (files of version 1), none if empty."""

    environment = ""
    limits: ClassVar[Mapping[str, str]] = {}
    requests = ""  # lines of `weight path`
    settle = 10.0
    window = 6.0
    moderate = 30.0

    def __init__(self, *, allow_restart: bool = False) -> None:
        super().__init__(allow_restart=True)  # nothing of it could be tuned otherwise
        self._groups = Groups()
        self._places: dict[str, str] = {}

    def build(self, stage: Stage) -> None:
        """Whatever has to be compiled, into `stage.directory`."""

    @abstractmethod
    def argv(self, stage: Stage, arm: str) -> list[str]:
        """The command that starts the service of an arm."""

    def write(self, stage: Stage) -> None:
        (stage.directory / "requests.txt").write_text(self.requests)
        self.build(stage)
        for arm in ARMS:
            (stage.directory / arm).mkdir()
            (stage.directory / arm / "tuned.env").write_text(self.environment)
            if self.limits:
                self._places[arm] = self._groups.make(arm, self.limits)

    def policy(self, stage: Stage) -> dict[str, object]:
        values: dict[str, object] = {}
        for arm in ARMS:
            values[f"restart_{arm}"] = restart_text(self._restart(stage, arm))
            values[f"cgroup_{arm}"] = self._places.get(arm, "")
        return values

    def start(self, stage: Stage) -> None:
        for arm in ARMS:
            self._service(stage, arm).start(variables_of(self.environment))

    def stop(self, stage: Stage) -> None:
        for arm in ARMS:
            self._service(stage, arm).stop()
        self._groups.remove()

    def pids(self, stage: Stage, arm: str) -> list[int]:
        if self._places:
            return self._groups.pids(arm)
        pid = self._service(stage, arm).pid()
        return [pid] if pid is not None else []

    def _restart(self, stage: Stage, arm: str) -> Restart:
        ready = (f"http://127.0.0.1:{stage.ports[arm]}/healthz",)
        root = stage.directory / arm
        return Restart(tuple(self.argv(stage, arm)), str(root / "pid"), ready, log=str(root / "service.log"))

    def _service(self, stage: Stage, arm: str) -> Service:
        place = {"cgroup": self._places.get(arm, "")}
        return Service(self._restart(stage, arm), cgroups=begins_in(place))


class Jvm(Started):
    name = example = "jvm"
    service = "demo-orders"
    players = "two Java services"
    environment = "JDK_JAVA_OPTIONS=-XX:+UseSerialGC -Xmx144m\n"
    limits: ClassVar[Mapping[str, str]] = {"memory.limit_in_bytes": "536870912"}
    requests = "1 /report\n"
    settle = 20.0

    def build(self, stage: Stage) -> None:
        compiler = program("javac", self.name, "openjdk-17-jdk-headless")
        _compiled(
            [compiler, "-d", str(stage.directory / "classes"), str(EXAMPLES / "jvm" / "Orders.java")], stage.directory
        )

    def argv(self, stage: Stage, arm: str) -> list[str]:
        classes = str(stage.directory / "classes")
        return [
            program("java", self.name, "openjdk-17-jdk-headless"),
            "-cp",
            classes,
            "Orders",
            str(stage.ports[arm]),
            "100000",
        ]


class Go(Started):
    name = example = "go"
    service = "demo-catalogue"
    players = "two Go services"
    environment = "GOGC=25\n"
    requests = "".join(f"1 /search?from={start}\n" for start in range(0, 400, 7))

    def build(self, stage: Stage) -> None:
        shutil.copytree(EXAMPLES / "go", stage.directory / "go")
        _compiled(
            [program("go", self.name, "golang"), "build", "-o", str(stage.directory / "catalogue"), "."],
            stage.directory / "go",
        )

    def argv(self, stage: Stage, arm: str) -> list[str]:
        return [str(stage.directory / "catalogue"), "-listen", f"127.0.0.1:{stage.ports[arm]}", "-items", "400000"]


class Nodejs(Started):
    name = example = "nodejs"
    service = "demo-documents"
    players = "two Node.js services"
    environment = "UV_THREADPOOL_SIZE=1\nNODE_OPTIONS=--max-old-space-size=256 --max-semi-space-size=2\n"
    requests = "30 /pack\n1 /sign\n"

    def argv(self, stage: Stage, arm: str) -> list[str]:
        return [program("node", self.name, "nodejs"), str(EXAMPLES / "nodejs" / "server.js"), str(stage.ports[arm])]


class Container(Started):
    name = example = "container"
    service = "demo-pages"
    players = "two services, each under a CPU quota"
    environment = (
        "TRIMTAB_DOCKER_CPUS=0.4\nTRIMTAB_DOCKER_CPU_PERIOD=100000\nTRIMTAB_DOCKER_CPU_BURST=0\nWEB_CONCURRENCY=16\n"
    )
    limits: ClassVar[Mapping[str, str]] = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "40000"}
    requests = "".join(f"1 /page-{number}\n" for number in range(4))

    def argv(self, stage: Stage, arm: str) -> list[str]:
        return [sys.executable, str(EXAMPLES / "container" / "service.py"), str(stage.ports[arm])]

    def most_share(self, stage: Stage) -> float:
        return int(self.limits["cpu.cfs_quota_us"]) / int(self.limits["cpu.cfs_period_us"])


def _compiled(command: list[str], where: Path) -> None:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode != 0:
        raise Transient(f"{command[0]}: {done.stderr.strip()[-400:]}")
