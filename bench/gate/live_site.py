"""Where live gates happen: lanes of two real nginx, their service, load and neighbour, and one Prometheus for all.

Everything listens on 127.0.0.1 only, is started by us and ended by its process id.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.catalogue import space_for
from bench.gate.live_noise import Neighbour
from console.demo.processes import Processes, free_port, listens
from console.demo.site import build
from domain.errors import Misconfigured
from domain.profile import Profile
from domain.space import SearchSpace, Settings
from domain.target import Arm, Guardrail, Limits, Objective, Target

ROOT = Path(__file__).parents[2]
ARMS = ("a", "b")
VERSION = "1.22"
PAGE = "/page-60.html"
SCRAPE = 0.5
_NGINX = """{user}daemon off;
worker_processes 1;
worker_shutdown_timeout 20s;
pid {root}/nginx.pid;
error_log {root}/error.log notice;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    types {{ text/html html; }}
    client_body_temp_path {root}/tmp/body;
    proxy_temp_path {root}/tmp/proxy;
    fastcgi_temp_path {root}/tmp/fastcgi;
    uwsgi_temp_path {root}/tmp/uwsgi;
    scgi_temp_path {root}/tmp/scgi;
    gzip on;
    include {root}/tuned.conf;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        root {site};
        location = /work {{ proxy_pass http://127.0.0.1:{backend}; }}
    }}
}}
"""


@dataclass(frozen=True)
class Kind:
    """What a lane serves, what is tuned there, and at how many requests a second and arm outside of bursts (at most
    twice as many in one)."""

    name: str
    parameter: str
    original: str | int
    candidate: str | int
    path: str
    rate: float

    @property
    def space(self) -> SearchSpace:
        return space_for([self.parameter], {}, version=VERSION)[0]

    def settings(self, candidate: bool) -> Settings:
        return {self.parameter: self.candidate if candidate else self.original}


DELAY = Kind("delay", "nginx.proxy_http_version", "1.0", "1.1", "/work", 40.0)
GZIP = Kind("gzip", "nginx.gzip_comp_level", 6, 1, PAGE, 25.0)


@dataclass(frozen=True)
class Lane:
    """One pair of arms with everything around it."""

    number: int
    kind: Kind
    directory: Path
    ports: dict[str, int]
    nginx: str

    @property
    def service(self) -> str:
        return f"live-{self.number}"

    @property
    def query(self) -> str:
        """Mean latency: see `live.py` for why it is not the p95."""
        chosen = f'{{service="{self.service}",arm="$arm"}}[$window]'
        name = "http_request_duration_seconds"
        return f"sum(rate({name}_sum{chosen})) / sum(rate({name}_count{chosen}))"

    def target(self, profile: Profile) -> Target:
        """The lane as the product sees it."""
        chosen = f'service="{self.service}",arm="$arm"'
        errors = (
            f'sum(rate(http_requests_total{{{chosen},code!="200"}}[$window]))'
            f" / sum(rate(http_requests_total{{{chosen}}}[$window])) or vector(0)"
        )
        return Target(
            name=self.service,
            mode="act",
            actuator="nginx",
            arms=tuple(Arm(label, self._place(label)) for label in ARMS),
            space=self.kind.space,
            objective=Objective(self.query, unit="s"),
            profile=profile,
            guardrails=(Guardrail("errors", errors, "<", 0.01),),
            strategy="scripted",
            limits=Limits(cooldown=0.0),
        )

    def _place(self, label: str) -> dict[str, str]:
        root = self.directory / label
        return {
            "config": str(root / "tuned.conf"),
            "pid": str(root / "nginx.pid"),
            "main": str(root / "nginx.conf"),
            "prefix": str(root),
            "binary": self.nginx,
        }

    # --- while it runs -----------------------------------------------------------------------------------------------

    def set_rate(self, factor: float) -> None:
        """Arrivals on both arms, as a multiple of the kind's rate."""
        body = json.dumps({"rate": round(factor * self.kind.rate, 2)}).encode()
        _ask(self.ports["load"], "/rate", body)

    def set_effect(self, effect: float) -> None:
        _ask(self.ports["backend"], f"/-/effect/{effect:.6f}")

    def served(self) -> dict[str, list[float]]:
        """Requests and seconds of planned delay by HTTP version, since the effect was set."""
        return dict(_ask(self.ports["backend"], "/-/seen"))

    def neighbour(self, seed: int, seconds: float) -> Neighbour:
        return Neighbour(self.ports["neighbour"], seed, seconds)


