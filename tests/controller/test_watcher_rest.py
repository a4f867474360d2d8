"""When the watcher does not judge, what it repeats, and what it leaves out of the past."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from controller.watcher import Watcher
from detectors.threshold import Threshold, ThresholdSettings
from domain.errors import Transient
from domain.evidence import Missing, Reading, Seen
from domain.ports import Finding, Lead, Point
from domain.signal import Signal, cause
from tests.controller.office import HOUR, Office, alert, person
from tests.journal_factory import START, target

Value = Callable[[str, float], float | None]
REST = 10.0  # demo: settle 2 s and two windows of 4 s


class Speaking:
    """Telemetry whose value is a function of arm and time."""

    def __init__(self, value: Value) -> None:
        self.value = value
        self.asked: list[str] = []

    def read(self, query: str, *, arm: str, start: float, end: float, scrape: float) -> Seen:
        self.asked.append(query)
        return self._seen(arm, end)

    def series(self, query: str, *, start: float, end: float, step: float) -> tuple[tuple[float, Seen], ...]:
        arm = "a" if "arm='a'" in query else "b"
        self.asked.append(query)
        times = [start + i * step for i in range(int((end - start) / step) + 1)]
        return tuple((time, self._seen(arm, time)) for time in times)

    def now(self) -> float | None:
        return None

    def _seen(self, arm: str, at: float) -> Seen:
        value = self.value(arm, at)
        return Missing("blank") if value is None else Reading(value)


class Noting(Threshold):
    """The detector, and what it was told."""

    def __init__(self, settings: ThresholdSettings) -> None:
        super().__init__(settings)
        self.points: list[Point] = []

    def update(self, point: Point) -> Finding:
        self.points.append(point)
        return super().update(point)


class Post:
    """A watcher on its post, second by second."""

    def __init__(self, office: Office, value: Value) -> None:
        self.office, self.telemetry = office, Speaking(value)
        self.detector = Noting(ThresholdSettings(baseline=60.0, hold=5.0, min_effect=0.3))
        self.watcher = Watcher(
            office.targets,
            self.telemetry,
            self.detector,
            office.ledger,
            office.clock,
            office.metrics,
            interval=1.0,
            baseline=60.0,
        )

    def watch(self, seconds: int) -> None:
        for _ in range(seconds):
            self.watcher.one()
            self.office.clock.time += 1.0

    def signals(self) -> list[Signal]:
        found = []
        while (signal := self.office.ledger.submitted()) is not None:
            found.append(signal)
            self.office.ledger.settle(signal)
        return found


def slow_from(start: float, end: float = 1e12) -> Value:
    return lambda arm, at: 0.2 if start <= at < end else 0.1


def test_the_words_say_value_baseline_and_since() -> None:
    """A person reads them in the history."""
    post = Post(Office(), slow_from(START + 5))
    post.watch(20)
    (signal,) = post.signals()
    assert signal.summary == "the objective is 0.2 s where 0.1 s is normal, since 14:15:06 UTC"


def test_it_is_the_mean_over_the_arms_and_nothing_if_one_is_missing() -> None:
    """Half of the service is not the service."""
    post = Post(Office(), lambda arm, at: {"a": 0.1, "b": 0.3 if at < START + 9.5 else None}[arm])
    post.watch(20)
    live = [point.v for point in post.detector.points if point.t >= START]
    assert live[:3] == [0.2, 0.2, 0.2]
    assert live[-1] is None
    assert office_state(post, "missing")


def test_an_open_run_and_the_time_after_it_are_not_judged() -> None:
    """Trials disturb the service; they are neither a regression nor part of the baseline."""
    office = Office()
    post = Post(office, slow_from(START + 5, START + 40))
    post.watch(3)
    office.ledger.submit(person())
    office.work()
    post.watch(37)
    run = office.ledger.open_run("shop-front")
    assert run is not None
    office.close(run)
    closed = office.clock.now()
    post.watch(30)
    assert post.signals() == []
    told = [point.t for point in post.detector.points if point.t >= START]
    assert [t for t in told if START + 3 <= t < closed + REST - 1] == []
    assert told[-1] > closed + REST


def test_a_restart_leaves_past_runs_out_of_the_past() -> None:
    """The first looks of a new process are as careful as the last ones of the old."""
    office = Office()
    office.clock.time = START - 30
    office.ledger.submit(alert(at=START - 30))
    office.work()
    run = office.ledger.open_run("shop-front")
    assert run is not None
    office.clock.time = START - 15
    office.close(run)
    office.clock.time = START
    post = Post(office, slow_from(START - 30, START - 15))
    post.watch(10)
    assert post.signals() == []
    told = [point.t for point in post.detector.points]
    assert min(told) < START - 30
    assert [t for t in told if START - 30 <= t < START - 15 + REST] == []


def test_the_past_is_asked_for_until_prometheus_has_one() -> None:
    """A Prometheus that comes up later still gives the baseline."""
    office = Office()
    up: Mapping[str, float] = {"at": START + 5}
    post = Post(office, lambda arm, at: 0.1 if office.clock.now() >= up["at"] else None)
    post.watch(5)
    assert post.detector.points == []
    assert office_state(post, "missing")
    post.watch(1)
    assert len(post.detector.points) > 50
    assert office_state(post, "normal")


def test_a_lasting_regression_is_told_again_each_hour() -> None:
    """So that one that was ignored during a cool-down or freeze may open a run after it; all have one cause."""
    office = Office()
    post = Post(office, slow_from(START + 5))
    post.watch(20)
    office.clock.time += HOUR
    post.watch(3)
    first, second = post.signals()
    assert first.id != second.id
    assert cause(first.id) == cause(second.id)
    assert first.status == second.status == "firing"


def test_a_dead_ledger_delays_a_signal_and_does_not_lose_it() -> None:
    """What could not be submitted is submitted at the next look."""
    office = Office()
    post = Post(office, slow_from(START + 5))
    submit, failures = office.ledger.submit, iter([True, True, True])

    def worn(signal: Signal, lead: Lead | None = None) -> bool:
        if next(failures, False):
            raise Transient("gone")
        return submit(signal, lead)

    office.ledger.submit = worn  # type: ignore[method-assign]
    for _ in range(25):
        with contextlib.suppress(Transient):
            post.watcher.one()
        office.clock.time += 1.0
    assert len(post.signals()) == 1


def test_higher_is_better_is_watched_downwards() -> None:
    """Throughput that falls is a regression, throughput that rises is not."""
    maximised = replace(target(), objective=replace(target().objective, minimise=False))
    for value, expected in ((slow_from(START + 5), 0), (lambda arm, at: 0.05 if at > START + 5 else 0.1, 1)):
        post = Post(Office({"shop-front": maximised}), value)
        post.watch(20)
        assert len(post.signals()) == expected


def office_state(post: Post, state: str) -> bool:
    return post.office.count("trimtab_watched_state", target="shop-front", state=state) == 1.0
