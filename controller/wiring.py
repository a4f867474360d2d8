"""The one place of the controller that knows concrete classes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import structlog
from fastapi import FastAPI

from adapters.celery_queue import CeleryQueue
from adapters.clock import SystemClock
from adapters.policy import Policy
from adapters.prometheus import PrometheusTelemetry
from adapters.redis_ledger import RedisLedger
from controller.api import make_app
from controller.intake import Intake
from controller.loops import Loop
from controller.metrics import Metrics
from controller.sweep import Sweep
from controller.watcher import Watcher
from detectors.factory import detector
from detectors.threshold import ThresholdSettings
from domain.errors import Misconfigured, Transient

log = structlog.get_logger("controller")
SWEEP_SECONDS, INTAKE_SECONDS = 0.1, 0.2


@dataclass(frozen=True)
class Controller:
    app: FastAPI
    loops: tuple[Loop, ...]


def build(policy: Policy) -> Controller:
    """Wait for Redis, say whether Prometheus answers, and put everything together. Raises Misconfigured."""
    targets = {target.name: target for target in policy.targets}
    ledger, clock, metrics = RedisLedger(policy.redis_url, policy.redis_prefix), SystemClock(), Metrics()
    ledger.wait(lambda text: log.warning(text))
    for warning in ledger.check(acting=any(target.mode in ("approve", "act") for target in policy.targets)):
        log.warning("ledger", check=warning)
    telemetry = PrometheusTelemetry(policy.prometheus_url, headers=policy.prometheus_headers)
    if telemetry.now() is None:
        log.warning("Prometheus does not answer yet; signals are taken, windows wait until it does")
    intake = Intake(
        ledger,
        targets,
        clock,
        metrics,
        most_open=policy.limits.open_runs,
        freeze=policy.limits.freeze,
        seed=_seed(),
    )
    sweep = Sweep(ledger, CeleryQueue(policy.redis_url, policy.redis_prefix), clock, metrics)
    loops = [Loop("intake", intake.one, INTAKE_SECONDS, metrics), Loop("sweep", sweep.one, SWEEP_SECONDS, metrics)]
    if policy.watch.enabled:
        watch = policy.watch
        settings = ThresholdSettings(baseline=watch.baseline, hold=watch.hold, min_effect=watch.min_effect)
        watcher = Watcher(
            targets,
            telemetry,
            detector(watch.detector, settings),
            ledger,
            clock,
            metrics,
            interval=watch.interval,
            baseline=watch.baseline,
        )
        loops.append(Loop("watcher", watcher.one, watch.interval, metrics))

    def ill() -> list[str]:
        found = [f"loop {loop.name} is not running" for loop in loops if not loop.alive]
        try:
            ledger.ping()
        except Transient:
            found.append("Redis does not answer")
        return found

    if not policy.server.tokens:
        log.warning("no tokens: every changing request will be refused; set server.tokens_file")
    return Controller(make_app(ledger, targets, policy.server.tokens, metrics, ill, time.time), tuple(loops))


def _seed() -> int | None:
    """TRIMTAB_SEED fixes the seed of every run, for demonstrations and tests."""
    text = os.environ.get("TRIMTAB_SEED", "")
    if not text:
        return None
    if not text.isdigit():
        raise Misconfigured(f"TRIMTAB_SEED is {text!r}; it must be a whole number")
    return int(text)
