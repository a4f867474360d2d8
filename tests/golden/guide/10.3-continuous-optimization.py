# ruff: noqa
import time
import json
import logging
from prometheus_client import Counter, Histogram, Gauge


class ContinuousOptimization:
    def __init__(self):
        self.request_count = Counter("http_requests_total", "Total HTTP requests")
        self.request_duration = Histogram("http_request_duration_seconds", "HTTP request duration")
        self.error_count = Counter("http_errors_total", "Total HTTP errors")
        self.active_connections = Gauge("active_connections", "Active connections")

        self.optimization_history = []
        self.performance_baseline = None

    def record_metrics(self, response_time, status_code):
        self.request_count.inc()
        self.request_duration.observe(response_time)

        if status_code >= 400:
            self.error_count.inc()

    def analyze_performance(self):
        current_metrics = self.get_current_metrics()

        if self.performance_baseline:
            performance_change = self.compare_with_baseline(current_metrics)

            if performance_change < -0.1:
                self.trigger_optimization()

    def trigger_optimization(self):
        optimization = self.suggest_optimization()
        if optimization:
            self.apply_optimization(optimization)
            self.record_optimization(optimization)

    def suggest_optimization(self):
        pass

    def apply_optimization(self, optimization):
        pass

    def record_optimization(self, optimization):
        self.optimization_history.append(
            {
                "timestamp": time.time(),
                "optimization": optimization,
                "performance_impact": self.measure_performance_impact(),
            }
        )
