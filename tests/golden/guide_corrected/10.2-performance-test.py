"""An open-loop load test: requests leave on schedule, whatever the answers do, and failures count."""

import concurrent.futures
import math
import time

import requests


class PerformanceTest:
    def __init__(self, url, rate=50.0, duration=60.0, workers=200, timeout=5.0):
        self.url = url
        self.rate = rate
        self.duration = duration
        self.workers = workers
        self.timeout = timeout
        self.session = requests.Session()

    def run_test(self):
        """Latency counts from the scheduled time, so a stall of the service is not overlooked."""
        began = time.monotonic()
        due = [began + n / self.rate for n in range(math.ceil(self.rate * self.duration))]
        with concurrent.futures.ThreadPoolExecutor(max_workers=self.workers) as executor:
            futures = []
            for at in due:
                time.sleep(max(0.0, at - time.monotonic()))
                futures.append(executor.submit(self.make_request, at))
        outcomes = [future.result() for future in futures]
        return self.analyze(outcomes, time.monotonic() - began)

    def make_request(self, due):
        """Whether it succeeded, and seconds since it was due."""
        try:
            response = self.session.get(self.url, timeout=self.timeout)
            good = response.status_code < 400
        except requests.RequestException:
            good = False
        return good, time.monotonic() - due

    @staticmethod
    def analyze(outcomes, elapsed):
        """Failures stay in the latencies; a 99th percentile needs a thousand requests."""
        times = sorted(seconds for _, seconds in outcomes)
        if not times:
            return {"requests": 0}
        good = sum(ok for ok, _ in outcomes)
        return {
            "requests": len(times),
            "error_rate": 1 - good / len(times),
            "p50": percentile(times, 0.50),
            "p95": percentile(times, 0.95),
            "p99": percentile(times, 0.99) if len(times) >= 1000 else None,
            "goodput": good / elapsed,
        }


def percentile(ordered, share):
    """Nearest rank."""
    return ordered[math.ceil(len(ordered) * share) - 1]
