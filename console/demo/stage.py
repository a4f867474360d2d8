"""The demo's stage: a directory with everything in it, and the programs that play in it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from adapters.load.quantiles import nearest_rank
from console.demo.processes import Processes, free_port, listens
from console.demo.scenarios.base import ARMS, EXAMPLES, ROOT, Scenario, fill, program


@dataclass
class Stage:
    """Directories, ports and processes of one demo."""

    directory: Path
    scenario: Scenario
    strategy: str
    seed: int
    via: str
    ports: dict[str, int] = field(default_factory=dict)
    token: str = ""

    def __post_init__(self) -> None:
        names = ("redis", "prometheus", "alertmanager", "controller", "load", *self.scenario.ports())
        self.ports = {name: free_port() for name in names}
        self.token = secrets.token_hex(24)
        self.programs = {
            name: program(name, self.scenario.name)
            for name in ("redis-server", "prometheus", "prometheus-alertmanager")
        }
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.processes = Processes(
            self.directory,
            {
                "PYTHONPATH": path,
                "TRIMTAB_POLICY": str(self.policy),
                "TRIMTAB_SEED": str(self.seed),
                "REMAP_SIGTERM": "SIGQUIT",
            },
        )

    @property
    def policy(self) -> Path:
        return self.directory / "trimtab.yaml"

    @property
    def prometheus_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['prometheus']}"

    # --- writing -----------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """All files but the alert rule, whose threshold is measured first."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.scenario.write(self)
        tokens = self.directory / "tokens"
        tokens.touch(mode=0o600)
        tokens.write_text(self.token + "\n")
        values: dict[str, object] = {
            **self.ports,
            "root": self.directory,
            "watch": "true" if self.via == "watcher" else "false",
            "strategy": self.strategy,
            **self.scenario.policy(self),
        }
        fill(EXAMPLES / self.scenario.example / "trimtab.yaml", self.policy, values)
        _yaml(self.directory / "prometheus.yml", self._prometheus())
        _yaml(self.directory / "alertmanager.yml", self._alertmanager())
        _yaml(self.directory / "rules.yml", {"groups": []})

    def write_rule(self, threshold: float) -> None:
        """The alert: p95 of both arms above `threshold` seconds."""
        service = self.scenario.service
        buckets = f'rate({self.scenario.histogram}_bucket{{service="{service}"}}[5s])'
        rule = {
            "alert": "HighLatency",
            "expr": f"histogram_quantile(0.95, sum by (le) ({buckets})) > {threshold:.6f}",
            "for": "2s",
            "labels": {"service": service, "severity": "page"},
            "annotations": {"summary": f"p95 of {service} is above {1000 * threshold:.1f} ms"},
        }
        _yaml(self.directory / "rules.yml", {"groups": [{"name": "demo", "interval": "1s", "rules": [rule]}]})
        self.processes.send("prometheus", signal.SIGHUP)

    def _prometheus(self) -> Mapping[str, Any]:
        def job(name: str, port: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
            target = {"targets": [f"127.0.0.1:{self.ports[port]}"], "labels": dict(labels or {})}
            return {"job_name": name, "static_configs": [target]}

        return {
            "global": {"scrape_interval": "2s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{self.ports['alertmanager']}"]}]}]
            },
            "scrape_configs": [
                {**job("load", "load"), "scrape_interval": "500ms", "scrape_timeout": "500ms"},
                job("trimtab", "controller"),
            ],
        }

    def _alertmanager(self) -> Mapping[str, Any]:
        url = f"http://127.0.0.1:{self.ports['controller']}/api/v1/alerts"
        credentials = {"type": "Bearer", "credentials": self.token}
        webhook = {"url": url, "send_resolved": True, "http_config": {"authorization": credentials}}
        receivers: list[dict[str, Any]] = [{"name": "nobody"}, {"name": "trimtab", "webhook_configs": [webhook]}]
        return {
            "route": {
                "receiver": "nobody" if self.via == "watcher" else "trimtab",
                "group_by": ["alertname", "service"],
                "group_wait": "0s",
                "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": receivers,
        }

    # --- starting ----------------------------------------------------------------------------------------------------

    def start_service(self) -> None:
        """The service on two arms, the load, Prometheus: the world as it was before anybody tuned it."""
        self.scenario.start(self)
        arms = [part for arm in ARMS for part in ("--arm", f"{arm}={self.scenario.address(self, arm)}")]
        load = [sys.executable, "-m", "adapters.load.open_loop", *arms, "--paths", "requests.txt"]
        load += ["--rate", f"{self.scenario.moderate / 3:g}", "--service", self.scenario.service]
        load += ["--seed", str(self.seed), "--listen", f"127.0.0.1:{self.ports['load']}"]
        self.processes.start("load", load, listens(self.ports["load"]))
        self.processes.start(
            "prometheus",
            [
                self.programs["prometheus"],
                "--config.file=prometheus.yml",
                f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}",
                "--storage.tsdb.path=prometheus",
                "--log.level=warn",
            ],
            lambda: _answers(f"{self.prometheus_url}/-/ready"),
        )

    def start_trimtab(self) -> None:
        """Redis, Alertmanager, and the three processes of Trimtab."""
        redis = [self.programs["redis-server"], "--port", str(self.ports["redis"]), "--bind", "127.0.0.1"]
        redis += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--dir", str(self.directory)]
        redis += ["--maxmemory-policy", "noeviction"]
        self.processes.start("redis", redis, listens(self.ports["redis"]))
        watchdog = [sys.executable, "-m", "adapters.actuators.reap", "--policy", str(self.policy), "--interval", "1"]
        self.processes.start("watchdog", watchdog, lambda: True)
        controller = [sys.executable, "-m", "controller", "--policy", str(self.policy)]
        ready = f"http://127.0.0.1:{self.ports['controller']}/readyz"
        self.processes.start("controller", controller, lambda: _answers(ready))
        worker = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--loglevel", "INFO"]
        worker += ["--without-mingle", "--without-gossip", "--without-heartbeat"]
        log = self.directory / "worker.log"
        self.processes.start("worker", worker, lambda: log.exists() and b" ready" in log.read_bytes())
        alertmanager = [
            self.programs["prometheus-alertmanager"],
            "--config.file=alertmanager.yml",
            f"--web.listen-address=127.0.0.1:{self.ports['alertmanager']}",
            "--storage.path=alertmanager",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        self.processes.start("alertmanager", alertmanager, listens(self.ports["alertmanager"]))

    # --- the load ----------------------------------------------------------------------------------------------------

    def set_rate(self, rate: float) -> None:
        """Requests a second on each arm."""
        self._load("PUT", "/rate", {"rate": round(rate, 2)})

    def latencies(self, arm: str, start: float, end: float) -> list[float]:
        """Raw latencies (seconds) of requests meant to be sent in the window, errors and timeouts included."""
        return list(self._load("GET", f"/latencies?arm={arm}&start={start:.3f}&end={end:.3f}")["seconds"])

    def _load(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports['load']}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    # --- what others know --------------------------------------------------------------------------------------------

    def alert_fires(self) -> bool:
        """Whether Prometheus has the alert firing (or pending)."""
        try:
            with urllib.request.urlopen(f"{self.prometheus_url}/api/v1/alerts", timeout=3) as answer:
                alerts = json.load(answer)["data"]["alerts"]
        except (OSError, ValueError, KeyError):
            return True  # nobody can say; an alert that cannot be seen has not resolved
        return any(alert["state"] == "firing" for alert in alerts)


def _yaml(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(data, sort_keys=False))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def p95(values: list[float]) -> float:
    """95th percentile of raw values by nearest rank; not a number for none."""
    if not values:
        return float("nan")
    return nearest_rank(sorted(values), 0.95)
