"""Of several controllers one watches, and whoever takes over goes on where the other one stopped."""

from __future__ import annotations

import signal
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from controller.loops import Loop
from controller.metrics import Metrics
from controller.watcher import SPARE_SECONDS, Watcher
from detectors.threshold import Threshold, ThresholdSettings
from domain.errors import Transient
from domain.evidence import Seen
from domain.ports import Lead
from tests.controller.office import Office
from tests.controller.test_process import Process, controller, wait
from tests.controller.test_watcher_rest import Speaking, Value, slow_from
from tests.journal_factory import START
from tests.redis_server import redis_server

LEAD = 2 + SPARE_SECONDS  # seconds of a lead at an interval of 1 s


class Mate:
    """One of several watchers on the same ledger, with telemetry, detector and metrics of its own."""

    def __init__(self, office: Office, holder: str, value: Value) -> None:
        self.office, self.telemetry, self.metrics = office, Speaking(value), Metrics()
        self.watcher = Watcher(
            office.targets,
            self.telemetry,
            Threshold(ThresholdSettings(baseline=60.0, hold=5.0, min_effect=0.3)),
            office.ledger,
            office.clock,
            self.metrics,
            interval=1.0,
            baseline=60.0,
            leadership=office.ledger.leadership,
            holder=holder,
        )

    @property
    def leads(self) -> float | None:
        return self.metrics.registry.get_sample_value("trimtab_watcher_leads")

    @property
    def normal(self) -> float | None:
        labels = {"target": "shop-front", "state": "normal"}
        return self.metrics.registry.get_sample_value("trimtab_watched_state", labels)


def pair(office: Office, value: Value) -> tuple[Mate, Mate]:
    return Mate(office, "one", value), Mate(office, "two", value)


def watch(office: Office, seconds: int, *mates: Mate) -> None:
    for _ in range(seconds):
        for mate in mates:
            mate.watcher.one()
        office.clock.time += 1.0


def queued(office: Office) -> list[str]:
    found = []
    while (each := office.ledger.submitted()) is not None:
        found.append(f"{each.id.partition('#')[0]} {each.status}")
        office.ledger.settle(each)
    return found


def test_only_the_leader_looks() -> None:
    """The other one asks Prometheus nothing and shows no state; both say who leads."""
    office = Office()
    one, two = pair(office, slow_from(START + 5))
    watch(office, 20, one, two)
    assert one.telemetry.asked
    assert two.telemetry.asked == []
    assert (one.leads, two.leads, two.normal) == (1, 0, None)
    assert len(queued(office)) == 1


def test_after_the_leaders_death_the_other_one_knows_the_past() -> None:
    """It reads what happened before it led, so that a regression is seen without learning anew."""
    office = Office()
    one, two = pair(office, slow_from(START + 60))
    watch(office, 30, one, two)
    watch(office, int(LEAD) - 1, two)
    assert two.leads == 0
    watch(office, 30, two)
    assert two.leads == 1
    assert len(queued(office)) == 1


def test_a_leader_that_ends_gives_the_lead_back() -> None:
    """The other one looks at its next turn; who has resigned shows that it does not lead."""
    office = Office()
    one, two = pair(office, slow_from(START + 500))
    watch(office, 3, one, two)
    one.watcher.resign()
    one.watcher.resign()
    watch(office, 1, two)
    assert (one.leads, two.leads) == (0, 1)


def test_a_leader_that_froze_in_the_middle_of_a_look_is_refused() -> None:
    """It thaws with a regression to tell; another one has told it. Nothing is doubled, and it follows from then on."""
    office = Office()
    one, two = pair(office, slow_from(START + 5))
    watch(office, 11, one)
    frozen = one.telemetry.read

    def read(query: str, *, arm: str, start: float, end: float, scrape: float) -> Seen:
        one.telemetry.read = frozen  # type: ignore[method-assign]
        office.clock.time += LEAD + 1
        watch(office, 8, two)
        return frozen(query, arm=arm, start=start, end=end, scrape=scrape)

    one.telemetry.read = read  # type: ignore[method-assign]
    with capture_logs() as lines:
        one.watcher.one()
    assert "a signal of ours came too late" in [line["event"] for line in lines]
    assert (one.leads, two.leads) == (0, 1)
    assert one.normal is None
    assert len(queued(office)) == 1
    watch(office, 3, one, two)
    assert queued(office) == []


def test_who_leads_again_takes_the_time_between_from_the_past() -> None:
    """Its detector gets no time twice, and what resolved while another one led is not told by it."""
    office = Office()
    one, two = pair(office, slow_from(START + 5, START + 30))
    watch(office, 20, one, two)
    (first,) = queued(office)
    one.watcher.resign()
    watch(office, 40, two, one)
    two.watcher.resign()
    watch(office, 20, one, two)
    assert (one.leads, two.leads, one.normal) == (1, 0, 1)
    again = queued(office)
    assert [each.rpartition(" ")[2] for each in again] in (["resolved"], ["firing", "resolved"])
    assert first.endswith("firing")


def test_without_a_ledger_nobody_leads() -> None:
    """The number does not stay at 1 while nobody can know."""
    office = Office()
    one, _ = pair(office, slow_from(START + 500))
    watch(office, 1, one)

    def gone(job: str, holder: str, seconds: float) -> Lead | None:
        raise Transient("gone")

    office.ledger.leadership.lead = gone  # type: ignore[method-assign]
    with pytest.raises(Transient):
        one.watcher.one()
    assert one.leads == 0


def test_the_end_of_a_loop_is_survived() -> None:
    """`last` runs once after the last call, and a failure of it does not matter."""
    called, seen = threading.Event(), []

    def one() -> bool:
        called.set()
        return False

    def last() -> None:
        seen.append("last")
        raise Transient("gone")

    loop = Loop("test", one, 0.001, Metrics(), last=last)
    with capture_logs() as lines:
        loop.start()
        assert called.wait(5)
        loop.stop()
        loop.join(5)
    assert seen == ["last"]
    assert [line["event"] for line in lines] == ["trouble at the end"]


def leads(process: Process) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/metrics", timeout=5) as answer:
        return "trimtab_watcher_leads 1.0" in answer.read().decode()


@pytest.mark.real
@pytest.mark.timeout(120)
def test_two_controllers_on_one_redis(tmp_path: Path) -> None:
    """One of them watches; at its SIGTERM the other one does long before the lead would have run out."""
    for name in ("one", "two", "redis"):
        (tmp_path / name).mkdir()
    with (
        redis_server(tmp_path / "redis") as redis,
        controller(tmp_path / "one", redis.url) as one,
        controller(tmp_path / "two", redis.url) as two,
    ):
        wait(lambda: one.ready() and two.ready(), 40)
        wait(lambda: leads(one) or leads(two))
        leader, other = (one, two) if leads(one) else (two, one)
        time.sleep(1.5)  # more than an interval
        assert not leads(other)
        leader.handle.send_signal(signal.SIGTERM)
        assert leader.handle.wait(10) == 0
        wait(lambda: leads(other), SPARE_SECONDS - 3)
