"""Rules about managed runtimes, and about the application itself."""

from __future__ import annotations

from diagnosis.facts import Facts
from diagnosis.symptom import Symptom, beyond, evidence, excess, value

GC_SHARE = 0.10
HEAP_FULL = 0.70
FULL_GCS = 2.0
BUSY_THREAD = 0.90
BUSY_CPUS = 0.85
LAG_MS = 50.0
SLOWER = 2.0

GC_PARAMETERS = (
    "jvm.MaxHeapSize",
    "jvm.InitialHeapSize",
    "jvm.MaxRAMPercentage",
    "jvm.gc",
    "jvm.MaxNewSize",
    "jvm.NewRatio",
    "jvm.SurvivorRatio",
    "jvm.MaxGCPauseMillis",
    "jvm.ParallelGCThreads",
    "jvm.ConcGCThreads",
    "jvm.InitiatingHeapOccupancyPercent",
    "go.GOGC",
    "go.GOMEMLIMIT",
    "node.max_old_space_size",
    "node.max_semi_space_size",
    "docker.memory",
    "k8s.memory_limit",
)


def gc(facts: Facts) -> Symptom | None:
    """A tenth of the time goes to garbage collection: above what HotSpot itself aims at (GCTimeRatio 12 of G1 is 1 in
    13, 99 of the parallel collector 1 in 100; JDK tuning guide). Or full collections come twice a minute and leave the
    old generation 70 % full: a heap of three times the live data would be a third full (Hunt and John, Java
    Performance)."""
    busy = beyond(facts, "gc.share_of_time", GC_SHARE)
    full = beyond(facts, "gc.full_per_min", FULL_GCS) and beyond(facts, "gc.heap_after_full_of_limit", HEAP_FULL)
    if not (busy or full):
        return None
    share = value(facts, "gc.share_of_time") or 0.0
    left = value(facts, "gc.heap_after_full_of_limit")
    if full:
        headline = f"the heap is too small: full collections leave {100 * (left or 0.0):.0f} % of it in use"
    else:
        headline = f"garbage collection takes {100 * share:.0f} % of the time"
    limits: dict[str, float | None] = {
        "gc.share_of_time": GC_SHARE,
        "gc.full_per_min": FULL_GCS,
        "gc.heap_after_full_of_limit": HEAP_FULL,
        "gc.heap_of_limit": None,
    }
    score = max(share, 0.5 * excess(value(facts, "gc.full_per_min"), FULL_GCS) if full else 0.0)
    return Symptom("gc", min(1.0, score), headline, evidence(facts, limits), GC_PARAMETERS)


def application(facts: Facts) -> Symptom | None:
    """Nothing that a setting governs is short, and the program computes: one of its threads has a CPU to itself, or all
    of them have nearly all CPUs they may use, or its event loop is late. Or it takes twice its usual time and neither
    computes nor waits for anything that is seen: a lock or a queue of its own. A database or a proxy is no such
    application: its settings decide how much it computes, so it has rules of its own."""
    if any(name.startswith(("pg.", "nginx.")) for name in facts):
        return None
    limits: dict[str, float | None] = {
        "process.busiest_thread": BUSY_THREAD,
        "process.cpu_of_allowed": BUSY_CPUS,
        "runtime.event_loop_lag_ms": LAG_MS,
    }
    computes = evidence(facts, limits)
    found = computes or evidence(facts, {"target.slower_than_usual": SLOWER, "target.response_ms": None})
    if not (computes or beyond(facts, "target.slower_than_usual", SLOWER)):
        return None
    if computes:
        score = max(value(facts, name) or 0.0 for name in ("process.busiest_thread", "process.cpu_of_allowed"))
        headline = "the application computes without a pause"
    else:
        score = excess(value(facts, "target.slower_than_usual"), 1.0)
        headline = "the application answers late, and nothing that is seen holds it up"
    why = "the application itself is the bottleneck: profile its code before its settings"
    return Symptom("application", min(1.0, score), headline, found, refusal=why)
