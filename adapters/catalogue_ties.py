"""The constraints of the catalogue as expressions over the searched parameters alone.

Of each constraint only the clauses count that a searched parameter can break. Everything else in a clause becomes a
number: variables of the environment, present values of parameters that are not searched, else what the program does by
itself. A clause is left out where the target does not have a parameter that it names (other software, older version),
where such a parameter is inactive, and where a text such as `off` stands for a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from adapters.catalogue_bounds import wanted
from adapters.catalogue_data import Catalogue, Entry, Rule, computed, default_of, exists, version_of
from adapters.catalogue_limits import COUNTS_AS, Environment, counted
from domain.errors import Misconfigured
from domain.formula import Formula, clauses, parse, substitute
from domain.space import Parameter, Value

# Where one parameter is known under another family's name.
_STAND_INS: Mapping[str, str] = {"k8s.shm_size": "docker.shm_size"}


@dataclass(frozen=True, slots=True)
class Scene:
    """What surrounds the searched parameters `chosen`: the environment at the limits in force, the searched `limits` by
    their variable, `present` values, the program's version, and the ids for which no safe value exists."""

    catalogue: Catalogue
    environment: Environment
    present: Mapping[str, Value]
    version: str
    families: tuple[str, ...]
    chosen: Mapping[str, Parameter] = field(default_factory=dict)
    limits: Mapping[str, Parameter] = field(default_factory=dict)
    impossible: frozenset[str] = frozenset()

    def version_of(self, entry: Entry) -> str:
        return version_of(entry.family, self.version, self.families)

    def condition(self, entry: Entry) -> Formula | None:
        """When the parameter counts, as a formula over other parameters; None where the catalogue says it in words."""
        try:
            formula = parse(entry.active_when) if entry.active_when else None
        except Misconfigured:
            return None
        return formula if formula and formula.names <= self.catalogue.entries.keys() else None

    def inactive(self, entry: Entry) -> bool:
        """Whether the present values say that the parameter does not count. A condition in words counts as met by
        whoever named the parameter."""
        condition = self.condition(entry)
        if condition is None or not condition.names <= self.present.keys() - self.chosen.keys():
            return False
        return not condition.truth(self.present)

    def value(self, name: str) -> Value | None:
        """The value of a parameter that is not searched: the present one, else what the program does without it; None
        if the target does not have it, or if nobody can tell."""
        entry = self.catalogue.entries[name]
        value = self.present.get(name)
        if value is None and entry.family in self.families and exists(entry, self.version_of(entry)):
            value = self.by_itself(entry)
        word, stand_in = COUNTS_AS.get(name, ("", ""))
        if value == word and stand_in in self.environment:
            return self.environment[stand_in]
        listed = [*(entry.search or {}).get("values", ()), *entry.data.get("hard", {}).get("values", ())]
        return None if isinstance(value, str) and value not in listed else value

    def by_itself(self, entry: Entry) -> Value:
        """What the program does where the setting is absent; a text where nobody can compute it."""
        version = self.version_of(entry)
        text = computed(entry, version)
        if not text or not parse(text).names <= self.environment.keys():
            return default_of(entry, version)
        result = parse(text)(self.environment)
        return str(result) if isinstance(result, list) else result

    def following(self, name: str) -> str:
        """What the program does by itself, as an expression over the limit that is searched; "" where that does not
        depend on it, or where the parameter has a value of its own."""
        entry = self.catalogue.entries[name]
        if name in self.present or entry.family not in self.families:
            return ""
        text = computed(entry, self.version_of(entry))
        names = parse(text).names if text else frozenset()
        if not names & self.limits.keys() or not names <= self.environment.keys() | self.limits.keys():
            return ""
        return f"({self.under_limits(text)})"

    def under_limits(self, text: str) -> str:
        """An expression of the environment with the searched limits in the place of their variables."""
        names = parse(text).names
        known = {each: self.environment[each] for each in names - self.limits.keys()}
        return substitute(text, known, {each: self.limit(each) for each in names & self.limits.keys()})

    def limit(self, variable: str) -> str:
        """The searched limit that stands for a variable, as an expression."""
        return counted(self.limits[variable].name, self.environment)


