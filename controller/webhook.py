"""`POST /api/v1/alerts`: Alertmanager's webhook, version 4.

202 once every signal is in Redis; 503 if it cannot be, so that Alertmanager tries again. What is wrong with a request
is said in words, and nothing of it is started.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from controller.metrics import Metrics
from domain.errors import Transient
from domain.ports import Ledger
from domain.signal import Signal

MOST_BYTES = 1 << 20
MOST_ALERTS = 1000
REPEAT_SECONDS = 3600  # a repeat within the same hour is the same signal; later ones may open a run after the cool-down


class Refused(HTTPException):
    """A request that leads to nothing; `reason` is the counter's label."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(status, detail)
        self.reason = reason


def router(ledger: Ledger, tokens: Sequence[str], metrics: Metrics, now: Callable[[], float] = time.time) -> APIRouter:
    routes = APIRouter()

    @routes.post("/api/v1/alerts", status_code=202)
    async def alerts(request: Request) -> dict[str, int]:
        """Take Alertmanager's alerts."""
        try:
            authorise(request, tokens)
            signals = read(await body(request), now())
        except Refused as refused:
            metrics.refused.labels(refused.reason).inc()
            raise
        try:
            fresh = await run_in_threadpool(lambda: [ledger.submit(signal) for signal in signals])
        except Transient as error:
            metrics.refused.labels("unavailable").inc()
            raise HTTPException(503, f"the ledger cannot be reached, try again: {error}") from error
        for signal, new in zip(signals, fresh, strict=True):
            metrics.received.labels(signal.kind, "no" if new else "yes").inc()
        return {"taken": sum(fresh), "repeated": len(fresh) - sum(fresh)}

    return routes


def authorise(request: Request, tokens: Sequence[str]) -> None:
    """Bearer token, compared in constant time. Refused 401 otherwise."""
    given = request.headers.get("authorization", "")
    scheme, _, token = given.partition(" ")
    fits = [hmac.compare_digest(token.strip().encode(), known.encode()) for known in tokens]
    if scheme.lower() != "bearer" or not any(fits):
        raise Refused(401, "token", "send `Authorization: Bearer TOKEN` with a token of the policy's tokens_file")


async def body(request: Request) -> bytes:
    """The request's body, never more than 1 MiB of it."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MOST_BYTES:
            raise Refused(413, "size", f"the body is larger than {MOST_BYTES} bytes; send smaller groups")
    return bytes(data)


def read(data: bytes, now: float) -> list[Signal]:
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
        raise Refused(400, "fields", f"alerts: {len(alerts)} of them; at most {MOST_ALERTS}")
    return [_signal(alert, f"alerts[{place}]", now) for place, alert in enumerate(alerts)]


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
    if not _printable([fingerprint, text, *shown, *shown.values()]):
        raise Refused(400, "fields", f"{field}: a text holds half a surrogate pair, which is no Unicode")
    hour = int(now // REPEAT_SECONDS)
    return Signal(f"{fingerprint[:64]}/{started:.0f}/{hour}", "alert", status, now, text, labels=shown)


def _time(text: Any, field: str) -> float:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise _wrong(field, "an RFC 3339 time", text) from error
    if moment.tzinfo is None:
        raise _wrong(field, "a time with its zone", text)
    return moment.timestamp()


def _printable(texts: Sequence[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _wrong(field: str, allowed: str, seen: Any) -> Refused:
    reason = "version" if field == "version" else "fields"
    return Refused(400, reason, f"{field} must be {allowed}; seen: {json.dumps(seen, default=str)[:120]}")
