"""The webhook: what is taken, what is refused and in which words."""

from __future__ import annotations

import json

import pytest

from domain.errors import Transient
from tests.controller.stage import GOLDEN, TOKEN, Door


def metric(door: Door, reason: str) -> float:
    return door.metrics.registry.get_sample_value("trimtab_webhook_refused_total", {"reason": reason}) or 0.0


def test_a_firing_alert_is_taken_and_opens_a_run() -> None:
    """202 once the signal is in the ledger; intake opens one run of the target that the labels mean."""
    door = Door()
    answer = door.golden("firing")
    assert (answer.status_code, answer.json()) == (202, {"taken": 1, "repeated": 0})
    door.drain()
    run = door.ledger.open_run("shop-front")
    assert run is not None
    assert run.startswith("shop-front-")
    assert door.ledger.read(run).records[0].data["signal"]["summary"] == "p95 of shop-front is above 250 ms"


def test_a_repeat_changes_nothing() -> None:
    """Alertmanager repeats itself: the same alert within the hour is the same signal."""
    door = Door()
    door.golden("firing")
    assert door.golden("firing").json() == {"taken": 0, "repeated": 1}
    door.drain()
    assert len(door.ledger.runs()) == 1
    assert door.ledger.read(door.ledger.runs()[0].run).inbox == ()


def test_resolved_joins_the_open_run_and_is_ignored_without_one() -> None:
    """`resolved` is a message to a run, never the start of one."""
    door = Door()
    door.golden("resolved")
    door.drain()
    assert door.ledger.runs() == ()
    assert "no run is open" in door.ledger.ignored("shop-front")[0]["reason"]
    other = Door()
    other.golden("firing")
    other.drain()
    other.golden("resolved")
    other.drain()
    (message,) = other.ledger.read(other.ledger.runs()[0].run).inbox
    assert message["kind"] == "resolved"


def test_a_group_is_taken_alert_by_alert_and_unknown_targets_are_noted() -> None:
    """Two alerts in one message, unknown fields, one unknown target: one run, one note with the reason."""
    door = Door()
    assert door.golden("grouped").json() == {"taken": 2, "repeated": 0}
    door.drain()
    assert len(door.ledger.runs()) == 1
    assert "no target of the policy" in door.ledger.ignored("(unknown)")[0]["reason"]


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x"])
def test_a_wrong_token_starts_nothing(token: str) -> None:
    """401, a counter, and nothing in the ledger."""
    door = Door()
    answer = door.post((GOLDEN / "firing.json").read_bytes(), token=token)
    assert answer.status_code == 401
    assert "Authorization: Bearer" in answer.json()["detail"]
    assert TOKEN not in answer.text
    assert door.ledger.submitted() is None
    assert metric(door, "token") == 1


def test_a_body_of_five_megabytes_is_refused() -> None:
    """413 without reading it all."""
    door = Door()
    answer = door.post(b"x" * (5 << 20))
    assert answer.status_code == 413
    assert metric(door, "size") == 1


ALERT = json.loads((GOLDEN / "firing.json").read_text())["alerts"][0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "an object"),
        ('{"version": "5", "alerts": []}', "version"),
        ('{"version": "4"}', "alerts"),
        ('{"version": "4", "alerts": [3]}', "alerts[0]"),
        (json.dumps({"version": "4", "alerts": [{**ALERT, "labels": {}}]}), "alerts[0].labels"),
        (json.dumps({"version": "4", "alerts": [{**ALERT, "labels": {"service": "x"}}]}), "alertname"),
        (json.dumps({"version": "4", "alerts": [{**ALERT, "status": "odd"}]}), "alerts[0].status"),
        (json.dumps({"version": "4", "alerts": [{**ALERT, "startsAt": "yesterday"}]}), "startsAt"),
        (json.dumps({"version": "4", "alerts": [{**ALERT, "startsAt": "2026-11-24T14:15:02"}]}), "zone"),
        (json.dumps({"version": "4", "alerts": [{**ALERT, "fingerprint": 7}]}), "fingerprint"),
        (json.dumps({"version": "4", "alerts": [ALERT] * 1001}), "at most 1000"),
        (json.dumps({"version": "4", "alerts": [{**ALERT, "labels": {"alertname": "\ud800"}}]}), "Unicode"),
    ],
)
def test_a_bad_request_is_named_and_starts_nothing(body: str, says: str) -> None:
    """400 with the field and what it may be; nothing of the message is taken."""
    door = Door()
    answer = door.post(body)
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["detail"]
    assert door.ledger.submitted() is None


def test_an_unreachable_ledger_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be stored is not acknowledged: Alertmanager tries again."""
    door = Door()

    def down(_: object) -> bool:
        raise Transient("no Redis")

    monkeypatch.setattr(door.ledger, "submit", down)
    assert door.golden("firing").status_code == 503
    assert metric(door, "unavailable") == 1


def test_runs_are_started_and_stopped_with_a_token_only() -> None:
    """A person's wish is a signal; stop is a message to an open run."""
    door = Door()
    assert door.client.post("/api/v1/runs", json={"target": "shop-front"}).status_code == 401
    assert door.post('{"target": "nope"}', path="/api/v1/runs").status_code == 404
    assert door.post('{"target": "shop-front", "reason": "slow"}', path="/api/v1/runs").status_code == 202
    door.drain()
    run = door.ledger.open_run("shop-front")
    assert door.post("{}", path=f"/api/v1/runs/{run}/stop").status_code == 202
    assert door.ledger.read(run or "").inbox[0]["kind"] == "stop"
    assert door.post("{}", path="/api/v1/runs/other/stop").status_code == 409
    assert door.client.get("/api/v1/runs").json()[0]["run"] == run
    assert door.client.get(f"/api/v1/runs/{run}").json()[0]["kind"] == "Opened"
    assert door.client.get("/api/v1/history").json()[0]["target"] == "shop-front"
    assert door.client.get("/api/v1/targets").json()[0]["open_run"] == run
    assert door.client.get("/metrics").status_code == 200
    assert door.client.get("/readyz").json() == {"ready": True, "ill": []}
