"""Loopback ports for candidates that start at the same time."""

from __future__ import annotations

import itertools
import multiprocessing
import socket

FIRST, PER_LANE, LANES = 20_000, 400, 30  # below what Linux gives to clients (from 32768)
_count = itertools.count()


def own_port() -> int:
    """A free port that no other lane takes: a port that is free now, out of all, may be another's a moment later."""
    lane = int("0" + multiprocessing.current_process().name.partition("-")[2]) % LANES  # `SpawnProcess-3`
    for _ in range(PER_LANE):
        port = FIRST + lane * PER_LANE + next(_count) % PER_LANE
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no port from {FIRST + lane * PER_LANE} on is free for lane {lane}")
