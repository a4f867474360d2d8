"""Reading interface, health and metrics."""

from __future__ import annotations

import json

from controller.api import Health
from domain.errors import Corrupt
from tests.controller.office import DeadLedger, Failing, Office, alert


def started() -> Office:
    office = Office()
    office.ledger.submit(alert())
    office.work()
    return office


def test_a_wish_names_the_run_that_it_would_open() -> None:
    """So that a script can follow it."""
    office = Office()
    told = office.client().post("/api/v1/runs", json={"target": "shop-front", "reason": "slow since noon"}).json()
    office.work()
    assert office.ledger.open_run("shop-front") == told["run"]
    assert office.signal_of_run(told["run"]) == told["signal"]


def test_bad_wishes_are_refused_with_words() -> None:
    """Unknown fields, wrong types, half surrogate pairs, unknown targets."""
    client = Office().client()
    for wish, field in (
        ({}, "body.target"),
        ({"target": 3}, "body.target"),
        ({"target": "shop-front", "raeson": "x"}, "body.raeson"),
        ({"target": "shop-front", "reason": ""}, "body.reason"),
        ({"target": "shop-front", "\ud800": "x"}, "body"),
    ):
        content = json.dumps(wish)
        answer = client.post("/api/v1/runs", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (422, field)
    odd = '{"target": "shop-front", "reason": "\\ud800"}'
    answer = client.post("/api/v1/runs", content=odd, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    answer = client.post("/api/v1/runs", json={"target": "shop"})
    assert (answer.status_code, answer.json()["detail"]) == (404, "no target 'shop'; known: shop-front")


def test_stop_needs_no_body() -> None:
    """The reason is a courtesy."""
    office = started()
    run = office.ledger.open_run("shop-front")
    assert run is not None
    assert office.client().post(f"/api/v1/runs/{run}/stop").status_code == 202
    assert office.ledger.read(run).inbox == ({"kind": "stop", "text": "stopped by a person"},)
    office.close(run)
    assert office.client().post(f"/api/v1/runs/{run}/stop").status_code == 409


def test_open_runs_can_be_listed_alone() -> None:
    """An empty outcome means that there is none yet."""
    office = started()
    run = office.ledger.open_run("shop-front")
    assert run is not None
    office.ledger.submit(alert("fp/1#9"))
    client = office.client()
    assert [each["run"] for each in client.get("/api/v1/runs", params={"outcome": ""}).json()] == [run]
    office.close(run)
    assert client.get("/api/v1/runs", params={"outcome": ""}).json() == []
    assert [each["outcome"] for each in client.get("/api/v1/runs").json()] == ["kept"]


def test_limits_are_checked() -> None:
    """Neither nothing nor everything."""
    client = Office().client()
    for limit in (0, 1001, -1, "many"):
        assert client.get("/api/v1/runs", params={"limit": limit}).status_code == 422


def test_an_unknown_run_is_404() -> None:
    """With the way to the known ones."""
    answer = Office().client().get("/api/v1/runs/shop-1")
    assert answer.status_code == 404
    assert "/api/v1/runs" in answer.json()["detail"]


def test_ignored_signals_can_be_read() -> None:
    """By target, or those that mean none."""
    office = Office()
    office.ledger.submit(alert(labels={"alertname": "DiskFull"}))
    office.ledger.submit(alert(status="resolved"))
    office.work()
    client = office.client()
    assert [note["labels"] for note in client.get("/api/v1/ignored").json()] == [{"alertname": "DiskFull"}]
    (note,) = client.get("/api/v1/ignored", params={"target": "shop-front"}).json()
    assert note["reason"] == "it resolved, and no run is open"


def test_a_broken_journal_is_told_and_costs_the_history_one_line() -> None:
    """500 for the journal itself; the list says what is wrong."""
    office = started()
    broken = Failing(office.ledger)

    def read(run: str) -> object:
        raise Corrupt(run, 3, "its content does not match its hash")

    broken.read = read  # type: ignore[attr-defined]
    client = office.client(broken)
    (row,) = client.get("/api/v1/history").json()
    assert "is broken at record 3" in row["reason"]
    answer = client.get(f"/api/v1/runs/{row['run']}")
    assert answer.status_code == 500
    assert "audit verify" in answer.json()["detail"]


def test_health_is_of_the_loops_and_readiness_of_everything() -> None:
    """A dead Redis is no reason to start the process again."""
    client = Office().client(health=Health(list, lambda: ["Redis does not answer"]))
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ill"]) == (503, ["Redis does not answer"])
    client = Office().client(health=Health(lambda: ["loop sweep is not running"]))
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (503, 503)


def test_metrics_are_there_with_and_without_the_ledger() -> None:
    """Open runs are counted at each scrape; unknown is NaN, not zero."""
    office = started()
    assert 'trimtab_runs_open{target="shop-front"} 1.0' in office.client().get("/metrics").text
    answer = office.client(DeadLedger()).get("/metrics")
    assert answer.status_code == 200
    assert 'trimtab_runs_open{target="shop-front"} NaN' in answer.text


def test_every_metric_has_the_prefix() -> None:
    """One program, one prefix."""
    text = started().client().get("/metrics").text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) >= 8
    assert [name for name in names if not name.startswith("trimtab_")] == []


def test_the_description_is_openapi_and_pulls_nothing_from_the_network() -> None:
    """No documentation page that loads scripts from elsewhere."""
    client = Office().client()
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert {"400", "401", "413", "503"} <= set(described["paths"]["/api/v1/alerts"]["post"]["responses"])
    assert "requestBody" in described["paths"]["/api/v1/alerts"]["post"]
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404
    json.dumps(described)
