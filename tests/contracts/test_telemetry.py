"""The contract of telemetry: scripted numbers in memory, and a real Prometheus with a known past."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from adapters.memory_telemetry import MemoryTelemetry
from adapters.prometheus import PrometheusTelemetry
from domain.evidence import Missing, Reading, Seen
from domain.ports import Telemetry
from tests.prometheus_server import prometheus
from tests.redis_server import free_port

T0 = float(int(time.time()) - 3 * 3600)  # the first sample; half a second apart, a minute long
LENGTH, SCRAPE = 60.0, 0.5
RATES = {"a": 10.0, "b": 20.0}
READ = 'sum(rate(work_total{arm="$arm"}[$window]))'
SERIES = 'sum(rate(work_total{arm="a"}[4s]))'


class Now:
    def now(self) -> float:
        return time.time()


@dataclass
class Scene:
    telemetry: Telemetry
    away: Telemetry  # whose Prometheus does not answer


def in_memory() -> Scene:
    def script(query: str, arm: str, start: float, end: float) -> Seen:
        rate = RATES["a"] if query == SERIES else RATES.get(arm)
        return Reading(rate) if rate is not None and end <= T0 + LENGTH else Missing("empty result")

    return Scene(MemoryTelemetry(Now(), script, not_before=T0), MemoryTelemetry(Now(), script, silent=True))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One Prometheus for the module."""
    past = {
        f'work_total{{arm="{arm}"}}': [(T0 + i * SCRAPE, 1000 + rate * i * SCRAPE) for i in range(int(LENGTH / SCRAPE))]
        for arm, rate in RATES.items()
    }
    with prometheus(tmp_path_factory.mktemp("prometheus"), past) as server:
        away = PrometheusTelemetry(f"http://127.0.0.1:{free_port()}")
        telemetry = PrometheusTelemetry(server.url)
        yield Scene(telemetry, away)
        telemetry.close()
        away.close()


@pytest.fixture(params=["memory", "prometheus"])
def scene(request: pytest.FixtureRequest) -> Scene:
    """Each telemetry in turn."""
    if request.param == "memory":
        return in_memory()
    real: Scene = request.getfixturevalue("real")
    return real


def read(telemetry: Telemetry, arm: str, start: float, end: float, query: str = READ) -> Seen:
    return telemetry.read(query, arm=arm, start=start, end=end, scrape=SCRAPE)


@pytest.mark.parametrize("arm", ["a", "b"])
def test_a_covered_window_gives_its_value_for_its_arm(scene: Scene, arm: str) -> None:
    """The past of one arm, wherever the window's ends fall between two scrapes, and the same again when asked again."""
    for start in (T0 + 8.0, T0 + 20.2):
        first, second = (read(scene.telemetry, arm, start, start + 4.0) for _ in range(2))
        assert isinstance(first, Reading)
        assert first.value == pytest.approx(RATES[arm], rel=1e-6)
        assert first == second


def test_where_there_is_no_data_it_is_missing(scene: Scene) -> None:
    """Before the first sample, after the last one, for an arm that does not exist, and in a window not over yet."""
    now = time.time()
    windows = [("a", T0 - 60.0, T0 - 56.0), ("a", T0 + 70.0, T0 + 74.0), ("c", T0 + 8.0, T0 + 12.0)]
    for arm, start, end in [*windows, ("a", now - 1.0, now + 3.0)]:
        seen = read(scene.telemetry, arm, start, end)
        assert isinstance(seen, Missing)
        assert seen.reason


def test_a_window_with_half_of_its_samples_is_missing(scene: Scene) -> None:
    """A value could be computed; it would not be the window's."""
    assert isinstance(read(scene.telemetry, "a", T0 - 2.0, T0 + 2.0), Missing)
    assert isinstance(read(scene.telemetry, "a", T0 + LENGTH - 2.0, T0 + LENGTH + 2.0), Missing)


def test_a_label_cannot_leave_its_quotes(scene: Scene) -> None:
    """A label that would widen the selector to every arm matches nothing."""
    assert isinstance(read(scene.telemetry, 'a"} or work_total{arm=~".*', T0 + 8.0, T0 + 12.0), Missing)


def test_a_range_has_one_entry_per_step_in_order(scene: Scene) -> None:
    """From start to end, both included; steps without data are Missing and not left out."""
    seen = scene.telemetry.series(SERIES, start=T0 - 20.0, end=T0 + 20.0, step=2.0)
    assert [at for at, _ in seen] == [pytest.approx(T0 - 20.0 + 2.0 * i) for i in range(21)]
    assert all(isinstance(each, Missing) for at, each in seen if at < T0)
    late = [each for at, each in seen if at > T0 + 4.0]
    assert len(late) == 8
    assert all(isinstance(each, Reading) and each.value == pytest.approx(10.0, rel=1e-6) for each in late)


def test_a_range_that_is_over_before_it_begins_is_empty(scene: Scene) -> None:
    """No step, no entry."""
    assert scene.telemetry.series(SERIES, start=T0 + 20.0, end=T0, step=2.0) == ()


def test_the_clock_is_the_server_s(scene: Scene) -> None:
    """Unix seconds; here both run on one machine."""
    now = scene.telemetry.now()
    assert now is not None
    assert abs(now - time.time()) < 1.0


def test_nobody_there_is_missing_and_never_an_error(scene: Scene) -> None:
    """Each method says so in its own way."""
    assert isinstance(read(scene.away, "a", T0 + 8.0, T0 + 12.0), Missing)
    seen = scene.away.series(SERIES, start=T0, end=T0 + 4.0, step=2.0)
    assert [type(each) for _, each in seen] == [Missing] * 3
    assert scene.away.now() is None
