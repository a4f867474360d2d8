"""The vocabulary: every fact that a collector may tell and a rule may use, with its unit and its meaning.

Shares are between 0 and 1. Rates are over the time between two samples. A fact that does not apply to a target (no
quota, no database) is left out; one that applies and could not be read is Missing, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from domain.evidence import Missing, Reading, Seen

Facts = Mapping[str, Seen]
Unit = Literal["share", "1/s", "1/min", "B/s", "ms", "min", "CPUs", "count", "times"]


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that can be seen. `worst` is the end of its scale that speaks for trouble."""

    name: str
    unit: Unit
    meaning: str
    worst: Literal["high", "low"] = "high"


FACTS = (
    # the container
    Fact("cpu.throttled_share", "share", "CFS periods in which the container was stopped by its CPU quota"),
    Fact("cpu.used_of_quota", "share", "CPU used, as a part of the quota"),
    Fact("cpu.pressure_some", "share", "time in which some task of the container waited for a CPU"),
    Fact("memory.used_of_limit", "share", "memory charged to the container, page cache included, of its limit"),
    Fact("memory.working_set_of_limit", "share", "the same without cache that can be dropped at once"),
    Fact("memory.limit_hits_per_s", "1/s", "allocations that ran into the limit and had to reclaim first"),
    Fact("memory.oom_kills", "count", "processes killed because the limit was reached, between the samples"),
    Fact("memory.refaults_per_s", "1/s", "file pages read again soon after they were dropped for want of memory"),
    Fact("memory.reclaim_stall_share", "share", "time in which some task of the container waited for memory"),
    Fact("io.pressure_some", "share", "time in which some task of the container waited for its own I/O"),
    Fact("io.pressure_full", "share", "time in which every task of the container waited for its own I/O"),
    Fact("io.read_bytes_per_s", "B/s", "read from block devices by the container or its processes"),
    Fact("io.write_bytes_per_s", "B/s", "written to block devices by the container or its processes"),
    Fact("pids.used_of_limit", "share", "tasks of the container, of pids.max"),
    # the processes
    Fact("process.cpu_cores", "CPUs", "CPU used by the target's processes"),
    Fact("process.cpu_of_node", "share", "the same, of all CPUs of the node"),
    Fact("process.cpu_of_allowed", "share", "the same, of the CPUs that its threads may run on"),
    Fact("cpu.kept_by_cpuset", "share", "CPUs of the node that none of its threads may run on"),
    Fact("process.busiest_thread", "share", "CPU used by the target's busiest thread, of one CPU"),
    Fact("process.run_queue_share", "share", "time ready to run and waiting for a CPU, of the time ready or running"),
    Fact("process.waiting_threads", "count", "threads of the target that are ready and wait for a CPU, mean"),
    Fact("process.major_faults_per_s", "1/s", "page faults that had to read from a device"),
    Fact("process.io_delay_share", "share", "time in which the busiest thread waited for block I/O"),
    Fact("process.fds_of_limit", "share", "open file descriptors of the fullest process, of its limit"),
    Fact("volume.used", "share", "space of the volume that the target works on, as an ordinary user sees it"),
    Fact("volume.inodes_used", "share", "inodes of that volume"),
    # the node
    Fact("node.cpu_busy", "share", "CPU time of the node that was used"),
    Fact("node.cpu_outside_target", "share", "CPU time of the node that others used, but for low priorities"),
    Fact("node.steal", "share", "CPU time that the hypervisor gave to others"),
    Fact("node.pressure_io", "share", "time in which some task of the node waited for I/O"),
    Fact("node.pressure_memory", "share", "time in which some task of the node waited for memory"),
    Fact("disk.busy", "share", "time in which the busiest block device had work"),
    Fact("disk.read_wait_ms", "ms", "mean time of a read on the busiest block device"),
    Fact("disk.write_wait_ms", "ms", "mean time of a write on the busiest block device"),
    Fact("disk.flush_wait_ms", "ms", "mean time of a cache flush on the busiest block device"),
    Fact("listen.overflows_per_s", "1/s", "connections dropped because an accept queue was full"),
    Fact("conntrack.used_of_limit", "share", "tracked connections, of nf_conntrack_max"),
    Fact("files.used_of_limit", "share", "open files of the node, of fs.file-max"),
    # the runtime
    Fact("gc.share_of_time", "share", "time spent in garbage collection (CPU time, where only that is told)"),
    Fact("gc.full_per_min", "1/min", "full collections"),
    Fact("gc.heap_after_full_of_limit", "share", "old generation still in use after a full collection, of its maximum"),
    Fact("gc.heap_of_limit", "share", "heap in use, of its limit"),
    Fact("runtime.event_loop_lag_ms", "ms", "how late the event loop is (p99)"),
    # PostgreSQL
    Fact("pg.active_sessions", "count", "client sessions at work at a time, mean"),
    Fact("pg.wait.lock_share", "share", "active sessions that wait for a heavyweight lock"),
    Fact("pg.wait.io_share", "share", "active sessions that wait for reads or writes of data files"),
    Fact("pg.wait.wal_share", "share", "active sessions that wait until WAL is written or flushed"),
    Fact("pg.wait.temp_share", "share", "active sessions that wait for temporary files"),
    Fact("pg.wait.cpu_share", "share", "active sessions that wait for nothing: they compute, or want a CPU"),
    Fact("pg.temp_bytes_per_s", "B/s", "written to temporary files because work_mem was too small"),
    Fact("pg.temp_files_per_s", "1/s", "temporary files made"),
    Fact("pg.blocks_read_share", "share", "blocks that were not in shared_buffers"),
    Fact("pg.blocks_read_per_s", "1/s", "blocks that were not in shared_buffers"),
    Fact("pg.checkpoints_requested", "count", "checkpoints because max_wal_size was reached, between the samples"),
    Fact("pg.checkpoints_requested_per_min", "1/min", "the same, as a rate"),
    Fact("pg.wal_bytes_per_s", "B/s", "WAL written"),
    Fact("pg.full_page_share", "share", "WAL records that carry a full page image"),
    Fact("pg.backend_writes_share", "share", "dirty buffers that sessions had to write themselves"),
    Fact("pg.deadlocks_per_min", "1/min", "deadlocks"),
    Fact("pg.commits_per_s", "1/s", "transactions committed"),
    Fact("conns.used_of_limit", "share", "client connections, of max_connections"),
    # nginx
    Fact("nginx.dropped_per_s", "1/s", "connections accepted and dropped: worker_connections is reached"),
    Fact("nginx.connections_of_limit", "share", "sockets of the fullest worker, of worker_connections"),
    Fact("nginx.worker_connections_errors_per_s", "1/s", "lines `worker_connections are not enough` in the error log"),
    Fact("nginx.too_many_open_files_per_s", "1/s", "lines `Too many open files` in the error log"),
    Fact("nginx.status_failed_share", "share", "looks at nginx' status page that got no answer"),
    Fact("nginx.upstream_errors_per_s", "1/s", "lines about upstreams that fail or time out, in the error log"),
    Fact("nginx.upstream_ms", "ms", "mean time that upstreams took for a request"),
    Fact("nginx.upstream_time_share", "share", "time of requests that was spent in upstreams"),
    Fact("nginx.requests_per_s", "1/s", "requests"),
    # what the target depends on, and what was done to it
    Fact("dependency.response_ms", "ms", "time to connect to the dependency and to get its answer, median of probes"),
    Fact("dependency.failed_share", "share", "probes of the dependency that failed"),
    Fact("dependency.slower_than_usual", "times", "its response time, as a multiple of the usual one"),
    Fact("dependency.time_share", "share", "its response time, of that of the target's own probe address"),
    Fact("target.response_ms", "ms", "time of the target's own probe address, median of probes"),
    Fact("target.slower_than_usual", "times", "the same, as a multiple of its usual one"),
    Fact("deploy.minutes_ago", "min", "since the last deploy", worst="low"),
)
KNOWN: Mapping[str, Fact] = {fact.name: fact for fact in FACTS}


