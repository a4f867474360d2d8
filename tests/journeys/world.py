"""A small world for whole journeys: a clock that jumps, a service whose speed depends on its settings, and workers that
may die before or after any call."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from adapters.actuators.memory import MemoryArm
from adapters.ledger_text import messages_of
from adapters.memory_ledger import MemoryLedger
from domain.events import Event, Opened
from domain.evidence import Missing, Reading, Seen
from domain.journal import event_of, load, seal, verify
from domain.ports import Advice, Journal, Record, Request
from domain.profile import DEMO
from domain.signal import Signal
from domain.space import Parameter, SearchSpace, Settings
from domain.target import Arm, Design, Guardrail, Limits, Mode, Objective, Target
from workers.advance import Ports, advance

ORIGINAL: Settings = {"level": 6}
SMALL = replace(
    DEMO,
    name="small",
    calibration_pairs=4,
    screening_pairs=2,
    early_gate_from_trial=1,
    max_trials=2,
    watch_units=2,
    patience=200.0,
)


class Crash(BaseException):
    """The worker's process is gone. No handler of ours may survive it."""


class ReadOnceLedger(MemoryLedger):
    """The ledger in memory, parsing each line once: thousands of journeys read the same lines again and again."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__(clock)
        self._parsed: dict[tuple[int, str], Record] = {}

    def read(self, run: str) -> Journal:
        kept = self._runs.get(run)
        if kept is None:
            return Journal(())
        records = []
        for seq, line in enumerate(kept.lines):
            if (seq, line) not in self._parsed:
                self._parsed[seq, line] = load(line)
            records.append(self._parsed[seq, line])
        return Journal(tuple(records), messages_of(run, kept.inbox))


class SimClock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time


def make_target(*, design: Design = "duet", mode: Mode = "act", **changes: Any) -> Target:
    labels = ("a", "b") if design == "duet" else ("a",)
    target = Target(
        name="shop",
        mode=mode,
        actuator="memory",
        arms=tuple(Arm(label) for label in labels),
        space=SearchSpace((Parameter("level", "integer", 1, low=1, high=9),)),
        objective=Objective("p95", unit="s"),
        guardrails=(Guardrail("errors", "errors", "<", 0.01),),
        profile=SMALL,
        design=design,
        strategy="scripted",
        limits=Limits(cooldown=0.0),
    )
    return replace(target, **changes)


@dataclass
class Scripted:
    """A strategy that proposes the given settings in turn, and recommends the best measured."""

    proposals: Sequence[Settings]

    def advise(self, request: Request) -> Advice:
        tried = [dict(each.settings) for each in request.history]
        left = [dict(each) for each in self.proposals if dict(each) not in tried]
        seen = [each for each in request.history if each.effect is not None and each.outcome == "measured"]
        best = min(seen, key=lambda each: each.effect if each.effect is not None else math.inf)
        effect = best.effect if best.effect is not None else 0.0
        return Advice(tuple(left[:1]), best.settings, effect, 0.02, 0.1, "scripted")


@dataclass
class World:
    """Everything that outlives a worker: ledger, arms, the service and its metrics."""

    target: Target = field(default_factory=make_target)
    proposals: Sequence[Settings] = ({"level": 1},)
    speed: Callable[[Settings], float] = lambda settings: 0.05 + 0.02 * float(settings["level"])
    noise: float = 0.05
    skew: float = 0.0
    blind: Callable[[str, float], bool] = lambda arm, at: False

    def __post_init__(self) -> None:
        self.clock = SimClock()
        self.ledger = ReadOnceLedger(self.clock)
        self.arms = {arm.label: MemoryArm(self.target.space, dict(ORIGINAL)) for arm in self.target.arms}
        self.carried: dict[str, list[tuple[float, Settings]]] = {label: [(0.0, ORIGINAL)] for label in self.arms}
        self.run = "shop-1"
        self.closed: list[str] = []

    # --- the service ---------------------------------------------------------------------------------------------

    def note_settings(self) -> None:
        """Remember what each arm carries from now on."""
        for label, arm in self.arms.items():
            settings = dict(arm.read().settings)
            if settings != self.carried[label][-1][1]:
                self.carried[label].append((self.clock.time, settings))

    def reading(self, query: str, arm: str, start: float, end: float) -> Seen:
        if self.blind(arm, end):
            return Missing("blind")
        if query == "errors":
            return Reading(0.0)
        settings = [settings for since, settings in self.carried[arm] if since <= start][-1]
        seed = hashlib.sha256(f"{arm}/{start:.3f}".encode()).hexdigest()
        return Reading(self.speed(settings) * math.exp(Random(seed).gauss(0, self.noise)))

    # --- workers -------------------------------------------------------------------------------------------------

    def ports(self, wrap: Callable[[str, Any], Any] = lambda name, port: port) -> Ports:
        world = self

        class Telemetry:
            def read(self, query: str, *, arm: str, start: float, end: float, scrape: float) -> Seen:
                return world.reading(query, arm, start, end)

            def now(self) -> float | None:
                return world.clock.time + world.skew

            def series(self, query: str, *, start: float, end: float, step: float) -> tuple[tuple[float, Seen], ...]:
                return ()

        arms = {label: wrap(f"arm-{label}", arm) for label, arm in self.arms.items()}
        strategy = wrap("optimizer", Scripted(self.proposals))
        return Ports(
            ledger=wrap("ledger", self.ledger),
            telemetry=wrap("telemetry", Telemetry()),
            actuators=lambda target: arms,
            optimizer=lambda name: strategy,
            clock=self.clock,
            targets={self.target.name: self.target},
            closed=lambda run, records: self.closed.append(run),
        )

    def open(self) -> None:
        signal = Signal("s1", "person", "firing", self.clock.time, "slow", target=self.target.name)
        first = seal([Opened(self.run, signal, self.target, 7)], self.clock.time, ())[0]
        opened = self.ledger.open(self.run, self.target.name, [], first, self.clock.time)
        if not opened:
            raise RuntimeError("the target already has a run")

    def go(self, ports: Ports | None = None, *, until: Callable[[], bool] | None = None, most: int = 4000) -> None:
        """Step whatever is due until the run is closed (or `until`); the watchdog looks in all the time."""
        ports = ports or self.ports()
        for _ in range(most):
            for name in self.ledger.due(self.clock.time, 30.0):
                advance(name, ports)
                self.note_settings()
            if self.ledger.open_run(self.target.name) is None or (until is not None and until()):
                return
            self.tick()
        raise TimeoutError(f"the run did not close: {[type(e).__name__ for e in self.events()][-5:]}")

    def tick(self, seconds: float = 0.5) -> None:
        self.clock.time += seconds
        for arm in self.arms.values():
            arm.reap(self.clock.time)
        self.note_settings()

    def forget(self, keep: int) -> None:
        """The ledger comes back from its last save: every record after the first `keep` is gone."""
        del self.ledger._runs[self.run].lines[keep:]

    # --- what came out -------------------------------------------------------------------------------------------

    def records(self) -> tuple[Record, ...]:
        return self.ledger.read(self.run).records

    def events(self) -> list[Event]:
        return [event_of(record) for record in self.records()]

    def outcome(self) -> str:
        return self.ledger.runs(target=self.target.name)[0].outcome

    def settings(self) -> dict[str, dict[str, Any]]:
        return {label: dict(arm.read().settings) for label, arm in self.arms.items()}

    def check_end(self, outcome: str, settings: Mapping[str, Any]) -> None:
        """The run closed as it should, every arm carries the right settings, no way back is left lying about, and the
        journal is whole."""
        verify(self.run, self.records())
        assert self.outcome() == outcome, self.events()[-3:]
        assert self.settings() == {label: dict(settings) for label in self.arms}
        assert [arm.read().protected for arm in self.arms.values()] == [""] * len(self.arms)


class Mortal:
    """Wraps ports so that the worker dies before or after its `n`-th call; afterwards every call of it dies."""

    def __init__(self, n: int, when: str) -> None:
        self.left, self.when, self.dead = n, when, False
        self.calls = itertools.count()

    def wrap(self, name: str, port: Any) -> Any:
        return _Proxy(port, self)


class _Proxy:
    def __init__(self, port: Any, mortal: Mortal) -> None:
        self._port, self._mortal = port, mortal

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            mortal = self._mortal
            if mortal.dead:
                raise Crash(name)
            mortal.left -= 1
            if mortal.left == 0 and mortal.when == "before":
                mortal.dead = True
                raise Crash(name)
            try:
                return attribute(*args, **kwargs)
            finally:
                if mortal.left == 0:
                    mortal.dead = True
                    raise Crash(name)

        return call
