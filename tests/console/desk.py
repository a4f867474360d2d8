"""A console with a ledger in memory: what a person would see, without a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from adapters.actuators.memory import MemoryArm
from adapters.memory_ledger import MemoryLedger
from console.__main__ import main
from console.wiring import Session
from domain.ports import Actuator, Ledger
from domain.target import Target
from tests import journal_factory as factory


class HandClock:
    """Moves only when somebody waits."""

    def __init__(self, at: float) -> None:
        self.at = at

    def now(self) -> float:
        return self.at


class Desk(Session):
    """A session whose parts are given. `meanwhile` happens each time that a command waits."""

    def __init__(self, reports: Path, ledger: Ledger | None = None, targets: Iterable[Target] = ()) -> None:
        self.hand = HandClock(factory.START + 86400)
        super().__init__(clock=self.hand, pause=self._wait)
        self.ledger = ledger or MemoryLedger(self.hand)
        self._targets = tuple(targets) or (factory.target(),)
        self._reports = reports
        self.arms = {label: MemoryArm(factory.target().space, factory.BEFORE) for label in ("a", "b")}
        self.meanwhile: Callable[[], None] = lambda: None
        self.reaped: dict[str, list[str]] = {}
        self.taken_back: tuple[str, ...] = ()

    def _wait(self, seconds: float) -> None:
        self.hand.at += seconds
        self.meanwhile()

    @property
    def targets(self) -> tuple[Target, ...]:
        return self._targets

    @property
    def reports(self) -> Path:
        return self._reports

    def actuators(self, target: Target) -> Mapping[str, Actuator]:
        return self.arms

    def reap(self, target: Target, *, force: bool = False) -> list[str]:
        return self.reaped.get(target.name, [])

    def stage(self, target: Target) -> None:
        return None

    def reverted(self, target: Target) -> tuple[str, ...]:
        return self.taken_back

    def store(self, journal: factory.Journalist, *, keep_open: bool = False) -> str:
        """Put a whole journal into the ledger; with `keep_open` without its last record."""
        records = journal.records[:-1] if keep_open else journal.records
        name = journal.info().target
        if not self.ledger.open(journal.run, name, (), records[0], 0.0):
            raise AssertionError("the target has an open run already")
        lease = self.ledger.lease(journal.run, self.hand.now(), 60)
        if lease is None:
            raise AssertionError("the lease is held")
        outcome = None if keep_open else journal.info().outcome or None
        self.ledger.append(lease, 1, records[1:], due=0.0, outcome=outcome)
        self.ledger.release(lease)
        return journal.run


class Screen:
    """Runs one command and keeps what it printed."""

    def __init__(self, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
        self.desk, self._capsys = desk, capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        with pytest.raises(SystemExit) as left:
            main(arguments, self.desk)
        self.out, self.err = self._capsys.readouterr()
        code = left.value.code
        return code if isinstance(code, int) else 0
