"""One journey through the real processes: Alertmanager's message in, a trial on two real nginx, stop, and the audit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import redis

from console.demo.scenarios.base import ARMS, ROOT
from console.demo.scenarios.nginx import Null
from console.demo.stage import Stage
from tests.real import need

GOLDEN = Path(__file__).parent / "golden" / "alertmanager" / "firing.json"


def trimtab(stage: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console", "--policy", str(stage.policy), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def alert(stage: Stage) -> None:
    """What Alertmanager would send."""
    message = json.loads(GOLDEN.read_text())
    message["alerts"][0]["labels"]["service"] = "demo-site"
    request = urllib.request.Request(
        f"http://127.0.0.1:{stage.ports['controller']}/api/v1/alerts",
        data=json.dumps(message).encode(),
        headers={"Authorization": f"Bearer {stage.token}"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 202


def wait_for(what: str, seconds: float, seen) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(1.0)


@pytest.mark.real
@pytest.mark.timeout(240)
@pytest.mark.xdist_group("end-to-end")
def test_from_the_alert_to_the_audit(tmp_path: Path) -> None:
    """An alert opens a run, a trial is measured on real arms, stop takes it back, and a changed byte is found."""
    for program in ("nginx", "redis-server", "prometheus", "prometheus-alertmanager"):
        need(program)
    stage = Stage(tmp_path / "stage", Null(), "random", 1, "alert")
    stage.write()
    # Other tests run beside this one, so that a diagnosis would rightly find the node starved.
    policy = stage.policy.read_text()
    stage.policy.write_text(policy.replace("    strategy: random\n", "    strategy: random\n    diagnose: false\n"))
    before = {arm: (tmp_path / "stage" / arm / "tuned.conf").read_text() for arm in ARMS}
    try:
        stage.start_service()
        stage.start_trimtab()
        stage.set_rate(40.0)
        time.sleep(26.0)  # some healthy past, to compare identical arms
        alert(stage)

        def kinds() -> list[str]:
            runs = json.loads(trimtab(stage, "runs", "list", "-o", "json").stdout)
            if not runs:
                return []
            url = f"http://127.0.0.1:{stage.ports['controller']}/api/v1/runs/{runs[0]['run']}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                return [record["kind"] for record in json.load(answer)]

        wait_for("a measured trial", 90.0, lambda: "Screened" in kinds())
        run = json.loads(trimtab(stage, "runs", "list", "-o", "json").stdout)[0]["run"]
        assert trimtab(stage, "runs", "stop", run).returncode == 0
        wait_for("the end", 30.0, lambda: "Closed" in kinds())

        (told,) = json.loads(trimtab(stage, "history", "-o", "json").stdout)
        assert told["outcome"] == "restored"
        assert told["settings_before"] == told["settings_after"]
        assert len(told["hashes"]) == told["records"]
        for arm in ARMS:
            now = (tmp_path / "stage" / arm / "tuned.conf").read_text()
            assert now.startswith(f"# trimtab run={run} ")
            assert now.split("\n", 1)[1] == before[arm]
            assert not (tmp_path / "stage" / arm / "tuned.conf.trimtab.json").exists()
        assert (tmp_path / "stage" / "reports" / f"{run}.html").stat().st_size > 5000

        assert trimtab(stage, "audit", "verify").returncode == 0
        with redis.Redis(port=stage.ports["redis"], decode_responses=True) as client:
            line = str(client.lindex(f"trimtab:run:{run}:journal", 3))
            client.lset(f"trimtab:run:{run}:journal", 3, line.replace('"time":1', '"time":2', 1))
        verdict = trimtab(stage, "audit", "verify")
        assert verdict.returncode == 1
        assert run in verdict.stdout + verdict.stderr
        assert "3" in verdict.stdout + verdict.stderr
    finally:
        stage.processes.stop_all()
