"""A proof that messages are consumed, and not only that a process lives.

With TRIMTAB_HEARTBEAT=FILE the worker sends itself a small message now and then, and a pool process that takes one up
touches FILE. A probe that finds the file older than three minutes knows that this worker consumes nothing any more.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import structlog
from celery import bootsteps

from adapters.celery_queue import QUEUE, SEND_ERRORS

TASK = "trimtab.heartbeat"
EVERY_SECONDS = 15.0  # a running step may hold one up for 60 s
log = structlog.get_logger("heartbeat")


def heartbeat_file() -> Path | None:
    """The file that TRIMTAB_HEARTBEAT names; None if nobody asks for a heartbeat."""
    name = os.environ.get("TRIMTAB_HEARTBEAT", "")
    return Path(name) if name else None


def touch() -> None:
    """Give the heartbeat file the present time."""
    path = heartbeat_file()
    if path is not None:
        path.touch()


class HeartbeatStep(bootsteps.StartStopStep):
    """Sends the message from the worker's own timer, so that a stuck worker stops sending, too."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.timer: Any = None

    def start(self, parent: Any) -> None:
        if heartbeat_file() is not None:
            self.timer = parent.timer.call_repeatedly(EVERY_SECONDS, self.send, (parent.app,))
            self.send(parent.app)

    def stop(self, parent: Any) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def send(self, app: Any) -> None:
        """One message, worthless after the next one."""
        try:
            app.send_task(TASK, queue=QUEUE, ignore_result=True, retry=False, expires=EVERY_SECONDS)
        except SEND_ERRORS as error:
            log.info("heartbeat not sent", error=type(error).__name__)
