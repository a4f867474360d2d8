"""Facts as a target of each kind shows them when nothing is wrong, and what goes wrong on top of it."""

from __future__ import annotations

from diagnosis.symptom import Layer
from domain.evidence import Reading, Seen

CONTAINER = {
    "cpu.throttled_share": 0.0,
    "cpu.used_of_quota": 0.4,
    "cpu.pressure_some": 0.02,
    "memory.used_of_limit": 0.99,  # page cache
    "memory.working_set_of_limit": 0.5,
    "memory.oom_kills": 0.0,
    "memory.refaults_per_s": 1.0,
    "memory.reclaim_stall_share": 0.0,
    "io.pressure_some": 0.01,
    "process.cpu_cores": 0.4,
    "process.cpu_of_node": 0.2,
    "process.cpu_of_allowed": 0.2,
    "cpu.kept_by_cpuset": 0.0,
    "volume.used": 0.4,
    "process.busiest_thread": 0.3,
    "process.run_queue_share": 0.05,
    "process.waiting_threads": 0.02,
    "process.fds_of_limit": 0.01,
    "node.cpu_busy": 0.4,
    "node.cpu_outside_target": 0.1,
    "node.steal": 0.0,
    "disk.busy": 0.05,
    "listen.overflows_per_s": 0.0,
}
SERVICE = {
    **CONTAINER,
    "gc.share_of_time": 0.02,
    "gc.full_per_min": 0.0,
    "dependency.response_ms": 3.0,
    "dependency.failed_share": 0.0,
    "dependency.slower_than_usual": 1.1,
    "dependency.time_share": 0.3,
    "target.response_ms": 10.0,
    "deploy.minutes_ago": 4000.0,
}
DATABASE = {
    **CONTAINER,
    "pg.active_sessions": 2.0,
    "pg.wait.lock_share": 0.0,
    "pg.wait.io_share": 0.05,
    "pg.wait.wal_share": 0.1,
    "pg.wait.temp_share": 0.0,
    "pg.wait.cpu_share": 0.85,
    "pg.temp_bytes_per_s": 0.0,
    "pg.blocks_read_share": 0.02,
    "pg.checkpoints_requested": 0.0,
    "pg.checkpoints_requested_per_min": 0.0,
    "conns.used_of_limit": 0.3,
}
PROXY = {
    **CONTAINER,
    "nginx.dropped_per_s": 0.0,
    "nginx.connections_of_limit": 0.2,
    "nginx.worker_connections_errors_per_s": 0.0,
    "nginx.too_many_open_files_per_s": 0.0,
    "nginx.upstream_ms": 4.0,
    "nginx.upstream_time_share": 0.95,
    "nginx.requests_per_s": 200.0,
}
KINDS = {"service": SERVICE, "database": DATABASE, "proxy": PROXY}

# What is wrong: kind of target, what differs from a healthy one, the layer, and whether tuning is right.
WRONG: dict[str, tuple[str, dict[str, float], Layer, bool]] = {
    "quota": ("service", {"cpu.throttled_share": 0.3, "process.run_queue_share": 0.6}, "cpu_quota", True),
    "cpuset": (
        "service",
        {"cpu.kept_by_cpuset": 0.75, "process.cpu_of_allowed": 0.97, "process.run_queue_share": 0.5},
        "cpu_quota",
        True,
    ),
    "killed": ("service", {"memory.oom_kills": 2.0}, "memory_limit", True),
    "reclaim": (
        "service",
        {"memory.reclaim_stall_share": 0.3, "memory.refaults_per_s": 900.0, "io.pressure_some": 0.5},
        "memory_limit",
        True,
    ),
    "collections": ("service", {"gc.share_of_time": 0.4, "process.cpu_of_allowed": 0.9}, "gc", True),
    "full heap": ("service", {"gc.full_per_min": 60.0, "gc.heap_after_full_of_limit": 0.95}, "gc", True),
    "disk": ("database", {"io.pressure_some": 0.6, "pg.wait.io_share": 0.7}, "io_storage", True),
    "commits": ("database", {"pg.wait.wal_share": 0.8}, "io_storage", True),
    "spill": ("database", {"pg.temp_bytes_per_s": 8e7, "io.pressure_some": 0.3}, "pg_memory", True),
    "storm": (
        "database",
        {"pg.checkpoints_requested": 4.0, "pg.checkpoints_requested_per_min": 24.0, "pg.wait.wal_share": 0.7},
        "pg_checkpoint",
        True,
    ),
    "hot row": ("database", {"pg.wait.lock_share": 0.8, "pg.active_sessions": 8.0}, "pg_locks", False),
    "plans": ("database", {"process.cpu_of_allowed": 0.9, "process.busiest_thread": 0.95}, "pg_cpu", True),
    "connections": ("proxy", {"nginx.worker_connections_errors_per_s": 12.0}, "nginx_workers", True),
    "descriptors": ("proxy", {"nginx.too_many_open_files_per_s": 3.0}, "nginx_workers", True),
    "worker": ("proxy", {"process.busiest_thread": 0.85}, "nginx_cpu", True),
    "upstream": ("proxy", {"nginx.upstream_ms": 300.0, "nginx.upstream_time_share": 0.99}, "upstream", False),
    "dependency": (
        "service",
        {"dependency.response_ms": 203.0, "dependency.slower_than_usual": 70.0, "dependency.time_share": 0.95},
        "dependency",
        False,
    ),
    "neighbour": (
        "service",
        {
            "node.cpu_busy": 1.0,
            "node.cpu_outside_target": 0.8,
            "process.run_queue_share": 0.6,
            "process.waiting_threads": 0.7,
        },
        "cpu_node",
        False,
    ),
    "steal": ("database", {"node.steal": 0.25}, "cpu_node", False),
    "deploy": ("service", {"deploy.minutes_ago": 4.0, "cpu.throttled_share": 0.5}, "deploy", False),
    "code": ("service", {"process.busiest_thread": 0.99}, "application", False),
    "lock in the code": (
        "service",
        {"target.slower_than_usual": 6.0, "target.response_ms": 60.0},
        "application",
        False,
    ),
    "descriptors of a service": ("service", {"process.fds_of_limit": 0.97}, "system_limits", True),
    "full volume": ("database", {"volume.used": 0.99}, "volume", False),
    "backlog": ("service", {"listen.overflows_per_s": 9.0}, "system_limits", True),
}


def facts(numbers: dict[str, float]) -> dict[str, Seen]:
    return {name: Reading(number) for name, number in numbers.items()}


def case(name: str) -> dict[str, Seen]:
    """The facts of one thing that is wrong."""
    kind, differs, _, _ = WRONG[name]
    return facts({**KINDS[kind], **differs})
