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
    """Calls `one` again at once while it returns True, otherwise after `rest` seconds. `patience` is how long one call
    may take before the loop counts as hung. `troubles` are the rests after failures. `last` is called when the loop
    ends."""

    def __init__(
        self,
        name: str,
        one: Callable[[], bool],
        rest: float,
        metrics: Metrics,
        *,
        patience: float = ALIVE_SECONDS,
        troubles: tuple[float, ...] = TROUBLE_SECONDS,
        last: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._one, self._rest, self._metrics, self._last = one, rest, metrics, last
        self._patience, self._troubles = patience, troubles
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._beat = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the current call."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait for the end after `stop`."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        """It ran a moment ago; an outage that it survives does not count as death."""
        return self._thread.is_alive() and time.monotonic() - self._beat < self._patience + self._rest

    def _run(self) -> None:
        self._work()
        if self._last is not None:
            try:
                self._last()
            except Exception as error:  # the process ends all the same
                log.warning("trouble at the end", loop=self.name, error=type(error).__name__, why=str(error)[:500])

    def _work(self) -> None:
        failures, told = 0, ""
        while not self._stop.is_set():
            self._beat = time.monotonic()
            try:
                more = self._one()
            except Exception as error:  # a loop must outlive any single failure; each is counted, each new one told
                self._metrics.troubles.labels(self.name).inc()
                kind = "outage" if isinstance(error, Transient) else f"{type(error).__name__}: {error}"
                if kind != told:
                    log.warning("trouble", loop=self.name, error=type(error).__name__, why=str(error)[:500])
                    told = kind
                self._stop.wait(self._troubles[min(failures, len(self._troubles) - 1)])
                failures += 1
                continue
            if failures:
                log.info("well again", loop=self.name, failures=failures)
                failures, told = 0, ""
            if not more:
                self._stop.wait(self._rest)
