"""Our door to the API server: what its answers mean, and how a command in a pod ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from websocket import WebSocketBadStatusException, WebSocketConnectionClosedException

from adapters.actuators.kubernetes.api import Absent, Api, Outdated, Ran, path
from domain.errors import Conflict, Misconfigured, Rejected, Stale, Transient
from tests.kubernetes_api import ApiServer, Died, FakeApi, cluster, connected
from tests.kubernetes_api.objects import pod

Json = dict[str, Any]


@pytest.fixture
def fake() -> Iterator[tuple[ApiServer, FakeApi]]:
    with cluster() as running:
        yield running


NO_RIGHT = 'pods "x" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "pods" in API group ""'
ANSWERS = {
    400: Rejected, 401: Misconfigured, 403: Rejected, 404: Absent, 405: Misconfigured, 406: Misconfigured,
    408: Transient, 409: Outdated, 410: Transient, 413: Rejected, 415: Misconfigured, 422: Rejected, 429: Transient,
    500: Transient, 502: Transient, 503: Transient, 504: Transient, 302: Transient,
}  # fmt: skip


@pytest.mark.parametrize("status", ANSWERS)
def test_every_status_has_its_error(fake: tuple[ApiServer, FakeApi], status: int) -> None:
    """The map is complete: a status becomes exactly one of our errors, with method, path and the server's words."""
    server, api = fake
    server.fail(status)
    with pytest.raises(Exception) as raised:
        api.merge(path("Pod", "default", "x"), {})
    assert type(raised.value) is ANSWERS[status]
    assert "PATCH /api/v1/namespaces/default/pods/x: " in str(raised.value)
    assert issubclass(Absent, Conflict)
    assert issubclass(Outdated, Stale)


def test_a_missing_right_is_told_apart_from_a_refusal(fake: tuple[ApiServer, FakeApi]) -> None:
    """RBAC: a person must grant it. Admission that says "cannot": this candidate is refused. A new quota: wait."""
    server, api = fake
    server.denied = lambda call: call.method == "PATCH"
    with pytest.raises(Misconfigured, match=r'cannot patch resource "pods/resize" in API group "".*the chart.s Roles'):
        api.resize(path("Pod", "default", "x"), "web", {})
    server.refuse(lambda operation, kind, body: "such pods cannot run here" if kind == "Pod" else None)
    with pytest.raises(Rejected, match="such pods cannot run here"):
        api.create(path("Pod", "default"), pod(), dry=True)
    server.store.refusals[0] = (lambda operation, kind, body: "status unknown for quota: rq, resources: pods", 403)
    with pytest.raises(Transient):
        api.create(path("Pod", "default"), pod())
    with connected(server, token="another") as stranger, pytest.raises(Misconfigured, match="does not know our token"):
        stranger.items(path("Pod", "default"))


def test_a_long_answer_is_cut(fake: tuple[ApiServer, FakeApi]) -> None:
    """512 characters on one line: it may hold anything."""
    server, api = fake
    server.refuse(lambda operation, kind, body: "x\n" * 500)
    with pytest.raises(Rejected) as refused:
        api.create(path("Pod", "default"), pod())
    words = str(refused.value).removeprefix("POST /api/v1/namespaces/default/pods: ")
    assert len(words) == 512 + len("...")
    assert "\n" not in words


def test_a_lost_connection_is_for_now(fake: tuple[ApiServer, FakeApi]) -> None:
    """Before the change or after it, the caller cannot know; nobody there at all; no answer that can be read."""
    server, api = fake
    place = path("Pod", "default", "arm")
    server.fail("drop")
    with pytest.raises(Transient, match="does not answer"):
        api.apply(place, pod())
    assert api.get(place) is None
    server.fail("lost", skip=1)
    api.get(place)
    with pytest.raises(Transient, match="does not answer"):
        api.apply(place, pod())
    assert api.get(place) is not None
    nobody = client.Configuration(host="http://127.0.0.1:1")
    nobody.retries = False
    with pytest.raises(Transient, match="does not answer"):
        Api(client.ApiClient(nobody)).get(place)
    assert [call.method for call in server.calls] == ["PATCH", "GET", "GET", "PATCH", "GET"]


