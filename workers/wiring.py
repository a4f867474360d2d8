"""The one place of the worker that knows concrete classes. Everything is made on first use, in its own process.

The mathematics of the strategies (a second of start-up and 130 MB) is loaded by each pool process as it starts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import structlog

from adapters.clock import SystemClock
from adapters.redis_ledger import RedisLedger
from domain.errors import Misconfigured
from domain.ports import Actuator, Examiner, Optimizer, Record, Stage
from domain.target import Target
from workers.advance import Ports

if TYPE_CHECKING:
    from adapters.policy import Policy

log = structlog.get_logger("worker")


def policy_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The policy file that TRIMTAB_POLICY names. Raises Misconfigured."""
    name = environ.get("TRIMTAB_POLICY", "")
    if not name:
        raise Misconfigured("TRIMTAB_POLICY is not set; it must name the policy file, for example trimtab.yaml")
    path = Path(name).absolute()
    if not path.is_file():
        raise Misconfigured(f"TRIMTAB_POLICY: there is no file {path}; write one or name another")
    return path


@cache
def policy() -> Policy:
    """The policy of this process, read once. Raises Misconfigured."""
    from adapters.policy import load_policy

    return load_policy(policy_path())


@cache
def ports() -> Ports:
    """Everything that a step may touch, made once in each process. Raises Misconfigured."""
    from adapters.prometheus import PrometheusTelemetry

    told, clock = policy(), SystemClock()
    telemetry = PrometheusTelemetry(told.prometheus_url, headers=told.prometheus_headers)

    def examiner(target: Target) -> Examiner:
        from adapters.facts.examiner import TargetExaminer

        return TargetExaminer(target, telemetry, clock)

    return Ports(
        ledger=RedisLedger(told.redis_url, told.redis_prefix),
        telemetry=telemetry,
        actuators=_actuators,
        optimizer=_optimizer,
        clock=clock,
        targets={target.name: target for target in told.targets},
        closed=report_writer(told.reports),
        examiner=examiner,
        stage=_stage,
    )


def report_writer(directory: Path) -> Callable[[str, Sequence[Record]], None]:
    """Writes the page of each closed run into `directory`. The page can be made again from the journal at any time, so
    one that cannot be written is a log line and nothing more."""

    def closed(run: str, records: Sequence[Record]) -> None:
        from adapters.report import write_report

        try:
            path = write_report(directory, run, records)
        except (OSError, ValueError) as error:
            log.warning("no report written", run=run, why=str(error))
        else:
            log.info("report written", run=run, path=str(path))

    return closed


def _actuators(target: Target) -> Mapping[str, Actuator]:
    from adapters.actuators.registry import actuators_for

    return actuators_for(target)


def _stage(target: Target) -> Stage | None:
    from adapters.actuators.registry import stage

    return stage(target)


def _optimizer(name: str) -> Optimizer:
    from optimizers.factory import strategy

    return strategy(name)


def load_strategies() -> None:
    """Import what the strategies of the policy's targets need. Raises Misconfigured."""
    for name in sorted({target.strategy for target in policy().targets}):
        _optimizer(name)


def check_server() -> None:
    """Wait until Redis answers and say so; warn of a server that may lose journals. Raises Misconfigured if it may and
    a target lets us act."""
    told = policy()
    ledger = RedisLedger(told.redis_url, told.redis_prefix)
    try:
        ledger.wait(log.warning)
        for words in ledger.check(acting=any(target.mode in ("approve", "act") for target in told.targets)):
            log.warning(words)
    finally:
        ledger.close()


def start_watchdog(policy_file: Path) -> subprocess.Popen[bytes]:
    """Start the process that restores what is past its deadline, beside the worker. It has a session of its own and
    writes to `watchdog.log` beside the reports, so neither a signal to the worker nor the end of whoever reads the
    worker's output can end it. Only one is at work for one policy file."""
    command = [sys.executable, "-m", "adapters.actuators.reap", "--policy", str(policy_file)]
    with _watchdog_log(policy().reports) as told:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT, start_new_session=True
        )


def _watchdog_log(directory: Path) -> BinaryIO:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return (directory / "watchdog.log").open("ab")
    except OSError as error:
        log.warning("the watchdog's words are lost", directory=str(directory), why=str(error))
        return open(os.devnull, "ab")
