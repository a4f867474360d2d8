"""Facts about dependencies, the target's own answers, and its last deploy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from adapters.facts.surroundings import DependencyCollector, DeployCollector, facts, response_seconds
from domain.errors import Misconfigured, Transient
from tests.adapters.facts.trees import numbers

PLACE = {"dependency": "db:5432", "dependency_usual_ms": "4", "probe": "http://shop/", "probe_usual_ms": "100"}


def scripted(times: dict[str, list[float | None]]) -> DependencyCollector:
    """Probes whose times are given; None fails."""

    def probe(address: str) -> float:
        seconds = times[address].pop(0)
        if seconds is None:
            raise Transient("refused")
        return seconds

    return DependencyCollector(PLACE, "a", probe)


def test_a_slower_dependency() -> None:
    """Its median is compared with the usual time, and with the target's own; the better sample counts."""
    own = [0.3] * 10
    collector = scripted({"db:5432": [0.2, 0.2, 0.9, 0.2, 0.1, 0.5, 0.5, 0.5, None, None], "http://shop/": own})
    first, second = collector.sample(), collector.sample()
    assert numbers(collector.facts(first, second, 5.0)) == pytest.approx(
        {
            "dependency.response_ms": 200.0,
            "dependency.failed_share": 0.2,
            "dependency.slower_than_usual": 50.0,
            "dependency.time_share": 2 / 3,
            "target.response_ms": 300.0,
            "target.slower_than_usual": 3.0,
        }
    )


def test_a_dependency_that_never_answers() -> None:
    """Failures are a fact of their own; there is no time to compare."""
    collector = scripted({"db:5432": [None] * 10, "http://shop/": [0.3] * 10})
    seen = numbers(collector.facts(collector.sample(), collector.sample(), 5.0))
    assert seen == pytest.approx(
        {"dependency.failed_share": 1.0, "target.response_ms": 300.0, "target.slower_than_usual": 3.0}
    )


def test_without_a_usual_time_there_is_no_comparison() -> None:
    """The response time alone says what it is, and no more."""
    collector = DependencyCollector({"dependency": "db:5432"}, probe=lambda _: 0.1)
    raw = collector.sample()
    assert numbers(facts(raw, raw, 5.0)) == pytest.approx(
        {"dependency.response_ms": 100.0, "dependency.failed_share": 0.0}
    )


def test_real_probes(httpserver: HTTPServer) -> None:
    """An http:// address is asked for, host:port is connected to; a server's error and a closed port are failures."""
    httpserver.expect_request("/ok").respond_with_data("yes")
    httpserver.expect_request("/bad").respond_with_data("no", status=503)
    assert 0 < response_seconds(httpserver.url_for("/ok")) < 1
    assert 0 < response_seconds(f"127.0.0.1:{httpserver.port}") < 1
    with pytest.raises(Transient, match="status 503"):
        response_seconds(httpserver.url_for("/bad"))
    with pytest.raises(Transient, match="does not answer"):
        response_seconds("127.0.0.1:1")


@pytest.mark.parametrize("address", ["ftp://x/", "db", "http://", "db:http"])
def test_addresses_that_are_none(address: str) -> None:
    """A mistake of the policy is told with the value seen and what is allowed."""
    with pytest.raises(Misconfigured, match="neither an http:// address nor host:port"):
        response_seconds(address)


def test_a_usual_time_that_is_none() -> None:
    """The key and the value are named."""
    with pytest.raises(Misconfigured, match="dependency_usual_ms: 'fast' is no number"):
        DependencyCollector({"dependency": "x:1", "dependency_usual_ms": "fast"}, probe=lambda _: 0.1).sample()


def test_the_last_deploy(tmp_path: Path) -> None:
    """Minutes since the file was written; a file that is not there is no deploy long ago."""
    stamp = tmp_path / "deployed"
    stamp.write_text("v7")
    os.utime(stamp, (1000.0, 1000.0))
    collector = DeployCollector({"deployed": str(stamp)}, "a", now=lambda: 1240.0)
    raw = collector.sample()
    assert numbers(collector.facts(raw, raw, 5.0)) == {"deploy.minutes_ago": 4.0}
    stamp.unlink()
    with pytest.raises(Transient, match=r"deployed: .* cannot be looked at"):
        collector.sample()
    assert collector.blind() == ("deploy.minutes_ago",)
