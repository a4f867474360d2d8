"""Facts about a Go program from its own /metrics (client_golang)."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.facts.collector import Raw, delta, ratio, readings, share
from adapters.facts.metrics_text import fetch, kept, parse
from domain.evidence import Seen

BLIND = ("gc.share_of_time",)
NO_LIMIT = float(1 << 62)  # bytes: GOMEMLIMIT is not set
# The CPU classes of runtime/metrics come with collectors.WithGoCollectorRuntimeMetrics; pauses are always there.
METRICS = {
    "gc_cpu_s": "go_cpu_classes_gc_total_cpu_seconds_total",
    "idle_s": "go_cpu_classes_idle_cpu_seconds_total",
    "cpu_s": "go_cpu_classes_total_cpu_seconds_total",
    "pause_s": "go_gc_duration_seconds_sum",
    "collections": "go_gc_duration_seconds_count",
    "heap": "go_memstats_heap_alloc_bytes",
    "limit": "go_gc_gomemlimit_bytes",
}


class GoCollector:
    """See `Collector`. `place`: `metrics`, the address of the program's metrics."""

    def __init__(self, place: Mapping[str, str], arm: str = "") -> None:
        self.name = f"{arm}/golang"
        self._url = place["metrics"]

    def sample(self) -> Raw:
        return kept(parse(fetch(self._url, "metrics")), METRICS)

    @staticmethod
    def facts(first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        return facts(first, second, seconds)

    @staticmethod
    def blind() -> tuple[str, ...]:
        return BLIND


def facts(first: Raw, second: Raw, seconds: float) -> dict[str, Seen]:
    """The share of collection is that of the CPU time the program used, where the runtime tells it; else of the time in
    which it was stopped, which is far less than what collection costs."""
    used, idle = delta(first, second, "cpu_s"), delta(first, second, "idle_s")
    if used is not None and idle is not None:
        gc = ratio(delta(first, second, "gc_cpu_s"), used - idle)
    else:
        gc = ratio(delta(first, second, "pause_s"), seconds)
    limit = second.get("limit")
    return readings(
        {
            "gc.share_of_time": share(gc),
            "gc.heap_of_limit": ratio(second.get("heap"), limit if limit is not None and limit < NO_LIMIT else None),
        }
    )
