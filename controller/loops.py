"""Loops in threads: work while there is work, rest, survive what goes wrong, end when asked to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from controller.metrics import Metrics
from domain.errors import Transient

log = structlog.get_logger("controller")
TROUBLE_SECONDS = (0.5, 1.0, 2.0, 5.0)  # rest after the first, second, ... failure in a row
ALIVE_SECONDS = 30.0


class Loop:
    """Calls `one` again at once while it returns True, otherwise after `rest` seconds."""

    def __init__(self, name: str, one: Callable[[], bool], rest: float, metrics: Metrics) -> None:
        self.name = name
        self._one, self._rest, self._metrics = one, rest, metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._beat = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    @property
    def alive(self) -> bool:
        """It ran a moment ago; an outage that it survives does not count as death."""
        return self._thread.is_alive() and time.monotonic() - self._beat < ALIVE_SECONDS + self._rest

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            self._beat = time.monotonic()
            try:
                while self._one() and not self._stop.is_set():
                    pass
            except Exception as error:  # a loop must outlive any single failure; each is told and counted
                self._metrics.troubles.labels(self.name).inc()
                if failures == 0 or not isinstance(error, Transient):
                    log.warning("trouble", loop=self.name, error=type(error).__name__, why=str(error)[:500])
                self._stop.wait(TROUBLE_SECONDS[min(failures, len(TROUBLE_SECONDS) - 1)])
                failures += 1
                continue
            if failures:
                log.info("well again", loop=self.name, failures=failures)
            failures = 0
            self._stop.wait(self._rest)
