"""The driver of the bench against the worker's own step: the same run, event by event."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adapters.actuators.memory import MemoryArm
from adapters.memory_ledger import MemoryLedger
from bench.gate.drive import RELOAD_SECONDS, Driver
from bench.gate.service import Service, World
from domain.events import Event, Opened
from domain.evidence import Seen
from domain.journal import event_of, seal
from domain.ports import Image, Stamp
from domain.profile import STAGING
from domain.space import Settings
from optimizers.factory import strategy
from tests.journeys.world import SimClock
from workers.advance import Ports, advance


class ServiceArm(MemoryArm):
    """An arm of the simulated service: a write takes a second on the first arm of a step, as the driver has it."""

    def __init__(self, service: Service, clock: SimClock, label: str) -> None:
        super().__init__(service.space, dict(service.original))
        self._service, self._clock, self._label = service, clock, label

    def write(self, settings: Settings, stamp: Stamp, expected: str) -> Image:
        image = super().write(settings, stamp, expected)
        self._carry(settings)
        return image

    def restore(self, stamp: Stamp, expected: str | None) -> Image:
        image = super().restore(stamp, expected)
        self._carry(image.settings)
        return image

    def _carry(self, settings: Settings) -> None:
        if self._label == "a":
            self._clock.time += RELOAD_SECONDS
        self._service.carry({self._label: settings}, self._clock.time)


class ServiceTelemetry:
    def __init__(self, service: Service, clock: SimClock) -> None:
        self._service, self._clock = service, clock

    def read(self, query: str, *, arm: str, start: float, end: float, scrape: float) -> Seen:
        return self._service.read(arm, start, end)

    def now(self) -> float | None:
        return self._clock.time

    def series(self, query: str, *, start: float, end: float, step: float) -> tuple[tuple[float, Seen], ...]:
        return ()


def by_worker(world: World, seed: int, first: Opened) -> list[tuple[float, Event]]:
    """The events of the run as `workers/advance.py` carries it, on ledger and arms in memory."""
    service, clock = Service(world, seed), SimClock()
    clock.time = 0.0
    ledger = MemoryLedger(clock)
    arms = {label: ServiceArm(service, clock, label) for label in "ab"}
    ports = Ports(
        ledger=ledger,
        telemetry=ServiceTelemetry(service, clock),
        actuators=lambda target: arms,
        optimizer=strategy,
        clock=clock,
        targets={first.target.name: first.target},
        closed=lambda run, records: None,
    )
    assert ledger.open(first.run, first.target.name, (), seal([first], 0.0, ())[0], 0.0)
    for _ in range(5000):
        if ledger.open_run(first.target.name) is None:
            break
        clock.time = max(clock.time, ledger._runs[first.run].due)
        advance(first.run, ports)
    return [(record.time, event_of(record)) for record in ledger.read(first.run).records]


def told(events: Sequence[tuple[float, Event]]) -> list[tuple[float, str, object]]:
    """Time, kind and what the event says; generations are the worker's own business."""
    return [
        (
            round(time, 3),
            type(event).__name__,
            None if hasattr(event, "generation") else getattr(event, "windows", None),
        )
        for time, event in events
    ]


@pytest.mark.parametrize(
    ("world", "seed"), [(World(), 3), (World(null=True), 4), (World(excess=0.26, heals=300.0, null=True), 5)]
)
def test_the_driver_does_what_the_worker_does(world: World, seed: int) -> None:
    """A run that keeps, one that does not, and one that looks at the original."""
    from dataclasses import replace

    short = replace(STAGING, max_seconds=1500.0, name="short")
    made = Driver(Service(world, seed), strategy("random"), short, seed, signal="alert" if world.excess else "person")
    first = made.run.opened
    first = replace(first, target=replace(first.target, strategy="random"))
    made.run.opened = first
    made.go()
    worker = by_worker(world, seed, first)
    assert told(worker) == told(made.events)
