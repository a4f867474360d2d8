"""Whole runs of a workload in the fake cluster: the arms are pods, the winner goes into the template."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from adapters.actuators.kubernetes import arm, config, pods, stage, workload
from adapters.actuators.kubernetes.api import path
from adapters.actuators.kubernetes.quantity import cores
from domain.errors import TrimtabError
from domain.space import Settings
from tests.journeys.world import SMALL, START, ReadOnceLedger, Scripted, SimClock, World
from tests.kubernetes_api.store import State
from tests.pods import CPU_LIMIT, LEVEL, TARGET, Shop, shop
from workers.advance import Ports

BEFORE: Settings = {CPU_LIMIT: 0.15, LEVEL: 6}
WINNER: Settings = {CPU_LIMIT: 0.4, LEVEL: 1}
REAP_SECONDS = 30.0
TUNED = replace(TARGET, profile=replace(SMALL, promotion_pairs=0), strategy="scripted")


class SimTime:
    """What the actuators use of the module `time`, on the world's clock: who sleeps moves it."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock

    def time(self) -> float:
        return self._clock.time

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self._clock.time += seconds


@dataclass(frozen=True)
class Photo:
    """All that outlives a worker, at one moment."""

    cluster: State
    served: dict[str, int]
    ledger: ReadOnceLedger
    time: float
    reaped: float
    carried: dict[str, list[tuple[float, Settings]]]
    closed: list[str]


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
        self.ledger = ReadOnceLedger(self.clock)
        self.carried = {label: [(0.0, BEFORE)] for label in self.arms}
        self.reaped = START
        self.arms = self.cluster.arms()
        store = self.cluster.server.store
        store.clock = store.wall = lambda: self.clock.time

    def note_settings(self) -> None:
        for label in self.carried:
            settings = self.in_pod(label)
            if settings != self.carried[label][-1][1]:
                self.carried[label].append((self.clock.time, settings))

    def in_pod(self, label: str) -> Settings:
        """What an arm's pod runs with; that of the template while there is none."""
        owner, pod = self.cluster.owner(), self.cluster.pod(label)
        spec = owner["spec"]["template"]["spec"] if pod is None else pod["spec"]
        volumes = spec["volumes"][0]["configMap"]["name"]
        file = self.cluster.server.get(path("ConfigMap", "default", volumes))["data"]["tuned.conf"]
        level = re.search(r"gzip_comp_level (\d+);", file)
        assert level is not None
        return {CPU_LIMIT: cores(spec["containers"][0]["resources"]["limits"]["cpu"]), LEVEL: int(level[1])}

    def tick(self, seconds: float = 0.5) -> None:
        """The watchdog looks in every so often: as a CronJob does, and not at every tick."""
        self.clock.time += seconds
        if self.clock.time - self.reaped >= REAP_SECONDS:
            self.reap()

    def reap(self) -> None:
        """One look of the watchdog. One that fails is made again half a minute later."""
        self.reaped = self.clock.time
        with contextlib.suppress(TrimtabError):
            next(iter(self.cluster.arms().values())).reap(self.clock.time)
        self.note_settings()

    def ports(self, wrap: Any = lambda name, port: port) -> Ports:
        ports = super().ports(wrap)
        strategy = wrap("optimizer", Scripted(self.proposals, self.promise))
        return replace(
            ports,
            stage=lambda target: wrap("stage", self.cluster.stage()),
            optimizer=lambda name: strategy,
        )

    # --- copies ----------------------------------------------------------------------------------------------------

    def photo(self) -> Photo:
        return Photo(
            self.cluster.server.snapshot(),
            dict(self.cluster.served),
            self.ledger.fork(self.clock),
            self.clock.time,
            self.reaped,
            {label: list(each) for label, each in self.carried.items()},
            list(self.closed),
        )

    def back(self, photo: Photo) -> None:
        """All is as it was; whoever was at work is dead."""
        self.cluster.server.restore(photo.cluster)
        self.cluster.served = dict(photo.served)
        self.clock.time, self.reaped = photo.time, photo.reaped
        self.ledger = photo.ledger.fork(self.clock)
        self.carried = {label: list(each) for label, each in photo.carried.items()}
        self.closed = list(photo.closed)
        self.arms = self.cluster.arms()


@contextlib.contextmanager
def pod_world(
    replicas: int = 4, proposals: tuple[Settings, ...] = (WINNER,), target: Any = TUNED, **changes: Any
) -> Iterator[PodWorld]:
    with shop(replicas, target, http=False) as cluster, contextlib.ExitStack() as patches:
        world = PodWorld(cluster, proposals, **changes)
        for module in (arm, config, pods, stage, workload):
            patches.enter_context(mock.patch.object(module, "time", SimTime(world.clock)))
        patches.enter_context(mock.patch.object(workload, "LOOK", 0.4))
        yield world
