"""Facts from Prometheus: the queries are golden, and only readings become facts."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.facts.telemetry import PATIENCE, QUERIES, query_for, telemetry_facts
from adapters.memory_telemetry import MemoryTelemetry
from adapters.prometheus import PrometheusTelemetry
from adapters.promql import faults
from adapters.promql_window import coverage, render
from diagnosis.facts import KNOWN
from domain.evidence import Missing, Reading, Seen
from domain.target import Arm
from tests.adapters.facts.trees import numbers
from tests.console.desk import HandClock
from tests.prometheus_server import prometheus

GOLDEN = Path(__file__).parents[2] / "golden" / "facts" / "queries.txt"
NODE = {"node_series": 'instance="n1:9100"', "series": 'pod="shop-1",container="shop"'}


def as_text() -> str:
    """Every query as Prometheus gets it, for one pod on one node and a window of a minute."""
    lines = []
    for fact, templates in QUERIES.items():
        for template in templates:
            query = query_for(template, NODE)
            assert query is not None
            lines.append(f"{fact}\n    {render(query, 'a', 60.0)}\n")
    return "".join(lines)


def test_the_queries_are_golden() -> None:
    """Whoever changes a query sees what Prometheus will be asked."""
    assert as_text() == GOLDEN.read_text()


def test_every_query_is_well_formed_and_its_samples_can_be_counted() -> None:
    """Brackets, quotes and windows are right, and each has selectors behind which samples are counted."""
    for fact, templates in QUERIES.items():
        assert fact in KNOWN
        for template in templates:
            query = query_for(template, NODE) or ""
            assert faults(query, ("window",)) == (), fact
            assert coverage(query), fact


def test_labels_of_the_target() -> None:
    """Without labels of its own a target is found by its arm; a node that is not named is not asked about."""
    assert query_for("rate(x{$series}[$window])", {}) == 'rate(x{arm="$arm"}[$window])'
    assert query_for("rate(x{$node}[$window])", {}) is None


def test_only_readings_become_facts() -> None:
    """A metric that is not exported says nothing; of several queries the first with a reading counts."""

    def script(query: str, arm: str, start: float, end: float) -> Seen:
        if "jvm_gc_pause" in query or "nodejs_gc_duration" in query:
            return Reading(0.25 if "jvm" in query else 0.75)
        return Missing("empty result")

    telemetry = MemoryTelemetry(HandClock(1000.0), script)
    seen = telemetry_facts(telemetry, Arm("a"), start=900.0, end=960.0, scrape=5.0)
    assert seen == {"gc.share_of_time": Reading(0.25), "gc.full_per_min": Reading(0.75)}
    assert {(arm, start, end) for _, _, arm, start, end in telemetry.calls} == {("a", 900.0, 960.0)}


def test_a_slow_prometheus_costs_no_more_than_its_patience() -> None:
    """After twenty seconds nothing more is asked."""
    clock = HandClock(0.0)

    def slow(query: str, arm: str, start: float, end: float) -> Seen:
        clock.at += 5.0
        return Reading(0.1)

    telemetry = MemoryTelemetry(HandClock(1000.0), slow)
    seen = telemetry_facts(telemetry, Arm("a", NODE), start=900.0, end=960.0, scrape=5.0, tick=clock.now)
    assert len(seen) == PATIENCE / 5 + 1


@pytest.mark.real
@pytest.mark.timeout(60)
def test_a_real_prometheus_understands_every_query(tmp_path: Path) -> None:
    """None is refused, and known samples give the facts that they stand for."""
    pod, node, start = '{pod="shop-1",container="shop"}', '{instance="n1:9100",mode="%s"}', 1_700_000_000.0
    times = [start + 5.0 * i for i in range(25)]
    rates = {
        f"container_cpu_cfs_periods_total{pod}": 10.0,
        f"container_cpu_cfs_throttled_periods_total{pod}": 4.0,
        f"container_oom_events_total{pod}": 0.0,
        f"container_pressure_io_waiting_seconds_total{pod}": 0.3,
        f"nginx_connections_accepted{pod}": 9.0,
        f"nginx_connections_handled{pod}": 7.0,
        f"node_cpu_seconds_total{node % 'idle'}": 0.5,
        f"node_cpu_seconds_total{node % 'user'}": 1.25,
        f"node_cpu_seconds_total{node % 'steal'}": 0.25,
    }
    past = {series: [(at, rate * (at - start)) for at in times] for series, rate in rates.items()}
    gauges = {f"container_memory_usage_bytes{pod}": 900.0, f"container_spec_memory_limit_bytes{pod}": 1000.0}
    past |= {series: [(at, value) for at in times] for series, value in gauges.items()}
    with prometheus(tmp_path, past) as server:
        telemetry = PrometheusTelemetry(server.url)
        end = times[-1]
        for templates in QUERIES.values():
            for template in templates:
                query = query_for(template, NODE) or ""
                seen = telemetry.instant(render(query, "a", 60.0), end)
                assert not isinstance(seen, Missing) or seen.reason == "empty result", query
        found = telemetry_facts(telemetry, Arm("a", NODE), start=end - 60, end=end, scrape=5.0)
        telemetry.close()
    assert numbers(found) == pytest.approx(
        {
            "cpu.throttled_share": 0.4,
            "memory.used_of_limit": 0.9,
            "memory.oom_kills": 0.0,
            "io.pressure_some": 0.3,
            "nginx.dropped_per_s": 2.0,
            "node.cpu_busy": 0.625,
            "node.steal": 0.125,
        },
        abs=0.01,
    )
