"""A small HTTP/1.1 client on asyncio protocols: GET over kept-alive connections, bodies counted and thrown away.

It exists because it must cost next to nothing beside the server that it measures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

BUFFER = 1 << 18
_LAST_CHUNK = b"\r\n0\r\n\r\n"

# (code such as an HTTP status, empty without an answer; bytes on the wire; may be sent again) -> None
Done = Callable[[str, int, bool], None]


class Names(NamedTuple):
    """Metrics of one kind of load: the histogram of latencies, answers by code, and what came back."""

    seconds: str
    answers: str
    size: str


class HttpClient:
    """What the load generator needs of one HTTP server. Codes are HTTP statuses."""

    codes = ("200", "404", "500", "502", "503", "504")
    names = Names("http_request_duration_seconds", "http_requests_total", "http_response_bytes_total")
    most = 256  # connections

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._name = parts.hostname or "", parts.port or 80, parts.netloc

    def encode(self, path: str) -> bytes:
        """The request for one path."""
        return f"GET {path} HTTP/1.1\r\nHost: {self._name}\r\nAccept-Encoding: gzip\r\n\r\n".encode()

    async def dial(self, idle: Callable[[Connection], None], lost: Callable[[Connection], None]) -> Connection:
        """A new connection. Raises OSError."""
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(idle, lost), self._host, self._port)
        return connection


class Connection(asyncio.BufferedProtocol):
    """One connection, one request at a time. `idle` is called when it may take the next, `lost` when it is gone."""

    def __init__(self, idle: Callable[[Connection], None], lost: Callable[[Connection], None]) -> None:
        self._idle, self._lost = idle, lost
        self._buffer = bytearray(BUFFER)
        self._transport: asyncio.Transport | None = None
        self._done: Done | None = None
        self._reset()

    def _reset(self) -> None:
        self._head = b""
        self._status = 0
        self._size = 0
        self._left = -1  # bytes of the body still to come; -1: chunked
        self._tail = b""
        self._close = False

    # --- asyncio's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport if isinstance(transport, asyncio.Transport) else None

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._done is None:  # nothing was asked: the server says goodbye
            self.abort()
            return
        self._size += nbytes
        start = 0
        if not self._status:
            self._head += bytes(self._buffer[:nbytes])
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            start = nbytes - (len(self._head) - end - 4)
            self._read_head(self._head[: end + 4])
        self._body(start, nbytes)

    def connection_lost(self, error: Exception | None) -> None:
        done, self._done = self._done, None
        self._lost(self)
        if done is not None:
            done("", self._size, self._size == 0)

    # --- our side ----------------------------------------------------------------------------------------------------

    def send(self, request: bytes, done: Done) -> None:
        self._reset()
        self._done = done
        if self._transport is not None:
            self._transport.write(request)

    def abort(self) -> None:
        """Close without a word; an unfinished request is reported through its `done`."""
        if self._transport is not None:
            self._transport.abort()

    def forget(self) -> None:
        """The unfinished request is nobody's any more (it timed out)."""
        self._done = None

    def _read_head(self, head: bytes) -> None:
        self._status = int(head[9:12])
        lowered = head.lower()
        self._close = b"\r\nconnection: close" in lowered
        at = lowered.find(b"\r\ncontent-length:")
        if at >= 0:
            self._left = int(lowered[at + 17 : lowered.index(b"\r\n", at + 2)])
        elif self._status in (204, 304):
            self._left = 0

    def _body(self, start: int, end: int) -> None:
        if self._left >= 0:
            self._left -= end - start
            if self._left <= 0:
                self._finish()
            return
        # Chunked: the body is over when the last chunk has come. Only the tail of each read is looked at; seven
        # bytes of compressed data that end a read and look like it would be taken for the end: once in 2^56 reads.
        self._tail = (self._tail + bytes(self._buffer[max(start, end - 7) : end]))[-7:]
        if self._tail == _LAST_CHUNK:
            self._finish()

    def _finish(self) -> None:
        done, self._done = self._done, None
        if self._close:
            self.abort()
        else:
            self._idle(self)
        if done is not None:
            done(str(self._status), self._size, False)
