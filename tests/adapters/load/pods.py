"""Small HTTP servers on loopback addresses that play the pods of a Service, and a name that finds them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Pod:
    """One server. `seen` counts requests of /work by the configuration that was in force when they came, `connections`
    all connections. `mode`: ok; hang (never answers /work); drop (cuts /work off). After `turn` requests of /work the
    configuration is `after`."""

    address: str
    name: str
    configuration: str = ""
    mode: str = "ok"
    turn: int = -1
    after: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    connections: int = 0

    async def client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                work, told = not head.startswith(b"GET /who "), self.configuration
                self.seen[told] += work
                self.asked += not work
                if self.seen.total() == self.turn:
                    self.configuration = self.after
                if work and self.mode == "hang":
                    await reader.read()  # until the client leaves
                    return
                if work and self.mode == "drop":
                    writer.transport.abort()
                    return
                lines = [b"HTTP/1.1 200 OK", b"Content-Length: 6", b"X-Pod: " + self.name.encode()]
                lines += [b"X-Configuration: " + told.encode()] if told else []
                writer.write(b"\r\n".join(lines) + b"\r\n\r\nhello\n")
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client is gone
        finally:
            writer.close()


@dataclass
class Service:
    """Pods on one port. `found` is what the name gives; None: nobody can be asked."""

    pods: tuple[Pod, ...]
    port: int = 0
    found: tuple[str, ...] | None = ()

    def resolve(self, host: str) -> tuple[str, ...]:
        if self.found is None:
            raise OSError("no server answers")
        return self.found


@contextlib.contextmanager
def service(*pods: Pod) -> Iterator[Service]:
    """The pods, all of them found, until the block is left."""
    made, ready = Service(pods, found=tuple(pod.address for pod in pods)), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        servers = await _listen(made)
        ready.set()
        await stop.wait()
        for server in servers:
            server.close()
        await _few_turns()
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await _few_turns()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the test servers did not start")
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


async def _listen(made: Service) -> list[asyncio.Server]:
    """One port that is free on all addresses."""
    for _ in range(20):
        servers: list[asyncio.Server] = []
        made.port = 0
        try:
            for pod in made.pods:
                servers.append(await asyncio.start_server(pod.client, pod.address, made.port))
                made.port = servers[-1].sockets[0].getsockname()[1]
            return servers
        except OSError:
            for server in servers:
                server.close()
    raise RuntimeError("no port is free on all addresses")


async def _few_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
