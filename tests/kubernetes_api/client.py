"""Our own door to the API server, connected to the fake."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubernetes import client

from adapters.actuators.kubernetes.api import Api, Ran
from tests.kubernetes_api.server import TOKEN, ApiServer, serving

Json = dict[str, Any]
Runner = Callable[[str, str, str, list[str]], Ran]


class Died(BaseException):
    """The process ends here: no `except Exception` may hold it up."""


class FakeApi(Api):
    """`runner(namespace, pod, container, command)` answers what is run in pods. With `die_at` the process dies at that
    call (the first is 1): before it is sent, or, with `after`, when it was carried out and not answered."""

    def __init__(self, connection: client.ApiClient, runner: Runner | None = None) -> None:
        super().__init__(connection)
        self.runner = runner
        self.ran: list[tuple[str, list[str]]] = []
        self.count = 0
        self.die_at = 0
        self.after = False

    def run(self, namespace: str, pod: str, container: str, command: list[str]) -> Ran:
        assert self.runner is not None, f"nobody said what {command} in {pod} answers"
        self.ran.append((pod, command))
        return self.runner(namespace, pod, container, command)

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
        answer = super()._call(method, path, body, query=query, kind=kind, dry=dry)
        if self.count == self.die_at:
            raise Died(f"after call {self.count}: {method} {path}")
        return answer


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
def cluster() -> Iterator[tuple[ApiServer, FakeApi]]:
    """A running fake and an Api of it."""
    with serving() as server, connected(server) as api:
        yield server, api
