"""Rules about what a container is given: CPU quota, memory, storage, and the limits of the system.

Several limits are 5 %: a p95 feels whatever hits more than one request in twenty, so less than that cannot be why it
is slow, and more can.
"""

from __future__ import annotations

from diagnosis.facts import Facts
from diagnosis.symptom import Symptom, beyond, evidence, excess, value

THROTTLED = 0.05
WAITING = 0.20
KEPT = 0.01
STALLED = 0.05
FULL = 0.90
REFAULTS = 100.0
PRESSURE = 0.10
IO_WAITS = 0.25
DISK_BUSY = 0.8
READS = 1e6
NEARLY = 0.9
OVERFLOWS = 0.1
VOLUME = 0.98

QUOTA_PARAMETERS = (
    "docker.cpus",
    "docker.cpu_quota",
    "docker.cpu_period",
    "docker.cpuset_cpus",
    "k8s.cpu_limit",
    "nginx.worker_processes",
    "jvm.gc",
    "jvm.ParallelGCThreads",
    "jvm.ConcGCThreads",
    "jvm.ActiveProcessorCount",
    "go.GOMAXPROCS",
    "node.UV_THREADPOOL_SIZE",
    "py.gunicorn_workers",
    "py.gunicorn_threads",
)
MEMORY_PARAMETERS = (
    "docker.memory",
    "k8s.memory_limit",
    "jvm.MaxHeapSize",
    "jvm.MaxRAMPercentage",
    "go.GOMEMLIMIT",
    "go.GOGC",
    "node.max_old_space_size",
    "pg.shared_buffers",
    "pg.work_mem",
    "pg.max_connections",
    "py.gunicorn_workers",
    "libc.MALLOC_ARENA_MAX",
)
STORAGE_PARAMETERS = (
    "pg.shared_buffers",
    "pg.effective_io_concurrency",
    "pg.maintenance_io_concurrency",
    "pg.random_page_cost",
    "pg.wal_compression",
    "pg.commit_delay",
    "pg.synchronous_commit",
    "pg.bgwriter_lru_maxpages",
    "nginx.open_file_cache",
    "nginx.aio",
    "nginx.access_log",
    "docker.device_read_bps",
    "docker.device_write_bps",
    "os.read_ahead_kb",
    "os.io_scheduler",
)
LIMIT_PARAMETERS = (
    "os.rlimit_nofile",
    "docker.ulimit_nofile",
    "docker.pids_limit",
    "nginx.listen",
    "pg.max_connections",
    "py.asyncpg_max_size",
    "sysctl.net.core.somaxconn",
    "sysctl.net.ipv4.tcp_max_syn_backlog",
    "sysctl.net.netfilter.nf_conntrack_max",
    "sysctl.fs.file-max",
)


def cpu_quota(facts: Facts) -> Symptom | None:
    """The quota stops the container in at least 5 % of its periods (100 ms, if nobody changed it): whoever arrives then
    waits for the next period. kubernetes-mixin's alert CPUThrottlingHigh fires at 25 %, which is late for a p95. Or a
    cpuset keeps CPUs from it while it uses 90 % of its own, and its threads wait for them for a fifth of their time."""
    throttled = beyond(facts, "cpu.throttled_share", THROTTLED)
    full = beyond(facts, "process.cpu_of_allowed", NEARLY) and beyond(facts, "process.run_queue_share", WAITING)
    kept = beyond(facts, "cpu.kept_by_cpuset", KEPT)
    if not (throttled or (kept and full)):
        return None
    share, waits = value(facts, "cpu.throttled_share") or 0.0, value(facts, "process.run_queue_share") or 0.0
    if throttled:
        headline = f"the CPU quota stops the container in {100 * share:.0f} % of its periods"
    else:
        headline = "the cpuset is too small: all CPUs in it are busy"
    limits: dict[str, float | None] = {
        "cpu.throttled_share": THROTTLED,
        "cpu.used_of_quota": None,
        "cpu.kept_by_cpuset": KEPT,
        "process.cpu_of_allowed": NEARLY,
        "process.run_queue_share": None,
    }
    return Symptom("cpu_quota", share if throttled else waits, headline, evidence(facts, limits), QUOTA_PARAMETERS)


