"""How long a function takes, one call after the other, after a warm-up."""

import math
import time


def benchmark_function(func, iterations=1000, warm_up=50):
    """Seconds: median, 95th percentile (nearest rank) and the extremes; calls per second of the whole."""
    if iterations < 100:
        raise ValueError(f"iterations {iterations}: at least 100 are needed for a 95th percentile")
    for _ in range(warm_up):
        func()
    times = []
    began = time.perf_counter()
    for _ in range(iterations):
        start = time.perf_counter()
        func()
        times.append(time.perf_counter() - start)
    elapsed = time.perf_counter() - began
    times.sort()
    return {
        "median": times[math.ceil(iterations * 0.5) - 1],
        "p95": times[math.ceil(iterations * 0.95) - 1],
        "min": times[0],
        "max": times[-1],
        "rate": iterations / elapsed,
    }
