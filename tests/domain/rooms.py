"""Runs at a given point, made from events: one gate on its own, trials that were measured, and what a worker would do
next with windows that a test draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from domain import phases
from domain.events import (
    Advised,
    Applied,
    Applying,
    Calibrated,
    GateOpened,
    Imaged,
    Judged,
    Measured,
    Opened,
    Proposed,
    Screened,
)
from domain.evidence import Pair, Window
from domain.gate import gate_alpha
from domain.profile import Profile
from domain.signal import Signal
from domain.space import Parameter, SearchSpace, Settings
from domain.state import Run, apply
from domain.steps import Apply, Decide, Measure, Span, Wait
from domain.target import Arm, Guardrail, Limits, Objective, Target

ORIGINAL: Settings = {"level": 6}
GOOD: Settings = {"level": 1}
ERRORS = Guardrail("errors", "errors", "<", 0.01)
# Every constant that a test here rests on, so that tuning a profile changes no test.
QUICK = Profile(
    name="quick",
    scrape=5.0,
    window=15.0,
    settle=10.0,
    warm_up=15.0,
    glance=0.0,
    swap_every=2,
    calibration_pairs=20,
    onset_windows=3,
    prior_sd=0.10,
    screening_pairs=4,
    mei=0.03,
    alpha=0.05,
    gate_min_pairs=6,
    gate_max_pairs=40,
    max_gates=3,
    gate_from_trial=8,
    gate_mei=1.5,
    later_gate_mei=1.5,
    early_gate_from_trial=8,
    early_gate_mei=5.0,
    dull_trials=3,
    careful=False,
    last_gate=True,
    radius=0.15,
    max_trials=60,
    max_seconds=9000.0,
    watch_units=10,
    confirm=0.5,
    rare_harm_pairs=40,
    promotion_pairs=4,
    headroom=math.log(1.2),
    original_every=4,
    most_looks=10,
)


def target(profile: Profile = QUICK, limits: Limits | None = None) -> Target:
    return Target(
        name="shop",
        mode="act",
        actuator="memory",
        arms=(Arm("a"), Arm("b")),
        space=SearchSpace((Parameter("level", "integer", 1, low=1, high=99),)),
        objective=Objective("p95", unit="s"),
        guardrails=(ERRORS,),
        profile=profile,
        limits=limits or Limits(),
    )


class Room:
    """A run on a clock of its own, told event by event."""

    def __init__(
        self, profile: Profile = QUICK, calibration: Sequence[Pair] = (), limits: Limits | None = None
    ) -> None:
        self.now = 1_000_000.0
        signal = Signal("s", "person", "firing", self.now, "slow", target="shop")
        self.run = Run.begin(Opened("shop-1", signal, target(profile, limits), 7), self.now)
        self.tell(Imaged({"a": ORIGINAL, "b": ORIGINAL}, {"a": "0", "b": "0"}))
        self.tell(Calibrated(tuple(calibration), 0.1, 0.0, None, 0.0, {}, False, healthy=0.1, noticed=0.1))

    def tell(self, *events: object, after: float = 0.0) -> None:
        self.now += after
        for event in events:
            apply(self.run, event, self.now)  # type: ignore[arg-type]

    def trial(self, effect: float = -0.5, settings: Settings = GOOD, *, aborted: bool = False) -> None:
        """A trial without windows, as if it had been screened."""
        number = len(self.run.trials) + 1
        self.tell(Proposed(number, settings, 1, "scripted", ""), Screened(number, effect, 0.002, 4))
        if aborted:
            self.run.trials[-1].status = "aborted"

    def advise(self, mu: float = -0.5, proposal: Settings | None = None, max_ei: float = 0.1) -> None:
        self.tell(Advised(GOOD, mu, 0.02, max_ei, "scripted", proposal))

    def open_gate(self) -> None:
        number = len(self.run.gates) + 1
        trial = len(self.run.trials)
        alpha = gate_alpha(number, self.run.profile.alpha)
        self.tell(GateOpened(number, trial, self.run.trials[-1].settings, alpha, trial))

    def gate(self, window: Callable[[int, Span], Window]) -> tuple[Judged, list[Pair]]:
        """Carry the open gate to its end: `window(slot, span)` is what would be read. The ruling and its pairs."""
        block, generation = self.run.gates[-1].block, 1
        for _ in range(1000):
            step = phases.gate(self.run, self.now)
            match step:
                case Decide(events):
                    judged = next(event for event in events if isinstance(event, Judged))
                    return judged, list(block.pairs())
                case Apply(arms, purpose):
                    generation += 1
                    self.tell(Applying(arms, generation, purpose), Applied(arms, generation))
                case Wait(until):
                    self.now = until
                case Measure(spans):
                    self.tell(Measured(tuple(window(len(block.slots), span) for span in spans)))
        raise AssertionError("the gate does not end")


def gate(window: Callable[[int, Span], Window], profile: Profile = QUICK) -> tuple[Judged, list[Pair]]:
    """A first gate on its own."""
    room = Room(profile)
    room.trial()
    room.open_gate()
    return room.gate(window)
