"""Small loops of our own, for machines without stress-ng: python spin.py cpu|memory SECONDS SLICES

Prints one rate for each slice of SECONDS: rounds a second (cpu), bytes copied a second (memory).
"""

from __future__ import annotations

import sys
import time

ROUNDS = 2000
BLOCK = 32 << 20  # larger than the caches of most cores


def cpu_rate(seconds: float) -> float:
    """Rounds of integer arithmetic a second."""
    done, value = 0, 1
    begun = time.perf_counter()
    end = begun + seconds
    while time.perf_counter() < end:
        for _ in range(ROUNDS):
            value = (value * 1664525 + 1013904223) & 0xFFFFFFFF
        done += ROUNDS
    return done / (time.perf_counter() - begun)


def memory_rate(seconds: float, source: bytearray, target: bytearray) -> float:
    """Bytes copied a second."""
    done = 0
    begun = time.perf_counter()
    end = begun + seconds
    while time.perf_counter() < end:
        target[:] = source
        done += len(source)
    return done / (time.perf_counter() - begun)


def main(arguments: list[str]) -> None:
    what, seconds, slices = arguments[0], float(arguments[1]), int(arguments[2])
    if what == "memory":
        source, target = bytearray(b"\1" * BLOCK), bytearray(b"\2" * BLOCK)
        memory_rate(seconds / 4, source, target)  # pages are there afterwards
        rates = [memory_rate(seconds, source, target) for _ in range(slices)]
    else:
        rates = [cpu_rate(seconds) for _ in range(slices)]
    for rate in rates:
        print(f"{rate:.6g}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
