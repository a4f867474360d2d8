"""A service that exists in numbers only: known effects, cliffs, drift, node bias, outliers, transients, incidents.

Six parameters in the unit cube. The surface is that of docs/research.md: a weighted bowl around a hidden optimum, and
behind a hidden half-space a cliff. Noise lives on a grid of `TICK` seconds per arm, so that windows of any length and
slices of them see the same seconds. Everything is drawn from one seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from domain.evidence import Missing, Reading, Seen
from domain.space import Parameter, SearchSpace, Settings

Array = NDArray[np.float64]
TICK = 5.0  # seconds
REFERENCE = 30.0  # seconds: the window that the figures of noise belong to
PAST, FUTURE = 900.0, 6 * 3600.0  # seconds of noise before and after the run opens
NAMES = tuple(f"x{i}" for i in range(1, 7))
UNSAFE = math.log(1.2)
TRANSIENT, TRANSIENT_SECONDS = 0.044, 20.0  # log; every change of an arm
CARRY_OVER = 0.2  # share of the former settings in what is seen for as long
LEVEL = math.log(0.1)  # seconds, of the original


@dataclass(frozen=True, slots=True)
class World:
    """What a suite varies. Standard deviations and effects are log differences, times in seconds.

    `gain` is what the optimum gives, or the ends of what it is drawn from; `null` puts the original onto the optimum.
    `drift` wanders over both arms with time constant `tau`, `wander` attaches an AR(1) of lag-1 correlation `r1`
    between neighbouring pairs to whatever is not the original. `node` is the sd of a constant bias of each arm.
    `rare` makes a candidate twice as slow in this share of its windows. `excess` raises the level at the signal;
    it heals after `heals` seconds, exponentially distributed (None: never).
    """

    null: bool = False
    gain: tuple[float, float] = (0.10, 0.30)
    cliff: bool = True
    drift: float = 0.06
    tau: float = 600.0
    diurnal: float = 0.05
    white: float = 0.03
    outliers: float = 0.02
    node: float = 0.0
    wander: float = 0.0
    r1: float = 0.0
    rare: tuple[float, float] | None = None
    flat: tuple[float, float] | None = None  # every candidate has one effect, drawn from here
    excess: float = 0.0
    heals: float | None = None
    restart: bool = False  # the parameters need a restart, so each placement is a new node
    spacing: float = 25.0  # seconds between neighbouring pairs, for `r1`


class Service:
    """One service. `carry` tells it what its arms carry from when on, `read` is what Prometheus would say."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self._rng = world, np.random.default_rng(seed)
        rng = self._rng
        self.original: Settings = {}
        while not self.original:
            self._draw_surface(rng)
        self.heal_at = math.inf if world.heals is None or not world.excess else float(rng.exponential(world.heals))
        self.flat_effect = float(rng.uniform(*world.flat)) if world.flat else 0.0
        self.rare_share = float(rng.uniform(*world.rare)) if world.rare else 0.0
        self._rare_seed = int(rng.integers(2**31))
        ticks = int((PAST + FUTURE) / TICK)
        times = (np.arange(ticks) + 0.5) * TICK - PAST
        shared = _ou(rng, ticks, world.drift, world.tau)
        shared = shared + world.diurnal * np.sin(2 * math.pi * (times / (480 * REFERENCE) + rng.random()))
        if world.excess:
            shared = shared + world.excess * ((times >= -60.0) & (times < self.heal_at))
        self._sums: dict[str, Array] = {}
        for arm in ("a", "b"):
            own = rng.normal(0, world.white * math.sqrt(REFERENCE / TICK), ticks)
            hit = rng.random(ticks) < world.outliers * TICK / REFERENCE
            own = own + hit * rng.exponential(0.25 * REFERENCE / TICK, ticks)
            self._sums[arm] = np.concatenate(([0.0], np.cumsum(shared + own)))
        self._nodes = {arm: [(-math.inf, float(rng.normal(0, 1)) * world.node)] for arm in self._sums}
        wander = _ou(rng, ticks, world.wander, -world.spacing / math.log(world.r1) if world.r1 else 0.0)
        self._wander = np.concatenate(([0.0], np.cumsum(wander)))
        self._carried: dict[str, list[tuple[float, float, bool]]] = {
            arm: [(-math.inf, 0.0, False)] for arm in self._sums
        }

    # --- what is true ------------------------------------------------------------------------------------------------

    def truth(self, settings: Settings) -> float:
        """log of the objective under these settings against the original: what no amount of noise can hide."""
        x = np.array([float(settings[name]) for name in NAMES])
        if self.world.flat is not None:
            moved = not np.array_equal(x, self._x0)
            return (self.flat_effect + self.rare_share * math.log(2.0)) * moved
        effect = self._kappa * float(self._weights @ (x - self._c) ** 2 - self._weights @ (self._x0 - self._c) ** 2)
        over = float(self._u @ x) - self._threshold
        return effect + (min(1.5, 0.3 + 6 * over) if over > 0 else 0.0)

    @property
    def space(self) -> SearchSpace:
        cost: Literal["reload", "restart"] = "restart" if self.world.restart else "reload"
        start = self.original
        return SearchSpace(tuple(Parameter(name, "real", start[name], low=0.0, high=1.0, cost=cost) for name in NAMES))

    # --- what is seen ------------------------------------------------------------------------------------------------

    def carry(self, arms: Mapping[str, Settings], now: float) -> None:
        """From `now` on the arms carry these settings; one that carried them already does not change."""
        for arm, settings in arms.items():
            effect = self.truth(settings) - (self.rare_share * math.log(2.0) if settings != self.original else 0.0)
            strange = any(settings[name] != self.original[name] for name in NAMES)
            if (effect, strange) != self._carried[arm][-1][1:]:
                self._carried[arm].append((now, effect, strange))

    def renew(self, now: float) -> None:
        """Both arms move to new nodes."""
        for moves in self._nodes.values():
            moves.append((now, float(self._rng.normal(0, 1)) * self.world.node))

    def read(self, arm: str, start: float, end: float) -> Seen:
        """The objective of one arm over a window, in seconds; what it carried at the window's end counts for all of
        it, except for the transient and the carry-over of its last change."""
        changes = self._carried[arm]
        place = max(i for i, each in enumerate(changes) if each[0] < end)
        since, effect, strange = changes[place]
        if end > FUTURE:
            return Missing("the simulation ends here")
        node = next(bias for moved, bias in reversed(self._nodes[arm]) if moved < end)
        level = LEVEL + node + _mean(self._sums[arm], start, end) + effect
        if place:
            young = max(0.0, min(end, since + TRANSIENT_SECONDS) - start) / (end - start)
            level += young * (TRANSIENT + CARRY_OVER * (changes[place - 1][1] - effect))
        if strange:
            level += _mean(self._wander, start, end)
            if self.rare_share and end - start >= 15.0 and self._rare(start):
                level += math.log(2.0)
        return Reading(math.exp(level))

    def _rare(self, start: float) -> bool:
        return np.random.default_rng((self._rare_seed, int(start * 1000))).random() < self.rare_share

    def _draw_surface(self, rng: np.random.Generator) -> None:
        world, count = self.world, len(NAMES)
        x0, c = rng.uniform(0.2, 0.8, count), rng.uniform(0.1, 0.9, count)
        weights = rng.dirichlet(np.full(count, 0.5))
        if world.null:
            c = x0
        away = float(weights @ (x0 - c) ** 2)
        if not world.null and away <= 0.03:
            return
        gain = float(rng.uniform(*world.gain))
        # Null: an average move over the cube costs 15 %.
        average = float(weights @ (1 / 12 + (0.5 - c) ** 2))
        self._kappa = 0.15 / average if world.null else gain / away
        u = rng.normal(size=count)
        self._u = u / np.linalg.norm(u)
        self._threshold = math.inf
        margin = float(rng.uniform(0.05, 0.25))
        if world.cliff and not world.null:
            self._threshold = max(float(self._u @ x0), float(self._u @ c)) + margin
        self._x0, self._c, self._weights = x0, c, weights
        self.original = {name: float(x) for name, x in zip(NAMES, x0, strict=True)}