_NODE = ("node.", "disk.", "conntrack.", "files.", "listen.")


def of_target(name: str) -> bool:
    """Whether a fact tells something of the target itself, not only of the node that it is on."""
    return not name.startswith(_NODE)


def worst_of(sources: Iterable[Facts]) -> dict[str, Seen]:
    """One set of facts from those of several arms: of each fact the worst reading; Missing only where no arm has a
    reading."""
    merged: dict[str, Seen] = {}
    for facts in sources:
        for name, seen in facts.items():
            merged[name] = _worse(KNOWN[name], merged[name], seen) if name in merged else seen
    return merged


def _worse(fact: Fact, one: Seen, other: Seen) -> Seen:
    if isinstance(one, Missing):
        return other
    if isinstance(other, Missing):
        return one
    pick = max if fact.worst == "high" else min
    return Reading(pick(one.value, other.value))


def told(fact: Fact, value: float) -> str:
    """A value with its unit, as a person reads it: `37 %`, `4.2 MB/s`, `12 ms`."""
    match fact.unit:
        case "share":
            return f"{100 * value:.3g} %"
        case "B/s":
            scaled, unit = (value / 1e6, "MB/s") if value >= 1e6 else (value / 1e3, "kB/s")
            return f"{scaled:.3g} {unit}"
        case "count":
            return f"{value:.3g}"
        case "1/s" | "1/min":
            return f"{value:.3g}{fact.unit[1:]}"
        case _:
            return f"{value:.3g} {fact.unit}"
