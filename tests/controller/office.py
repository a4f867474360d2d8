"""A controller on the ledger in memory, and ledgers that fail on command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi.testclient import TestClient

from adapters.memory_ledger import MemoryLedger
from controller.api import Health, make_app
from controller.intake import Intake
from controller.metrics import Metrics
from domain.errors import Transient
from domain.events import Closed
from domain.journal import event_of, seal
from domain.ports import Ledger
from domain.signal import Signal
from domain.target import Target
from tests.journal_factory import START, target

TOKEN = "a-token-of-more-than-sixteen-characters"
HOUR = 3600.0


class Crash(BaseException):
    """The process is gone; no handler of ours may survive it."""


class HandClock:
    def __init__(self, time: float = START) -> None:
        self.time = time

    def now(self) -> float:
        return self.time


class Failing:
    """A ledger whose calls are counted, and whose call number `at` raises `error`, before or after it was done."""

    def __init__(self, ledger: Ledger, error: Callable[[], BaseException] = Crash) -> None:
        self._ledger, self._error = ledger, error
        self.calls: list[str] = []
        self.at: int | None = None
        self.after = False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._ledger, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            number = len(self.calls)
            self.calls.append(name)
            if number == self.at and not self.after:
                raise self._error()
            result = method(*args, **kwargs)
            if number == self.at:
                raise self._error()
            return result

        return call


class DeadLedger:
    """A ledger that cannot be reached."""

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            raise Transient("Redis at redis://localhost:1/0: connection refused")

        return call


@dataclass
class Office:
    """Everything that outlives a controller, and a controller made from it."""

    targets: Mapping[str, Target] = field(default_factory=lambda: {"shop-front": target()})
    most_open: int = 1

    def __post_init__(self) -> None:
        self.clock = HandClock()
        self.ledger = MemoryLedger(self.clock)
        self.metrics = Metrics()

    def intake(self, ledger: Any = None, **changes: Any) -> Intake:
        return Intake(
            ledger or self.ledger, self.targets, self.clock, self.metrics, most_open=self.most_open, **changes
        )

    def client(self, ledger: Any = None, health: Health | None = None) -> TestClient:
        app = make_app(ledger or self.ledger, self.targets, (TOKEN,), self.metrics, health, self.clock.now)
        return TestClient(app, headers={"Authorization": f"Bearer {TOKEN}"})

    def work(self) -> None:
        """Take up everything that is queued."""
        intake = self.intake()
        while intake.one():
            pass

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def signal_of_run(self, run: str) -> str:
        """The id of the signal that opened a run."""
        return str(self.ledger.read(run).records[0].data["signal"]["id"])

    def close(self, run: str) -> None:
        """As a worker would."""
        lease = self.ledger.lease(run, self.clock.now(), 30)
        assert lease is not None
        journal = self.ledger.read(run)
        end = seal([Closed("kept", "done")], self.clock.now(), journal.records)
        count = len(journal.records)
        self.ledger.append(lease, count, end, heard=len(journal.inbox), due=self.clock.now(), outcome="kept")

    def kinds(self, run: str) -> list[str]:
        return [type(event_of(record)).__name__ for record in self.ledger.read(run).records]


def alert(id: str = "fp/1#2", **changes: Any) -> Signal:
    labels = {"alertname": "HighLatency", "service": "shop-front", "severity": "page"}
    return replace(Signal(id, "alert", "firing", START, "p95 is high", labels=labels), **changes)


def person(id: str = "person/1") -> Signal:
    return Signal(id, "person", "firing", START, "somebody asks", target="shop-front")
