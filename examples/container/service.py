"""A pre-forking web service: WEB_CONCURRENCY processes share one port, each keeps its own pages for some seconds.

    WEB_CONCURRENCY=8 python service.py PORT

A page that a process has not kept is made anew, so every further process makes every page once more. Under a CPU quota
that is time nobody has. Standard library only.
"""

import hashlib
import os
import random
import signal
import socket
import sys
import time

KEPT_SECONDS = 8.0  # on average; at random, so that at any time as many pages end as at any other
PAGE_ROUNDS = 38_000  # of hashing: about 35 ms of CPU for a page
ANSWER_ROUNDS = 5_500  # and about 5 ms for what is its own in every answer


def hashed(seed: bytes, rounds: int) -> bytes:
    """Work that takes a while; 64 bytes."""
    digest = seed
    for _ in range(rounds):
        digest = hashlib.sha256(digest * 8).digest()
    return digest.hex().encode()


class Pages:
    """The pages of one process."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[float, bytes]] = {}

    def get(self, path: str) -> bytes:
        now = time.monotonic()
        until, body = self.kept.get(path, (0.0, b""))
        if now > until:
            body = hashed(path.encode(), PAGE_ROUNDS) * 32
            self.kept[path] = (now + random.expovariate(1 / KEPT_SECONDS), body)
        return body + hashed(path.encode(), ANSWER_ROUNDS)


def serve(listener: socket.socket) -> None:
    pages = Pages()
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                words = connection.recv(4096).split(b" ", 2)
                path = words[1].decode("ascii", "replace") if len(words) > 2 else "/"
                body = b"ok\n" if path == "/healthz" else pages.get(path)
                head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
                connection.sendall(head + body)
            except OSError:
                continue  # the client went away


def main() -> None:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=256)
    workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
    children = []
    for _ in range(workers):
        child = os.fork()
        if child == 0:
            serve(listener)
        children.append(child)

    def stop(*_: object) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
