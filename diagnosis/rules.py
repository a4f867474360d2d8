"""Every rule, in the order in which one would ask."""

from __future__ import annotations

from diagnosis import databases, outside, proxies, resources, runtimes
from diagnosis.symptom import Rule

RULES: tuple[Rule, ...] = (
    Rule(
        "D-DEPLOY",
        "a deploy happened just before",
        "deploy",
        outside.deploy,
        ("S10.3-12", "S10.2-04"),
        refuses=True,
    ),
    Rule(
        "D-CPU-NODE",
        "the node is starved",
        "cpu_node",
        outside.cpu_node,
        ("S1.2-01", "S1.2-07", "S8.1-01"),
        # Who measures on a starved node measures its own waiting, too.
        explains=("dependency", "upstream"),
        refuses=True,
    ),
    Rule(
        "D-DEPENDENCY",
        "a dependency got slower",
        "dependency",
        outside.dependency,
        ("S1.2-04", "S4.2-08"),
        refuses=True,
    ),
    Rule("D-UPSTREAM", "the upstream is slow", "upstream", proxies.upstream, ("S1.2-04", "S9.1-20"), refuses=True),
    Rule("D-PG-LOCKS", "sessions wait for locks", "pg_locks", databases.pg_locks, ("S1.2-03", "S6.2-03"), refuses=True),
    Rule("D-VOLUME", "the volume is full", "volume", resources.volume, ("S1.2-09",), refuses=True),
    Rule(
        "D-CPU-QUOTA",
        "the CPU quota throttles",
        "cpu_quota",
        resources.cpu_quota,
        ("S1.1-03", "S1.2-01", "S1.2-06", "S2.1-02", "S2.3-02"),
        explains=("system_limits", "nginx_cpu", "pg_cpu"),
    ),
    Rule(
        "D-MEMORY-LIMIT",
        "memory is at its limit",
        "memory_limit",
        resources.memory_limit,
        ("S1.1-03", "S1.2-02", "S1.2-06"),
        explains=("io_storage", "cpu_quota"),
    ),
    Rule(
        "D-GC",
        "garbage collection takes the time",
        "gc",
        runtimes.gc,
        ("S8.1-05", "S8.1-06", "S3.3-03"),
        explains=("cpu_quota", "system_limits"),
    ),
    Rule(
        "D-PG-MEMORY",
        "sorts and hashes spill",
        "pg_memory",
        databases.pg_memory,
        ("S1.2-03", "S9.2-03"),
        explains=("io_storage", "pg_cpu"),
    ),
    Rule(
        "D-PG-CHECKPOINT",
        "checkpoints are forced",
        "pg_checkpoint",
        databases.pg_checkpoint,
        ("S1.2-03", "S9.2-10", "S9.2-12"),
        explains=("io_storage", "pg_cpu"),
    ),
    Rule(
        "D-NGINX-WORKERS",
        "nginx turns connections away",
        "nginx_workers",
        proxies.nginx_workers,
        ("S1.2-05", "S9.1-03", "S9.1-04"),
        explains=("system_limits",),
    ),
    Rule(
        "D-IO",
        "storage is slow",
        "io_storage",
        resources.io_storage,
        ("S1.1-03", "S1.2-03", "S8.1-02", "S8.2-03"),
        explains=("pg_cpu",),
    ),
    Rule(
        "D-LIMITS",
        "a limit of the system is reached",
        "system_limits",
        resources.system_limits,
        ("S1.2-05", "S1.2-08", "S8.2-04"),
    ),
    Rule("D-NGINX-CPU", "an nginx worker computes", "nginx_cpu", proxies.nginx_cpu, ("S1.2-01", "S9.1-12")),
    Rule("D-PG-CPU", "PostgreSQL computes", "pg_cpu", databases.pg_cpu, ("S1.2-01", "S9.2-13")),
    Rule(
        "D-APPLICATION",
        "the application itself is the bottleneck",
        "application",
        runtimes.application,
        ("S1.2-04", "S1.3-01", "S8.2-01"),
        refuses=True,
        last=True,
    ),
)
