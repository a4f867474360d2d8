"""The suites: which worlds a run is put into, and what is counted there.

Every suite drives the product with the same profile of constants. A suite has cells, each one world; runs are spread
evenly over the cells, and the seed of a run makes its world, its noise and its search.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field

import numpy as np

from bench.gate.drive import Course, Driver
from bench.gate.service import Service, World
from domain.events import Aborted, Measured, Proposed
from domain.ports import Advice, Request
from domain.profile import STAGING, Profile
from domain.signal import SignalKind
from domain.space import Settings
from optimizers.factory import strategy

PROFILE = STAGING
SPACING = PROFILE.window + PROFILE.settle / PROFILE.swap_every  # seconds between neighbouring pairs
WANDER = 0.06  # sd of what is attached to a candidate's effect
EXCESS = math.log(1.3)
HEALS = 600.0  # seconds, mean
TRANSIENT_SHARE = 0.9
CATASTROPHE = {"twice": math.log(2.0), "tenfold": math.log(10.0)}
MOST_SD = 0.2  # of a pair, in the suite of aborts


@dataclass(frozen=True, slots=True)
class Cell:
    """One world of a suite, and what opened the run there."""

    name: str
    world: World
    signal: SignalKind = "person"


@dataclass(slots=True)
class Result:
    """One run: where it was, what it did, and what this suite asks beyond that (`notes`)."""

    cell: str
    seed: int
    course: Course
    notes: dict[str, float] = field(default_factory=dict)


def constants(profile: Profile = PROFILE) -> str:
    """Hash of every constant of the profile."""
    text = json.dumps(asdict(profile), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _null() -> list[Cell]:
    return [
        Cell(
            f"drift {drift:.0%}, r1 {r1}, node {node:.0%}",
            World(null=True, drift=drift, r1=r1, wander=WANDER, node=node, spacing=SPACING),
        )
        for drift in (0.02, 0.10)
        for r1 in (0.0, 0.3, 0.6)
        for node in (0.0, 0.04)
    ]


def _drift() -> list[Cell]:
    return [
        Cell(f"tau {tau / 60:.0f} min, sd {sd:.0%}", World(tau=tau, drift=sd))
        for tau in (600.0, 6000.0)
        for sd in (0.02, 0.10)
    ]


def _placement() -> list[Cell]:
    """Reload-only parameters are swapped between the arms, restart-only ones get new placements."""
    return [
        Cell(
            f"{'new placements' if restart else 'swapped'}, node {node:.0%}, true effect {effect:.0%}",
            World(flat=(effect, effect), node=node, restart=restart),
        )
        for restart in (False, True)
        for node in (0.0, 0.02, 0.04)
        for effect in (0.0, -0.08)
    ]


SUITES: dict[str, list[Cell]] = {
    "null": _null(),
    "cliff": [Cell("cliff", World())],
    "gain": [Cell("10 % to gain", World(gain=(0.10, 0.10)))],
    "drift": _drift(),
    "placement": _placement(),
    "transient": [
        Cell("transient", World(null=True, excess=EXCESS, heals=HEALS), "alert"),
        Cell("fixable", World(excess=EXCESS), "alert"),
    ],
    "rare-harm": [Cell("rare harm", World(flat=(-0.08, -0.06), rare=(0.05, 0.12)))],
    "abort": [Cell(name, World(flat=(effect, effect), outliers=0.0)) for name, effect in CATASTROPHE.items()],
    "budget": [Cell("cliff", World()), Cell("cliff, drift 10 %", World(drift=0.10))],
}


def cell_of(suite: str, number: int) -> Cell:
    """The cell of run `number`: in turn, but of ten alerts of `transient` nine go away by themselves."""
    cells = SUITES[suite]
    if suite == "transient":
        return cells[0] if number % 10 < round(10 * TRANSIENT_SHARE) else cells[1]
    return cells[number % len(cells)]


def run_one(suite: str, number: int, seed: int, name: str) -> Result:
    """Run `number` of a suite. The same arguments give the same result, on any machine."""
    cell = cell_of(suite, number)
    own = int(hashlib.sha256(f"{seed}/{suite}/{number}".encode()).hexdigest()[:8], 16)
    if suite == "abort":
        return _aborted(cell, own)
    driver = Driver(Service(cell.world, own), strategy(name), PROFILE, own, signal=cell.signal)
    return Result(cell.name, own, driver.go())


def _aborted(cell: Cell, seed: int) -> Result:
    """A candidate that is slower by a known factor, in noise of up to 20 % a pair: how many windows until it stops."""
    sd = float(np.random.default_rng(seed).uniform(0.0, MOST_SD))
    effect = CATASTROPHE[cell.name]
    world = World(flat=(effect, effect), outliers=0.0, white=sd / math.sqrt(2), drift=0.02)
    driver = Driver(Service(world, seed), _Once(), PROFILE, seed, trials=1)
    course = driver.go()
    windows, running, stopped = 0, False, False
    for _, event in driver.events:
        match event:
            case Proposed():
                running = True
            case Measured() if running and not stopped:
                windows += 1
            case Aborted() if running:
                stopped = True
    # A candidate that was stopped inside a window has cost (a part of) that window too.
    inside = stopped and not _ended_with_window(driver)
    return Result(cell.name, seed, course, {"windows": float(windows + inside), "stopped": float(stopped), "sd": sd})


def _ended_with_window(driver: Driver) -> bool:
    kinds = [type(event).__name__ for _, event in driver.events]
    at = kinds.index("Aborted")
    return kinds[at - 1] == "Measured"


class _Once:
    """A strategy that moves every parameter a little, once."""

    def advise(self, request: Request) -> Advice:
        moved: Settings = {name: min(1.0, float(value) + 0.05) for name, value in request.incumbent.items()}
        return Advice((moved,), request.incumbent, 0.0, 0.1, 0.1, "a candidate of known effect")
