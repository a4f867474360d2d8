"""Our own door to the API server, connected to the fake."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubernetes import client

from adapters.actuators.kubernetes.api import Api, Ran, _error, _retyped
from tests.kubernetes_api.server import TOKEN, ApiServer, Call, answered, serving

Json = dict[str, Any]
Runner = Callable[[str, str, str, list[str]], Ran]


class Died(BaseException):
    """The process ends here: no `except Exception` may hold it up."""


class FakeApi(Api):
    """`runner(namespace, pod, container, command)` answers what is run in pods. With `die_at` the process dies at that
    call (the first is 1): before it is sent, or, with `after`, when it was carried out and not answered. With `server`
    calls go to it directly and not by HTTP, which takes most of their time. `noticed` hears of each call before it is
    sent and, with True, when it was carried out."""

    def __init__(self, connection: client.ApiClient, runner: Runner | None = None) -> None:
        super().__init__(connection)
        self.runner = runner
        self.ran: list[tuple[str, list[str]]] = []
        self.count = 0
        self.die_at = 0
        self.after = False
        self.server: ApiServer | None = None
        self.noticed: Callable[[Call, bool], None] = lambda call, done: None

    def run(self, namespace: str, pod: str, container: str, command: list[str]) -> Ran:
        assert self.runner is not None, f"nobody said what {command} in {pod} answers"
        self.ran.append((pod, command))
        if self.server is None:
            return self.runner(namespace, pod, container, command)
        # A connection that fails is one of this kind, too.
        call = Call("POST", f"/api/v1/namespaces/{namespace}/pods/{pod}/exec", {"command": " ".join(command)})
        self.noticed(call, False)
        with _retyped(f"pods/exec of {pod}"):
            how = self.server.failure(call)
            if how is not None:
                raise ConnectionError(f"exec: {how}")
            answer = self.runner(namespace, pod, container, command)
        self.noticed(call, True)
        return answer

    def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: Mapping[str, str] | None = None,
        kind: str = "",
        dry: bool = False,
    ) -> Json:
        self.count += 1
        if self.count == self.die_at and not self.after:
            raise Died(f"before call {self.count}: {method} {path}")
        if self.server is not None:
            answer = self._directly(self.server, method, path, body, {**(query or {}), **_dry(dry)}, kind)
        else:
            answer = super()._call(method, path, body, query=query, kind=kind, dry=dry)
        if self.count == self.die_at:
            raise Died(f"after call {self.count}: {method} {path}")
        return answer

    def _directly(
        self, server: ApiServer, method: str, path: str, body: Json | None, query: dict[str, str], kind: str
    ) -> Json:
        call = Call(method, path, query, json.loads(json.dumps(body)), kind)
        self.noticed(call, False)
        with _retyped(f"{method} {path}"):
            told = answered(server, call)
            if told is None:
                raise ConnectionError("the connection was closed")
        status, found = told
        if not 200 <= status <= 299:
            raise _error(method, path, status, found if isinstance(found, str) else json.dumps(found))
        self.noticed(call, True)
        assert isinstance(found, dict)
        return found


def _dry(dry: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry else {}


@contextlib.contextmanager
def connected(server: ApiServer, token: str = TOKEN, runner: Runner | None = None) -> Iterator[FakeApi]:
    """An Api whose server is the fake."""
    settings = client.Configuration(host=server.address)
    settings.api_key["BearerToken"] = f"Bearer {token}"
    settings.retries = False
    connection = client.ApiClient(settings)
    try:
        yield FakeApi(connection, runner)
    finally:
        connection.rest_client.close()


@contextlib.contextmanager
def cluster(*, http: bool = True) -> Iterator[tuple[ApiServer, FakeApi]]:
    """A running fake and an Api of it. Without `http` that calls it directly."""
    with serving() as server, connected(server) as api:
        api.server = None if http else server
        yield server, api
