"""The one place of the controller that knows concrete classes."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass

import structlog
from fastapi import FastAPI

from adapters.celery_queue import CeleryQueue
from adapters.clock import SystemClock
from adapters.policy import Policy
from adapters.prometheus import PrometheusTelemetry
from adapters.redis_lease import RedisLeadership
from adapters.redis_ledger import RedisLedger
from controller.api import Health, make_app
from controller.intake import Intake
from controller.loops import Loop
from controller.metrics import Metrics
from controller.settings import Settings
from controller.sweep import Sweep
from controller.watcher import Watcher
from detectors.factory import detector
from detectors.threshold import ThresholdSettings
from domain.errors import Misconfigured, Transient
from domain.ports import Clock, Ledger, Telemetry

log = structlog.get_logger("controller")
CALL_SECONDS = 5.0  # deadline of one query to Prometheus


@dataclass(frozen=True)
class Controller:
    """The HTTP interface and the loops that run beside it."""

    app: FastAPI
    loops: tuple[Loop, ...]

    def start(self) -> None:
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """Let each loop finish what it is at."""
        for loop in self.loops:
            loop.stop()
        for loop in self.loops:
            loop.join(5.0)


def build(policy: Policy, settings: Settings) -> Controller:
    """Wait for Redis, say whether Prometheus answers, and put everything together. Raises Misconfigured."""
    targets = {target.name: target for target in policy.targets}
    ledger, clock, metrics = RedisLedger(policy.redis_url, policy.redis_prefix), SystemClock(), Metrics()
    telemetry = PrometheusTelemetry(policy.prometheus_url, CALL_SECONDS, headers=policy.prometheus_headers)
    loops = [_watch_loop(policy, telemetry, ledger, clock, metrics)] if policy.watch.enabled else []
    ledger.wait(lambda text: log.warning(text))
    for warning in ledger.check(acting=any(target.mode in ("approve", "act") for target in policy.targets)):
        log.warning("ledger", check=warning)
    if telemetry.now() is None:
        log.warning("waiting for Prometheus: it does not answer yet; signals are taken, windows wait until it does")
    if not policy.server.tokens:
        log.warning("no tokens: every changing request will be refused; set server.tokens_file")
    intake = Intake(
        ledger,
        targets,
        clock,
        metrics,
        most_open=policy.limits.open_runs,
        freeze=policy.limits.freeze,
        seed=settings.seed,
    )
    queue = CeleryQueue(policy.redis_url, policy.redis_prefix)
    sweep = Sweep(ledger, queue, clock, metrics)
    loops += [Loop("intake", intake.one, settings.intake, metrics), Loop("sweep", sweep.one, settings.sweep, metrics)]

    def hung() -> list[str]:
        return [f"loop {loop.name} is not running" for loop in loops if not loop.alive]

    def unreachable() -> list[str]:
        try:
            ledger.ping()
        except (Transient, Misconfigured) as error:
            return [str(error)]
        return []

    health = Health(hung, unreachable)
    return Controller(make_app(ledger, targets, policy.server.tokens, metrics, health, clock.now), tuple(loops))


def _watch_loop(policy: Policy, telemetry: Telemetry, ledger: Ledger, clock: Clock, metrics: Metrics) -> Loop:
    watch, targets = policy.watch, {target.name: target for target in policy.targets}
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
        leadership=RedisLeadership(policy.redis_url, policy.redis_prefix),
        holder=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}",  # pids repeat in containers
    )
    # A Prometheus that hangs costs the deadline of several queries for each arm; that is no hung loop.
    patience = 60.0 + 6 * CALL_SECONDS * sum(len(target.arms) for target in policy.targets)
    return Loop("watcher", watcher.one, watch.interval, metrics, patience=patience, last=watcher.resign)
