"""How long the webhook takes: real HTTP, a real redis-server, messages of one alert each at a steady pace.

    python -m bench.webhook [--requests 1000] [--rate 100] [--alerts 1] [-o json]

Latency counts from the intended send time, so a slow answer delays nobody silently.
"""

from __future__ import annotations

import argparse
import http.client
import json
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Queue
from typing import Any

import uvicorn

from adapters.redis_ledger import RedisLedger
from controller.api import make_app
from controller.metrics import Metrics

TOKEN = "bench-token-of-some-length"
CONNECTIONS = 8


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.webhook", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="messages to send")
    parser.add_argument("--rate", type=float, default=100.0, help="messages a second")
    parser.add_argument("--alerts", type=int, default=1, help="alerts in each message")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, redis(Path(folder)) as url, serve(url) as port:
        seconds, refused = send(port, options.requests, options.rate, options.alerts)
    result = {
        "requests": options.requests,
        "rate": options.rate,
        "alerts": options.alerts,
        "not_202": refused,
        "p50_ms": round(1000 * quantile(seconds, 0.50), 2),
        "p95_ms": round(1000 * quantile(seconds, 0.95), 2),
        "p99_ms": round(1000 * quantile(seconds, 0.99), 2),
        "max_ms": round(1000 * max(seconds), 2),
        "python": platform.python_version(),
    }
    if options.output == "json":
        print(json.dumps(result))
    else:
        print("\n".join(f"{name:9} {value}" for name, value in result.items()))
    return 1 if refused else 0


def send(port: int, requests: int, rate: float, alerts: int) -> tuple[list[float], int]:
    """Latencies in seconds, and how many answers were not 202."""
    due: Queue[tuple[float, bytes] | None] = Queue()
    seconds: list[float] = []
    refused: list[int] = []

    def work() -> None:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while (job := due.get()) is not None:
            at, message = job
            time.sleep(max(0.0, at - time.perf_counter()))
            client.request("POST", "/api/v1/alerts", message, {"Authorization": f"Bearer {TOKEN}"})
            answer = client.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - at)
            if answer.status != 202:
                refused.append(answer.status)
        client.close()

    start = time.perf_counter() + 0.5
    for number in range(requests):
        due.put((start + number / rate, body(number, alerts)))
    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        due.put(None)
        thread.start()
    for thread in threads:
        thread.join()
    return seconds, len(refused)


def body(number: int, alerts: int) -> bytes:
    began = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=number)
    each: list[dict[str, Any]] = [
        {
            "status": "firing",
            "labels": {"alertname": "HighLatency", "service": "shop-front", "instance": str(place)},
            "annotations": {"summary": "p95 of shop-front is above 250 ms"},
            "startsAt": began.isoformat(),
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": f"{number:08x}{place:08x}",
        }
        for place in range(alerts)
    ]
    return json.dumps({"version": "4", "status": "firing", "receiver": "trimtab", "alerts": each}).encode()


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """The address of a redis-server of our own, with its append-only file in `folder`."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("redis-server is not installed; apt-get install redis-server")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes"]
    process = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"redis://127.0.0.1:{port}/0"
        ledger = RedisLedger(url)
        ledger.wait(lambda text: None, time.time() + 10, 0.05)
        ledger.close()
        yield url
    finally:
        process.kill()
        process.wait()


@contextmanager
def serve(url: str) -> Iterator[int]:
    """The port of the controller's HTTP interface, in a thread of this process."""
    port = free_port()
    app = make_app(RedisLedger(url), {}, (TOKEN,), Metrics())
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