def _ou(rng: np.random.Generator, ticks: int, sd: float, tau: float) -> Array:
    """A stationary AR(1) on the grid with this sd; white with the same sd of a 15 s mean where `tau` is 0."""
    steps = rng.normal(size=ticks)
    if sd == 0:
        return np.zeros(ticks)
    if tau == 0:
        return np.asarray(sd * math.sqrt(15.0 / TICK) * steps)
    kept = math.exp(-TICK / tau)
    start = lfilter([1.0], [1.0, -kept], steps * math.sqrt(1 - kept**2), zi=[kept * float(rng.normal())])[0]
    return np.asarray(sd * start)


def _mean(sums: Array, start: float, end: float) -> float:
    """Mean of a series, given by its running sums, over a span of seconds; parts of ticks count in part."""
    a, b = (start + PAST) / TICK, (end + PAST) / TICK
    if a < 0:
        raise ValueError(f"the simulation begins {PAST:.0f} s before the run, not {-start:.0f} s")
    return (_at(sums, b) - _at(sums, a)) / (b - a)


def _at(sums: Array, place: float) -> float:
    whole = int(place)
    if whole + 1 >= len(sums):
        return float(sums[-1])
    return float(sums[whole] + (place - whole) * (sums[whole + 1] - sums[whole]))
