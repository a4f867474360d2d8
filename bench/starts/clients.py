"""Load over HTTP on loopback: clients that ask as fast as they are answered, each on a connection that it keeps."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

TIMEOUT = 60.0  # seconds for an answer: a small quota makes everything slow, which is no error


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `slow`: the answer is read in small pieces with a pause between them, `piece` bytes each."""

    path: str
    body: bytes = b""
    slow: float = 0.0
    piece: int = 16384


def get(port: int, path: str, timeout: float = 5.0) -> bytes:
    """The body of an answer 200. Raises OSError or HTTPException for everything else."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status} {body[:200]!r}")
        return body


def answers(port: int, path: str) -> Callable[[], bool]:
    """Whether the address answers with 200 now."""

    def ready() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            get(port, path)
            return True
        return False

    return ready


@contextlib.contextmanager
def idle(port: int, path: str, count: int) -> Iterator[None]:
    """So many connections that have asked once and are kept."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
            stack.callback(connection.close)
            connection.request("GET", path)
            connection.getresponse().read()
        yield


def load(port: int, asked: Sequence[Asked], active: int, seconds: float) -> tuple[int, list[str]]:
    """`active` clients for so long, each through all of `asked` in turn. Number of answers, and what went wrong."""
    wrong: list[str] = []
    counts = [0] * active
    end = time.monotonic() + seconds

    def client(own: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        turn = own
        with contextlib.closing(connection):
            while time.monotonic() < end and not wrong:
                try:
                    _ask(connection, asked[turn % len(asked)], end)
                except (OSError, http.client.HTTPException) as error:
                    wrong.append(f"{asked[turn % len(asked)].path}: {type(error).__name__}: {error}")
                    return
                counts[own] += 1
                turn += 1

    threads = [threading.Thread(target=client, args=(own,)) for own in range(active)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), wrong


def _ask(connection: http.client.HTTPConnection, asked: Asked, end: float) -> None:
    connection.request("POST" if asked.body else "GET", asked.path, body=asked.body or None)
    answer = connection.getresponse()
    while True:
        piece = answer.read(asked.piece) if asked.slow else answer.read()
        if not piece:
            break
        if asked.slow and time.monotonic() < end:
            time.sleep(asked.slow)
    if answer.status != 200:
        raise OSError(f"{answer.status} {answer.reason}")
