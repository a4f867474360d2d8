"""The catalogue looked at in one environment: does every seed lie inside its bounds, can every constraint be met, what
is left out and why, and which questions are left for somebody who knows the target."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adapters.catalogue import survey
from adapters.catalogue_bounds import Made, make, step_of
from adapters.catalogue_data import Entry, Preset, exists, load
from adapters.catalogue_limits import Environment
from adapters.catalogue_seeds import seed_of
from adapters.catalogue_space import Survey
from adapters.catalogue_ties import Scene, questions
from domain.constraint import violated
from domain.errors import Misconfigured
from domain.formula import parse
from domain.space import Settings, Value, problems, sample

SAMPLES = 20  # settings drawn to see that they lie inside the constraints

Level = Literal["ok", "warn", "fail", "out", "ask"]


@dataclass(frozen=True, slots=True)
class Found:
    """One line of a check: `ok`, `fail` (the catalogue or the environment must change), `warn` (works, with something
    to do first), `out` (a parameter that is not searched), `ask` (only the target's owner can tell)."""

    preset: str
    level: Level
    what: str
    why: str


def check_preset(
    preset: Preset, environment: Environment, version: str = "", present: Mapping[str, Value] | None = None
) -> list[Found]:
    """Everything that a preset means in this environment. Never raises for a space that cannot be: that is a `fail`."""
    said = dict(present or {})
    found: list[Found] = []
    try:
        seen = survey(preset.parameters, environment, present=said, version=version, preset=preset.name)
    except Misconfigured as first:
        advised = recommended(preset, environment, version, said)
        try:
            seen = survey(preset.parameters, environment, present=advised | said, version=version, preset=preset.name)
        except Misconfigured as second:
            return [Found(preset.name, "fail", "space", line) for line in str(second).split("\n")]
        found += [Found(preset.name, "warn", *_to_do(first, seen, advised))]
    return [_summary(preset, seen), *found, *_seeds(preset, seen), *_left_out(preset, seen), *_asked(preset, seen)]


def recommended(
    preset: Preset, environment: Environment, version: str = "", present: Mapping[str, Value] | None = None
) -> dict[str, Value]:
    """The expert's values of the parameters that a constraint ties to the preset's and that the preset does not search:
    what to set once, before a search. Only those of the preset's own families that the version has; none that `present`
    says already."""
    known, said = load(), dict(present or {})
    surroundings = {**preset.assumes, **environment}
    scene = Scene(known, surroundings, said, version, preset.families)
    ids: set[str] = set()
    for rule in known.rules:
        named = parse(rule.expression).names & known.entries.keys() if rule.expression and rule.hard else frozenset()
        ids |= named if named & set(preset.parameters) else frozenset()
    values: dict[str, Value] = {}
    for name in sorted(ids - set(preset.parameters) - said.keys()):
        entry = known.entries[name]
        if entry.family in preset.families and exists(entry, scene.version_of(entry)) and entry.search is not None:
            value = _advised(entry, scene)
            values |= {} if value is None else {name: value}
    return values


def _advised(entry: Entry, scene: Scene) -> Value | None:
    if entry.seed is None or scene.inactive(entry):
        return None
    try:
        made = make(entry, scene.version_of(entry), (scene.environment,), None, None)
    except Misconfigured:
        return None
    if made.parameter is None:
        return made.low.value if made.low and not made.impossible else None
    return seed_of(made.parameter, entry, scene)


def seed_outside(entry: Entry, made: Made, environment: Environment) -> str:
    """Why the expert's value does not lie where it should: inside the bounds, or among choices and special values; ""
    if it does. Raises Misconfigured for a seed that cannot be evaluated here."""
    if made.parameter is None or entry.seed is None:
        return ""
    value = parse(str(entry.seed))(environment)
    parameter = made.parameter
    if value in parameter.choices or value in parameter.special:
        return ""
    if made.low is None or made.high is None or isinstance(value, (str, list)):
        return f"seed {value!r} is none of {[*parameter.choices, *parameter.special]}"
    low, high = made.low.value, made.high.value
    slack = step_of(entry) if parameter.type != "real" else 1e-9  # bounds are rounded inwards, seeds are not
    if low - slack < value < high + slack:
        return ""
    return f"seed {entry.seed} gives {value:g}, outside {low:g} to {high:g}"


# --- lines -----------------------------------------------------------------------------------------------------------


def _to_do(error: Misconfigured, seen: Survey, advised: Settings) -> tuple[str, str]:
    """Which recommended values make room, and for what."""
    rule = str(error).partition(":")[0]
    ties = next((each for each in seen.scene.catalogue.rules if each.id == rule), None)
    names = parse(ties.expression).names if ties else advised.keys()
    values = ", ".join(f"{name}={value}" for name, value in advised.items() if name in names)
    return rule, f"cannot be met with the program's own defaults; set first, or say what is set: {values}"


def _summary(preset: Preset, seen: Survey) -> Found:
    drawn = sample(seen.space, random.Random(0), SAMPLES)
    outside = [problem for each in drawn for problem in problems(seen.space, each)]
    if outside:
        return Found(preset.name, "fail", "samples", outside[0])
    count = len(seen.space.parameters)
    return Found(
        preset.name,
        "ok",
        f"{count} parameter{'s' * (count != 1)}",
        f"{len(seen.ties)} clauses of {len(set(seen.ties.values()))} constraints and bounds; "
        f"{SAMPLES} of {SAMPLES} samples and {len(seen.seeds)} seeds inside",
    )


def _seeds(preset: Preset, seen: Survey) -> list[Found]:
    if not seen.seeds:
        return [Found(preset.name, "fail", "seeds", "no expert setting could be brought inside the constraints")]
    found = [
        Found(preset.name, "fail", "seed", problem) for each in seen.seeds for problem in problems(seen.space, each)
    ]
    rules = {rule.id: rule for rule in seen.scene.catalogue.rules}
    for text in violated(seen.warnings, seen.seeds[0]):
        rule = rules[seen.warnings[text]]
        found.append(Found(preset.name, "warn", rule.id, f"the first seed does not meet it: {rule.why}"))
    return found


def _left_out(preset: Preset, seen: Survey) -> list[Found]:
    return [Found(preset.name, "out", name, why) for name, why in seen.left_out.items()]


def _asked(preset: Preset, seen: Survey) -> list[Found]:
    entries = seen.scene.catalogue.entries
    found = [
        Found(preset.name, "ask", name, f"counts only when this is true: {entries[name].active_when}")
        for name in seen.scene.chosen
        if entries[name].active_when and not seen.scene.condition(entries[name])
    ]
    for rule in questions(seen.scene.catalogue, seen.scene.chosen).values():
        look = rule.question or "look at both workloads"
        found.append(Found(preset.name, "ask", rule.id, f"{rule.why} Look at: {look}"))
    return found
