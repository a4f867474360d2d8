"""pgbench on a real server: at a rate, with failures, and what it says when there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.load.pgbench import Bench, measure
from domain.errors import Misconfigured, Transient
from tests.postgresql_server import postgresql
from tests.real import need

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    need("pgbench")
    with postgresql() as server:
        server.query("CREATE TABLE counter AS SELECT 0 AS n", server.app)
        yield f"postgresql://app@127.0.0.1:{server.port}/shop"


def test_a_rate_is_held_and_every_transaction_is_read(url: str, tmp_path: Path) -> None:
    """About rate times seconds transactions, all good, with percentiles from the schedule and a line a second."""
    script = tmp_path / "one.sql"
    script.write_text("SELECT 1;\n")
    result = measure(Bench(url, rate=150, seconds=2, clients=2, script=script))
    assert result.good == result.requests
    assert 200 < result.requests < 400
    assert result.percentile(0.95).seconds is not None
    assert result.percentile(0.99).seconds is None
    assert not result.closed_loop
    assert result.slices


def test_serialization_failures_are_failed_requests(url: str, tmp_path: Path) -> None:
    """Clients that fight for one row fail now and then, and the failures stay in the population."""
    script = tmp_path / "fight.sql"
    script.write_text(
        "BEGIN ISOLATION LEVEL SERIALIZABLE;\nSELECT n FROM counter;\nSELECT pg_sleep(0.005);\n"
        "UPDATE counter SET n = n + 1;\nCOMMIT;\n"
    )
    result = measure(Bench(url, rate=None, seconds=1, clients=4, script=script))
    assert result.errors.keys() == {"serialization"}
    assert result.failed_share > 0.1
    assert result.good + result.failed == result.requests


def test_a_script_that_fails_is_named(url: str, tmp_path: Path) -> None:
    """The server's words come through, and what to do."""
    script = tmp_path / "wrong.sql"
    script.write_text("SELECT * FROM nothing_of_the_kind;\n")
    with pytest.raises(Misconfigured, match="nothing_of_the_kind"):
        measure(Bench(url, rate=20, seconds=1, clients=1, script=script))


def test_a_server_that_is_not_there() -> None:
    """Transient with the reason."""
    need("pgbench")
    with pytest.raises(Transient, match="Connection refused"):
        measure(Bench("postgresql://app@127.0.0.1:1/shop", seconds=1))
