"""One HTTP request on a connection of its own: sent, read to the end, closed.

A connection for each request, because a kept-alive one stays with the pod that took it: pods that come later would get
no share of the load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

BLOCK = 1 << 16  # bytes, also the longest head


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` is the HTTP status; `headers` by their names in lower case, of equal ones the first."""

    code: str
    headers: Mapping[str, str]


def request(path: str, host: str) -> bytes:
    """GET `path` for the server that is known as `host` (HOST or HOST:PORT)."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n".encode()


async def get(address: str, port: int, raw: bytes) -> Answer:
    """The answer to `raw`, once all of it has come; the body is thrown away. Raises OSError where no connection holds,
    EOFError for an answer that was cut off, ValueError for what is no HTTP."""
    reader, writer = await asyncio.open_connection(address, port, limit=BLOCK)
    try:
        writer.write(raw)
        answer = _head(await _until_blank_line(reader))
        await _body(reader, answer)
        return answer
    finally:
        writer.transport.abort()


async def _until_blank_line(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError as error:
        raise ValueError(f"the head of the answer is longer than {BLOCK} bytes") from error


def _head(text: str) -> Answer:
    first, *lines = text.split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not (words[1].isdecimal() and len(words[1]) == 3):
        raise ValueError(f"{first[:80]!r} is no status line")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    return Answer(words[1], headers)


async def _body(reader: asyncio.StreamReader, answer: Answer) -> None:
    if answer.code in ("204", "304"):
        return
    if "chunked" in answer.headers.get("transfer-encoding", "").lower():
        while (size := int((await reader.readline()).split(b";")[0], 16)) > 0:
            await _skip(reader, size + 2)
    elif "content-length" in answer.headers:
        await _skip(reader, int(answer.headers["content-length"]))
    else:
        while await reader.read(BLOCK):
            pass


async def _skip(reader: asyncio.StreamReader, size: int) -> None:
    while size > 0:
        block = await reader.read(min(size, BLOCK))
        if not block:
            raise EOFError(f"the answer was cut off {size} bytes before its end")
        size -= len(block)
