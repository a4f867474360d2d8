"""Facts of Go and Node.js programs from their own metrics."""

from __future__ import annotations

import pytest
from pytest_httpserver import HTTPServer

from adapters.facts import golang, nodejs
from adapters.facts.metrics_text import fetch, parse, total
from domain.errors import Misconfigured, Transient
from tests.adapters.facts.trees import numbers

GO = """\
# HELP go_gc_duration_seconds A summary of the wall-time pause (stop-the-world) duration in garbage collection cycles.
# TYPE go_gc_duration_seconds summary
go_gc_duration_seconds{quantile="0"} 1.2e-05
go_gc_duration_seconds_sum 0.4
go_gc_duration_seconds_count 320
go_gc_gomemlimit_bytes 1e+09
go_memstats_heap_alloc_bytes 8e+08
"""
CLASSES = """\
go_cpu_classes_gc_total_cpu_seconds_total 30
go_cpu_classes_idle_cpu_seconds_total 100
go_cpu_classes_total_cpu_seconds_total 200
"""
NODE = """\
nodejs_eventloop_lag_p99_seconds 0.12
nodejs_gc_duration_seconds_sum{kind="minor"} 3.5
nodejs_gc_duration_seconds_sum{kind="major"} 1.5
nodejs_gc_duration_seconds_count{kind="major"} 12
nodejs_gc_duration_seconds_count{kind="minor"} 400
"""


def test_the_text_format() -> None:
    """Labels with escapes, timestamps, NaN; comments and rubbish are passed over."""
    text = 'a{x="1\\"2",y="z"} 5 1700000000000\n# a 9\na{x="3"} +Inf\nb NaN\nnot a line\na 7\n'
    samples = parse(text)
    assert samples[0] == ("a", {"x": '1\\"2', "y": "z"}, 5.0)
    assert total(samples, "a", y="z") == 5.0
    assert total(samples, "c") is None


def test_go_by_cpu_classes_or_by_pauses(httpserver: HTTPServer) -> None:
    """The share of CPU time that collection took where the runtime tells it, else the share of time it stopped."""
    httpserver.expect_request("/metrics").respond_with_data(GO + CLASSES)
    collector = golang.GoCollector({"metrics": httpserver.url_for("/metrics")}, "a")
    first = collector.sample()
    second = {**first, "gc_cpu_s": 36.0, "cpu_s": 220.0, "idle_s": 108.0, "pause_s": 0.6}
    assert numbers(collector.facts(first, second, 10.0)) == pytest.approx(
        {"gc.share_of_time": 0.5, "gc.heap_of_limit": 0.8}
    )
    older = {name: number for name, number in first.items() if not name.endswith("cpu_s") and name != "idle_s"}
    assert numbers(golang.facts(older, {**older, "pause_s": 0.6}, 10.0))["gc.share_of_time"] == pytest.approx(0.02)


def test_go_without_a_memory_limit() -> None:
    """Without GOMEMLIMIT the runtime shows the largest integer: no limit to speak of."""
    assert "gc.heap_of_limit" not in golang.facts({}, {"heap": 5.0, "limit": 9.223372036854776e18}, 1.0)


def test_node_js(httpserver: HTTPServer) -> None:
    """Time in collections of all kinds, full ones counted apart, and the lag of the event loop."""
    httpserver.expect_request("/metrics").respond_with_data(NODE)
    collector = nodejs.NodeJsCollector({"metrics": httpserver.url_for("/metrics")}, "a")
    first = collector.sample()
    assert first == {"gc_s": 5.0, "lag_s": 0.12, "full": 12.0}
    seen = collector.facts(first, {**first, "gc_s": 6.0, "full": 14.0}, 10.0)
    assert numbers(seen) == pytest.approx(
        {"gc.share_of_time": 0.1, "gc.full_per_min": 12.0, "runtime.event_loop_lag_ms": 120.0}
    )


def test_metrics_of_another_program_say_nothing(httpserver: HTTPServer) -> None:
    """Neither collector makes facts of what it does not know."""
    httpserver.expect_request("/metrics").respond_with_data("http_requests_total 5\n")
    place = {"metrics": httpserver.url_for("/metrics")}
    for collector in (golang.GoCollector(place), nodejs.NodeJsCollector(place)):
        raw = collector.sample()
        assert collector.facts(raw, raw, 5.0) == {}


def test_an_address_that_does_not_answer(httpserver: HTTPServer) -> None:
    """Refused and wrong answers are for later, an address that is none is a mistake; both name the key."""
    httpserver.expect_request("/metrics").respond_with_data("no", status=500)
    with pytest.raises(Transient, match=r"metrics: .*500"):
        fetch(httpserver.url_for("/metrics"), "metrics")
    with pytest.raises(Transient, match=r"metrics: .* does not answer"):
        fetch("http://127.0.0.1:1/metrics", "metrics")
    with pytest.raises(Misconfigured, match="metrics: 'shop:9090' is no http:// address"):
        fetch("shop:9090", "metrics")
