"""Drivers of foreign tools: what they print on real servers, and what must not be taken for a result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.load import ab, hey, pgbench, wrk
from adapters.load.job import Job
from adapters.load.program import Ended
from adapters.load.result import Result
from domain.errors import Misconfigured

GOLDEN = Path(__file__).parents[2] / "golden" / "load"
URL = "http://127.0.0.1:8080/"


def ended(tool: str, case: str, stdout: str | None = None, stderr: str = "") -> Ended:
    text = (GOLDEN / f"{tool}-{case}.txt").read_text() if stdout is None else stdout
    return Ended(tool, 0, text, stderr, 2.0)


def read_wrk(case: str) -> Result:
    return wrk.parse(ended("wrk", case))


def read_hey(case: str) -> Result:
    return hey.parse(ended("hey", case))


def read_ab(case: str) -> Result:
    return ab.parse(ended("ab", case), (GOLDEN / f"ab-{case}.csv").read_text())


def read_pgbench(case: str, rate: float | None = 100.0) -> Result:
    progress = (GOLDEN / f"pgbench-{case}.progress").read_text()
    return pgbench.parse(ended("pgbench", case, stderr=progress), _log(case), rate)


def _log(case: str) -> list[str]:
    return (GOLDEN / f"pgbench-{case}.log").read_text().splitlines()


@pytest.mark.parametrize("read", [read_wrk, read_hey, read_ab])
def test_a_healthy_server(read: Callable[[str], Result]) -> None:
    """No failures, a measured time, p50 <= p95, and the closed loop is said aloud."""
    result = read("ok")
    assert result.good == result.requests > 0
    assert result.failed_share == 0
    assert result.elapsed != 2.0
    assert result.elapsed == pytest.approx(2.0, abs=0.01)
    assert result.throughput == pytest.approx(result.requests / result.elapsed)
    p50, p95 = result.percentile(0.5).seconds, result.percentile(0.95).seconds
    assert p50 is not None
    assert p95 is not None
    assert 0 < p50 <= p95 < 0.01
    assert result.closed_loop
    assert "closed loop" in result.coordinated_omission


@pytest.mark.parametrize(("read", "kind"), [(read_wrk, "read"), (read_ab, "length")])
def test_every_tenth_connection_dropped_is_ten_per_cent_failed(read: Callable[[str], Result], kind: str) -> None:
    """Dropped requests are part of the population."""
    result = read("drop")
    assert result.errors == {kind: result.requests - result.good}
    assert result.failed_share == pytest.approx(0.1, abs=0.001)


def test_hey_hides_dropped_connections_and_its_driver_says_so() -> None:
    """The Go client asks once more on a connection that was dropped: one of about eighty drops is seen."""
    result = read_hey("drop")
    assert result.errors == {"connection": 1}
    assert result.requests == 800
    assert "silently asked once more" in result.coordinated_omission


@pytest.mark.parametrize("read", [read_wrk, read_hey, read_ab])
def test_every_fourth_answer_a_500_is_a_quarter_failed(read: Callable[[str], Result]) -> None:
    """Answers that are no 2xx or 3xx are no success."""
    result = read("fail")
    assert result.failed_share == pytest.approx(0.25, abs=0.001)
    assert result.good + sum(result.errors.values()) == result.requests


def test_a_request_that_never_answers() -> None:
    """hey counts it as a timeout; wrk and ab do not count it at all, and their drivers say so."""
    assert read_hey("hang").timeouts == 1
    for result in (read_wrk("hang"), read_ab("hang")):
        assert result.failed == 0
        assert "never answers is in no number" in result.coordinated_omission


def test_a_server_that_is_not_there() -> None:
    """hey ends well although nothing answered: twelve failures, no percentile, and no division by zero."""
    result = hey.parse(ended("hey", "refused"))
    assert result.requests == 12
    assert result.failed_share == 1
    assert result.errors == {"connection": 12}
    assert all(each.seconds is None for each in result.percentiles)


def test_more_failures_than_requests_do_not_add_up_to_less_than_nothing() -> None:
    """ab counts one failed request under several kinds: 1000 requests, 1500 failures."""
    text = (GOLDEN / "ab-ok.txt").read_text()
    text = text.replace("Complete requests:      38318", "Complete requests:      1000")
    kinds = "   (Connect: 0, Receive: 1000, Length: 0, Exceptions: 500)"
    text = text.replace("Failed requests:        0", f"Failed requests:        1500\n{kinds}")
    result = ab.parse(ended("ab", "ok", text), (GOLDEN / "ab-ok.csv").read_text())
    assert (result.requests, result.good, result.errors) == (1000, 0, {"receive": 1000})
    assert result.percentiles == ()


def test_pgbench_at_a_rate_is_open_loop_with_percentiles_of_its_log() -> None:
    """419 transactions at 100/s: every one is in the log, latency counts from the schedule, progress is kept."""
    result = read_pgbench("rate")
    assert (result.requests, result.good, result.errors) == (419, 419, {})
    assert not result.closed_loop
    assert result.offered == 100
    assert result.elapsed == pytest.approx(419 / 105.176015)
    took = sorted(int(line.split()[2]) for line in _log("rate"))
    assert result.percentile(0.95).seconds == took[-(-95 * 419 // 100) - 1] / 1e6
    assert [each.end for each in result.slices] == [1.0, 2.0, 3.0]
    assert result.slices[0].throughput == 96.0
    assert result.slices[0].latency == pytest.approx(0.003091)


def test_pgbench_failures_are_counted_as_requests() -> None:
    """82 of 403 transactions failed to serialize: a fifth failed, not 100 % success of 321."""
    result = read_pgbench("failures", 200.0)
    assert (result.requests, result.good, result.errors) == (403, 321, {"serialization": 82})
    assert result.failed_share == pytest.approx(0.2035, abs=0.0001)
    assert result.percentile(0.9).seconds is None
    assert any("215 retries" in note for note in result.notes)


def test_pgbench_that_cannot_keep_up_says_so() -> None:
    """One client of 20 ms cannot do 100/s: the schedule's waiting is in the latencies, the shortfall in the notes."""
    result = read_pgbench("overload")
    assert not result.keeps_up
    middle = result.percentile(0.5).seconds
    assert middle is not None
    assert middle > 0.5
    assert any("keep up" in note for note in result.notes)


