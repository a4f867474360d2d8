"""Generated spaces, settings and requests of every kind."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import strategies as st

from domain.ports import Observation, Request
from domain.space import Parameter, SearchSpace, Settings, sample

MIXED = SearchSpace(
    (
        Parameter("workers", "integer", 2, low=1, high=16, cost="restart"),
        Parameter("buffer", "integer", 4096, low=256, high=1048576, log=True, special=("off",)),
        Parameter("ratio", "real", 0.5, low=0.0, high=1.0),
        Parameter("timeout", "real", 5.0, low=0.1, high=100.0, log=True, cost="restart"),
        Parameter("sync", "categorical", "on", choices=("on", "off", "lazy")),
        Parameter("pooled", "categorical", False, choices=(False, True)),
        Parameter("engine", "categorical", "a", choices=("a", "b", "c", "d"), cost="restart"),
        Parameter("level", "ordinal", 4, choices=(1, 4, 6, 9)),
        Parameter("depth", "integer", 8, low=0, high=2000),
    ),
    constraints=("workers * 64 <= 512 + ratio * 512",),
)


@st.composite
def parameters(draw: st.DrawFn, name: str) -> Parameter:
    kind = draw(st.sampled_from(["integer", "log integer", "real", "log real", "special", "categorical", "ordinal"]))
    cost = draw(st.sampled_from(["live", "reload", "restart"]))
    if kind in ("categorical", "ordinal"):
        count = draw(st.integers(1, 6))
        choices = tuple(f"c{i}" for i in range(count)) if kind == "categorical" else tuple(range(count))
        return Parameter(name, kind, choices[0], choices=choices, cost=cost)  # type: ignore[arg-type]
    low = draw(st.integers(0 if kind != "log real" else 1, 50))
    high = low + draw(st.sampled_from([0, 1, 5, 63, 64, 5000]))
    special = draw(st.sampled_from([("off",), (-1, "auto")])) if kind == "special" else ()
    numbers = "real" if "real" in kind else "integer"
    default = float(low) if numbers == "real" else low
    return Parameter(
        name, numbers, default, low=low, high=high, log="log" in kind, special=special, cost=cost  # type: ignore[arg-type]
    )  # fmt: skip


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """One to seven parameters, sometimes with a constraint that the lower ends satisfy."""
    count = draw(st.integers(1, 7))
    made = tuple(draw(parameters(f"p{i}")) for i in range(count))
    numbers = [p for p in made if not p.choices and not p.special and p.low is not None]
    constraints: tuple[str, ...] = ()
    if len(numbers) >= 2 and draw(st.booleans()):
        a, b = numbers[:2]
        constraints = (f"{a.name} + {b.name} <= {((a.low or 0) + (a.high or 0) + (b.low or 0) + (b.high or 0)) / 2}",)
    return SearchSpace(made, constraints)


@st.composite
def requests(draw: st.DrawFn, space: SearchSpace | None = None) -> Request:
    """A request in the middle of a run: some of the history measured, some aborted or refused."""
    where = draw(spaces()) if space is None else space
    lots = random.Random(draw(st.integers(0, 10**6)))
    drawn = sample(where, lots, draw(st.integers(1, 9)))
    incumbent: Settings = drawn[0]
    history = [Observation(incumbent, 0.0, 1e-4, "measured")]
    for settings in drawn[1:]:
        outcome = draw(st.sampled_from(["measured", "measured", "measured", "aborted", "refused", "crashed"]))
        if outcome in ("measured", "aborted"):
            effect = draw(st.floats(-0.5, 0.5)) if outcome == "measured" else draw(st.floats(0.08, 1.0))
            history.append(Observation(settings, effect, draw(st.floats(1e-5, 0.05)), outcome))  # type: ignore[arg-type]
        else:
            history.append(Observation(settings, None, None, outcome))  # type: ignore[arg-type]
    return Request(
        space=where,
        history=tuple(history),
        incumbent=incumbent,
        seed=draw(st.integers(0, 2**32 - 1)),
        n=draw(st.integers(1, 3)),
        radius=draw(st.sampled_from([0.03, 0.1, 0.15, 0.3, 0.5])),
        off=draw(st.sampled_from([0.0, -0.3])),
        headroom=draw(st.sampled_from([None, 0.1823, 0.05])),
        careful=draw(st.booleans()),
    )


def simple(history: list[tuple[float, float, float]], **changes: object) -> Request:
    """A request over one real parameter: (place, effect, sd) of what was measured; the incumbent is at 0.5."""
    space = SearchSpace((Parameter("x", "real", 0.5, low=0.0, high=1.0),))
    told = tuple(Observation({"x": x}, effect, sd**2, "measured") for x, effect, sd in history)
    return replace(Request(space, told, {"x": 0.5}, seed=1, radius=0.15), **changes)  # type: ignore[arg-type]
