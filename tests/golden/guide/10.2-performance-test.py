# ruff: noqa
import time
import statistics
import concurrent.futures
import requests


class PerformanceTest:
    def __init__(self, url, concurrency=10, duration=60):
        self.url = url
        self.concurrency = concurrency
        self.duration = duration
        self.results = []

    def run_test(self):
        start_time = time.time()

        with concurrent.futures.ThreadPoolExecutor(max_workers=self.concurrency) as executor:
            while time.time() - start_time < self.duration:
                futures = [executor.submit(self.make_request) for _ in range(self.concurrency)]
                for future in futures:
                    try:
                        result = future.result(timeout=10)
                        self.results.append(result)
                    except Exception as e:
                        print(f"Request failed: {e}")

        return self.analyze_results()

    def make_request(self):
        start_time = time.time()
        response = requests.get(self.url)
        end_time = time.time()

        return {
            "status_code": response.status_code,
            "response_time": end_time - start_time,
            "content_length": len(response.content),
        }

    def analyze_results(self):
        response_times = [r["response_time"] for r in self.results]

        return {
            "total_requests": len(self.results),
            "successful_requests": len([r for r in self.results if r["status_code"] == 200]),
            "average_response_time": statistics.mean(response_times),
            "median_response_time": statistics.median(response_times),
            "p95_response_time": sorted(response_times)[int(len(response_times) * 0.95)],
            "p99_response_time": sorted(response_times)[int(len(response_times) * 0.99)],
            "requests_per_second": len(self.results) / self.duration,
        }
