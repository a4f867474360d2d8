"""The Ready pods behind a headless Service, by name resolution alone, and who each of them is.

A headless Service's name resolves to the addresses of its Ready pods and of no others. Who a pod is it says itself, in
headers of its answers: `X-Pod` (its name) and `X-Configuration` (what it is configured with, if it says so). With
nginx: `add_header X-Pod $hostname always;`.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from adapters.load.exchange import Answer

POD, CONFIGURATION = "x-pod", "x-configuration"
PROBE_SECONDS = 1.0  # after which a pod that does not say who it is gets load all the same
MOST_LABEL = 100  # characters
_STRANGE = re.compile(r"[^\w.:/@+-]", re.ASCII)
_NO_ADDRESS = (socket.EAI_NONAME, socket.EAI_NODATA)

Resolve = Callable[[str], Sequence[str]]
Probe = Callable[[str], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who serves at an address: the labels of what is measured there."""

    pod: str
    configuration: str = ""


@dataclass(slots=True)
class _Place:
    identity: Identity
    ready: bool
    told: float = -math.inf  # when the request was sent whose answer told the identity
    asking: bool = False


def addresses(host: str) -> tuple[str, ...]:
    """The addresses of a name; none if no pod behind it is Ready. Raises OSError if nobody can be asked."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _NO_ADDRESS:
            return ()
        raise
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class Endpoints:
    """Whom the load may go to. `resolve` gives the addresses of `host` and may block; `probe` asks an address who it is
    (None: only the answers to the load tell); `allowed` raises Misconfigured for an address that must not be loaded."""

    def __init__(
        self, host: str, resolve: Resolve, probe: Probe | None, allowed: Callable[[str], None] = lambda address: None
    ) -> None:
        self._host, self._resolve, self._probe, self._allowed = host, resolve, probe, allowed
        self._places: dict[str, _Place] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # the loop keeps weak references only
        self.known = asyncio.Event()  # some address was ready for load
        self.failures = 0  # of name resolution

    @property
    def ready(self) -> tuple[str, ...]:
        """Addresses that get load."""
        return tuple(address for address, place in self._places.items() if place.ready)

    async def run(self, every: float) -> None:
        """Resolve and ask again each `every` seconds, for ever. Raises Misconfigured."""
        while True:
            await self.refresh()
            await asyncio.sleep(every)

    async def refresh(self) -> None:
        """Resolve once. Addresses that are gone get no load from now on; each that is there is asked who it is. While
        nobody can be asked for addresses, the last ones stand."""
        try:
            found = await asyncio.to_thread(self._resolve, self._host)
        except OSError:
            self.failures += 1
            return
        self._places = {address: self._places.get(address) or self._new(address) for address in found}
        for address, place in self._places.items():
            if self._probe is None:
                self.known.set()
            elif not place.asking:
                place.asking = True
                task = asyncio.get_running_loop().create_task(self._ask(self._probe, address, place))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def pick(self, chance: random.Random) -> tuple[str, Identity] | None:
        """An address at random, with who is there as far as it is known now; None if there is none."""
        ready = self.ready
        if not ready:
            return None
        address = chance.choice(ready)
        return address, self._places[address].identity

    def learn(self, address: str, headers: Mapping[str, str], sent: float) -> None:
        """What an answer says of who is there; `sent` is when its request was (the loop's clock). An answer to an
        earlier request than the one that told last is old news: a server that reloads ends what it has begun."""
        place, pod = self._places.get(address), headers.get(POD, "")
        if place is not None and pod and sent >= place.told:
            place.told = sent
            place.identity = Identity(_label(pod), _label(headers.get(CONFIGURATION, "")))

    async def close(self) -> None:
        """Ask nobody any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _new(self, address: str) -> _Place:
        self._allowed(address)
        return _Place(Identity(address), ready=self._probe is None)

    async def _ask(self, probe: Probe, address: str, place: _Place) -> None:
        sent = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                self.learn(address, (await probe(address)).headers, sent)
        except (OSError, EOFError, ValueError):
            pass  # the load will show what is wrong there
        finally:
            place.asking, place.ready = False, True
            if address in self._places:
                self.known.set()


def _label(text: str) -> str:
    """A text from outside as the value of a label."""
    return _STRANGE.sub("_", text)[:MOST_LABEL]
