"""The open-loop measurement: as arithmetic on rows, and on a real server that misbehaves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from adapters.load.measure import Load, expect, measure, summary
from adapters.load.slo import Slo, judge
from domain.errors import Misconfigured, Rejected, Transient
from tests.adapters.load.site import Site, site

URL = "http://127.0.0.1:8080/"


@pytest.fixture
def server() -> Iterator[Site]:
    with site() as running:
        yield running


def test_classes_of_answers_and_the_window_of_counting() -> None:
    """2xx and 3xx in time are good; what was due outside the window does not count; late answers are timeouts."""
    load = Load(URL, 10, 10, timeout=2.0)
    rows = [
        (99.0, 0.1, "200"),  # warm-up
        (100.0, 0.1, "200"),
        (101.0, 0.1, "301"),
        (102.0, 0.1, "404"),
        (103.0, 0.1, "503"),
        (104.0, 0.1, "error"),
        (105.0, 2.0, "timeout"),
        (106.0, 2.1, "200"),  # answered when the caller had gone
        (110.0, 0.1, "200"),  # after the end
    ]
    result = summary(rows, 100.0, 110.0, load, 0.0)
    assert (result.requests, result.good, result.timeouts) == (7, 2, 2)
    assert result.errors == {"4xx": 1, "5xx": 1, "connection": 1}
    assert result.elapsed == 10.0
    assert result.offered == pytest.approx(0.7)
    assert result.throughput == pytest.approx(0.5)  # five answers came within the ten seconds
    assert not result.notes


def test_throughput_of_an_overloaded_server_is_what_came_back_meanwhile() -> None:
    """Answers that came after the end of sending are no throughput of it."""
    rows = [(float(second), 5.0, "200") for second in range(10)]
    result = summary(rows, 0.0, 10.0, Load(URL, 1, 10, timeout=20.0), 0.0)
    assert result.throughput == pytest.approx(0.5)
    assert not result.keeps_up


def test_a_late_generator_says_that_the_figures_are_its_own() -> None:
    """Above 5 ms of lag the latencies are not the server's."""
    result = summary([(0.5, 0.1, "200")], 0.0, 1.0, Load(URL, 1, 1), 0.008)
    assert "generator's own" in result.notes[0]


def test_ten_per_cent_of_dropped_connections_are_ten_per_cent_of_failures(server: Site) -> None:
    """Every tenth request is cut off: a tenth of the requests failed, and there is no p95."""
    result = measure(Load(server.url + "/drop", 200, 1.5, timeout=1.0, poisson=False))
    assert result.requests >= 250
    assert result.errors.keys() == {"connection"}
    assert result.failed_share == pytest.approx(0.1, abs=0.005)
    assert server.seen["/drop"] == result.requests  # nothing was asked twice, nothing was left out
    assert result.percentile(0.95).seconds is None
    assert "failed" in result.percentile(0.95).why
    assert judge(result, Slo(1.0)).verdict == "missed"


def test_a_request_that_hangs_costs_one_timeout(server: Site) -> None:
    """The run ends within its seconds and one timeout; the hung request is one failed request, the others are good."""
    begun = time.monotonic()
    result = measure(Load(server.url + "/hang", 50, 1.0, timeout=0.8, poisson=False))
    assert time.monotonic() - begun < 1.0 + 0.8 + 1.0
    assert result.timeouts == 1
    assert result.errors == {}
    assert result.good == result.requests - 1 > 30


def test_warm_up_is_sent_and_not_counted(server: Site) -> None:
    """The requests of the warm-up reach the server and no figure; time and rate are measured ones."""
    result = measure(Load(server.url + "/ok", 100, 0.5, warm_up=0.5, poisson=False))
    assert result.failed == 0
    assert 0.5 <= result.elapsed < 0.8
    assert result.requests < server.seen["/ok"]
    assert result.offered == pytest.approx(result.requests / result.elapsed)


def test_nothing_answers_at_all() -> None:
    """A port where nobody listens gives a result with failures only, not an exception."""
    result = measure(Load("http://127.0.0.1:1/", 100, 0.3, timeout=0.5))
    assert result.good == 0
    assert result.requests > 0
    assert result.failed_share == 1
    assert result.errors == {"connection": result.requests}


def test_the_right_page_is_checked_once(server: Site) -> None:
    """Text and status are looked at before the load; an error page is not worth loading."""
    expect(server.url + "/ok", "hello", 5.0)
    with pytest.raises(Rejected, match="right page"):
        expect(server.url + "/ok", "goodbye", 5.0)
    for _ in range(3):
        expect(server.url + "/fail", "hello", 5.0)
    with pytest.raises(Rejected, match="500"):
        expect(server.url + "/fail", "hello", 5.0)
    with pytest.raises(Transient, match="does not answer"):
        expect("http://127.0.0.1:1/", "hello", 1.0)


@pytest.mark.parametrize(
    ("rate", "seconds", "timeout"),
    [
        (0, 1, 1),
        (-1, 1, 1),
        (float("nan"), 1, 1),
        (1, 0, 1),
        (1, float("inf"), 1),
        (1, 1, 0),
        (9999, 1, 1),
        (5000, 999, 1),
    ],
)
def test_numbers_that_make_no_sense_are_refused(rate: float, seconds: float, timeout: float) -> None:
    """Before anything is sent; also more requests than memory should hold."""
    with pytest.raises(Misconfigured):
        Load(URL, rate, seconds, timeout)