def test_death_at_a_call_leaves_what_was_done_before(fake: tuple[ApiServer, FakeApi]) -> None:
    """With a snapshot, a journey can be cut at each of its calls, before or after it."""
    server, api = fake
    state = server.snapshot()
    for after in (False, True):
        api.count, api.die_at, api.after = 0, 1, after
        with pytest.raises(Died):
            api.apply(path("Pod", "default", "arm"), pod())
        assert (
            path("Pod", "default", "arm")
            in [f"/api/v1/namespaces/default/pods/{p.name}" for p in server.store.state.records]
        ) is after
        server.restore(state)
    assert api.get(path("Pod", "default", "arm")) is None


def test_a_command_is_answered_by_the_test(fake: tuple[ApiServer, FakeApi]) -> None:
    """The fake has no containers."""
    _, api = fake
    api.runner = lambda namespace, pod, container, command: Ran(1, " ".join(command))
    assert api.run("default", "arm", "web", ["nginx", "-t"]) == Ran(1, "nginx -t")
    assert api.ran == [("arm", ["nginx", "-t"])]


def status(code: int, message: str = "", *causes: Json) -> str:
    good = (
        {"status": "Success"} if not code else {"status": "Failure", "message": message, "details": {"causes": causes}}
    )
    return json.dumps(good)


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        (status(0), Ran(0, "outerr")),
        (status(1, "exit code 3", {"reason": "ExitCode", "message": "3"}), Ran(3, "outerr")),
        (status(1, 'exec: "nope": executable file not found in $PATH', {"message": "exec"}), 127),
        (status(1, "container not found", {"message": "no"}), Transient),
        ("", Transient),
    ],
)
def test_how_a_command_ended(monkeypatch: pytest.MonkeyPatch, last: str, outcome: Any) -> None:
    """Its exit code; 127 for a program that is not there; a stream that broke off says nothing about it."""
    channels = {3: last}
    stream = SimpleNamespace(
        run_forever=lambda timeout: None,
        is_open=lambda: False,
        read_channel=channels.get,
        read_stdout=lambda: "out",
        read_stderr=lambda: "err",
        close=lambda: None,
        sock=None,
    )
    monkeypatch.setattr("kubernetes.stream.stream", lambda *arguments, **options: stream)
    api = Api(client.ApiClient(client.Configuration(host="http://127.0.0.1:1")))
    if outcome is Transient:
        with pytest.raises(Transient, match="may not have run"):
            api.run("default", "arm", "web", ["nope"])
    elif outcome == 127:
        assert api.run("default", "arm", "web", ["nope"]).code == 127
    else:
        assert api.run("default", "arm", "web", ["nginx"]) == outcome


def test_a_refused_command_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handshake's status counts as any other's; a broken stream is for now."""
    api = Api(client.ApiClient(client.Configuration(host="http://127.0.0.1:1")))

    def handshake(code: int, message: str) -> None:
        body = json.dumps({"message": message}).encode()
        try:
            raise WebSocketBadStatusException("Handshake status", code, resp_body=body)
        except WebSocketBadStatusException as error:
            raise ApiException(status=0, reason=str(error))  # noqa: B904  as the client does it

    def broken() -> None:
        raise WebSocketConnectionClosedException("gone")

    for fail, error in (
        (lambda: handshake(403, NO_RIGHT), Misconfigured),
        (lambda: handshake(404, 'pods "x" not found'), Absent),
        (broken, Transient),
    ):
        monkeypatch.setattr("kubernetes.stream.stream", lambda *arguments, fail=fail, **options: fail())
        with pytest.raises(error, match="pods/exec of arm"):
            api.run("default", "arm", "web", ["nginx"])
