"""From names in the catalogue to a space that can be searched: what may be named, and what it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from adapters.catalogue_data import Catalogue, Entry, load, unknown
from adapters.catalogue_space import Builder, Environment, Narrow
from domain.errors import Misconfigured
from domain.space import SearchSpace, Settings, Value

__all__ = ["Entry", "Environment", "Narrow", "choose", "load", "parameter", "space_for"]


def parameter(name: str) -> Entry:
    """The catalogue's entry. Raises Misconfigured with near matches for an unknown id."""
    entries = load().entries
    if name not in entries:
        raise unknown("parameter", name, entries)
    return entries[name]


def choose(preset: str = "", names: Sequence[str] = (), consent: Sequence[str] = ()) -> tuple[str, ...]:
    """The ids that may be searched: those of the preset, the explicit `names` (naming is consent), and those of the
    preset's second list that `consent` names. Raises Misconfigured, one line for each name that is refused."""
    known = load()
    if preset and preset not in known.presets:
        raise unknown("preset", preset, known.presets)
    if not preset and not names:
        raise Misconfigured(f"neither preset nor names; presets: {', '.join(known.presets)}")
    offered = known.presets[preset].with_consent if preset else ()
    named = [*names, *consent]
    basis = known.presets[preset].parameters if preset else ()
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
) -> tuple[SearchSpace, tuple[Settings, ...]]:
    """The search space over `ids` in an environment (variables of catalogue/common.yaml: bytes, cores, seconds), and
    settings worth trying first: the catalogue's expert values, then known-good sets; complete, allowed, distinct.

    `overrides` narrow bounds; `present` are values of other parameters in the target (else the program's default for
    `version` counts in constraints). A parameter with one possible value, or whose `active_when` is false, is left out.
    Raises Misconfigured, one line for each parameter or constraint that does not work out."""
    builder = Builder(environment, dict(overrides or {}), dict(present or {}), version)
    return builder.build(list(dict.fromkeys(ids)))
