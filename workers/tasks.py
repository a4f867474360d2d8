"""The tasks that a worker takes up. They are thin: what a step does stands in `workers/advance.py`."""

from __future__ import annotations

import structlog

from adapters.celery_queue import TASK
from domain.errors import TrimtabError
from workers import heartbeat, wiring
from workers.advance import advance as step
from workers.app import app

log = structlog.get_logger("worker")


# `throws`: errors of ours are told in one line here, so Celery adds no traceback. `shared`: tasks of this app alone.
@app.task(name=TASK, throws=(TrimtabError,), ignore_result=True, shared=False)
def advance(run: str) -> None:
    """Carry the run of this name one step forward. Whatever goes wrong is told and passed on; the ledger, and not the
    queue, knows that the run is still due."""
    heartbeat.touch()
    try:
        step(run, wiring.ports())
    except TrimtabError as error:
        log.error("step failed", run=run, error=type(error).__name__, why=str(error))
        raise


@app.task(name=heartbeat.TASK, ignore_result=True, shared=False)
def beat() -> None:
    """Prove that this worker consumes messages."""
    heartbeat.touch()
