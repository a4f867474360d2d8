"""A static site that compresses at a level which many published configurations carry, until its traffic grows."""

from __future__ import annotations

import os
from pathlib import Path

from console.demo.processes import listens
from console.demo.scenarios.base import ARMS, EXAMPLES, Scenario, fill, program
from console.demo.site import build
from console.demo.stage import Stage


class Nginx(Scenario):
    name = example = "nginx"
    service = "demo-site"
    players = "two nginx"
    searched = "{preset: nginx-static, consent: [nginx.access_log, nginx.gzip_buffers, nginx.tcp_nodelay]}"

    def write(self, stage: Stage) -> None:
        (stage.directory / "requests.txt").write_text(build(stage.directory / "site"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        for arm in ARMS:
            root = stage.directory / arm
            (root / "tmp").mkdir(parents=True, exist_ok=True)
            values = {"root": root, "port": stage.ports[arm], "site": stage.directory / "site", "user": user}
            for name in ("nginx.conf", "tuned.conf"):
                fill(EXAMPLES / "nginx" / name, root / name, values)

    def policy(self, stage: Stage) -> dict[str, object]:
        return {"nginx": program("nginx", self.name), "parameters": self.searched}

    def start(self, stage: Stage) -> None:
        for arm in ARMS:
            root = stage.directory / arm
            command = [program("nginx", self.name), "-c", str(root / "nginx.conf"), "-p", str(root)]
            stage.processes.start(f"nginx-{arm}", command, listens(stage.ports[arm]))

    def pids(self, stage: Stage, arm: str) -> list[int]:
        master = stage.processes.pid(f"nginx-{arm}")
        return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


class Null(Nginx):
    """The same regression, but only parameters that cannot help are open to the search."""

    name = "null"
    searched = "{preset: nginx-inert}"
    finds = False
