"""The worker's shell: its settings, its tasks, how it starts and how it refuses to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.celery_queue import VISIBILITY_SECONDS, CeleryQueue
from adapters.redis_ledger import RedisLedger
from domain.errors import Corrupt, Misconfigured, Transient
from domain.events import Closed, Opened
from domain.journal import event_of, seal, verify
from domain.signal import Signal
from tests.journal_factory import kept, target
from tests.redis_server import RedisServer, redis_server
from workers import heartbeat, tasks, wiring
from workers.advance import LEASE_SECONDS
from workers.settings import LIMIT_SECONDS, SOFT_LIMIT_SECONDS, worker_settings

URL = "redis://127.0.0.1:6379/0"
ROOT = Path(__file__).parents[2]
POLICY = """
mode: act
prometheus: {{url: "http://127.0.0.1:9"}}
redis: {{url: "{redis}", prefix: "e2e:"}}
targets:
  - name: shop-front
    when: {{alertname: HighLatency}}
    actuator: {{kind: nginx}}
    arms:
      - {{label: a, config: "{here}/a/tuned.conf", pid: "{here}/a.pid"}}
      - {{label: b, config: "{here}/b/tuned.conf", pid: "{here}/b.pid"}}
    parameters: {{names: [nginx.gzip_comp_level]}}
    guardrails: ['sum(rate(e{{arm="$arm"}}[$window])) < 0.01']
    objective:
      minimise: sum(rate(x_sum{{arm="$arm"}}[$window])) / sum(rate(x_count{{arm="$arm"}}[$window]))
"""


# --- settings --------------------------------------------------------------------------------------------------------


def test_a_step_ends_before_its_lease_and_the_lease_before_the_message_comes_again() -> None:
    """The order of the three times is what makes a redelivered message harmless."""
    assert SOFT_LIMIT_SECONDS < LIMIT_SECONDS < LEASE_SECONDS < VISIBILITY_SECONDS
    settings = worker_settings(URL, environ={})
    assert settings["task_time_limit"] == LIMIT_SECONDS
    shared = (settings["broker_transport_options"], settings["result_backend_transport_options"], settings)
    assert [each["visibility_timeout"] for each in shared] == [VISIBILITY_SECONDS] * 3


def test_messages_are_acknowledged_late_and_taken_one_by_one() -> None:
    """A message of a dead process comes back, and none waits inside a busy one."""
    settings = worker_settings(URL, "mine:", environ={})
    assert settings["task_acks_late"]
    assert settings["task_reject_on_worker_lost"]
    assert settings["worker_prefetch_multiplier"] == 1
    assert settings["accept_content"] == ["json"]
    assert settings["broker_transport_options"]["global_keyprefix"] == "mine:celery:"


def test_concurrency_comes_from_the_environment() -> None:
    """One step at a time unless told otherwise; nonsense is refused with what is allowed."""
    assert worker_settings(URL, environ={})["worker_concurrency"] == 1
    assert worker_settings(URL, environ={"TRIMTAB_CONCURRENCY": "3"})["worker_concurrency"] == 3
    for text in ("0", "-1", "two", "65", "1.5"):
        with pytest.raises(Misconfigured, match="1 to 64"):
            worker_settings(URL, environ={"TRIMTAB_CONCURRENCY": text})


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A policy for the tasks of this process; nobody listens at its addresses."""
    policy = tmp_path / "trimtab.yaml"
    policy.write_text(POLICY.format(redis=URL, here=tmp_path))
    monkeypatch.setenv("TRIMTAB_POLICY", str(policy))
    wiring.policy.cache_clear()
    yield
    wiring.policy.cache_clear()


