"""How ledger and leadership reach Redis: one client that fails soon, and the scripts that make every change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from adapters.redis_errors import border, checked_url

TIMEOUT_SECONDS = 2.0  # a healthy server answers within milliseconds; a step must not spend its 60 s on a dead one
_SCRIPTS = Path(__file__).parent / "redis_scripts"


def connect(url: str, connections: int) -> redis.Redis:
    """A client of at most `connections`; more callers than that wait for a free one instead of failing. Connects on
    first use. Raises Misconfigured for a url that cannot work (a cluster, an unknown scheme)."""
    pool = redis.BlockingConnectionPool.from_url(
        checked_url(url),
        max_connections=connections,
        timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        # A repeated command could append twice from the caller's view: who calls decides what is tried again.
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        encoding_errors="replace",  # a damaged byte must reach the check of the hash, not end in a decoding error
    )
    return redis.Redis(connection_pool=pool)


class Scripts:
    """The scripts of `redis_scripts/` under one prefix of keys."""

    def __init__(self, client: redis.Redis, url: str, prefix: str) -> None:
        self._url, self._prefix = url, prefix
        keys = (_SCRIPTS / "keys.lua").read_text()
        self._scripts: Mapping[str, Script] = {
            path.stem: client.register_script(keys + path.read_text())
            for path in _SCRIPTS.glob("*.lua")
            if path.stem != "keys"
        }

    def run(self, script: str, *args: str | int) -> Any:
        """What the script answers. Raises Transient, or Misconfigured for wrong credentials."""
        with border(self._url):
            return self._scripts[script](args=[self._prefix, *args])
