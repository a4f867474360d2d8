"""A small world for whole journeys: a clock that jumps, a service whose speed depends on its settings, and workers that
may die before or after any call."""

from __future__ import annotations

import copy
import hashlib
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
from domain.ports import Advice, Examination, Journal, Json, Record, Request
from domain.signal import Signal, SignalKind
from domain.space import Parameter, SearchSpace, Settings
from domain.target import Arm, Design, Guardrail, Limits, Mode, Objective, Target
from tests.domain.rooms import QUICK
from workers.advance import Ports, advance

START = 1_000_000.0
ORIGINAL: Settings = {"level": 6}
NOTHING = Examination("none", "nobody asked")
SMALL = replace(
    QUICK,
    name="small",
    scrape=0.5,
    window=4.0,
    settle=2.0,
    warm_up=2.0,
    swap_every=1,
    calibration_pairs=4,
    onset_windows=2,
    screening_pairs=2,
    early_gate_from_trial=1,
    max_trials=2,
    max_seconds=150.0,
    last_gate=False,
    watch_units=2,
    rare_harm_pairs=2,
    promotion_pairs=2,
    hold_back_every=6.0,
    original_every=1,
    patience=200.0,
    load_precondition=False,
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

    def fork(self, clock: SimClock) -> ReadOnceLedger:
        """The same store again, on another clock."""
        other = ReadOnceLedger(clock)
        other._runs = {
            name: replace(kept, lines=list(kept.lines), inbox=list(kept.inbox)) for name, kept in self._runs.items()
        }
        other._open, other._signals, other._seen = dict(self._open), dict(self._signals), dict(self._seen)
        other._parsed = self._parsed
        return other

    def has(self, run: str, kind: str) -> bool:
        """Whether the journal of this run holds a record of this kind."""
        return any(f'"kind":"{kind}"' in line for line in self._runs[run].lines)


class SimClock:
    def __init__(self, time: float = START) -> None:
        self.time = time

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
    """A strategy that proposes the given settings in turn, and recommends the best measured. `promise` is what it says
    to expect of each (effect and sd)."""

    proposals: Sequence[Settings]
    promise: tuple[float, float] | None = None

    def advise(self, request: Request) -> Advice:
        tried = [dict(each.settings) for each in request.history]
        left = [dict(each) for each in self.proposals if dict(each) not in tried]
        seen = [each for each in request.history if each.effect is not None and each.outcome == "measured"]
        best = min(seen, key=lambda each: each.effect if each.effect is not None else math.inf)
        effect = best.effect if best.effect is not None else 0.0
        mu, sd = self.promise or (None, None)
        return Advice(tuple(left[:1]), best.settings, effect, 0.02, 0.1, "scripted", expected=mu, expected_sd=sd)


@dataclass
class Doctor:
    """An examiner that always finds the same."""

    found: Examination

    def sample(self) -> Json:
        return {"node": {"at": 1.0}}

    def examine(self, first: Json, second: Json) -> Examination:
        return self.found


@dataclass
class World:
    """Everything that outlives a worker: ledger, arms, the service and its metrics. `speed` are seconds by settings;
    `later` is the speed from the first record of kind `turn` on. `course` is what the outside world does to every arm:
    a factor by time."""

    target: Target = field(default_factory=make_target)
    proposals: Sequence[Settings] = ({"level": 1},)
    speed: Callable[[Settings], float] = lambda settings: 0.05 + 0.02 * float(settings["level"])
    later: Callable[[Settings], float] | None = None
    turn: str = ""
    course: Callable[[float], float] = lambda at: 1.0
    kind: SignalKind = "person"
    promise: tuple[float, float] | None = None
    noise: float = 0.05
    skew: float = 0.0
    blind: Callable[[str, float], bool] = lambda arm, at: False
    examination: Examination = NOTHING

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
        turned = self.later is not None and self.ledger.has(self.run, self.turn)
        speed = self.later if self.later is not None and turned else self.speed
        return Reading(speed(settings) * self.course(start) * math.exp(Random(seed).gauss(0, self.noise)))

    # --- copies ----------------------------------------------------------------------------------------------------

    def fork(self) -> World:
        """This world once more: what happens in one of them does not touch the other."""
        other = copy.copy(self)
        other.clock = SimClock(self.clock.time)
        other.ledger = self.ledger.fork(other.clock)
        other.arms = {label: _copied(arm) for label, arm in self.arms.items()}
        other.carried = {label: list(each) for label, each in self.carried.items()}
        other.closed = list(self.closed)
        return other

    def fingerprint(self) -> str:
        """All that outlives a worker. Worlds with equal fingerprints go on equally: every chance is drawn from them."""
        kept = self.ledger._runs[self.run]
        ledger = (len(kept.lines), kept.lines[-1], replace(kept, lines=[]), sorted(self.ledger._open.items()))
        arms = [
            (arm._content, arm._before and (replace(arm._before, ours=set()), sorted(arm._before.ours)), arm.set_aside)
            for arm in self.arms.values()
        ]
        carried = [(len(each), each[-1]) for each in self.carried.values()]
        return repr((self.clock.time, ledger, arms, carried))

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
        strategy = wrap("optimizer", Scripted(self.proposals, self.promise))
        return Ports(
            ledger=wrap("ledger", self.ledger),
            telemetry=wrap("telemetry", Telemetry()),
            actuators=lambda target: arms,
            optimizer=lambda name: strategy,
            clock=self.clock,
            targets={self.target.name: self.target},
            closed=lambda run, records: self.closed.append(run),
            examiner=lambda target: wrap("examiner", Doctor(self.examination)),
        )

    def open(self) -> None:
        signal = Signal("s1", self.kind, "firing", self.clock.time, "slow", target=self.target.name)
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


def _copied(arm: MemoryArm) -> MemoryArm:
    other = copy.copy(arm)
    other._before = arm._before and replace(arm._before, ours=set(arm._before.ours))
    other._refused, other.set_aside, other.calls = list(arm._refused), list(arm.set_aside), []
    return other


class Mortal:
    """Wraps ports so that the worker dies before or after its `n`-th call; afterwards every call of it dies."""

    def __init__(self, n: int, when: str) -> None:
        self.left, self.when, self.dead = n, when, False

    def wrap(self, name: str, port: Any) -> Any:
        return _Proxy(port, self)


class Photographer:
    """Wraps ports so that the world is copied before and after every call; worlds that are equal are kept once. A world
    is what the next worker finds if this one dies there: nothing else of a worker outlives it."""

    def __init__(self, world: World) -> None:
        self.world, self.calls = world, 0
        self.worlds: dict[str, tuple[str, World]] = {}
        self.prints: list[str] = []  # before and after each call

    def wrap(self, name: str, port: Any) -> Any:
        return _Filmed(name, port, self)

    def take(self, place: str) -> None:
        found = self.world.fingerprint()
        self.prints.append(found)
        if found not in self.worlds:
            self.worlds[found] = (place, self.world.fork())


class _Filmed:
    def __init__(self, name: str, port: Any, photographer: Photographer) -> None:
        self._name, self._port, self._photographer = name, port, photographer

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._port, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            camera = self._photographer
            camera.calls += 1
            place = f"call {camera.calls} ({self._name}.{name})"
            camera.take(f"before {place}")
            try:
                return attribute(*args, **kwargs)
            finally:
                camera.take(f"after {place}")

        return call


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
