"""The process of a container, from an engine that answers as Docker does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.facts.collector import pid_of
from adapters.facts.docker_process import SOCKET, address
from domain.errors import Misconfigured, Transient


@contextmanager
def engine(path: Path, status: str, body: str) -> Iterator[list[bytes]]:
    """One answer on a socket; what was asked."""
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                asked.append(client.recv(4096))
                text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
                client.sendall(text.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        yield asked
        thread.join(5)


def test_the_first_process_of_a_running_container(tmp_path: Path) -> None:
    """The engine tells it by the node's own numbers."""
    path = tmp_path / "d.sock"
    with engine(path, "200 OK", '{"Id": "x", "State": {"Running": true, "Pid": 4711}}') as asked:
        assert pid_of(address("my shop", f"unix://{path}")) == 4711
    assert asked[0].startswith(b"GET /containers/my%20shop/json HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        ("404 Not Found", "{}", Misconfigured, "has no container 'shop'"),
        ("500 Oops", "{}", Transient, "status 500"),
        ("200 OK", '{"State": {"Running": false, "Pid": 0}}', Transient, "shop does not run"),
        ("200 OK", "[]", Transient, "shop does not run"),
        ("200 OK", "not json", Transient, "does not answer"),
    ],
)
def test_answers_that_name_no_process(
    tmp_path: Path, status: str, body: str, error: type[Exception], text: str
) -> None:
    """A container that does not exist is a mistake of the policy; the others may pass."""
    path = tmp_path / "d.sock"
    with engine(path, status, body), pytest.raises(error, match=text):
        pid_of(address("shop", str(path)))


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    """The usual socket is taken where none is named; nobody there is for later."""
    assert address("shop") == f"docker:{SOCKET}:shop"
    with pytest.raises(Transient, match="does not answer"):
        pid_of(address("shop", str(tmp_path / "none.sock")))