def test_a_closed_loop_of_pgbench_is_called_one() -> None:
    """Without a rate the same output means something else."""
    result = read_pgbench("rate", None)
    assert result.closed_loop
    assert result.offered is None
    assert result.keeps_up


def test_pgbench_logs_that_contradict_the_report_are_refused() -> None:
    """Lines that are missing, cut off or not numbers are no result."""
    whole = ended("pgbench", "rate")
    for lines in (_log("rate")[:-1], [*_log("rate")[:-1], "0 1"], [*_log("rate")[:-1], "0 1 fast 0 1795746362 1"]):
        with pytest.raises(Misconfigured, match="log"):
            pgbench.parse(whole, lines, 100.0)


def test_pgbench_in_another_language_is_refused() -> None:
    """A translated report is not misread; our driver runs the tool in the C locale."""
    text = "pgbench (15.18)\nTransaktionstyp: <builtin>\nAnzahl der Transaktionen: 419\ntps = 105,176015\n"
    with pytest.raises(Misconfigured, match="another version"):
        pgbench.parse(ended("pgbench", "rate", text), _log("rate"), 100.0)


@pytest.mark.parametrize("tool", ["wrk", "hey", "ab", "pgbench"])
def test_output_that_is_empty_or_cut_off_is_no_result(tool: str) -> None:
    """Whatever is cut off the end of a report is noticed before a figure that is needed is missing: either the whole
    result comes out, or an error that names the tool."""
    case = "rate" if tool == "pgbench" else "fail"
    text = (GOLDEN / f"{tool}-{case}.txt").read_text()
    table = (GOLDEN / "ab-fail.csv").read_text()

    def parse(stdout: str) -> Result:
        given = ended(tool, case, stdout)
        if tool == "pgbench":
            return pgbench.parse(given, _log(case), 100.0)
        if tool == "ab":
            return ab.parse(given, table)
        return wrk.parse(given) if tool == "wrk" else hey.parse(given)

    whole = parse(text)
    assert whole.requests > 0
    refused = 0
    for end in range(0, len(text), 7):
        try:
            found = parse(text[:end])
        except Misconfigured as error:
            refused += tool in str(error)
        else:
            assert found.requests <= whole.requests
    assert refused > 0
    with pytest.raises(Misconfigured, match=tool):
        parse("")