def memory_limit(facts: Facts) -> Symptom | None:
    """A process was killed at the limit; or memory is full to nine tenths and work waits for it: stalls take 5 % of the
    time (pressure stall information), or file pages come back soon after they were dropped. A full container alone is
    normal, as page cache counts and can be dropped (kernel, memory.rst)."""
    killed = beyond(facts, "memory.oom_kills", 1)
    full = beyond(facts, "memory.used_of_limit", FULL)
    stalled = beyond(facts, "memory.reclaim_stall_share", STALLED)
    thrashing = beyond(facts, "memory.refaults_per_s", REFAULTS)
    if not (killed or (full and (stalled or thrashing))):
        return None
    if killed:
        score, headline = 1.0, "processes are killed because the memory limit is reached"
    else:
        stall = value(facts, "memory.reclaim_stall_share") or 0.0
        score = max(stall, 0.8 * excess(value(facts, "memory.refaults_per_s"), REFAULTS))
        headline = "memory is at its limit, and work waits for it"
    return Symptom(
        "memory_limit",
        score,
        headline,
        evidence(
            facts,
            {
                "memory.oom_kills": 1,
                "memory.reclaim_stall_share": STALLED,
                "memory.refaults_per_s": REFAULTS,
                "memory.used_of_limit": FULL,
                "memory.limit_hits_per_s": None,
                "memory.working_set_of_limit": None,
            },
        ),
        MEMORY_PARAMETERS,
    )


def io_storage(facts: Facts) -> Symptom | None:
    """Work waits for block devices: 10 % of the time by the container's pressure, or a quarter of the active sessions
    of PostgreSQL by its wait events. Without either, a device that is busy for 80 % of the time (iostat's manual calls
    near 100 % saturation of a serial device) while the target itself reads or writes at least 1 MB/s."""
    pressed = beyond(facts, "io.pressure_some", PRESSURE) or beyond(facts, "process.io_delay_share", PRESSURE)
    waits = beyond(facts, "pg.wait.io_share", IO_WAITS) or beyond(facts, "pg.wait.wal_share", IO_WAITS)
    moves = beyond(facts, "io.read_bytes_per_s", READS) or beyond(facts, "io.write_bytes_per_s", READS)
    if not (pressed or waits or (moves and beyond(facts, "disk.busy", DISK_BUSY))):
        return None
    shares = ("io.pressure_some", "process.io_delay_share", "pg.wait.io_share", "pg.wait.wal_share")
    lost = max(value(facts, name) or 0.0 for name in shares)
    return Symptom(
        "io_storage",
        min(1.0, lost or 0.5 * (value(facts, "disk.busy") or 0.0)),
        "work waits for storage",
        evidence(
            facts,
            {
                "io.pressure_some": PRESSURE,
                "io.pressure_full": None,
                "process.io_delay_share": PRESSURE,
                "pg.wait.io_share": IO_WAITS,
                "pg.wait.wal_share": IO_WAITS,
                "pg.blocks_read_share": None,
                "disk.busy": None,
                "disk.read_wait_ms": None,
                "disk.write_wait_ms": None,
                "disk.flush_wait_ms": None,
                "io.read_bytes_per_s": None,
                "io.write_bytes_per_s": None,
            },
        ),
        STORAGE_PARAMETERS,
    )


def system_limits(facts: Facts) -> Symptom | None:
    """A table of the system is nine tenths full, or accept queues overflow (listen(2): a connection is dropped, and its
    client tries again after a second)."""
    tables = ("process.fds_of_limit", "pids.used_of_limit", "conntrack.used_of_limit", "files.used_of_limit")
    limits: dict[str, float | None] = {**dict.fromkeys((*tables, "conns.used_of_limit"), NEARLY)}
    limits["listen.overflows_per_s"] = OVERFLOWS
    found = evidence(facts, limits)
    if not found:
        return None
    fullest = max((each.value for each in found if each.fact != "listen.overflows_per_s"), default=0.0)
    overflow = 0.5 * excess(value(facts, "listen.overflows_per_s"), OVERFLOWS)
    return Symptom("system_limits", min(1.0, max(fullest, overflow)), "a limit is reached", found, LIMIT_PARAMETERS)


def volume(facts: Facts) -> Symptom | None:
    """Of the space or the inodes of the target's volume 2 % are left to ordinary users: writes are about to fail, and
    file systems near their end look long for a free block. What is full is not made empty by a setting."""
    found = evidence(facts, {"volume.used": VOLUME, "volume.inodes_used": VOLUME})
    if not found:
        return None
    fullest = max(each.value for each in found)
    why = "the volume is full: make room on it first"
    return Symptom("volume", min(1.0, fullest), "the volume that the target works on is full", found, refusal=why)
