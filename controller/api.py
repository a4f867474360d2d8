"""The HTTP interface: webhook, runs, history, targets, health, metrics. Every changing request needs a token."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from controller import webhook
from controller.door import token_check
from controller.intake import MOST_OPEN, UNKNOWN, run_name
from controller.metrics import Metrics
from domain.codec import to_json
from domain.errors import Corrupt, Transient
from domain.ports import Ledger, RunInfo
from domain.signal import Signal
from domain.summary import Summary, summarise
from domain.target import Target

Limit = Annotated[int, Query(ge=1, le=1000, description="At most this many, newest first")]

MOST_WISH = 16_384  # bytes of a request for a run, or for its end


class Start(BaseModel):
    """Ask for a run of a target."""

    model_config = ConfigDict(extra="forbid")
    target: str = Field(min_length=1, max_length=64)
    reason: str = Field(default="started by a person", min_length=1, max_length=300)


class Stop(BaseModel):
    """Ask an open run to take everything back."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(default="stopped by a person", min_length=1, max_length=300)


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong, in sentences; nothing if all is well. `loops`: the process must be started again; `ready`: it
    cannot do its work just now."""

    loops: Callable[[], list[str]] = list
    ready: Callable[[], list[str]] = list


def make_app(
    ledger: Ledger,
    targets: Mapping[str, Target],
    tokens: Sequence[str],
    metrics: Metrics,
    health: Health | None = None,
    now: Callable[[], float] = time.time,
) -> FastAPI:
    """The whole interface. `targets` by name; without `tokens` every changing request is refused."""
    # Export of traces is configured by whoever wants it, never by a variable that happens to be set.
    app = FastAPI(
        title="Trimtab",
        version="1",
        docs_url=None,
        redoc_url=None,
        telemetry={"auto_configure": False},
    )
    allowed = token_check(tokens, metrics)
    app.include_router(webhook.router(ledger, allowed, metrics, now))
    _reading(app, ledger, targets)
    _changing(app, ledger, targets, Depends(allowed), now)
    _watching(app, ledger, targets, metrics, health or Health())

    @app.exception_handler(Transient)
    async def unavailable(_: Request, error: Transient) -> JSONResponse:
        return JSONResponse({"detail": f"try again: {error}"}, 503)

    @app.exception_handler(Corrupt)
    async def corrupt(_: Request, error: Corrupt) -> JSONResponse:
        return JSONResponse({"detail": f"{error}; `trimtab audit verify` checks all of them"}, 500)

    @app.exception_handler(RequestValidationError)
    async def wrong(_: Request, error: RequestValidationError) -> JSONResponse:
        said = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
        # What a stranger wrote may be no Unicode at all, so that it cannot be sent back as it is.
        return JSONResponse({"detail": "; ".join(said)[:1000].encode("ascii", "backslashreplace").decode()}, 422)

    return app


def _reading(app: FastAPI, ledger: Ledger, targets: Mapping[str, Target]) -> None:
    @app.get("/api/v1/runs")
    def runs(target: str | None = None, outcome: str | None = None, limit: Limit = 100) -> list[dict[str, Any]]:
        """Runs, newest first. An empty `outcome` means open ones."""
        return [dict(to_json(info)) for info in ledger.runs(target=target, outcome=outcome, limit=limit)]

    @app.get("/api/v1/runs/{run}")
    def one_run(run: str) -> list[dict[str, Any]]:
        """The journal of a run: its records, oldest first."""
        records = ledger.read(run).records
        if not records:
            raise HTTPException(404, f"no run {run!r}; GET /api/v1/runs lists the known ones")
        return [dict(to_json(record)) for record in records]

    @app.get("/api/v1/history")
    def history(target: str | None = None, outcome: str | None = None, limit: Limit = 20) -> list[dict[str, Any]]:
        """What each run noticed, changed and proved. `effect` is a log difference, below 0 is better."""
        found = ledger.runs(target=target, outcome=outcome, limit=limit)
        return [dict(to_json(_summary(ledger, info))) for info in found]

    @app.get("/api/v1/ignored")
    def ignored(target: str = UNKNOWN) -> list[dict[str, Any]]:
        """Signals that led to nothing, with the reason, oldest first; without `target` those that mean none."""
        return [dict(note) for note in ledger.ignored(target)]

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


def _changing(
    app: FastAPI, ledger: Ledger, targets: Mapping[str, Target], allowed: Any, now: Callable[[], float]
) -> None:
    @app.post("/api/v1/runs", status_code=202, dependencies=[allowed], max_body_size=MOST_WISH)
    def start(wish: Start) -> dict[str, str]:
        """Ask for a run. Intake decides: `run` is the name that it gets if it opens."""
        if wish.target not in targets:
            raise HTTPException(404, f"no target {wish.target!r}; known: {', '.join(sorted(targets))}")
        moment = now()
        signal = Signal(f"person/{moment:.6f}", "person", "firing", moment, wish.reason, target=wish.target)
        ledger.submit(signal)
        return {"signal": signal.id, "run": run_name(signal, wish.target)}

    @app.post("/api/v1/runs/{run}/stop", status_code=202, dependencies=[allowed], max_body_size=MOST_WISH)
    def stop(run: str, wish: Stop | None = None) -> dict[str, str]:
        """Ask an open run to take everything back and close."""
        text = (wish or Stop()).reason
        if not ledger.hear(run, {"kind": "stop", "text": text}, now()):
            raise HTTPException(409, f"run {run!r} is not open; GET /api/v1/runs?outcome= lists the open ones")
        return {"run": run}


def _watching(app: FastAPI, ledger: Ledger, targets: Mapping[str, Target], metrics: Metrics, health: Health) -> None:
    @app.get("/healthz", include_in_schema=False)
    def healthz() -> JSONResponse:
        ill = health.loops()
        return JSONResponse({"well": not ill, "ill": ill}, 503 if ill else 200)

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> JSONResponse:
        ill = [*health.loops(), *health.ready()]
        return JSONResponse({"ready": not ill, "ill": ill}, 503 if ill else 200)

    @app.get("/metrics", include_in_schema=False)
    def expose() -> Response:
        try:
            open_runs = Counter(info.target for info in ledger.runs(outcome="", limit=MOST_OPEN))
        except Transient:
            open_runs = None
        for name in targets:
            metrics.open_runs.labels(name).set(float("nan") if open_runs is None else open_runs[name])
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _summary(ledger: Ledger, info: RunInfo) -> Summary:
    """A broken journal costs its own line its content, not the others theirs."""
    try:
        return summarise(info, ledger.read(info.run).records)
    except Corrupt as broken:
        return replace(summarise(info, ()), reason=str(broken))
