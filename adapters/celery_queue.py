"""The queue on Celery and Redis. A message is a run's name and nothing else: losing or doubling it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError

from adapters.redis_errors import ERRORS, checked_url, retyped, shown_url, without_secret
from domain.errors import Transient

QUEUE = "trimtab"
TASK = "trimtab.advance"
# A message that a dead worker took comes back after this time. It must be longer than a lease (75 s), which must be
# longer than a task may live (60 s): so no message is ever delivered twice because its first delivery is still running.
VISIBILITY_SECONDS = 120
SEND_ERRORS: tuple[type[Exception], ...] = (*ERRORS, KombuError, OSError)  # what a send may raise
SEND_SECONDS = 2.0  # the sweep sends several times a second and must not hang on a dead server


def broker_settings(url: str, prefix: str = "trimtab:") -> dict[str, Any]:
    """Celery's settings that sender and worker must share. Raises Misconfigured for a url that cannot work."""
    address = checked_url(url)
    if address.startswith("unix://"):
        address = "redis+socket://" + address.removeprefix("unix://")
    options = {
        "visibility_timeout": VISIBILITY_SECONDS,
        "global_keyprefix": f"{prefix}celery:",
        # Look for messages of dead workers every 5 s; the default is once in 100 s.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": SEND_SECONDS,
        "socket_keepalive": True,
    }
    return {
        "broker_url": address,
        "broker_transport_options": options,
        # Celery reads the visibility timeout in three places, and the shortest wins.
        "result_backend_transport_options": {"visibility_timeout": VISIBILITY_SECONDS},
        "visibility_timeout": VISIBILITY_SECONDS,
        "task_default_queue": QUEUE,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
    }


class CeleryQueue:
    """See `domain.ports.Queue`. Connects on first use; safe for threads."""

    def __init__(self, url: str, prefix: str = "trimtab:") -> None:
        self._url = url
        shared = broker_settings(url, prefix)
        # A worker's blocking reader waits longer and connects again for ever; a sender waits for one short answer.
        shared["broker_transport_options"] |= {"socket_timeout": SEND_SECONDS, "max_retries": 0}
        self._app = Celery("trimtab-sender", set_as_current=False)
        self._app.conf.update(shared, broker_connection_timeout=SEND_SECONDS)

    def send(self, run: str) -> None:
        # No retry: a message that could not be sent is sent by the next look at what is due.
        try:
            self._app.send_task(TASK, args=[run], queue=QUEUE, ignore_result=True, retry=False)
        except SEND_ERRORS as error:
            for cause in _causes(error):
                if isinstance(cause, tuple(ERRORS)):
                    raise retyped(cause, self._url) from error
            seen = f"{type(error).__name__}: {without_secret(str(error), self._url)}"
            raise Transient(f"Redis at {shown_url(self._url)} took no message ({seen}); it is sent again") from error

    def close(self) -> None:
        """Give the connections back."""
        self._app.close()


def _causes(error: BaseException) -> Iterator[Exception]:
    """The error and what it was made from: Celery wraps the client's errors and drops their kind."""
    link: BaseException | None = error
    while isinstance(link, Exception):
        yield link
        link = link.__cause__ or link.__context__
