"""A worker in a process of its own that freezes (SIGSTOP) before its n-th port call: run by `test_frozen.py`.

python -m tests.journeys.frozen_worker RUN REDIS_URL DIRECTORY NOW N
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from adapters.actuators.nginx import NginxArm
from adapters.redis_ledger import RedisLedger
from domain.evidence import Reading, Seen
from domain.space import Parameter, SearchSpace
from domain.target import Arm
from tests.journeys.world import Scripted, SimClock, make_target
from workers.advance import Ports, advance

LEVEL = "nginx.gzip_comp_level"
SPACE = SearchSpace((Parameter(LEVEL, "integer", 1, low=1, high=9),))
TARGET = make_target(space=SPACE)


class Steady:
    """Telemetry that always sees the same."""

    def __init__(self, clock: SimClock) -> None:
        self.clock = clock

    def read(self, query: str, *, arm: str, start: float, end: float, scrape: float) -> Seen:
        return Reading(0.0) if query == "errors" else Reading(0.1 + 0.001 * (start % 7))

    def series(self, query: str, *, start: float, end: float, step: float) -> tuple[tuple[float, Seen], ...]:
        return ()

    def now(self) -> float | None:
        return self.clock.now()


class Freezing:
    """Counts calls over all ports; stops the whole process before call number `n`."""

    def __init__(self, n: int) -> None:
        self.left = n

    def wrap(self, port: Any) -> Any:
        freezing = self

        class Wrapped:
            def __getattr__(self, name: str) -> Any:
                attribute = getattr(port, name)
                if not callable(attribute):
                    return attribute

                def call(*args: Any, **kwargs: Any) -> Any:
                    freezing.left -= 1
                    if freezing.left == 0:
                        os.kill(os.getpid(), signal.SIGSTOP)
                    return attribute(*args, **kwargs)

                return call

        return Wrapped()


def arms(directory: Path) -> dict[str, NginxArm]:
    """The two real nginx below `directory`."""
    return {
        label: NginxArm(
            Arm(
                label,
                {
                    "config": str(directory / label / "tuned.conf"),
                    "pid": str(directory / label / "nginx.pid"),
                    "main": str(directory / label / "nginx.conf"),
                    "prefix": str(directory / label),
                },
            ),
            SPACE,
        )
        for label in ("a", "b")
    }


def ports(ledger: RedisLedger, directory: Path, clock: SimClock, freezing: Freezing | None = None) -> Ports:
    def wrap(port: Any) -> Any:
        return freezing.wrap(port) if freezing is not None else port

    made = {label: wrap(arm) for label, arm in arms(directory).items()}
    strategy = wrap(Scripted([{LEVEL: 1}, {LEVEL: 2}]))
    return Ports(
        ledger=wrap(ledger),
        telemetry=wrap(Steady(clock)),
        actuators=lambda target: made,
        optimizer=lambda name: strategy,
        clock=clock,
        targets={TARGET.name: TARGET},
        closed=lambda run, records: None,
    )


def main(run: str, url: str, directory: str, now: str, n: str) -> None:
    clock = SimClock()
    clock.time = float(now)
    advance(run, ports(RedisLedger(url), Path(directory), clock, Freezing(int(n))))


if __name__ == "__main__":
    main(*sys.argv[1:])
