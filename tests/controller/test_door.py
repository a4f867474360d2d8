"""Who may come in: tokens, sizes, slow clients, and the edges of the webhook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import Request

from controller import door
from controller.door import MOST_BYTES, MOST_DISCARDED, Refused, body, token_check
from controller.metrics import Metrics
from controller.webhook import SUBMIT_SECONDS, submit
from domain.errors import Transient
from tests.controller.office import TOKEN, DeadLedger, Failing, Office, alert

ALERT = {
    "status": "firing",
    "labels": {"alertname": "HighLatency", "service": "shop-front"},
    "startsAt": "2026-11-24T14:15:02Z",
    "fingerprint": "f1",
}


def request(headers: dict[str, str] | None = None, parts: list[bytes] | None = None, wait: float = 0.0) -> Request:
    left = iter(parts or [])

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(wait)
        part = next(left, None)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": True}

    raw = [(name.lower().encode(), value.encode("utf-8")) for name, value in (headers or {}).items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def test_without_tokens_nobody_comes_in() -> None:
    """An empty token is no token."""
    check = token_check((), Metrics())
    for header in ("Bearer ", "Bearer", "", "Bearer x"):
        with pytest.raises(Refused):
            check(request({"Authorization": header}))


@pytest.mark.parametrize("token", [TOKEN, "schlüssel-der-länger-ist-als-16"])
def test_any_of_the_tokens_opens(token: str) -> None:
    """Also one that is not ASCII; the scheme is read without regard to case."""
    check = token_check(("another-token-of-some-length", token), Metrics())
    check(request({"Authorization": f"bearer {token}"}))


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_another_scheme_does_not_open(scheme: str) -> None:
    """Only `Bearer` is understood."""
    with pytest.raises(Refused):
        token_check((TOKEN,), Metrics())(request({"Authorization": f"{scheme} {TOKEN}"}))


def test_an_announced_size_is_refused_before_a_byte_is_read() -> None:
    """The length is believed when it is far too large."""
    with pytest.raises(Refused, match="413"):
        asyncio.run(body(request({"Content-Length": str(MOST_DISCARDED + 1)}, wait=60)))


def test_a_stream_without_end_is_cut_off() -> None:
    """Of a body without announced length a bounded part is read, and dropped."""
    read: list[int] = []

    class Endless(Request):
        async def stream(self) -> AsyncIterator[bytes]:
            while True:
                read.append(1)
                yield b"x" * 65536

    with pytest.raises(Refused, match="413"):
        asyncio.run(body(Endless({"type": "http", "headers": []})))
    assert len(read) == MOST_DISCARDED // 65536 + 1


@pytest.mark.parametrize(("size", "taken"), [(MOST_BYTES, True), (MOST_BYTES + 1, False)])
def test_the_limit_is_exact(size: int, taken: bool) -> None:
    """One MiB is taken, a byte more is refused."""

    class Whole(Request):
        async def stream(self) -> AsyncIterator[bytes]:
            yield b"x" * (size - 1)
            yield b"x"

    whole = Whole({"type": "http", "headers": []})
    if taken:
        assert len(asyncio.run(body(whole))) == size
    else:
        with pytest.raises(Refused, match="413"):
            asyncio.run(body(whole))


def test_a_body_that_trickles_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow client does not hold a connection for ever."""
    monkeypatch.setattr(door, "BODY_SECONDS", 0.02)
    with pytest.raises(Refused, match="408"):
        asyncio.run(body(request(parts=[b"{"] * 9, wait=0.01)))


def test_a_client_that_goes_away_is_no_error_of_ours() -> None:
    """Half a body is refused like any other bad request."""
    with pytest.raises(Refused, match="went away"):
        asyncio.run(body(request(parts=[b"{"])))


def test_the_token_is_asked_for_before_the_body_is_read() -> None:
    """A stranger learns nothing about what a body should look like."""
    client = Office().client()
    assert client.post("/api/v1/alerts", content=b"{", headers={"Authorization": ""}).status_code == 401
    answer = client.post("/api/v1/runs", json={"odd": 1}, headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_large_wish_is_refused() -> None:
    """No request may fill the memory, whatever its path."""
    client = Office().client()
    for path in ("/api/v1/runs", "/api/v1/runs/shop-1/stop"):
        assert client.post(path, json={"reason": "x" * 20_000}).status_code == 413


@pytest.mark.parametrize("started", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_odd_start_times_are_times(started: str) -> None:
    """The ends of the calendar do not overflow."""
    office = Office()
    message = {"version": "4", "alerts": [{**ALERT, "startsAt": started}]}
    assert office.client().post("/api/v1/alerts", json=message).status_code == 202


@pytest.mark.parametrize("truncated", [None, "3", -1, True, 2.5])
def test_an_odd_count_of_truncated_alerts_counts_nothing(truncated: object) -> None:
    """It is for information only."""
    office = Office()
    message = {"version": "4", "alerts": [ALERT], "truncatedAlerts": truncated}
    assert office.client().post("/api/v1/alerts", json=message).status_code == 202
    assert office.count("trimtab_alerts_truncated_total") == 0


def test_truncated_alerts_are_counted() -> None:
    """Somebody should raise max_alerts."""
    office = Office()
    message = {"version": "4", "alerts": [ALERT], "truncatedAlerts": 17}
    office.client().post("/api/v1/alerts", json=message)
    assert office.count("trimtab_alerts_truncated_total") == 17


def test_a_dead_ledger_is_503_everywhere() -> None:
    """Reading, asking and hearing alike: try again."""
    client = Office().client(DeadLedger())
    assert client.post("/api/v1/alerts", content=json.dumps({"version": "4", "alerts": [ALERT]})).status_code == 503
    assert client.post("/api/v1/runs", json={"target": "shop-front"}).status_code == 503
    assert client.post("/api/v1/runs/shop-1/stop", json={}).status_code == 503
    assert client.get("/api/v1/runs").status_code == 503


def test_what_was_stored_before_the_ledger_failed_is_a_repeat_afterwards() -> None:
    """503 for half a group loses nothing and doubles nothing."""
    office = Office()
    failing = Failing(office.ledger, lambda: Transient("gone"))
    failing.at = 1
    message = {"version": "4", "alerts": [ALERT, {**ALERT, "fingerprint": "f2"}]}
    assert office.client(failing).post("/api/v1/alerts", json=message).status_code == 503
    assert office.client().post("/api/v1/alerts", json=message).json() == {"taken": 1, "repeated": 1}


def test_a_slow_ledger_ends_in_an_answer() -> None:
    """Alertmanager hears 503 before it gives up by itself."""
    times: Iterator[float] = iter([0.0, 1.0, SUBMIT_SECONDS + 1])
    with pytest.raises(Transient, match="1 of 3 alerts"):
        submit(Office().ledger, [alert("a"), alert("b"), alert("c")], lambda: next(times))
