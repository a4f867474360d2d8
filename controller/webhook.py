"""`POST /api/v1/alerts`: Alertmanager's webhook, version 4.

202 once every signal is in Redis; 503 if it cannot be, so that Alertmanager tries again. What is wrong with a request
is said in words, and nothing of it is started.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool

from controller.door import Refused, body
from controller.metrics import Metrics
from domain.errors import Transient
from domain.ports import Ledger
from domain.signal import Signal, occasion

log = structlog.get_logger("webhook")
MOST_ALERTS = 1000
SUBMIT_SECONDS = 5.0  # Alertmanager gives up after 10 s by default; a clear 503 before that is better


@dataclass(frozen=True, slots=True)
class Message:
    """One call of the webhook. `truncated` alerts were left out by Alertmanager."""

    signals: tuple[Signal, ...]
    truncated: int = 0


def router(ledger: Ledger, allowed: Callable[[Request], None], metrics: Metrics, now: Callable[[], float]) -> APIRouter:
    """`allowed` raises Refused for a request without a token; `now` gives Unix seconds."""
    routes = APIRouter()

    @routes.post("/api/v1/alerts", status_code=202, dependencies=[Depends(allowed)], openapi_extra=_BODY)
    async def alerts(request: Request) -> dict[str, int]:
        """Take Alertmanager's alerts."""
        try:
            message = read(await body(request), now())
            fresh = await run_in_threadpool(submit, ledger, message.signals)
        except Refused as refused:
            metrics.refused.labels(refused.reason).inc()
            raise
        except Transient as error:
            metrics.refused.labels("unavailable").inc()
            raise Refused(503, "unavailable", f"the ledger cannot be reached, try again: {error}") from error
        for signal, new in zip(message.signals, fresh, strict=True):
            metrics.received.labels(signal.kind, "no" if new else "yes").inc()
        if message.truncated:
            metrics.truncated.inc(message.truncated)
            log.warning("Alertmanager left alerts out; raise max_alerts", truncated=message.truncated)
        return {"taken": sum(fresh), "repeated": len(fresh) - sum(fresh)}

    return routes


_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "required": ["version", "alerts"]}}},
    },
    "responses": {
        str(code): {"description": text}
        for code, text in {
            400: "The message names the field that cannot be right",
            401: "No token, or a wrong one",
            408: "The body did not arrive in time",
            413: "The body is larger than 1 MiB",
            503: "The ledger cannot be reached; send it again",
        }.items()
    },
}


def submit(ledger: Ledger, signals: Sequence[Signal], clock: Callable[[], float] = time.monotonic) -> list[bool]:
    """Queue all signals: True for each that is new. What was queued before a failure is recognised when it is sent
    again. Raises Transient, also after `SUBMIT_SECONDS`."""
    until = clock() + SUBMIT_SECONDS
    fresh: list[bool] = []
    for signal in signals:
        if clock() > until:
            raise Transient(f"{len(fresh)} of {len(signals)} alerts were stored within {SUBMIT_SECONDS:g} s")
        fresh.append(ledger.submit(signal))
    return fresh


def read(data: bytes, now: float) -> Message:
    """The signals of a webhook body. Refused 400 naming the field."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Refused(400, "json", f"the body is not JSON: {str(error)[:200]}") from error
    if not isinstance(message, dict):
        raise _wrong("the body", "an object", message)
    if message.get("version") != "4":
        raise _wrong("version", '"4"', message.get("version"))
    alerts = message.get("alerts")
    if not isinstance(alerts, list) or not alerts:
        raise _wrong("alerts", "a list with at least one alert", alerts)
    if len(alerts) > MOST_ALERTS:
        raise Refused(400, "fields", f"alerts: {len(alerts)} of them; at most {MOST_ALERTS} (max_alerts)")
    truncated = message.get("truncatedAlerts")
    return Message(
        tuple(_signal(alert, f"alerts[{place}]", now) for place, alert in enumerate(alerts)),
        max(truncated, 0) if type(truncated) is int else 0,
    )


def _signal(alert: Any, field: str, now: float) -> Signal:
    if not isinstance(alert, dict):
        raise _wrong(field, "an object", alert)
    status, labels = alert.get("status"), alert.get("labels")
    if status not in ("firing", "resolved"):
        raise _wrong(f"{field}.status", "firing or resolved", status)
    if not isinstance(labels, dict) or not labels or not all(isinstance(each, str) for each in labels.values()):
        raise _wrong(f"{field}.labels", "an object of texts with at least alertname", labels)
    if not labels.get("alertname"):
        raise _wrong(f"{field}.labels.alertname", "a name", labels.get("alertname"))
    fingerprint = alert.get("fingerprint")
    if not isinstance(fingerprint, str) or not fingerprint:
        raise _wrong(f"{field}.fingerprint", "a text", fingerprint)
    started = _time(alert.get("startsAt"), f"{field}.startsAt")
    annotations = alert.get("annotations")
    summary = annotations.get("summary") if isinstance(annotations, dict) else None
    text = str(summary or labels["alertname"])[:300]
    shown = {str(name)[:200]: value[:500] for name, value in labels.items()}
    if not _encodable([fingerprint, text, *shown, *shown.values()]):
        raise Refused(400, "fields", f"{field}: a text holds half a surrogate pair, which is no Unicode")
    # `endsAt` says nothing while an alert fires (year 1), and `status` says that it ended.
    return Signal(occasion(f"{fingerprint[:64]}/{started:.0f}", now), "alert", status, now, text, labels=shown)


def _time(text: Any, field: str) -> float:
    """Unix seconds of an RFC 3339 time; fractions beyond microseconds are cut."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise _wrong(field, "an RFC 3339 time", text) from error
    if moment.tzinfo is None:
        raise _wrong(field, "a time with its zone", text)
    return moment.timestamp()


def _encodable(texts: Sequence[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(field: str, allowed: str, seen: Any) -> Refused:
    reason = "version" if field == "version" else "fields"
    return Refused(400, reason, f"{field} must be {allowed}; seen: {json.dumps(seen, default=str)[:120]}")
