"""Fixtures of the contract suites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.redis_ledger import RedisLedger
from domain.ports import Ledger
from tests.contracts.ledgers import Store, both
from tests.redis_server import RedisServer, redis_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis server for one module."""
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each ledger in turn, with the way to let its leases run out."""
    made = both(request.param, lambda: request.getfixturevalue("server"))
    yield made
    if isinstance(made.ledger, RedisLedger):
        made.ledger.close()


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return store.ledger