class Site:
    """All lanes of one kind. Start and stop it from one thread, which must live as long as the lanes."""

    def __init__(self, directory: Path, kind: Kind, lanes: int, seed: int) -> None:
        self._directory, self._seed = directory, seed
        self._programs = {name: _program(name) for name in ("nginx", "prometheus")}
        self._prometheus = free_port()
        names = ("load", "backend", "neighbour", *ARMS)
        self.lanes = tuple(
            Lane(
                number,
                kind,
                directory / f"lane-{number}",
                {name: free_port() for name in names},
                self._programs["nginx"],
            )
            for number in range(lanes)
        )
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._processes = Processes(directory, {"PYTHONPATH": path})

    @property
    def prometheus_url(self) -> str:
        return f"http://127.0.0.1:{self._prometheus}"

    def start(self) -> None:
        """Everything, with the original settings on every arm. If something does not start, what did is ended."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        build(self._directory / "site")
        try:
            for lane in self.lanes:
                self._start(lane)
            self._start_prometheus()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._processes.stop_all()

    def _start(self, lane: Lane) -> None:
        name, python = f"lane-{lane.number}", [sys.executable, "-m"]
        for label in ARMS:
            self._write(lane, label)
        time.sleep(0.05)  # the workers must be visibly younger than the file that they read
        backend = [*python, "bench.gate.backend", "--listen", f"127.0.0.1:{lane.ports['backend']}"]
        backend += ["--seed", str(self._seed * 1000 + lane.number)]
        self._processes.start(f"{name}-backend", backend, listens(lane.ports["backend"]))
        neighbour = [*python, "bench.gate.live_noise", "--listen", f"127.0.0.1:{lane.ports['neighbour']}"]
        self._processes.start(f"{name}-neighbour", neighbour, listens(lane.ports["neighbour"]))
        for label in ARMS:
            root = lane.directory / label
            command = [self._programs["nginx"], "-c", str(root / "nginx.conf"), "-p", str(root)]
            self._processes.start(f"{name}-nginx-{label}", command, listens(lane.ports[label]))
        load = [*python, "adapters.load.open_loop", "--paths", f"{lane.kind.path},{lane.kind.path}"]
        load += [part for arm in ARMS for part in ("--arm", f"{arm}=http://127.0.0.1:{lane.ports[arm]}")]
        load += ["--rate", str(lane.kind.rate), "--max-rate", str(2 * lane.kind.rate), "--seconds", "86400"]
        load += ["--service", lane.service, "--seed", str(self._seed * 1000 + lane.number)]
        load += ["--listen", f"127.0.0.1:{lane.ports['load']}"]
        self._processes.start(f"{name}-load", load, listens(lane.ports["load"]))

    def _write(self, lane: Lane, label: str) -> None:
        root = lane.directory / label
        (root / "tmp").mkdir(parents=True)
        user = "user root;\n" if os.geteuid() == 0 else ""
        fill = {"user": user, "root": root, "site": self._directory / "site"}
        text = _NGINX.format(**fill, port=lane.ports[label], backend=lane.ports["backend"])
        (root / "nginx.conf").write_text(text)
        directive = lane.kind.parameter.split(".", 1)[1]
        (root / "tuned.conf").write_text(f"{directive} {lane.kind.original};\n")

    def _start_prometheus(self) -> None:
        every = f"{round(1000 * SCRAPE)}ms"
        scraped = [f"127.0.0.1:{lane.ports['load']}" for lane in self.lanes]
        job = {"job_name": "load", "static_configs": [{"targets": scraped}]}
        content = {"global": {"scrape_interval": every, "scrape_timeout": every}, "scrape_configs": [job]}
        (self._directory / "prometheus.yml").write_text(json.dumps(content))  # JSON is YAML
        command = [self._programs["prometheus"], "--config.file=prometheus.yml", "--log.level=warn"]
        command += [f"--web.listen-address=127.0.0.1:{self._prometheus}", "--storage.tsdb.path=prometheus"]
        command += ["--storage.tsdb.retention.time=3h"]
        self._processes.start("prometheus", command, lambda: _answers(f"{self.prometheus_url}/-/ready"))


def _program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Misconfigured(f"{name} is not installed; apt-get install {name}")
    return found


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _ask(port: int, path: str, body: bytes | None = None) -> Any:
    method = "GET" if body is None else "PUT"
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)
