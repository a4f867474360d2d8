"""What every queue must do: bring a run's name, and nothing but the name, to some worker."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from adapters.celery_queue import QUEUE, TASK, CeleryQueue, broker_settings
from adapters.memory_queue import MemoryQueue
from domain.errors import Misconfigured, Transient
from domain.ports import Queue
from tests.redis_server import RedisServer, free_port, redis_server
from workers.settings import worker_settings

RUN = "shop-front-20261124T141500-1a2b"


@dataclass
class Line:
    queue: Queue
    arrived: Callable[[int], list[str]]  # waits for that many names, or for 10 s


@contextmanager
def celery_line(url: str) -> Iterator[Line]:
    """A real worker on a real server, in a thread of this process."""
    prefix, names = f"{uuid.uuid4().hex}:", list[str]()
    app = Celery("test-worker", set_as_current=False)
    app.conf.update(worker_settings(url, prefix, {}), worker_pool="solo", worker_soft_shutdown_timeout=0)

    @app.task(name=TASK, shared=False)
    def advance(run: str) -> None:
        names.append(run)

    def arrived(count: int) -> list[str]:
        deadline = time.monotonic() + 10
        while len(names) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return list(names)

    queue = CeleryQueue(url, prefix)
    try:
        with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=10.0):
            yield Line(queue, arrived)
    finally:
        queue.close()
        app.close()


@pytest.fixture(params=["memory", "celery"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    if request.param == "memory":
        queue = MemoryQueue()
        yield Line(queue, lambda count: list(queue.sent))
    else:
        with celery_line(request.getfixturevalue("server").url) as running:
            yield running


def test_names_arrive_as_they_were_sent(line: Line) -> None:
    """Every name reaches a worker unchanged, and a name that is sent twice arrives twice."""
    sent = [RUN, "übung-1", RUN]
    for name in sent:
        line.queue.send(name)
    assert line.arrived(3) == sent


def test_the_memory_queue_fails_when_told_to() -> None:
    """A broken queue is Transient and keeps what it has; `take` empties it."""
    queue = MemoryQueue()
    queue.send("a")
    queue.broken = True
    with pytest.raises(Transient):
        queue.send("b")
    assert queue.take() == ("a",)
    assert queue.take() == ()


def test_the_message_holds_the_name_and_nothing_else(server: RedisServer) -> None:
    """JSON, one argument, no time to wait for, no result wanted, under the prefix of the installation."""
    prefix = f"{uuid.uuid4().hex}:"
    queue = CeleryQueue(server.url, prefix)
    queue.send(RUN)
    queue.close()
    (raw,) = server.client().lrange(f"{prefix}celery:{QUEUE}", 0, -1)
    message = json.loads(raw)
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    headers = message["headers"]
    assert (args, kwargs) == ([RUN], {})
    assert message["content-type"] == "application/json"
    assert (headers["task"], headers["eta"], headers["ignore_result"]) == (TASK, None, True)


def test_a_server_that_is_gone_is_transient_at_once_and_forgiven_later(server: RedisServer) -> None:
    """The sweep goes on to the next name; when the server is back the same queue sends again."""
    queue = CeleryQueue(server.url, f"{uuid.uuid4().hex}:")
    queue.send("a")
    server.kill()
    try:
        started = time.monotonic()
        with pytest.raises(Transient, match="again"):
            queue.send("b")
        assert time.monotonic() - started < 3
    finally:
        server.start()
    for _ in range(3):  # a connection from before the restart may still have to be found dead
        try:
            queue.send("c")
        except Transient:
            continue
        break
    else:
        pytest.fail("the queue did not come back")
    queue.close()


def test_a_frozen_server_does_not_hold_the_sweep(server: RedisServer) -> None:
    """A server that accepts and says nothing costs a few seconds and is Transient."""
    queue = CeleryQueue(server.url, f"{uuid.uuid4().hex}:")
    queue.send("a")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(Transient):
            queue.send("b")
        assert time.monotonic() - started < 5
    finally:
        os.kill(server.pid, signal.SIGCONT)
        queue.close()


def test_passwords_do_not_stand_in_errors() -> None:
    """Neither in the message nor in what it was made from."""
    queue = CeleryQueue(f"redis://me:hunter2@127.0.0.1:{free_port()}/0")
    with pytest.raises(Transient) as caught:
        queue.send(RUN)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


def test_a_wrong_password_is_misconfigured(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sending again does not cure it."""
    with redis_server(tmp_path_factory.mktemp("redis"), "--requirepass", "right") as running:
        queue = CeleryQueue(running.url.replace("redis://", "redis://:hunter2@"))
        with pytest.raises(Misconfigured, match="password") as caught:
            queue.send(RUN)
        assert "hunter2" not in str(caught.value)
        queue.close()


def test_a_cluster_is_refused() -> None:
    """Celery's transport cannot use one either."""
    with pytest.raises(Misconfigured, match="cluster"):
        CeleryQueue("redis+cluster://a:6379")


def test_a_local_socket_is_named_as_celery_wants_it() -> None:
    """One address in the policy means the same for ledger and queue."""
    assert broker_settings("unix:///run/redis.sock")["broker_url"] == "redis+socket:///run/redis.sock"
