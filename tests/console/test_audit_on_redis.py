"""The audit against a real Redis: one changed byte in the store."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from adapters.redis_ledger import RedisLedger
from tests import journal_factory as factory
from tests.console.desk import Desk, Screen
from tests.real import need

pytestmark = pytest.mark.real


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [need("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        RedisLedger(url).wait(lambda _: None, until=time.time() + 10, pause=0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def test_changed_byte_in_redis_is_found(server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After one byte of a journal was changed in Redis, `audit verify` names the run and the record, exit code 1."""
    desk = Desk(tmp_path, RedisLedger(server))
    for make in (factory.kept, factory.null):
        desk.store(make())
    screen = Screen(desk, capsys)
    assert screen("audit", "verify") == 0
    assert screen("history", "-o", "json") == 0
    assert [row["outcome"] for row in json.loads(screen.out)] == ["nothing_to_gain", "kept"]

    with redis.Redis.from_url(server, decode_responses=True) as client:
        (key,) = [
            key for key in client.scan_iter(f"*{factory.RUN}*") if client.type(key) == "list" and client.llen(key) > 9
        ]
        line = client.lindex(key, 9)
        client.lset(key, 9, line.replace("screen", "scream", 1) if "screen" in line else line[:-2] + '0"')
    assert screen("audit", "verify") == 1
    assert f"journal of run {factory.RUN} is broken at record 9" in screen.err
    assert factory.null().run not in screen.err


def test_dead_redis_is_unreachable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a server a command ends with exit code 3 and one line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        desk = Desk(tmp_path, RedisLedger(f"redis://127.0.0.1:{free.getsockname()[1]}/0"))
        screen = Screen(desk, capsys)
        assert screen("runs", "list") == 3
    assert screen.out == ""
    assert len(screen.err.strip().splitlines()) == 1
