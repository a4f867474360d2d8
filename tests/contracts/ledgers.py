"""Both ledgers for their contract suites, and short hands for what every test does."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from adapters.memory_ledger import MemoryLedger
from adapters.redis_ledger import RedisLedger
from domain.events import Closed, Heard, Opened
from domain.journal import seal
from domain.ports import Lease, Ledger, Record
from domain.signal import Signal
from tests.journal_factory import target as factory_target
from tests.redis_server import RedisServer

T = 1_795_529_700.25  # the caller's clock
LONG = 30.0  # seconds of a lease that no test outlives


@dataclass
class Store:
    ledger: Ledger
    pass_time: Callable[[float], None]


class HandClock:
    def __init__(self) -> None:
        self.time = 1_000.0

    def now(self) -> float:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += seconds


def both(kind: str, server: Callable[[], RedisServer]) -> Store:
    """The ledger named `kind`, empty; the one on Redis under a prefix of its own."""
    if kind == "memory":
        clock = HandClock()
        return Store(MemoryLedger(clock), clock.move)
    return Store(RedisLedger(server().url, f"{uuid.uuid4().hex}:"), time.sleep)


def signal(id: str = "fp-1", **changes: object) -> Signal:
    fields = {"kind": "alert", "status": "firing", "at": T, "summary": "p95 is high", "labels": {"service": "shop"}}
    return Signal(id, **{**fields, **changes})  # type: ignore[arg-type]


def opened(run: str = "r1", at: float = T) -> Record:
    return seal([Opened(run, signal(), factory_target(), 7)], at, ())[0]


def start(ledger: Ledger, run: str = "r1", target: str = "shop", locks: tuple[str, ...] = (), at: float = T) -> Record:
    first = opened(run, at)
    assert ledger.open(run, target, locks, first, at)
    return first


def take(ledger: Ledger, run: str = "r1", now: float = T) -> Lease:
    lease = ledger.lease(run, now, LONG)
    assert lease is not None
    return lease


def more(ledger: Ledger, *texts: str, run: str = "r1", at: float = T + 1) -> tuple[Record, ...]:
    return seal([Heard("signal", text) for text in texts], at, ledger.read(run).records)


def close(ledger: Ledger, run: str = "r1", outcome: str = "kept", at: float = T + 9, now: float = T) -> None:
    lease = take(ledger, run, now)
    records = ledger.read(run).records
    end = seal([Closed("kept", "done")], at, records)
    ledger.append(lease, len(records), end, due=at, outcome=outcome)
