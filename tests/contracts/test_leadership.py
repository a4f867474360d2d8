"""What every leadership must do: one leader at a time, a token that grows, and signals of an old leader refused."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from adapters.memory_lease import MemoryLeadership
from adapters.memory_ledger import MemoryLedger
from adapters.redis_lease import RedisLeadership
from adapters.redis_ledger import RedisLedger
from domain.errors import Misconfigured, Stale, Transient
from domain.ports import Lead, Leadership, Ledger
from tests.contracts.ledgers import LONG, HandClock, signal
from tests.redis_server import RedisServer, free_port

SHORT = 0.2  # seconds of a lead that is left to run out


@dataclass
class Office:
    leadership: Leadership
    ledger: Ledger
    pass_time: Callable[[float], None]

    def lead(self, holder: str, seconds: float = LONG, job: str = "watcher") -> Lead | None:
        return self.leadership.lead(job, holder, seconds)

    def taken(self, holder: str, seconds: float = LONG) -> Lead:
        lead = self.lead(holder, seconds)
        assert lead is not None
        return lead


@pytest.fixture(params=["memory", "redis"])
def office(request: pytest.FixtureRequest) -> Iterator[Office]:
    """Each leadership in turn, with the ledger that knows its tokens."""
    if request.param == "memory":
        clock = HandClock()
        leadership = MemoryLeadership(clock)
        yield Office(leadership, MemoryLedger(clock, leadership), clock.move)
        return
    server: RedisServer = request.getfixturevalue("server")
    prefix = f"{uuid.uuid4().hex}:"
    leading, ledger = RedisLeadership(server.url, prefix), RedisLedger(server.url, prefix)
    yield Office(leading, ledger, time.sleep)
    leading.close()
    ledger.close()


def test_one_leads_and_keeps_the_lead(office: Office) -> None:
    """Whoever leads keeps the token when asking again; others get none; other jobs have leaders of their own."""
    first = office.taken("one")
    assert office.lead("two") is None
    assert office.lead("one") == first
    other = office.lead("two", job="other")
    assert other is not None
    assert other.job == "other"


def test_a_lead_that_is_kept_does_not_run_out(office: Office) -> None:
    """Asking again counts from then."""
    first = office.taken("one", SHORT)
    assert office.taken("one") == first
    office.pass_time(2 * SHORT)
    assert office.lead("two") is None


def test_a_lead_that_ran_out_goes_to_another_one_with_a_larger_token(office: Office) -> None:
    """Also when the same process takes it again: it cannot know who led meanwhile."""
    first = office.taken("one", SHORT)
    office.pass_time(2 * SHORT)
    second = office.taken("two", SHORT)
    assert office.lead("one") is None
    office.pass_time(2 * SHORT)
    third = office.taken("two")
    assert first.token < second.token < third.token


def test_a_lead_that_is_given_back_is_free_at_once(office: Office) -> None:
    """The next one need not wait, and its token is larger; giving back twice is once."""
    first = office.taken("one")
    office.leadership.resign(first)
    office.leadership.resign(first)
    second = office.taken("two")
    assert second.token > first.token


def test_an_old_leader_takes_nothing_away(office: Office) -> None:
    """To give back what somebody else has taken since changes nothing."""
    first = office.taken("one", SHORT)
    office.pass_time(2 * SHORT)
    second = office.taken("two")
    office.leadership.resign(first)
    assert office.lead("one") is None
    assert office.lead("two") == second


def test_signals_of_an_old_leader_are_refused(office: Office) -> None:
    """One that froze and thaws finds its token old: Stale, and nothing is queued; not even remembered as seen."""
    first = office.taken("one", SHORT)
    assert office.ledger.submit(signal("a"), first)
    office.pass_time(2 * SHORT)
    assert office.ledger.submit(signal("b"), first)  # nobody else has led: nothing can be doubled
    second = office.taken("two")
    with pytest.raises(Stale, match="lead"):
        office.ledger.submit(signal("c"), first)
    assert office.ledger.submit(signal("c"), second)
    assert not office.ledger.submit(signal("c"), second)
    for expected in ("a", "b", "c"):
        queued = office.ledger.submitted()
        assert queued is not None
        assert queued.id == expected
        office.ledger.settle(queued)
    assert office.ledger.submitted() is None


def test_a_lead_that_nobody_gave_is_refused(office: Office) -> None:
    """A token of a job that nobody ever led."""
    with pytest.raises(Stale):
        office.ledger.submit(signal(), Lead("watcher", 1))
    assert office.ledger.submit(signal())  # without a lead anybody may


def test_of_many_that_ask_at_once_one_leads(office: Office) -> None:
    """Threads, each with a name of its own."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: office.lead(f"holder-{number}"), range(16)))
    assert len([lead for lead in found if lead is not None]) == 1


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_lead_lasts_for_some_time(office: Office, seconds: float) -> None:
    """Neither none nor for ever."""
    with pytest.raises(ValueError, match="seconds"):
        office.lead("one", seconds)


def test_a_lead_survives_the_death_of_the_server_with_its_token(server: RedisServer) -> None:
    """What is on the disk counts: nobody gets a token twice."""
    prefix = f"{uuid.uuid4().hex}:"
    leadership = RedisLeadership(server.url, prefix)
    first = leadership.lead("watcher", "one", LONG)
    time.sleep(1.2)  # the file is written out each second
    server.restart()
    leadership.close()
    assert leadership.lead("watcher", "two", LONG) is None
    assert leadership.lead("watcher", "one", LONG) == first
    leadership.close()


def test_a_server_that_is_gone_is_transient_and_an_address_that_cannot_be_is_not() -> None:
    """As everywhere else; passwords are not told."""
    with pytest.raises(Transient) as caught:
        RedisLeadership(f"redis://:hunter2@127.0.0.1:{free_port()}/0").lead("watcher", "one", LONG)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(Misconfigured, match="cluster"):
        RedisLeadership("redis+cluster://a:6379")
