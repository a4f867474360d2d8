"""From names in the catalogue to a space that can be searched: what may be named, and what it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from adapters.catalogue_bounds import Narrow
from adapters.catalogue_data import Catalogue, Entry, Preset, load, unknown
from adapters.catalogue_limits import Environment
from adapters.catalogue_space import Builder, Survey
from domain.errors import Misconfigured
from domain.space import SearchSpace, Settings, Value

__all__ = [
    "Entry",
    "Environment",
    "Narrow",
    "Preset",
    "Survey",
    "choose",
    "load",
    "parameter",
    "preset_of",
    "space_for",
    "survey",
]


def parameter(name: str) -> Entry:
    """The catalogue's entry. Raises Misconfigured with near matches for an unknown id."""
    entries = load().entries
    if name not in entries:
        raise unknown("parameter", name, entries)
    return entries[name]


def preset_of(name: str) -> Preset:
    """The preset. Raises Misconfigured with the known ones."""
    known = load().presets
    if name not in known:
        raise unknown("preset", name, known)
    return known[name]


def choose(preset: str = "", names: Sequence[str] = (), consent: Sequence[str] = ()) -> tuple[str, ...]:
    """The ids that may be searched: those of the preset, the explicit `names` (naming is consent), and those of the
    preset's second list that `consent` names. Raises Misconfigured, one line for each name that is refused."""
    known = load()
    if not preset and not names:
        raise Misconfigured(f"neither preset nor names; presets: {', '.join(known.presets)}")
    offered = preset_of(preset).with_consent if preset else ()
    named = [*names, *consent]
    basis = preset_of(preset).parameters if preset else ()
    refused = [problem for name in named if (problem := _refusal(known, name))]
    refused += [
        f"consent: {name} is not part of {f'preset {preset!r}' if preset else 'a preset'}; list it under names"
        for name in consent
        if name in known.entries and name not in (*offered, *basis, *names)
    ]
    if refused:
        raise Misconfigured("\n".join(refused))
    return tuple(dict.fromkeys([*basis, *named]))


def _refusal(known: Catalogue, name: str) -> str:
    if name not in known.entries:
        return str(unknown("parameter", name, known.entries))
    entry = known.entries[name]
    if entry.policy in ("guard", "never"):
        reason = entry.note or f"risk: {', '.join(entry.risk)}"
        return f"{name} has policy {entry.policy} ({known.policies[entry.policy]}): {reason}"
    return ""


def space_for(
    ids: Iterable[str],
    environment: Environment,
    overrides: Mapping[str, Narrow] | None = None,
    *,
    present: Mapping[str, Value] | None = None,
    version: str = "",
    preset: str = "",
    required: Sequence[str] = (),
) -> tuple[SearchSpace, tuple[Settings, ...]]:
    """The space of `survey`, and settings worth trying first: the catalogue's expert values, then known-good sets;
    complete, allowed, distinct."""
    found = survey(ids, environment, overrides, present=present, version=version, preset=preset, required=required)
    return found.space, found.seeds


def survey(
    ids: Iterable[str],
    environment: Environment,
    overrides: Mapping[str, Narrow] | None = None,
    *,
    present: Mapping[str, Value] | None = None,
    version: str = "",
    preset: str = "",
    required: Sequence[str] = (),
) -> Survey:
    """The search space over `ids` in an environment (variables of catalogue/common.yaml: bytes, cores, seconds), with
    the reasons of everything in it.

    `overrides` narrow bounds, before those of `preset`; `present` are values of other parameters in the target (else
    what the program does by itself counts in constraints); `version` is that of the first program among the families.
    A parameter with one possible value or none, that this version does not have, or whose `active_when` is false, is
    left out with its reason; where it is in `required` or `overrides`, only the first and the last. A searched limit
    takes the place of `mem` or `cpu`, see `catalogue_limits`. Raises Misconfigured, one line for each parameter or
    constraint that does not work out."""
    named = preset_of(preset) if preset else None
    surroundings = {**named.assumes, **environment} if named else environment
    builder = Builder(surroundings, dict(overrides or {}), dict(present or {}), version, named, required)
    return builder.build(list(dict.fromkeys(ids)))