def test_a_table_of_ab_that_is_cut_off_is_refused() -> None:
    """Percentiles that are not there are not made up."""
    table = (GOLDEN / "ab-ok.csv").read_text()
    with pytest.raises(Misconfigured, match="table"):
        ab.parse(ended("ab", "ok"), table[: len(table) // 2])


def test_command_lines_hold_what_was_asked_and_no_shell() -> None:
    """Each argument is one word, whatever is in the URL."""
    url = "http://127.0.0.1/a?b=$(reboot)&c=;d"
    job = Job(url, seconds=3, connections=4, timeout=1.5)
    assert wrk.argv(job)[-1] == url
    assert "--duration=3s" in wrk.argv(job)
    assert "--timeout=2s" in wrk.argv(job)
    assert hey.argv(Job(url, seconds=3, connections=4, rate=100.0))[5:7] == ["-q", "25"]
    line = ab.argv(job, Path("/tmp/x.csv"))
    assert line.index("-t") < line.index("-n")
    assert "-l" not in line
    bench = pgbench.Bench("postgresql://u@127.0.0.1/db", 50.0, 2)
    assert "--rate=50" in pgbench.argv(bench, 15, "log")
    assert "--failures-detailed" not in pgbench.argv(bench, 14, "log")


@pytest.mark.parametrize("build", [wrk.argv, lambda job: ab.argv(job, Path("x"))])
def test_a_rate_is_refused_where_there_is_none(build: Callable[[Job], list[str]]) -> None:
    """wrk and ab cannot hold a rate; asking for one is an error that names the way out."""
    with pytest.raises(Misconfigured, match="load run"):
        build(Job(URL, rate=10.0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Job(URL, seconds=0),
        lambda: Job(URL, seconds=float("nan")),
        lambda: Job(URL, connections=0),
        lambda: Job(URL, threads=11),
        lambda: Job(URL, rate=float("inf")),
        lambda: Job(URL, timeout=-1),
        lambda: pgbench.Bench("postgresql://h/d", rate=0.0),
        lambda: pgbench.Bench("postgresql://h/d", seconds=float("inf")),
        lambda: pgbench.Bench("postgresql://h/d", builtin="drop-everything"),
        lambda: pgbench.Bench("postgresql://h/d", script=Path("/nowhere.sql")),
        lambda: pgbench.Bench("postgresql://h/d", tries=0),
        lambda: pgbench.argv(pgbench.Bench("postgresql://h/d", tries=3), 14, "log"),
    ],
)
def test_impossible_numbers_are_refused(make: Callable[[], object]) -> None:
    """Zero, negative, infinite and NaN never reach a tool."""
    with pytest.raises(Misconfigured):
        make()


def test_a_result_whose_numbers_do_not_add_up_is_refused() -> None:
    """Requests are good, failed or timed out; none may be lost on the way."""
    with pytest.raises(ValueError, match="10 requests"):
        Result("x", 10, 9, {}, 0, 1.0, 10.0, None, (), True, "")
