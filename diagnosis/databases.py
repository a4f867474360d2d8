"""Rules about PostgreSQL."""

from __future__ import annotations

from diagnosis.facts import Facts
from diagnosis.symptom import Symptom, beyond, evidence, excess, value

TEMP_BYTES = 1e6
TEMP_WAITS = 0.25
CHECKPOINTS = 2.0
LOCK_WAITS = 0.30
AT_WORK = 1.0
COMPUTING = 0.60
CPU = 0.70

# Beside the memory of an operation: what takes from the same memory (workers, compiled code), or makes the planner
# choose a plan that sorts and hashes less. On a shop's database random_page_cost 4 -> 1.1 took half of p95 away, where
# work_mem had no room to grow.
MEMORY_PARAMETERS = (
    "pg.work_mem",
    "pg.hash_mem_multiplier",
    "pg.maintenance_work_mem",
    "pg.temp_buffers",
    "pg.max_parallel_workers_per_gather",
    "pg.jit",
    "pg.random_page_cost",
    "pg.effective_cache_size",
)
CHECKPOINT_PARAMETERS = (
    "pg.max_wal_size",
    "pg.min_wal_size",
    "pg.checkpoint_timeout",
    "pg.checkpoint_completion_target",
    "pg.checkpoint_flush_after",
    "pg.wal_compression",
    "pg.wal_buffers",
    "pg.shared_buffers",
    "pg.bgwriter_lru_maxpages",
    "pg.bgwriter_delay",
)
PLAN_PARAMETERS = (
    "pg.random_page_cost",
    "pg.effective_cache_size",
    "pg.default_statistics_target",
    "pg.jit",
    "pg.jit_above_cost",
    "pg.max_parallel_workers_per_gather",
    "pg.max_parallel_workers",
    "pg.work_mem",
    "pg.plan_cache_mode",
)


def pg_memory(facts: Facts) -> Symptom | None:
    """Sorts and hashes spill: at least 1 MB/s goes to temporary files, or a quarter of the active sessions waits for
    them. PostgreSQL writes one whenever an operation needs more than work_mem (its documentation, resource
    consumption)."""
    if not (beyond(facts, "pg.temp_bytes_per_s", TEMP_BYTES) or beyond(facts, "pg.wait.temp_share", TEMP_WAITS)):
        return None
    spilled = 0.9 * excess(value(facts, "pg.temp_bytes_per_s"), TEMP_BYTES)
    return Symptom(
        "pg_memory",
        max(value(facts, "pg.wait.temp_share") or 0.0, spilled),
        "sorts and hashes do not fit into work_mem and spill to temporary files",
        evidence(
            facts,
            {
                "pg.temp_bytes_per_s": TEMP_BYTES,
                "pg.temp_files_per_s": None,
                "pg.wait.temp_share": TEMP_WAITS,
                "pg.active_sessions": None,
            },
        ),
        MEMORY_PARAMETERS,
    )


def pg_checkpoint(facts: Facts) -> Symptom | None:
    """Checkpoints forced by the amount of WAL come at least twice a minute: closer than 30 s is what PostgreSQL itself
    warns about (checkpoint_warning). One alone is no rhythm: somebody may have asked for it."""
    if not beyond(facts, "pg.checkpoints_requested", 2):
        return None
    if not beyond(facts, "pg.checkpoints_requested_per_min", CHECKPOINTS):
        return None
    rate = value(facts, "pg.checkpoints_requested_per_min")
    return Symptom(
        "pg_checkpoint",
        excess(rate, CHECKPOINTS),
        f"max_wal_size forces {rate:.0f} checkpoints a minute",
        evidence(
            facts,
            {
                "pg.checkpoints_requested_per_min": CHECKPOINTS,
                "pg.wal_bytes_per_s": None,
                "pg.full_page_share": None,
                "pg.backend_writes_share": None,
                "pg.wait.wal_share": None,
                "disk.flush_wait_ms": None,
            },
        ),
        CHECKPOINT_PARAMETERS,
    )


def pg_locks(facts: Facts) -> Symptom | None:
    """Three in ten active sessions wait for heavyweight locks (wait event type Lock): the sessions' own transactions
    queue for each other. No setting shortens that queue; the transactions do."""
    if not (beyond(facts, "pg.wait.lock_share", LOCK_WAITS) and beyond(facts, "pg.active_sessions", AT_WORK)):
        return None
    share = value(facts, "pg.wait.lock_share") or 0.0
    return Symptom(
        "pg_locks",
        share,
        f"{100 * share:.0f} % of the active sessions wait for locks that other sessions hold",
        evidence(
            facts,
            {"pg.wait.lock_share": LOCK_WAITS, "pg.active_sessions": AT_WORK, "pg.deadlocks_per_min": None},
        ),
        ("pg.deadlock_timeout", "pg.lock_timeout", "pg.idle_in_transaction_session_timeout", "py.asyncpg_max_size"),
        refusal="the application itself is the bottleneck: its transactions wait for each other's locks;"
        " shorten them, or let fewer sessions write to the same rows",
    )


def pg_cpu(facts: Facts) -> Symptom | None:
    """Sessions wait for nothing and the server uses 70 % of its CPUs: plans decide how much is computed."""
    if not (beyond(facts, "pg.wait.cpu_share", COMPUTING) and beyond(facts, "process.cpu_of_allowed", CPU)):
        return None
    return Symptom(
        "pg_cpu",
        0.6 * (value(facts, "process.cpu_of_allowed") or 0.0),
        "PostgreSQL computes; nothing else holds its sessions up",
        evidence(facts, {"process.cpu_of_allowed": CPU, "pg.wait.cpu_share": COMPUTING, "pg.active_sessions": None}),
        PLAN_PARAMETERS,
    )
