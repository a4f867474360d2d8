"""Facts about nginx: status page, logs, sockets; and a real one."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from adapters.facts.nginx import (
    NginxCollector,
    count_errors,
    facts,
    parse_status,
    recent_times,
    worker_connections,
)
from domain.errors import Misconfigured, Transient
from domain.evidence import Reading
from tests.adapters.facts.trees import numbers
from tests.nginx_server import nginx

STATUS = (
    "Active connections: 43 \nserver accepts handled requests\n 7368 7300 10993 \nReading: 0 Writing: 5 Waiting: 38\n"
)
ERRORS = """\
2026/11/27 02:20:20 [alert] 7#7: 32 worker_connections are not enough
2026/11/27 02:20:21 [crit] 7#7: *5 open() "/x" failed (24: Too many open files)
2026/11/27 02:20:21 [error] 7#7: *6 upstream timed out (110) while reading response header from upstream, client: x
2026/11/27 02:20:22 [notice] 7#7: signal 15 received, upstream: nothing
2026/11/27 02:20:23 [alert] 7#7: *9 32 worker_connections are not enough while connecting to upstream, client: x
"""


def test_the_status_page() -> None:
    """Connections that were accepted and not handled were dropped for want of worker_connections."""
    first = parse_status(STATUS)
    assert first == {"active": 43.0, "accepts": 7368.0, "handled": 7300.0, "requests": 10993.0}
    second = {"active": 40.0, "accepts": 7468.0, "handled": 7350.0, "requests": 11093.0}
    seen = facts(first, second, 5.0)
    assert numbers(seen) == pytest.approx({"nginx.dropped_per_s": 10.0, "nginx.requests_per_s": 20.0})
    with pytest.raises(Misconfigured, match=r"stub_status: the page is not"):
        parse_status("<html>hello</html>")


def test_the_error_log_tells_which_limit() -> None:
    """Lines are counted by what they tell; a log that was rotated in between counts from its beginning."""
    counts = count_errors(900.0, ERRORS)
    assert counts == {"errors.size": 900.0, "errors.connections": 2.0, "errors.files": 1.0, "errors.upstream": 2.0}
    grown = {"errors.size": 2000.0, "errors.connections": 12.0, "errors.files": 1.0, "errors.upstream": 2.0}
    assert facts(counts, grown, 5.0)["nginx.worker_connections_errors_per_s"] == Reading(2.0)
    rotated = {**counts, "errors.size": 10.0}
    assert facts(grown, rotated, 2.0)["nginx.worker_connections_errors_per_s"] == Reading(1.0)


@pytest.mark.parametrize(
    "line",
    [
        '127.0.0.1 "GET / HTTP/1.1" 200 rt=0.300 uct=0.001 urt=0.240',
        '{"status": 200, "request_time": 0.300, "upstream_response_time": "0.240"}',
        "time=now request_time=0.300 upstream_response_time=0.140, 0.100",
    ],
)
def test_times_of_the_access_log(line: str) -> None:
    """Both usual names in text and JSON; several upstreams one after the other add up."""
    times = recent_times([line, "no times here", '"-" rt=0.001 urt=-'])
    assert times["access.request_s"] == pytest.approx(0.1505)
    assert times["access.upstream_s"] == pytest.approx(0.12)
    first, second = {"access.size": 10.0}, {"access.size": 90.0, **times}
    seen = numbers(facts(first, second, 5.0))
    assert seen == pytest.approx({"nginx.upstream_ms": 120.0, "nginx.upstream_time_share": 0.12 / 0.1505})


def test_an_access_log_that_stands_still_tells_nothing() -> None:
    """Its last lines are of another time."""
    raw = {"access.size": 90.0, "access.request_s": 0.3, "access.upstream_s": 0.3}
    assert facts(raw, raw, 5.0) == {}


def test_a_status_page_that_is_turned_away_hides_nothing(tmp_path: Path) -> None:
    """An nginx at its limit does not answer its own status page; its error log says why, and both are told."""
    log = tmp_path / "error.log"
    log.write_text("")
    collector = NginxCollector({"stub_status": "http://127.0.0.1:1/status", "error_log": str(log)})
    first = collector.sample()
    log.write_text(ERRORS)
    seen = numbers(collector.facts(first, collector.sample(), 2.0))
    assert seen["nginx.worker_connections_errors_per_s"] == 1.0
    assert seen["nginx.status_failed_share"] == 1.0


def test_worker_connections_of_a_configuration() -> None:
    """The value in force, a comment is none; nginx' default where it is not set."""
    assert worker_connections("events {\n  # worker_connections 7;\n  worker_connections 2048;\n}") == 2048.0
    assert worker_connections("events {}") == 512.0


@pytest.mark.real
@pytest.mark.timeout(30)
def test_a_real_nginx_near_its_limit(tmp_path: Path) -> None:
    """Connections held open are seen as sockets of the worker, and the limit is read from its own configuration."""
    with nginx(tmp_path / "nginx", "") as server:
        place = {"pid": server.place["pid"], "error_log": str(server.root / "error.log")}
        collector = NginxCollector(place, "a")
        first = collector.sample()
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
        try:
            second = first
            while second["connections.of_limit"] < 0.39:
                second = collector.sample()
        finally:
            for client in clients:
                client.close()
    seen = numbers(collector.facts(first, second, 1.0))
    assert 0.39 <= seen["nginx.connections_of_limit"] <= 0.42  # 100 clients and a few sockets of nginx' own, of 256
    assert seen["nginx.worker_connections_errors_per_s"] == 0.0
    assert collector.name == "a/nginx"


def test_what_is_not_there(tmp_path: Path) -> None:
    """A log that does not exist is a mistake of the policy; an nginx that does not run may come back."""
    with pytest.raises(Misconfigured, match=r"error_log: .* cannot be read"):
        NginxCollector({"error_log": str(tmp_path / "none.log")}).sample()
    with pytest.raises(Transient, match=r"pid: .* does not exist"):
        NginxCollector({"pid": str(tmp_path / "none.pid")}).sample()
    with pytest.raises(Misconfigured, match="stub_status: 'ftp://x' is no http:// address"):
        NginxCollector({"stub_status": "ftp://x"}).sample()
