"""The frozen worker: stopped before each of its calls in turn, thawed when its run is over. It must do no harm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import redis

from adapters.redis_ledger import RedisLedger
from domain.events import Opened
from domain.journal import seal, verify
from domain.run import next_step, replay
from domain.signal import Signal
from domain.steps import Apply
from tests.journeys.frozen_worker import LEVEL, TARGET, arms, ports
from tests.journeys.world import SimClock
from tests.nginx_server import nginx
from tests.redis_server import RedisServer
from workers.advance import advance

ORIGINAL = {LEVEL: 6}


def until_apply(run: str, ledger: RedisLedger, directory: Path, clock: SimClock) -> None:
    """Carry the run to where its next step puts a candidate on the arms."""
    for _ in range(20):
        if isinstance(next_step(replay(ledger.read(run).records), clock.now()), Apply):
            return
        advance(run, ports(ledger, directory, clock))
        clock.time += 1.0
    raise AssertionError("the run never came to a trial")


def finish(run: str, ledger: RedisLedger, url: str, directory: Path, clock: SimClock) -> None:
    """Another worker takes over, hears `stop`, and closes the run."""
    with redis.Redis.from_url(url) as client:
        client.delete(f"trimtab:run:{run}:lease")  # as if the lease had expired
    ledger.hear(run, {"kind": "stop", "text": "enough"}, clock.now())
    for _ in range(30):
        clock.time += 1.0
        advance(run, ports(ledger, directory, clock))
        if ledger.open_run(TARGET.name) is None:
            return
    raise AssertionError("the run did not close")


@pytest.mark.timeout(120)
def test_a_worker_that_thaws_after_its_run_is_over_changes_nothing(tmp_path: Path) -> None:
    """SIGSTOP of the whole worker before every call of the step that applies a candidate, until it makes no more."""
    server = RedisServer(tmp_path)
    server.start()
    try:
        with (
            closing(RedisLedger(server.url)) as ledger,
            nginx(tmp_path / "a", "gzip_comp_level 6;\n"),
            nginx(tmp_path / "b", "gzip_comp_level 6;\n"),
        ):
            frozen = 0
            for n in range(1, 60):
                clock, run = SimClock(), f"shop-{n}"
                with redis.Redis.from_url(server.url) as client:
                    client.flushall()
                signal_ = Signal(f"s{n}", "person", "firing", clock.now(), "slow", target=TARGET.name)
                first = seal([Opened(run, signal_, TARGET, 7)], clock.now(), ())[0]
                assert ledger.open(run, TARGET.name, [], first, clock.now())
                until_apply(run, ledger, tmp_path, clock)
                command = [sys.executable, "-m", "tests.journeys.frozen_worker", run, server.url, str(tmp_path)]
                worker = subprocess.Popen([*command, str(clock.now()), str(n)])
                _, status = os.waitpid(worker.pid, os.WUNTRACED)
                if not os.WIFSTOPPED(status):
                    worker.returncode = os.waitstatus_to_exitcode(status)
                    break
                frozen += 1
                finish(run, ledger, server.url, tmp_path, clock)
                os.kill(worker.pid, signal.SIGCONT)
                worker.wait(30)
                for label, arm in arms(tmp_path).items():
                    image = arm.read()
                    assert dict(image.settings) == ORIGINAL, f"frozen before call {n}: arm {label}"
                    assert dict(arm.effective()) == ORIGINAL
                    assert image.protected == ""
                verify(run, ledger.read(run).records)
                assert ledger.runs()[0].outcome == "restored"
            assert frozen >= 10
            assert worker.returncode == 0
    finally:
        server.kill()
