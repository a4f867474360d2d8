"""The watcher: a regression becomes the same kind of signal as an alert; missing data never does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from controller.watcher import Watcher
from detectors.threshold import Threshold, ThresholdSettings
from domain.evidence import Missing, Reading, Seen
from tests.controller.stage import Door


class Scripted:
    """Telemetry whose value is a function of time."""

    def __init__(self, value: Callable[[float], float | None]) -> None:
        self.value = value

    def _seen(self, at: float) -> Seen:
        value = self.value(at)
        return Missing("blank") if value is None else Reading(value)

    def read(self, query: str, *, arm: str, start: float, end: float, scrape: float) -> Seen:
        return self._seen(end)

    def series(self, query: str, *, start: float, end: float, step: float) -> tuple[tuple[float, Seen], ...]:
        times = [start + i * step for i in range(int((end - start) / step) + 1)]
        return tuple((time, self._seen(time)) for time in times)

    def now(self) -> float | None:
        return 0.0


def watch(door: Door, value: Callable[[float], float | None], seconds: int) -> None:
    settings = ThresholdSettings(baseline=60.0, hold=5.0, min_effect=0.3)
    watcher = Watcher(
        door.targets,
        Scripted(value),
        Threshold(settings),
        door.ledger,
        door.clock,
        door.metrics,
        interval=1.0,
        baseline=60.0,
    )
    for _ in range(seconds):
        watcher.one()
        door.clock.time += 1.0


def test_a_regression_opens_a_run_once() -> None:
    """Twice as slow for longer than the hold time: one signal, kind regression; the past was read at the start."""
    door = Door()
    start = door.clock.now()
    watch(door, lambda at: 0.2 if at > start + 5 else 0.1, 30)
    signal = door.ledger.submitted()
    assert signal is not None
    assert (signal.kind, signal.status, signal.target) == ("regression", "firing", "shop-front")
    door.drain()
    assert len(door.ledger.runs()) == 1


def test_recovery_is_told_as_resolved() -> None:
    """What went away is heard by the run that it opened."""
    door = Door()
    start = door.clock.now()
    watch(door, lambda at: 0.2 if start + 5 < at < start + 20 else 0.1, 40)
    door.drain()
    (message,) = door.ledger.read(door.ledger.runs()[0].run).inbox
    assert message["kind"] == "resolved"


def test_missing_data_never_raises_a_signal() -> None:
    """Nothing to read is no regression, however long."""
    door = Door()
    start = door.clock.now()
    watch(door, lambda at: None if at > start else 0.1, 60)
    assert door.ledger.submitted() is None


def test_the_controller_never_loads_the_optimizers_mathematics() -> None:
    """Controller and watcher start without scipy, scikit-learn or scikit-optimize."""
    code = (
        "import sys, controller.wiring, controller.__main__; "
        "bad = {'skopt', 'sklearn', 'scipy'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
