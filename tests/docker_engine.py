"""A small engine on a unix socket: it speaks as much of Docker's API as an arm needs, and notes what it was asked."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import socketserver
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTAINER = "shop"


@dataclass
class Engine:
    """One container's HostConfig, the updates that came, and what is answered instead."""

    address: str
    host: dict[str, Any]
    updates: list[dict[str, Any]] = field(default_factory=list)
    refused: list[tuple[str, Any]] = field(default_factory=list)
    answer: tuple[int, str] | None = None  # instead of doing anything

    def refuse(self, name: str, value: object) -> None:
        """An update to this value fails as the kernel's refusals do: 500."""
        self.refused.append((name, value))

    def get(self, path: str) -> tuple[int, object]:
        if path.endswith("/version"):
            return 200, {"ApiVersion": "1.44", "MinAPIVersion": "1.24"}
        if self.answer is not None:
            return self.answer[0], {"message": self.answer[1]}
        if not path.endswith(f"/containers/{CONTAINER}/json"):
            return 404, {"message": f"No such container: {path}"}
        return 200, {"Id": "4f5e", "State": {"Running": True}, "HostConfig": self.host}

    def update(self, body: dict[str, Any]) -> tuple[int, object]:
        if self.answer is not None:
            return self.answer[0], {"message": self.answer[1]}
        for name, value in self.refused:
            if body.get(name) == value:
                return 500, {"message": f"Cannot update container: {name} {value}: invalid argument"}
        if "NanoCpus" in body and (self.host.get("CpuQuota") or self.host.get("CpuPeriod")):
            return 400, {"message": "NanoCPUs cannot be updated as CPU Period has already been set"}
        memory = body.get("Memory", self.host.get("Memory", 0))
        swap = body.get("MemorySwap", self.host.get("MemorySwap", 0))
        if memory and 0 < swap < memory:
            return 409, {"message": "Memory limit should be smaller than already set memoryswap limit"}
        self.updates.append(body)
        self.host.update(body)
        return 200, {"Warnings": []}


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    engine: Engine


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self._tell(*self.server.engine.get(self.path))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if re.search(rf"/containers/{CONTAINER}/update$", self.path):
            self._tell(*self.server.engine.update(body))
        else:
            self._tell(404, {"message": f"No such container: {self.path}"})

    def _tell(self, status: int, content: object) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@contextlib.contextmanager
def fake(path: Path, host: Mapping[str, Any]) -> Iterator[Engine]:
    """An engine at `unix://path` whose container `shop` has this HostConfig."""
    engine = Engine(f"unix://{path}", dict(host))
    with _Server(str(path), _Handler) as server:
        server.engine = engine
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join(5)
