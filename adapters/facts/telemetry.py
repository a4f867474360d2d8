"""The same facts from Prometheus, where the metrics of node_exporter, cAdvisor, postgres_exporter, a JVM, a Go program
or a Node.js program are there.

A metric that nobody exports says nothing: only readings become facts here, so that Prometheus can add to what the
target itself tells and never take away from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from domain.evidence import Reading, Seen
from domain.ports import Telemetry
from domain.target import Arm

PATIENCE = 20.0  # seconds for all queries together
DEFAULT_SERIES = 'arm="$arm"'

# Fact → queries, of which the first that gives a reading counts. $series are the labels of the target's own series,
# $node those of its node_exporter.
QUERIES: Mapping[str, tuple[str, ...]] = {
    "cpu.throttled_share": (
        "sum(increase(container_cpu_cfs_throttled_periods_total{$series}[$window]))"
        " / sum(increase(container_cpu_cfs_periods_total{$series}[$window]))",
    ),
    "cpu.used_of_quota": (
        "sum(rate(container_cpu_usage_seconds_total{$series}[$window]))"
        " / (sum(avg_over_time(container_spec_cpu_quota{$series}[$window]))"
        " / sum(avg_over_time(container_spec_cpu_period{$series}[$window])))",
    ),
    "cpu.pressure_some": ("max(rate(container_pressure_cpu_waiting_seconds_total{$series}[$window]))",),
    "memory.used_of_limit": (
        "max(max_over_time(container_memory_usage_bytes{$series}[$window])"
        " / (max_over_time(container_spec_memory_limit_bytes{$series}[$window]) > 0))",
    ),
    "memory.working_set_of_limit": (
        "max(max_over_time(container_memory_working_set_bytes{$series}[$window])"
        " / (max_over_time(container_spec_memory_limit_bytes{$series}[$window]) > 0))",
    ),
    "memory.limit_hits_per_s": ("sum(rate(container_memory_failcnt{$series}[$window]))",),
    "memory.oom_kills": ("sum(increase(container_oom_events_total{$series}[$window]))",),
    "memory.reclaim_stall_share": ("max(rate(container_pressure_memory_waiting_seconds_total{$series}[$window]))",),
    "io.pressure_some": ("max(rate(container_pressure_io_waiting_seconds_total{$series}[$window]))",),
    "io.pressure_full": ("max(rate(container_pressure_io_stalled_seconds_total{$series}[$window]))",),
    "io.read_bytes_per_s": ("sum(rate(container_fs_reads_bytes_total{$series}[$window]))",),
    "io.write_bytes_per_s": ("sum(rate(container_fs_writes_bytes_total{$series}[$window]))",),
    "process.cpu_cores": ("sum(rate(process_cpu_seconds_total{$series}[$window]))",),
    "process.fds_of_limit": (
        "max(max_over_time(process_open_fds{$series}[$window]) / max_over_time(process_max_fds{$series}[$window]))",
    ),
    "node.cpu_busy": (
        '1 - sum(rate(node_cpu_seconds_total{$node,mode=~"idle|iowait|steal"}[$window]))'
        " / sum(rate(node_cpu_seconds_total{$node}[$window]))",
    ),
    "node.steal": (
        'sum(rate(node_cpu_seconds_total{$node,mode="steal"}[$window]))'
        " / sum(rate(node_cpu_seconds_total{$node}[$window]))",
    ),
    "node.pressure_io": ("max(rate(node_pressure_io_waiting_seconds_total{$node}[$window]))",),
    "node.pressure_memory": ("max(rate(node_pressure_memory_waiting_seconds_total{$node}[$window]))",),
    "disk.busy": ("max(rate(node_disk_io_time_seconds_total{$node}[$window]))",),
    "disk.read_wait_ms": (
        "1000 * max(rate(node_disk_read_time_seconds_total{$node}[$window])"
        " / (rate(node_disk_reads_completed_total{$node}[$window]) > 0))",
    ),
    "disk.write_wait_ms": (
        "1000 * max(rate(node_disk_write_time_seconds_total{$node}[$window])"
        " / (rate(node_disk_writes_completed_total{$node}[$window]) > 0))",
    ),
    "listen.overflows_per_s": ("sum(rate(node_netstat_TcpExt_ListenOverflows{$node}[$window]))",),
    "conntrack.used_of_limit": (
        "max(max_over_time(node_nf_conntrack_entries{$node}[$window])"
        " / max_over_time(node_nf_conntrack_entries_limit{$node}[$window]))",
    ),
    "files.used_of_limit": (
        "max(max_over_time(node_filefd_allocated{$node}[$window])"
        " / max_over_time(node_filefd_maximum{$node}[$window]))",
    ),
    "gc.share_of_time": (
        "max(sum by (instance) (rate(jvm_gc_collection_seconds_sum{$series}[$window])))",
        "max(sum by (instance) (rate(jvm_gc_pause_seconds_sum{$series}[$window])))",
        "max(rate(go_cpu_classes_gc_total_cpu_seconds_total{$series}[$window])"
        " / (rate(go_cpu_classes_total_cpu_seconds_total{$series}[$window])"
        " - rate(go_cpu_classes_idle_cpu_seconds_total{$series}[$window])))",
        "max(sum by (instance) (rate(nodejs_gc_duration_seconds_sum{$series}[$window])))",
    ),
    "gc.full_per_min": ('60 * max(rate(nodejs_gc_duration_seconds_count{$series,kind="major"}[$window]))',),
    "runtime.event_loop_lag_ms": ("1000 * max(max_over_time(nodejs_eventloop_lag_p99_seconds{$series}[$window]))",),
    "pg.active_sessions": ('sum(avg_over_time(pg_stat_activity_count{$series,state="active"}[$window]))',),
    "pg.wait.lock_share": (
        'sum(avg_over_time(pg_stat_activity_count{$series,state="active",wait_event_type="Lock"}[$window]))'
        ' / sum(avg_over_time(pg_stat_activity_count{$series,state="active"}[$window]))',
    ),
    "pg.temp_bytes_per_s": ("sum(rate(pg_stat_database_temp_bytes{$series}[$window]))",),
    "pg.temp_files_per_s": ("sum(rate(pg_stat_database_temp_files{$series}[$window]))",),
    "pg.blocks_read_share": (
        "sum(rate(pg_stat_database_blks_read{$series}[$window]))"
        " / (sum(rate(pg_stat_database_blks_read{$series}[$window]))"
        " + sum(rate(pg_stat_database_blks_hit{$series}[$window])))",
    ),
    "pg.blocks_read_per_s": ("sum(rate(pg_stat_database_blks_read{$series}[$window]))",),
    "pg.checkpoints_requested": (
        "sum(increase(pg_stat_checkpointer_num_requested_total{$series}[$window]))",
        "sum(increase(pg_stat_bgwriter_checkpoints_req_total{$series}[$window]))",
    ),
    "pg.checkpoints_requested_per_min": (
        "60 * sum(rate(pg_stat_checkpointer_num_requested_total{$series}[$window]))",
        "60 * sum(rate(pg_stat_bgwriter_checkpoints_req_total{$series}[$window]))",
    ),
    "pg.deadlocks_per_min": ("60 * sum(rate(pg_stat_database_deadlocks{$series}[$window]))",),
    "pg.commits_per_s": ("sum(rate(pg_stat_database_xact_commit{$series}[$window]))",),
    "conns.used_of_limit": (
        "sum(max_over_time(pg_stat_activity_count{$series}[$window]))"
        " / max(max_over_time(pg_settings_max_connections{$series}[$window]))",
    ),
    "nginx.dropped_per_s": (
        "sum(rate(nginx_connections_accepted{$series}[$window]))"
        " - sum(rate(nginx_connections_handled{$series}[$window]))",
    ),
    "nginx.requests_per_s": ("sum(rate(nginx_http_requests_total{$series}[$window]))",),
}


def telemetry_facts(
    telemetry: Telemetry,
    arm: Arm,
    *,
    start: float,
    end: float,
    scrape: float,
    tick: Callable[[], float] = time.monotonic,
) -> dict[str, Seen]:
    """What Prometheus knows of one arm between `start` and `end` (Unix seconds on its clock). `arm.place` may name the
    labels: `series` of the target's own series (default: arm="LABEL") and `node_series` of its node_exporter (without
    it nothing is asked about the node). Never raises for a bad answer."""
    found: dict[str, Seen] = {}
    until = tick() + PATIENCE
    for fact, templates in QUERIES.items():
        for template in templates:
            query = query_for(template, arm.place)
            if query is None or tick() > until:
                break
            seen = telemetry.read(query, arm=arm.label, start=start, end=end, scrape=scrape)
            if isinstance(seen, Reading):
                found[fact] = seen
                break
    return found


def query_for(template: str, place: Mapping[str, str]) -> str | None:
    """The template with its labels; None if it asks about a node that the place does not name."""
    if "$node" in template:
        return template.replace("$node", place["node_series"]) if place.get("node_series") else None
    return template.replace("$series", place.get("series") or DEFAULT_SERIES)
