"""Leadership on Redis: a key that expires and a counter that only grows, changed together in one script."""

from __future__ import annotations

import math

from adapters.ledger_text import finite
from adapters.redis_client import Scripts, connect
from domain.ports import Lead

CONNECTIONS = 2  # one loop asks, and the process' end resigns


class RedisLeadership:
    """See `domain.ports.Leadership`. A lead lasts in the server's time. It must lie where the ledger lies, because the
    ledger compares the tokens: the same url and prefix.

    Raises Misconfigured for a url that cannot work (a cluster, an unknown scheme). Connects on first use."""

    def __init__(self, url: str, prefix: str = "trimtab:") -> None:
        self._client = connect(url, CONNECTIONS)
        self._scripts = Scripts(self._client, url, prefix)

    def lead(self, job: str, holder: str, seconds: float) -> Lead | None:
        if finite("seconds", seconds) <= 0:
            raise ValueError(f"seconds is {seconds}; a lead must last longer than 0 s")
        token = self._scripts.run("lead", job, holder, math.ceil(seconds * 1000))
        return None if token is None else Lead(job, int(token))

    def resign(self, lead: Lead) -> None:
        self._scripts.run("resign", lead.job, lead.token)

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._client.connection_pool.disconnect()
