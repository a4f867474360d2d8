# ruff: noqa
import time
import statistics
import concurrent.futures


def benchmark_function(func, iterations=1000, concurrency=10):
    def run_iteration():
        start_time = time.time()
        func()
        return time.time() - start_time

    with concurrent.futures.ThreadPoolExecutor(max_workers=concurrency) as executor:
        futures = [executor.submit(run_iteration) for _ in range(iterations)]
        results = [future.result() for future in futures]

    return {
        "mean": statistics.mean(results),
        "median": statistics.median(results),
        "std": statistics.stdev(results),
        "min": min(results),
        "max": max(results),
    }