# --- tasks -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("configured")
def test_the_task_carries_the_named_run_forward(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The task passes name and ports on, and touches the heartbeat file."""
    seen: list[Any] = []
    monkeypatch.setattr(tasks, "step", lambda run, ports: seen.append((run, ports)))
    monkeypatch.setattr(wiring, "ports", lambda: "ports")
    monkeypatch.setenv("TRIMTAB_HEARTBEAT", str(tmp_path / "beat"))
    tasks.advance.run("r1")
    assert seen == [("r1", "ports")]
    assert (tmp_path / "beat").exists()


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("error", [Transient("gone"), Misconfigured("wrong"), Corrupt("r1", 3, "bent")])
def test_an_error_of_ours_is_told_and_passed_on(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Nothing is swallowed, and the log has one line with run, kind and reason."""
    told: list[dict[str, Any]] = []

    def fail(run: str, ports: object) -> None:
        raise error

    class Log:
        def error(self, event: str, **fields: Any) -> None:
            told.append({"event": event, **fields})

    monkeypatch.setattr(tasks, "step", fail)
    monkeypatch.setattr(wiring, "ports", lambda: None)
    monkeypatch.setattr(tasks, "log", Log())
    with pytest.raises(type(error)):
        tasks.advance.run("r1")
    assert told == [{"event": "step failed", "run": "r1", "error": type(error).__name__, "why": str(error)}]


def test_no_heartbeat_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks, nothing is written."""
    monkeypatch.delenv("TRIMTAB_HEARTBEAT", raising=False)
    assert heartbeat.heartbeat_file() is None
    heartbeat.touch()


def test_a_report_that_cannot_be_written_does_not_fail_the_step(tmp_path: Path) -> None:
    """The run is closed already and the page can be made again, so it costs a log line only."""
    run = kept()
    wiring.report_writer(tmp_path / "reports")(run.run, run.records)
    assert [path.name for path in (tmp_path / "reports").iterdir()] == [f"{run.run}.html"]
    (tmp_path / "file").write_text("")
    wiring.report_writer(tmp_path / "file")(run.run, run.records)


# --- start -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("configured")
def test_the_ports_are_made_from_the_policy() -> None:
    """Targets by name, a ledger with the installation's prefix, an actuator for each arm; nothing is connected yet."""
    wiring.ports.cache_clear()
    made = wiring.ports()
    wiring.ports.cache_clear()
    assert list(made.targets) == ["shop-front"]
    assert set(made.actuators(made.targets["shop-front"])) == {"a", "b"}


def environment(**changes: str) -> Mapping[str, str]:
    kept_names = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    return {**kept_names, "PYTHONPATH": str(ROOT), "REMAP_SIGTERM": "SIGQUIT", **changes}


def celery(**changes: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--loglevel", "INFO"]
    quick = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    return subprocess.Popen(
        [*command, *quick],
        cwd=ROOT,
        env=environment(**changes),
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def test_importing_the_app_needs_no_policy_and_no_mathematics() -> None:
    """The module loads without a policy, a server or the optimizer's libraries."""
    code = (
        "import sys, workers.app, workers.tasks; sys.exit(any(m in sys.modules for m in ('skopt', 'sklearn', 'scipy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "says"), [("", "TRIMTAB_POLICY is not set"), ("/nowhere/trimtab.yaml", "no file /nowhere/trimtab.yaml")]
)
def test_a_worker_without_a_policy_refuses_in_one_line(name: str, says: str) -> None:
    """What is missing and what to do, exit code 2, no traceback."""
    process = celery(TRIMTAB_POLICY=name)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 2
    assert says in told
    assert "Traceback" not in told


def watchdogs(policy: Path) -> list[int]:
    """Process ids of the watchdogs of one policy file."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if place.name.isdecimal() and b"adapters.actuators.reap" in words and str(policy).encode() in words:
            found.append(int(place.name))
    return found


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    (tmp_path / "redis").mkdir()
    with redis_server(tmp_path / "redis") as running:
        yield running


def test_a_real_worker_takes_a_message_and_closes_the_run(server: RedisServer, tmp_path: Path) -> None:
    """From the sent name to the closed journal, its report and the heartbeat; SIGTERM ends the worker within seconds,
    and the watchdog that it started outlives it."""
    policy, beat = tmp_path / "trimtab.yaml", tmp_path / "beat"
    policy.write_text(POLICY.format(redis=server.url, here=tmp_path))
    ledger, queue = RedisLedger(server.url, "e2e:"), CeleryQueue(server.url, "e2e:")
    # A target that the policy no longer knows: the worker closes its run untouched, so no service is needed here.
    run, now = "gone-20261124T141500-1a2b", time.time()
    first = seal([Opened(run, Signal("s", "person", "firing", now, "try"), replace(target(), name="gone"), 7)], now, ())
    assert ledger.open(run, "gone", (), first[0], now)
    queue.send(run)
    worker = celery(TRIMTAB_POLICY=str(policy), TRIMTAB_HEARTBEAT=str(beat))
    try:
        until(lambda: ledger.open_run("gone") is None or worker.poll() is not None, 45, "the run is closed")
        records = ledger.read(run).records
        verify(run, records)
        closed = event_of(records[-1])
        assert isinstance(closed, Closed), worker.poll()
        assert closed.outcome == "failed"
        assert "no longer in the policy" in closed.reason
        until((tmp_path / "reports" / f"{run}.html").exists, 5, "the report is written")
        until(beat.exists, 5, "a heartbeat is consumed")
        alive = watchdogs(policy)
        assert len(alive) == 1
        assert os.getsid(alive[0]) != os.getsid(worker.pid)
        worker.send_signal(signal.SIGTERM)
        _, told = worker.communicate(timeout=45)
        assert watchdogs(policy) == alive
        lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
        assert any(line["event"] == "report written" for line in lines)
    finally:
        worker.kill()
        for pid in watchdogs(policy):
            os.kill(pid, signal.SIGKILL)
        queue.close()
        ledger.close()
