"""Notices that a service got slower than its own baseline, and asks a tuner; metrics exist once for the process."""

import statistics

from prometheus_client import Counter, Gauge, Histogram, start_http_server

REQUESTS = Counter("http_requests_total", "HTTP requests", ["code"])
DURATION = Histogram("http_request_duration_seconds", "Duration of HTTP requests", buckets=[0.01, 0.05, 0.1, 0.5, 1, 5])
ACTIVE = Gauge("active_connections", "Requests in progress")


class ContinuousOptimization:
    """`tuner(change)` proposes, applies, measures and rolls back; it is called when the median of `window` durations
    exceeds the baseline by more than three times the spread of the baseline."""

    def __init__(self, tuner, window=200):
        self.tuner = tuner
        self.window = window
        self.baseline = []
        self.recent = []

    def record(self, seconds, code):
        REQUESTS.labels(code=str(code)).inc()
        DURATION.observe(seconds)
        kept = self.baseline if len(self.baseline) < self.window else self.recent
        kept.append(seconds)
        if len(self.recent) == self.window:
            self.compare()
            self.recent.clear()

    def compare(self):
        usual = statistics.median(self.baseline)
        spread = statistics.median(abs(each - usual) for each in self.baseline)
        change = statistics.median(self.recent) - usual
        if change > 3 * spread:
            self.tuner(change)

    def serve(self, handle):
        """Wrap a handler that returns (code, seconds), so that requests in progress are counted."""
        with ACTIVE.track_inprogress():
            code, seconds = handle()
        self.record(seconds, code)


if __name__ == "__main__":
    start_http_server(9100)
