"""A real Prometheus for tests: a free loopback port, data of any past written beforehand, targets to scrape."""

from __future__ import annotations

import contextlib
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.real import need
from tests.redis_server import free_port

# (Unix seconds, value) of one series
Samples = Iterable[tuple[float, float]]


@dataclass
class PrometheusServer:
    url: str
    process: subprocess.Popen[bytes]


@contextlib.contextmanager
def prometheus(
    root: Path, past: Mapping[str, Samples] | None = None, scrape: Mapping[str, int] | None = None
) -> Iterator[PrometheusServer]:
    """A running Prometheus. `past` maps a series, as in `x_total{arm="a"}`, to samples that are there from the start;
    `scrape` maps a job's name to the loopback port whose /metrics it reads every 0.5 s."""
    program, port = need("prometheus"), free_port()
    storage, config = root / "data", root / "prometheus.yml"
    root.mkdir(parents=True, exist_ok=True)
    if past is not None:
        _write(root, storage, past)
    jobs = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{each}"]}]}
        for name, each in (scrape or {}).items()
    ]
    config.write_text(
        yaml.safe_dump({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": jobs})
    )
    with (root / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={config}",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--storage.tsdb.path={storage}",
                "--log.level=warn",
            ],
            stderr=log,
            stdout=log,
        )
    server = PrometheusServer(f"http://127.0.0.1:{port}", process)
    try:
        _wait(server, root / "prometheus.log")
        yield server
    finally:
        process.kill()
        process.wait(10)


def _write(root: Path, storage: Path, past: Mapping[str, Samples]) -> None:
    """Blocks on disk, made by promtool, which comes with Prometheus."""
    lines = [f"{series} {value:.17g} {at:.3f}" for series, samples in past.items() for at, value in samples]
    text = root / "past.om"
    text.write_text("\n".join([*lines, "# EOF", ""]))
    command = [need("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(text), str(storage)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if made.returncode:
        raise RuntimeError(f"promtool refused the samples: {made.stderr[-500:]}")


def _wait(server: PrometheusServer, log: Path) -> None:
    patience = time.monotonic() + 20
    while True:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{server.url}/-/ready", timeout=1) as answer,
        ):
            if answer.status == 200:
                return
        if time.monotonic() > patience or server.process.poll() is not None:
            raise RuntimeError(f"prometheus did not start: {log.read_text()[-500:]}")
        time.sleep(0.05)
