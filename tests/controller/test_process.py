"""The controller as a process on a real Redis, and with a real Alertmanager in front."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.redis_ledger import RedisLedger
from domain.ports import Journal
from tests.controller.office import TOKEN
from tests.real import need
from tests.redis_server import free_port, redis_server

pytestmark = [pytest.mark.real, pytest.mark.timeout(60)]
ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "alertmanager"
OBSERVE = (ROOT / "examples" / "policies" / "nginx-observe.yaml").read_text()


class Process:
    """`python -m controller` with a policy of its own in `directory`."""

    def __init__(self, directory: Path, redis_url: str) -> None:
        self.port, self.log = free_port(), directory / "controller.log"
        policy: dict[str, Any] = yaml.safe_load(OBSERVE)
        policy["prometheus"]["url"] = f"http://127.0.0.1:{free_port()}"
        policy["redis"]["url"] = redis_url
        policy["server"] = {"bind": f"127.0.0.1:{self.port}", "tokens_file": "tokens"}
        policy["watch"] = {"enabled": True, "interval": "1s"}
        (directory / "tokens").write_text(f"{TOKEN}\n")
        path = directory / "trimtab.yaml"
        path.write_text(yaml.safe_dump(policy))
        with self.log.open("wb") as log:
            self.handle = subprocess.Popen(
                [sys.executable, "-m", "controller", "--policy", str(path)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers)
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def ready(self) -> bool:
        assert self.handle.poll() is None, self.log.read_text()[-2000:]
        with suppress(OSError):
            return self.ask("/readyz")[0] == 200
        return False

    def opened(self) -> str:
        """The open run of the target; empty if there is none."""
        return str(self.ask("/api/v1/targets")[1][0]["open_run"] or "")


@contextmanager
def controller(directory: Path, redis_url: str) -> Iterator[Process]:
    process = Process(directory, redis_url)
    try:
        yield process
    finally:
        process.handle.kill()
        process.handle.wait()


def wait(seen: Callable[[], object], seconds: float = 15.0) -> None:
    until = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


def test_from_the_alert_to_the_queue_and_a_clean_end(tmp_path: Path) -> None:
    """Redis comes up after the controller, an alert opens a run and its name is sent; Redis dies and comes back;
    SIGTERM ends everything with exit code 0."""
    with redis_server(tmp_path) as redis:
        redis.kill()
        with controller(tmp_path, redis.url) as process:
            wait(lambda: b"waiting for Redis" in process.log.read_bytes())
            redis.start()
            wait(process.ready)
            assert b"waiting for Prometheus" in process.log.read_bytes()
            assert process.ask("/api/v1/alerts", (GOLDEN / "firing.json").read_bytes())[0] == 202
            wait(process.opened)
            run = process.opened()
            wait(lambda: _sent(process))
            assert process.ask("/api/v1/alerts", b"x" * (5 << 20))[0] == 413

            redis.kill()
            started = time.monotonic()
            message = json.loads((GOLDEN / "firing.json").read_text())
            message["alerts"][0]["fingerprint"] = "another"
            assert process.ask("/api/v1/alerts", json.dumps(message).encode())[0] == 503
            assert time.monotonic() - started < 6.0
            assert process.ask("/readyz")[0] == 503
            assert process.ask("/healthz")[0] == 200
            redis.start()
            wait(process.ready)
            assert process.ask("/api/v1/alerts", json.dumps(message).encode())[0] == 202
            wait(lambda: "another" in str(journal(redis.url, run).inbox))

            process.handle.send_signal(signal.SIGTERM)
            assert process.handle.wait(10) == 0
            text = process.log.read_text()
            assert "controller stopped" in text
            assert "Traceback" not in text
            assert TOKEN not in text


def journal(url: str, run: str) -> Journal:
    """The journal of a run, by a client of its own that is closed again."""
    with closing(RedisLedger(url)) as ledger:
        return ledger.read(run)


def test_sigterm_ends_also_the_wait_for_redis(tmp_path: Path) -> None:
    """A process that cannot start can be stopped."""
    with controller(tmp_path, f"redis://127.0.0.1:{free_port()}/0") as process:
        wait(lambda: b"waiting for Redis" in process.log.read_bytes())
        process.handle.send_signal(signal.SIGTERM)
        assert process.handle.wait(10) == 0


def test_alertmanager_reaches_the_run(tmp_path: Path) -> None:
    """The real program: an alert opens a run, its end reaches the inbox."""
    program = need("prometheus-alertmanager")
    with redis_server(tmp_path) as redis, controller(tmp_path, redis.url) as process:
        wait(process.ready)
        with alertmanager(program, tmp_path, process.port) as url:
            began = datetime.now(UTC)
            post_alert(url, began, None)
            wait(process.opened)
            run = process.opened()
            opener = journal(redis.url, run).records[0].data["signal"]
            assert opener["summary"] == "p95 is above 250 ms"
            post_alert(url, began, datetime.now(UTC))
            wait(lambda: [each["kind"] for each in journal(redis.url, run).inbox] == ["resolved"])


@contextmanager
def alertmanager(program: str, directory: Path, port: int) -> Iterator[str]:
    """Alertmanager with our webhook as its only receiver; yields its address."""
    address = f"127.0.0.1:{free_port()}"
    webhook = {
        "url": f"http://127.0.0.1:{port}/api/v1/alerts",
        "send_resolved": True,
        "http_config": {"authorization": {"type": "Bearer", "credentials": TOKEN}},
    }
    settings: Mapping[str, Any] = {
        "route": {"receiver": "trimtab", "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"},
        "receivers": [{"name": "trimtab", "webhook_configs": [webhook]}],
    }
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(settings))
    command = [program, "--config.file=alertmanager.yml", f"--web.listen-address={address}"]
    command += ["--storage.path=alertmanager", "--cluster.listen-address=", "--log.level=warn"]
    with (directory / "alertmanager.log").open("wb") as log:
        handle = subprocess.Popen(command, cwd=directory, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait(lambda: _answers(f"http://{address}/-/ready"))
        yield f"http://{address}"
    finally:
        handle.kill()
        handle.wait()


def post_alert(url: str, began: datetime, ended: datetime | None) -> None:
    alert = {
        "labels": {"alertname": "HighLatency", "service": "shop-front"},
        "annotations": {"summary": "p95 is above 250 ms"},
        "startsAt": began.isoformat(),
        **({"endsAt": ended.isoformat()} if ended else {}),
    }
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(f"{url}/api/v2/alerts", data=json.dumps([alert]).encode(), headers=headers)
    with urllib.request.urlopen(asked, timeout=5) as answer:
        assert answer.status == 200


def _sent(process: Process) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/metrics", timeout=5) as answer:
        return "trimtab_steps_sent_total 1.0" in answer.read().decode()


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
        return bool(answer.status == 200)
    return False
