"""A small HTTP server in a thread that misbehaves on purpose: dropped connections, hung requests, errors, slowness."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

DROP_EVERY = 10  # requests of /drop


@dataclass
class Site:
    """`seen` counts requests by path, as the server saw them."""

    port: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the client leaves. /drop: every tenth request is cut off without an answer; /hang: the fifth
        request is never answered; /slow: 50 ms; /fail: every fourth is a 500; anything else: 200 at once."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, _, headers = head.partition(b"\r\n")
                path, version = line.split(b" ")[1].decode(), line.split(b" ")[2]
                count = self.seen[path] = self.seen.get(path, 0) + 1
                if path == "/drop" and count % DROP_EVERY == 0:
                    writer.transport.abort()
                    return
                if path == "/hang" and count == 5:
                    await asyncio.Event().wait()
                if path == "/slow":
                    await asyncio.sleep(0.05)
                status = b"500 Sorry" if path == "/fail" and count % 4 == 0 else b"200 OK"
                keep = version == b"HTTP/1.1" or b"keep-alive" in headers.lower()
                kept = b"keep-alive" if keep else b"close"
                writer.write(
                    b"HTTP/1.1 " + status + b"\r\nContent-Length: 6\r\nConnection: " + kept + b"\r\n\r\nhello\n"
                )
                if not keep:
                    return
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client is gone
        finally:
            writer.close()


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """The server, until the block is left."""
    found, ready = Site(), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(found.client, "127.0.0.1", 0)
        found.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()
        await _few_turns()  # clients that were just accepted begin, so that cancelling them closes their connections
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await _few_turns()  # and the transports end

    async def _few_turns() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the test server did not start")
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
