"""The process of a container, asked of the Docker engine on its socket."""

from __future__ import annotations

import http.client
import json
import socket
from urllib.parse import quote

from domain.errors import Misconfigured, Transient

SOCKET = "/var/run/docker.sock"
SECONDS = 3.0
PREFIX = "docker:"


def address(container: str, engine: str = "") -> str:
    """How a container is named where a pid is expected: `docker:SOCKET:NAME`."""
    return f"{PREFIX}{(engine or SOCKET).removeprefix('unix://')}:{container}"


def pid_of_container(text: str) -> int:
    """The first process of the container of an `address`, as this node numbers it. Raises Transient while the engine
    does not answer or the container does not run, Misconfigured if there is no such container."""
    engine, _, name = text.removeprefix(PREFIX).rpartition(":")
    connection = _Connection(engine)
    try:
        connection.request("GET", f"/containers/{quote(name, safe='')}/json")
        answer = connection.getresponse()
        body = answer.read()
        told = json.loads(body) if answer.status == 200 else {}
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Transient(f"container: the engine on {engine} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status == 404:
        raise Misconfigured(f"container: the engine on {engine} has no container {name!r}")
    if answer.status != 200:
        raise Transient(f"container: the engine on {engine} answers with status {answer.status}")
    pid = told.get("State", {}).get("Pid", 0) if isinstance(told, dict) else 0
    if not isinstance(pid, int) or pid <= 0:
        raise Transient(f"container: {name} does not run")
    return pid


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
