"""The search space over a selection of parameters in one environment, with the reasons of everything in it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapters.catalogue_bounds import Made, Narrow, make
from adapters.catalogue_data import Catalogue, Entry, Preset, exists, load, unknown
from adapters.catalogue_limits import Environment, environments, is_limit, searched
from adapters.catalogue_seeds import seeds
from adapters.catalogue_ties import Scene, hard, soft
from domain.errors import Misconfigured
from domain.space import SearchSpace, Settings, Value, sample


@dataclass(frozen=True, slots=True)
class Survey:
    """A space and why it is so. `made` has the bounds of every named parameter; `left_out` says why one of them is not
    searched; `ties` maps each constraint's expression to the catalogue's id of it, `warnings` those that only warn."""

    space: SearchSpace
    seeds: tuple[Settings, ...]
    scene: Scene
    made: Mapping[str, Made]
    left_out: Mapping[str, str]
    ties: Mapping[str, str]
    warnings: Mapping[str, str]


class Builder:
    """Makes one space; see `adapters/catalogue.py: survey`. `overrides` are the owner's bounds, those of the `preset`
    count for the rest; a parameter in `required` may not be left out because this target cannot have it."""

    def __init__(
        self,
        environment: Environment,
        overrides: Mapping[str, Narrow],
        present: Mapping[str, Value],
        version: str,
        preset: Preset | None = None,
        required: Sequence[str] = (),
    ) -> None:
        self.environment, self.overrides, self.present, self.version = environment, overrides, present, version
        self.preset, self.required = preset, {*required, *overrides}
        self.catalogue: Catalogue = load()

    def build(self, ids: list[str]) -> Survey:
        """Raises Misconfigured, one line for each parameter or constraint that does not work out."""
        survey, problems = self.look(ids)
        if problems:
            raise Misconfigured("\n".join(problems))
        if not survey.space.parameters:
            reasons = "; ".join(f"{name}: {why}" for name, why in survey.left_out.items())
            raise Misconfigured(f"nothing to search: {reasons or 'no parameter is named'}")
        self._possible(survey)
        return replace(survey, seeds=seeds(survey.space, survey.scene))

    def look(self, ids: list[str]) -> tuple[Survey, list[str]]:
        """The space without seeds, whether or not anything can be sampled from it, and what does not work out."""
        problems = [f"bounds: {name} is not among the chosen parameters" for name in self.overrides if name not in ids]
        for name in ids:
            if name not in self.catalogue.entries:
                problems.append(str(unknown("parameter", name, self.catalogue.entries)))
        entries = [self.catalogue.entries[name] for name in ids if name in self.catalogue.entries]
        families = tuple(dict.fromkeys(entry.family for entry in entries))
        scene = Scene(self.catalogue, self.environment, self.present, self.version, families)
        made = self._made([each for each in entries if is_limit(each.id)], scene, problems)
        scene = replace(scene, limits=searched(each.parameter for each in made.values() if each.parameter))
        made |= self._made([each for each in entries if not is_limit(each.id)], scene, problems)
        chosen = {name: each.parameter for name in ids if (each := made.get(name)) and each.parameter}
        scene = replace(
            scene, chosen=chosen, impossible=frozenset(name for name, each in made.items() if each.impossible)
        )
        ties, missing = hard(scene)
        left_out = {name: each.why for name, each in made.items() if each.parameter is None}
        space = SearchSpace(tuple(chosen.values()), tuple(ties))
        return Survey(space, (), scene, made, left_out, ties, soft(scene)), problems + missing

    def _made(self, entries: Sequence[Entry], scene: Scene, problems: list[str]) -> dict[str, Made]:
        found: dict[str, Made] = {}
        where = environments(scene.environment, scene.limits)
        for entry in entries:
            try:
                found[entry.id] = self._one(entry, scene, where)
            except Misconfigured as error:
                problems.append(str(error))
        return found

    def _one(self, entry: Entry, scene: Scene, where: Sequence[Environment]) -> Made:
        version = scene.version_of(entry)
        made = Made(None, f"inactive: counts only when {entry.active_when}")
        if not exists(entry, version):
            span = f"since {entry.since}" + (f" until {entry.until}" if entry.until else "")
            made = Made(None, f"exists {span}; the target's version is {version} (actuator.version)")
        elif not scene.inactive(entry):
            within = self.preset.bounds.get(entry.id) if self.preset else None
            made = make(entry, version, where, self.overrides.get(entry.id), within)
        if entry.id in self.required and (made.impossible or entry.search is None or not exists(entry, version)):
            raise Misconfigured(f"{entry.id}: {made.why}")
        return made

    def _possible(self, survey: Survey) -> None:
        """Raises Misconfigured naming the constraint that nothing inside the bounds can meet."""
        try:
            sample(survey.space, random.Random(0), 1)
        except Misconfigured as error:
            text = str(error)
            rule = next((name for expression, name in survey.ties.items() if repr(expression) in text), "")
            raise Misconfigured(
                f"{f'{rule}: ' if rule else ''}{error}. Values of parameters that are not searched are the program's "
                "defaults unless the environment gives them by their id"
            ) from None