def hard(scene: Scene) -> tuple[dict[str, str], list[str]]:
    """Expression → the constraint it comes from, for every hard clause that the searched parameters can break, and for
    the bounds that follow a searched limit; then what is missing to evaluate them, one line each."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for rule in scene.catalogue.rules:
        try:
            _add(found, _clauses(scene, rule) if rule.hard else {})
        except Misconfigured as error:
            problems.append(str(error))
    _add(found, _following(scene))
    return found, problems


def soft(scene: Scene) -> dict[str, str]:
    """As `hard`, for the constraints that only warn; what cannot be evaluated is left out."""
    found: dict[str, str] = {}
    for rule in scene.catalogue.rules:
        try:
            _add(found, {} if rule.hard else _clauses(scene, rule))
        except Misconfigured:
            continue
    return found


def questions(catalogue: Catalogue, names: Iterable[str]) -> dict[str, Rule]:
    """The constraints on these parameters that need somebody to look: in words, or across two workloads."""
    named = {rule for name in names for rule in catalogue.entries[name].data.get("constraints", ())}
    return {rule.id: rule for rule in catalogue.rules if rule.id in named and (rule.question or rule.foreign)}


def _add(found: dict[str, str], more: Mapping[str, str]) -> None:
    """Each expression under the first constraint that says it."""
    for text, rule in more.items():
        found.setdefault(text, rule)


def _clauses(scene: Scene, rule: Rule) -> dict[str, str]:
    movable = scene.chosen.keys() | scene.limits.keys() | _STAND_INS.keys()
    if not rule.expression or not parse(rule.expression).names & movable:
        return {}
    found: dict[str, str] = {}
    for clause in clauses(rule.expression):
        text = _clause(scene, rule, clause)
        if text:
            found[text] = rule.id
    return found


def _clause(scene: Scene, rule: Rule, clause: Formula) -> str:
    """The clause over searched parameters only; "" where it says nothing about them."""
    alias = {each: _alias(scene, each) for each in clause.names if each in scene.catalogue.entries}
    ids = set(alias.values())
    follows = {variable for variable in clause.names if variable in scene.limits}
    moved = (ids & scene.chosen.keys()) | {scene.limits[variable].name for variable in follows}
    if not moved or (rule.foreign and not ids <= scene.chosen.keys() | scene.present.keys()):
        return ""
    entries = [scene.catalogue.entries[each] for each in ids]
    if ids & scene.impossible or any(scene.inactive(entry) for entry in entries):
        return ""
    values = {each: value for each in ids - scene.chosen.keys() if (value := scene.value(each)) is not None}
    if ids - scene.chosen.keys() - values.keys():
        return ""  # the target does not have it
    variables = clause.names - alias.keys() - follows
    missing = sorted(variables - scene.environment.keys())
    if missing:
        raise Misconfigured(f"constraint {rule.id} on {', '.join(sorted(moved))} {wanted(missing)}")
    known = {each: scene.environment[each] for each in variables}
    known |= {name: values[each] for name, each in alias.items() if each in values}
    inserts = {name: counted(each, scene.environment) for name, each in alias.items() if each in scene.chosen}
    inserts |= {name: text for name, each in alias.items() if each in values and (text := scene.following(each))}
    inserts |= {variable: scene.limit(variable) for variable in follows}
    text = substitute(clause.text, known, inserts)
    unless = [f"not ({each})" for entry in entries if (each := _searched_condition(scene, entry))]
    return " or ".join([f"({text})", *unless]) if unless else text


def _alias(scene: Scene, name: str) -> str:
    """The name under which this target has a parameter."""
    other = _STAND_INS.get(name, name)
    family = scene.catalogue.entries[name].family
    has = name in scene.chosen or name in scene.present or family in scene.families
    return name if has else other


def _searched_condition(scene: Scene, entry: Entry) -> str:
    """`active_when` over searched parameters and present values; "" where it does not depend on what is searched."""
    condition = scene.condition(entry)
    if condition is None or not condition.names & scene.chosen.keys():
        return ""
    others = {each: value for each in condition.names - scene.chosen.keys() if (value := scene.value(each)) is not None}
    return substitute(condition.text, others) if condition.names <= scene.chosen.keys() | others.keys() else ""


def _following(scene: Scene) -> dict[str, str]:
    """The bounds of parameters that follow a searched limit, as constraints."""
    found: dict[str, str] = {}
    for name, parameter in scene.chosen.items():
        search = scene.catalogue.entries[name].search or {}
        if parameter in scene.limits.values() or "lo" not in search:
            continue
        for key, sign in (("lo", ">="), ("hi", "<=")):
            formula = parse(str(search[key]))
            follows = formula.names & scene.limits.keys()
            if not follows or not formula.names <= scene.environment.keys() | follows:
                continue
            bound = f"{name} {sign} {scene.under_limits(formula.text)}"
            special = list(search.get("special", ()))
            found[f"{name} in {special!r} or {bound}" if special else bound] = f"bounds of {name}"
    return found
