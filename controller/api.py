"""The HTTP interface: webhook, runs, history, targets, health, metrics. Every changing request needs a token."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from controller import webhook
from controller.metrics import Metrics
from domain.codec import to_json
from domain.errors import Corrupt, Transient
from domain.ports import Ledger
from domain.signal import Signal
from domain.summary import summarise
from domain.target import Target


class Start(BaseModel):
    """Ask for a run of a target."""

    model_config = ConfigDict(extra="forbid")
    target: str = Field(min_length=1, max_length=64)
    reason: str = Field(default="started by a person", max_length=300)


class Stop(BaseModel):
    """Ask an open run to take everything back."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="stopped by a person", max_length=300)


def make_app(
    ledger: Ledger,
    targets: Mapping[str, Target],
    tokens: Sequence[str],
    metrics: Metrics,
    healthy: Callable[[], list[str]] = list,
    now: Callable[[], float] = time.time,
) -> FastAPI:
    """`healthy` names what is not well (loops, Redis); empty means ready."""
    app = FastAPI(title="Trimtab", version="1", docs_url=None, redoc_url=None)
    app.include_router(webhook.router(ledger, tokens, metrics, now))

    @app.exception_handler(Transient)
    async def unavailable(_: Request, error: Transient) -> JSONResponse:
        return JSONResponse({"detail": f"try again: {error}"}, 503)

    @app.exception_handler(Corrupt)
    async def corrupt(_: Request, error: Corrupt) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 500)

    @app.get("/api/v1/runs")
    def runs(target: str | None = None, outcome: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Runs, newest first."""
        found = ledger.runs(target=target, outcome=outcome, limit=max(1, min(limit, 1000)))
        return [dict(to_json(info)) for info in found]

    @app.get("/api/v1/runs/{run}")
    def one_run(run: str) -> list[dict[str, Any]]:
        """The journal of a run."""
        records = ledger.read(run).records
        if not records:
            raise HTTPException(404, f"no run {run!r}")
        return [dict(to_json(record)) for record in records]

    @app.get("/api/v1/history")
    def history(target: str | None = None, outcome: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """What each run noticed, changed and proved."""
        found = ledger.runs(target=target, outcome=outcome, limit=max(1, min(limit, 1000)))
        return [dict(to_json(summarise(info, ledger.read(info.run).records))) for info in found]

    @app.get("/api/v1/targets")
    def all_targets() -> list[dict[str, Any]]:
        """Targets of the policy, and their open runs."""
        return [
            {
                "name": target.name,
                "mode": target.mode,
                "actuator": target.actuator,
                "arms": [arm.label for arm in target.arms],
                "parameters": [parameter.name for parameter in target.space.parameters],
                "open_run": ledger.open_run(target.name),
            }
            for target in targets.values()
        ]

    @app.post("/api/v1/runs", status_code=202)
    def start(request: Request, wish: Start) -> dict[str, str]:
        """Ask for a run; intake decides."""
        webhook.authorise(request, tokens)
        if wish.target not in targets:
            raise HTTPException(404, f"no target {wish.target!r}; known: {', '.join(sorted(targets))}")
        moment = now()
        signal = Signal(f"person/{moment:.6f}", "person", "firing", moment, wish.reason, target=wish.target)
        ledger.submit(signal)
        return {"signal": signal.id}

    @app.post("/api/v1/runs/{run}/stop", status_code=202)
    def stop(request: Request, run: str, wish: Stop) -> dict[str, str]:
        """Ask an open run to take everything back and close."""
        webhook.authorise(request, tokens)
        if not ledger.hear(run, {"kind": "stop", "text": wish.reason}, now()):
            raise HTTPException(409, f"run {run!r} is not open")
        return {"run": run}

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> str:
        return "ok"

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> JSONResponse:
        ill = healthy()
        return JSONResponse({"ready": not ill, "ill": ill}, 503 if ill else 200)

    @app.get("/metrics", include_in_schema=False)
    def expose() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return app
