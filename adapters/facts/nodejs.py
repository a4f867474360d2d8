"""Facts about a Node.js program from its own /metrics (prom-client's default metrics)."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.facts.collector import Raw, delta, ratio, readings, share
from adapters.facts.metrics_text import fetch, kept, parse, total
from domain.evidence import Seen

BLIND = ("gc.share_of_time", "runtime.event_loop_lag_ms")
METRICS = {
    "gc_s": "nodejs_gc_duration_seconds_sum",
    "lag_s": "nodejs_eventloop_lag_p99_seconds",
}


class NodeJsCollector:
    """See `Collector`. `place`: `metrics`, the address of the program's metrics."""

    def __init__(self, place: Mapping[str, str], arm: str = "") -> None:
        self.name = f"{arm}/nodejs"
        self._url = place["metrics"]

    def sample(self) -> Raw:
        samples = parse(fetch(self._url, "metrics"))
        raw = kept(samples, METRICS)
        full = total(samples, "nodejs_gc_duration_seconds_count", kind="major")
        return raw if full is None else {**raw, "full": full}

    @staticmethod
    def facts(first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        return facts(first, second, seconds)

    @staticmethod
    def blind() -> tuple[str, ...]:
        return BLIND


def facts(first: Raw, second: Raw, seconds: float) -> dict[str, Seen]:
    """Time in collections, full ones apart, and how late the event loop was at the second sample."""
    lag = second.get("lag_s")
    return readings(
        {
            "gc.share_of_time": share(ratio(delta(first, second, "gc_s"), seconds)),
            "gc.full_per_min": ratio(delta(first, second, "full"), seconds / 60),
            "runtime.event_loop_lag_ms": None if lag is None else 1000 * lag,
        }
    )
