"""Whom the load goes to, and who is known to be there; and one request on a connection of its own."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Sequence

import pytest

from adapters.load import endpoints as module
from adapters.load.address import owned
from adapters.load.endpoints import Endpoints, Identity, addresses
from adapters.load.exchange import Answer, get, request
from domain.errors import Misconfigured

CHANCE = random.Random(1)


class Name:
    """What a name resolves to: addresses, or an error."""

    def __init__(self, *found: str) -> None:
        self.found: Sequence[str] | OSError = found

    def __call__(self, host: str) -> Sequence[str]:
        if isinstance(self.found, OSError):
            raise self.found
        return self.found


def picked(places: Endpoints) -> dict[str, Identity]:
    """Everybody who gets load."""
    return dict(found for _ in range(200) if (found := places.pick(CHANCE)) is not None)


def told(pod: str, configuration: str = "") -> Callable[[str], Awaitable[Answer]]:
    async def probe(address: str) -> Answer:
        return Answer("200", {"x-pod": f"{pod}-{address}", "x-configuration": configuration})

    return probe


async def settled(places: Endpoints) -> None:
    await places.refresh()
    for _ in range(5):
        await asyncio.sleep(0)


def test_load_goes_to_those_that_the_name_gives_and_to_no_others() -> None:
    """All of them in turn; one that is gone gets nothing from the next look on."""

    async def story() -> None:
        name = Name("10.0.0.1", "10.0.0.2", "10.0.0.3")
        places = Endpoints("shop", name, told("pod", "v1"))
        assert places.pick(CHANCE) is None
        await settled(places)
        assert places.known.is_set()
        assert picked(places) == {f"10.0.0.{n}": Identity(f"pod-10.0.0.{n}", "v1") for n in (1, 2, 3)}
        name.found = ("10.0.0.3",)
        await settled(places)
        assert set(picked(places)) == {"10.0.0.3"}
        name.found = ()
        await settled(places)
        assert places.pick(CHANCE) is None

    asyncio.run(story())


def test_while_nobody_can_be_asked_the_last_addresses_stand() -> None:
    """An outage of name resolution is no outage of the service; it is counted."""

    async def story() -> None:
        name = Name("10.0.0.1")
        places = Endpoints("shop", name, None)
        await settled(places)
        name.found = socket.gaierror(socket.EAI_AGAIN, "try again")
        await settled(places)
        assert set(picked(places)) == {"10.0.0.1"}
        assert places.failures == 1

    asyncio.run(story())


def test_a_new_pod_gets_load_once_it_has_said_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first requests are not counted for a stranger; one that says nothing gets load after a while, under its
    address."""
    monkeypatch.setattr(module, "PROBE_SECONDS", 0.05)

    async def story() -> None:
        gate = asyncio.Event()

        async def probe(address: str) -> Answer:
            await gate.wait()
            return Answer("200", {"x-pod": "late"})

        places = Endpoints("shop", Name("10.0.0.1"), probe)
        await settled(places)
        assert places.pick(CHANCE) is None
        await asyncio.sleep(0.1)
        assert picked(places) == {"10.0.0.1": Identity("10.0.0.1")}
        gate.set()
        await settled(places)
        assert picked(places) == {"10.0.0.1": Identity("late")}
        await places.close()

    asyncio.run(story())


def test_an_answer_to_an_older_request_is_old_news() -> None:
    """A server that reloads ends with its old configuration what it has begun."""

    async def story() -> None:
        places = Endpoints("shop", Name("10.0.0.1"), None)
        await settled(places)
        places.learn("10.0.0.1", {"x-pod": "a", "x-configuration": "new"}, 20.0)
        places.learn("10.0.0.1", {"x-pod": "a", "x-configuration": "old"}, 19.0)
        assert picked(places) == {"10.0.0.1": Identity("a", "new")}
        places.learn("10.0.0.1", {}, 30.0)  # an error page without headers says nothing
        places.learn("10.0.0.9", {"x-pod": "b"}, 30.0)  # gone
        assert picked(places) == {"10.0.0.1": Identity("a", "new")}

    asyncio.run(story())


def test_what_a_pod_says_becomes_a_label_and_nothing_else() -> None:
    """Quotes, line ends and length are its own business."""

    async def story() -> None:
        places = Endpoints("shop", Name("10.0.0.1"), None)
        await settled(places)
        places.learn("10.0.0.1", {"x-pod": 'a"} 1\nb', "x-configuration": "c" * 500}, 1.0)
        (identity,) = picked(places).values()
        assert identity == Identity("a___1_b", "c" * 100)

    asyncio.run(story())


def test_an_address_of_somebody_else_ends_the_load() -> None:
    """Wherever the name leads: only loopback and private addresses, unless the person confirmed it."""

    async def story(confirmed: bool) -> dict[str, Identity]:
        places = Endpoints("shop", Name("8.8.8.8"), None, lambda address: owned(address, confirmed=confirmed))
        await settled(places)
        return picked(places)

    with pytest.raises(Misconfigured, match=r"8\.8\.8\.8"):
        asyncio.run(story(False))
    assert set(asyncio.run(story(True))) == {"8.8.8.8"}


def test_a_name_without_addresses_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ready pod: the name does not exist. A server that does not answer is an error."""

    def fail(number: int) -> Callable[..., object]:
        def ask(*args: object, **kwargs: object) -> object:
            raise socket.gaierror(number, "no")

        return ask

    assert addresses("127.0.0.1") == ("127.0.0.1",)
    monkeypatch.setattr(socket, "getaddrinfo", fail(socket.EAI_NONAME))
    assert addresses("shop.default.svc") == ()
    monkeypatch.setattr(socket, "getaddrinfo", fail(socket.EAI_AGAIN))
    with pytest.raises(OSError, match="no"):
        addresses("shop.default.svc")


def exchange(answer: bytes) -> Answer:
    """What `get` makes of a server that says `answer` and closes."""

    async def story() -> Answer:
        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(client, "127.0.0.1", 0)
        async with server:
            return await get("127.0.0.1", server.sockets[0].getsockname()[1], request("/", "shop"))

    return asyncio.run(story())


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 5\r\n\r\nhello",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n",
        b"\r\nuntil it closes",
    ],
    ids=["length", "chunked", "close"],
)
def test_an_answer_is_read_to_its_end(body: bytes) -> None:
    """However its length is told."""
    answer = exchange(b"HTTP/1.1 503 Sorry\r\nX-Pod: a\r\nx-pod: b\r\n" + body)
    assert answer.code == "503"
    assert answer.headers["x-pod"] == "a"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/1.1 twohundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_was_cut_off_or_is_no_http_is_an_error(text: bytes) -> None:
    """Never an answer."""
    with pytest.raises((OSError, EOFError, ValueError)):
        exchange(text)
