"""The worker as Celery sees it: `celery -A workers.app worker`, with the policy file in TRIMTAB_POLICY.

Importing this module reads no policy and touches no network; the settings are made when Celery first asks for one.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any, NoReturn

from celery import Celery, signals

from adapters.logs import configure
from domain.errors import TrimtabError
from workers import wiring
from workers.heartbeat import HeartbeatStep
from workers.settings import worker_settings

MISCONFIGURED = 2  # exit code: a person must correct something before a start can succeed

app = Celery("trimtab", set_as_current=False, include=["workers.tasks"])
app.steps["worker"].add(HeartbeatStep)
_watchdogs: list[subprocess.Popen[bytes]] = []  # kept so that an ended one is not reported as forgotten


@app.add_defaults
def _from_policy() -> dict[str, Any]:
    try:
        policy = wiring.policy()
        return worker_settings(policy.redis_url, policy.redis_prefix)
    except TrimtabError as error:
        _refuse(error)


@signals.setup_logging.connect
def _log_as_we_do(loglevel: int | str = "INFO", **_: Any) -> None:
    configure(logging.getLevelName(loglevel) if isinstance(loglevel, int) else loglevel)
    # Two lines for each of many steps a minute say nothing that the journal does not say better.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


@signals.celeryd_after_setup.connect
def _start_up(**_: Any) -> None:
    """Before the first message is taken: the watchdog first, since it needs no Redis and may have work to do."""
    try:
        _watchdogs.append(wiring.start_watchdog(wiring.policy_path()))
        wiring.check_server()
    except TrimtabError as error:
        _refuse(error)


@signals.worker_process_init.connect
def _warm_up(**_: Any) -> None:
    """Load the strategies' mathematics now: seconds of CPU in the middle of a trial would be felt by the target."""
    try:
        wiring.load_strategies()
    except TrimtabError as error:
        logging.getLogger("worker").warning("a strategy cannot be loaded: %s", error)


def _refuse(error: TrimtabError) -> NoReturn:
    """Leave with one line instead of a traceback: what must be corrected stands in the message."""
    print(f"worker: {error}", file=sys.stderr)
    raise SystemExit(MISCONFIGURED) from error
