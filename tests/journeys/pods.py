"""Whole runs of a workload in the fake cluster: the arms are pods, the winner goes into the template."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from domain.space import Settings
from tests.journeys.world import SMALL, START, Scripted, SimClock, World
from tests.pods import CPU_LIMIT, LEVEL, TARGET, Shop, shop
from workers.advance import Ports

BEFORE: Settings = {CPU_LIMIT: 0.15, LEVEL: 6}
WINNER: Settings = {CPU_LIMIT: 0.4, LEVEL: 1}
REAP_SECONDS = 30.0
TUNED = replace(TARGET, profile=replace(SMALL, promotion_pairs=0), strategy="scripted")


class PodWorld(World):
    """A world whose arms are pods. What each carries is asked of the fake itself, past the port."""

    def __init__(self, cluster: Shop, proposals: tuple[Settings, ...] = (WINNER,), **changes: Any) -> None:
        self.cluster = cluster
        super().__init__(
            target=cluster.target,
            proposals=proposals,
            speed=lambda s: 0.02 + 0.01 * float(s[LEVEL]) + 0.01 / float(s[CPU_LIMIT]),
            **changes,
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.clock = SimClock(START)
        self.ledger._clock = self.clock  # type: ignore[attr-defined]
        self.arms = self.cluster.arms()
        self.carried = {label: [(0.0, BEFORE)] for label in self.arms}
        self.reaped = START

    def note_settings(self) -> None:
        for label, arm in self.arms.items():
            settings = dict(arm.read().settings)
            if settings != self.carried[label][-1][1]:
                self.carried[label].append((self.clock.time, settings))

    def tick(self, seconds: float = 0.5) -> None:
        """The watchdog looks in every so often: as a CronJob does, and not at every tick."""
        self.clock.time += seconds
        if self.clock.time - self.reaped >= REAP_SECONDS:
            self.reaped = self.clock.time
            next(iter(self.cluster.arms().values())).reap(self.clock.time)
            self.note_settings()

    def ports(self, wrap: Any = lambda name, port: port) -> Ports:
        ports = super().ports(wrap)
        strategy = wrap("optimizer", Scripted(self.proposals, self.promise))
        return replace(ports, stage=lambda target: self.cluster.stage(), optimizer=lambda name: strategy)


@contextlib.contextmanager
def pod_world(replicas: int = 4, proposals: tuple[Settings, ...] = (WINNER,), **changes: Any) -> Iterator[PodWorld]:
    with shop(replicas, TUNED) as cluster:
        yield PodWorld(cluster, proposals, **changes)
