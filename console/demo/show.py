"""The demo, act by act."""

from __future__ import annotations

import math
import sys
import time
from functools import cached_property
from statistics import median
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from console.demo.chaos import Chaos
from console.demo.final import Final, measure
from console.demo.ramp import saturating_rate
from console.demo.scenarios.base import ARMS
from console.demo.stage import Stage, p95
from console.telling import differences
from console.watch import Lines, view
from console.wiring import Session
from domain.errors import Transient, TrimtabError
from domain.ports import Actuator, Record, RunInfo, Stamp
from domain.run import replay
from domain.summary import Summary, summarise

HEALTHY_SHARE, HEALTHY_SECONDS, GROWTH_STEPS = 0.5, 16.0, 6
ALARM = 1.3  # times the healthy p95
MOST_GROWTH = 1.15  # times the rate that the ramp found
SIGNAL_SECONDS, RUN_SECONDS, RESOLVE_SECONDS = 60.0, 900.0, 40.0


class Show:
    """One demo from the first process to the last word."""

    def __init__(self, stage: Stage, chaos: str) -> None:
        self.stage, self.chaos = stage, chaos
        self.began = time.monotonic()
        self.console = Console(stderr=True, highlight=False)
        self.alert_p95 = math.nan
        self.closed = False
        self.session = Session(stage.policy)
        self.target = stage.scenario.service

    def say(self, text: str) -> None:
        self.console.print(Text(f"{time.monotonic() - self.began:6.1f} s  {text}"))

    # --- the acts ----------------------------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        """Everything, and the result as plain data."""
        players = f"{self.stage.scenario.players}, load, Prometheus, Alertmanager, Redis, controller, worker"
        self.say(f"in {self.stage.directory}: {players}")
        self.stage.write()
        self.stage.start_service()
        self.stage.start_trimtab()
        rate = saturating_rate(self.stage, self.say)
        self._regress(rate)
        info = self._signal(rate)
        records = self._follow(info.run)
        summary = summarise(self.session.ledger.runs(target=self.target)[0], records)
        resolved = self._resolved() if summary.outcome == "kept" else False
        final = self._final(summary) if summary.outcome == "kept" else None
        result = self._result(summary, final, resolved)
        self._tell(summary, final, resolved)
        return result

    def _regress(self, rate: float) -> None:
        """A healthy phase, then the traffic grows to where the present settings are nearly saturated."""
        self.stage.set_rate(HEALTHY_SHARE * rate)
        self.say(f"healthy: {HEALTHY_SHARE * rate:.0f} requests/s on each arm, for {HEALTHY_SECONDS:.0f} s")
        start = time.time() + 2.0
        time.sleep(HEALTHY_SECONDS)
        healthy = median(p95(self.stage.latencies(arm, start, time.time() - 1.0)) for arm in ARMS)
        self.stage.write_rule(ALARM * healthy)
        self.say(f"healthy p95 is {1000 * healthy:.1f} ms; the alert stands at {1000 * ALARM * healthy:.1f} ms")
        for step in range(1, GROWTH_STEPS + 1):
            self.stage.set_rate(rate * (HEALTHY_SHARE + (1 - HEALTHY_SHARE) * step / GROWTH_STEPS))
            time.sleep(0.5)
        self.say(f"the traffic has grown to {rate:.0f} requests/s on each arm")

    def _signal(self, rate: float) -> RunInfo:
        """Wait until somebody noticed; while nobody does, the traffic goes on growing a little."""
        deadline = time.monotonic() + SIGNAL_SECONDS
        heard, growth = time.monotonic() + 4.0, 1.0
        while time.monotonic() < deadline:
            runs = self.session.ledger.runs(target=self.target)
            if runs:
                now = time.time()
                self.alert_p95 = p95([x for arm in ARMS for x in self.stage.latencies(arm, now - 4.0, now - 0.5)])
                self.say(f"run {runs[0].run} is open; p95 is {1000 * self.alert_p95:.1f} ms now")
                return runs[0]
            if time.monotonic() - heard > 4.0:
                heard = time.monotonic()
                growth = min(MOST_GROWTH, growth * 1.03)
                self.stage.set_rate(growth * rate)
                self.say(f"waiting for the {self.stage.via} to notice; {growth * rate:.0f} requests/s on each arm")
            time.sleep(0.25)
        raise Transient(f"nothing was noticed within {SIGNAL_SECONDS:.0f} s; see {self.stage.directory}/controller.log")

    def _follow(self, run: str) -> tuple[Record, ...]:
        chaos = Chaos(self.chaos, self.stage, self.arms, self.say)
        if self.console.is_terminal:
            with Live(console=self.console, auto_refresh=False) as live:
                return self._records(run, chaos, live)
        return self._records(run, chaos, None)

    def _records(self, run: str, chaos: Chaos, live: Live | None) -> tuple[Record, ...]:
        lines = Lines()
        seen, deadline, quiet = 0, time.monotonic() + RUN_SECONDS, time.monotonic()
        while time.monotonic() < deadline:
            try:
                records = self.session.ledger.read(run).records
            except Transient:
                time.sleep(0.5)
                continue
            state = replay(records)
            if live is not None:
                live.update(view(state, records, time.time()), refresh=True)
            else:
                for record in records[seen:]:
                    for text in lines.of(record):
                        self.say(text)
                        quiet = time.monotonic()
                if time.monotonic() - quiet > 10.0:
                    self.say(f"... {len(records)} records")
                    quiet = time.monotonic()
            seen = len(records)
            if state.closed is not None:
                self.closed = True
                return records
            chaos.look(records)
            time.sleep(0.25)
        raise Transient(f"the run did not close within {RUN_SECONDS:.0f} s; see {self.stage.directory}/worker.log")

    def _resolved(self) -> bool:
        deadline = time.monotonic() + RESOLVE_SECONDS
        while time.monotonic() < deadline:
            if self.stage.via == "watcher" or not self.stage.alert_fires():
                self.say("the alert has resolved" if self.stage.via == "alert" else "no alert was involved")
                return True
            time.sleep(0.5)
        self.say("the alert still fires")
        return False

    def _final(self, summary: Summary) -> Final:
        self.say("last word: original against kept, swapped windows, the generator's raw latencies")
        original, kept = summary.settings_before, summary.settings_after
        return measure(self.stage, self.arms, original, kept, self.say)

    # --- the end -----------------------------------------------------------------------------------------------------

    @cached_property
    def arms(self) -> dict[str, Actuator]:
        return dict(self.session.actuators(self.session.target(self.target)))

    def _result(self, summary: Summary, final: Final | None, resolved: bool) -> dict[str, Any]:
        return {
            "run": summary.run,
            "outcome": summary.outcome,
            "trials": summary.trials,
            "effect": summary.effect,
            "interval": list(summary.interval),
            "alert_p95": None if math.isnan(self.alert_p95) else self.alert_p95,
            "control_p95": final.control_p95 if final else None,
            "kept_p95": final.kept_p95 if final else None,
            "windows": final.listed() if final else [],
            "settings_before": dict(summary.settings_before),
            "settings_after": dict(summary.settings_after),
            "alert_resolved": resolved,
            "seconds": round(time.monotonic() - self.began, 1),
        }

    def as_promised(self, result: dict[str, Any]) -> bool:
        """Whether the scenario ended as it should; says why not."""
        if not result:
            return False
        outcome = result["outcome"]
        if self.chaos == "redis-gone":
            good = outcome == "restored"
        elif not self.stage.scenario.finds:
            good = outcome != "kept" and result["settings_before"] == result["settings_after"]
        else:
            good = outcome == "kept"
        if not good:
            self.say(f"this demo should have ended otherwise than {outcome!r}; logs are in {self.stage.directory}")
        return bool(good)

    def _tell(self, summary: Summary, final: Final | None, resolved: bool) -> None:
        lines = [
            f"What happened ({time.monotonic() - self.began:.0f} s)",
            f"  noticed   {summary.signal.summary if summary.signal else ''}",
            f"  tried     {summary.trials} candidates, each against the settings in force at the same time",
            f"  outcome   {summary.outcome}: {summary.reason}",
        ]
        if summary.changed:
            space = self.session.target(self.target).space
            changed = differences(space, summary.settings_before, summary.settings_after)
            lines += [f"  changed   {each}" for each in changed]
        if final is not None:
            ratio = final.kept_p95 / final.control_p95
            lines.append(
                f"  checked   p95 {1000 * final.control_p95:.1f} ms with the original settings, "
                f"{1000 * final.kept_p95:.1f} ms with the kept ones ({100 * (ratio - 1):+.0f} %)"
            )
            lines.append(f"  alert     {'resolved' if resolved else 'still firing'}")
        report = self.stage.directory / "reports" / f"{summary.run}.html"
        lines += [
            f"  report    {report}",
            "  go on     trimtab demo --keep-running; then, in its directory: trimtab history, trimtab audit verify",
        ]
        self.console.print(Text("\n" + "\n".join(lines)))

    def linger(self) -> None:
        """Leave everything up until Ctrl-C."""
        self.say(f"still running; try: cd {self.stage.directory} && trimtab history; Ctrl-C ends everything")
        while True:
            time.sleep(1.0)

    def restore_unless_closed(self) -> None:
        """Whoever still has a before-image gets it back: the demo ends as it began."""
        if not self.stage.policy.exists():
            return
        self.stage.processes.stop("worker", "watchdog")
        for label, arm in self._arms_or_none().items():
            try:
                image = arm.read()
                if image.protected:
                    arm.restore(Stamp(image.protected, image.generation + 1), None)
                    arm.release(image.protected)
                    self.say(f"arm {label}: the original settings are back")
            except TrimtabError as error:
                self.say(f"arm {label} could not be restored: {error}")

    def _arms_or_none(self) -> dict[str, Actuator]:
        try:
            return self.arms
        except TrimtabError as error:
            self.say(f"the arms could not be reached: {error}")
            return {}

    def stop(self) -> None:
        self.stage.processes.stop_all()
        self.stage.scenario.stop(self.stage)
        sys.stderr.flush()
