"""What disturbs a live gate on purpose: traffic that jumps, and a neighbour that burns CPU.

    python -m bench.gate.live_noise --listen 127.0.0.1:8091

A gate that is only right on a quiet machine is not worth much. Both are seeded, bounded in time, and hit the arms
alike: they are noise, never part of the effect.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

LEAST_FACTOR, MOST_FACTOR = 1.5, 2.0  # times the arrival rate in a burst of load
LEAST_BURST, MOST_BURST = 3.0, 6.0  # seconds
LEAST_GAP, MOST_GAP = 5.0, 15.0  # seconds between bursts of load
LEAST_SPIN, MOST_SPIN = 0.1, 0.5  # seconds the neighbour burns at a time
REST = 3.0  # it rests at least this many times as long as it burnt: at most a quarter of a core
MOST_SECONDS = 300.0  # no neighbour burns for longer, whatever it was told


@dataclass(frozen=True)
class LoadBursts:
    """When the arrival rate is which multiple of the base; (start, end, factor) in seconds since the gate opened."""

    bursts: tuple[tuple[float, float, float], ...]

    @classmethod
    def drawn(cls, seed: int, seconds: float) -> LoadBursts:
        """Bursts over `seconds`; the same seed gives the same bursts."""
        rng, at, bursts = random.Random(f"load/{seed}"), 0.0, list[tuple[float, float, float]]()
        while True:
            start = at + rng.uniform(LEAST_GAP, MOST_GAP)
            at = start + rng.uniform(LEAST_BURST, MOST_BURST)
            if at > seconds:
                return cls(tuple(bursts))
            bursts.append((start, at, rng.uniform(LEAST_FACTOR, MOST_FACTOR)))

    def factor(self, seconds: float) -> float:
        return next((factor for start, end, factor in self.bursts if start <= seconds < end), 1.0)


class Neighbour:
    """A neighbour at work. It rests as soon as this is closed, or its owner is gone."""

    def __init__(self, port: int, seed: int, seconds: float) -> None:
        self._line = socket.create_connection(("127.0.0.1", port), timeout=5.0)
        self._line.sendall(f"{seed} {seconds:.1f}\n".encode())

    def close(self) -> None:
        self._line.close()


def burn(seed: int, seconds: float, rest: Callable[[float], bool], clock: Callable[[], float]) -> float:
    """Spin in bursts until `seconds` are over or `rest(pause)` says that it is enough; returns the seconds burnt."""
    rng, until, burnt = random.Random(f"neighbour/{seed}"), clock() + min(seconds, MOST_SECONDS), 0.0
    while clock() < until:
        spin = rng.uniform(LEAST_SPIN, MOST_SPIN)
        start = clock()
        while clock() - start < spin:
            pass
        burnt += spin
        if rest(spin * (REST + rng.expovariate(1.0))):
            break
    return burnt


def _orders(line: socket.socket) -> tuple[int, float] | None:
    """Seed and seconds from the first line; None if there is none (somebody looked whether we are up)."""
    line.settimeout(1.0)
    try:
        seed, seconds = line.recv(64).split()
        return int(seed), float(seconds)
    except (OSError, ValueError):
        return None


def _called(line: socket.socket, seconds: float) -> bool:
    """Whether the owner says something within so many seconds, or is gone."""
    return bool(select.select([line], [], [], seconds)[0])


def serve(port: int) -> None:
    """Burn for one owner after the other, for ever."""
    with socket.create_server(("127.0.0.1", port)) as door:
        while True:
            line, _ = door.accept()
            with line:
                orders = _orders(line)
                if orders is not None:
                    burn(*orders, partial(_called, line), time.monotonic)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gate.live_noise", description=__doc__)
    parser.add_argument("--listen", required=True, metavar="127.0.0.1:PORT")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    if host != "127.0.0.1":
        parser.error("--listen: 127.0.0.1 only")
    with contextlib.suppress(KeyboardInterrupt):
        serve(int(port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
