"""What is written for a candidate, as a space: what the product's own writers and readers of values ask for."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.catalogue import parameter as catalogue_entry
from bench.starts.draw import Candidate
from domain.space import Parameter, SearchSpace, Value


def written(candidate: Candidate, *families: str) -> tuple[SearchSpace, dict[str, Value]]:
    """The candidate's parameters of these families with those that are set once, and all of their values."""
    own = [each for each in candidate.parameters if catalogue_entry(each.name).family in families]
    once = {name: value for name, value in candidate.present.items() if catalogue_entry(name).family in families}
    values = {**once, **{each.name: candidate.settings[each.name] for each in own}}
    return SearchSpace((*map(_only, once.items()), *own)), values


def differing(wanted: Mapping[str, Value], seen: Mapping[str, Value]) -> list[str]:
    """A line for each value that is not in force."""
    return [
        f"{name}: {value} was written, and {seen.get(name, 'nothing')} is in force"
        for name, value in wanted.items()
        if name not in seen or seen[name] != value or isinstance(seen[name], bool) != isinstance(value, bool)
    ]


def _only(item: tuple[str, Value]) -> Parameter:
    """A parameter with one value, which is written even if it is the program's own."""
    name, value = item
    return Parameter(name, "categorical", value, choices=(value,), cost="restart")
