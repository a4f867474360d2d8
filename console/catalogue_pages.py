"""What `trimtab catalogue show` says about one parameter and about one preset."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.catalogue import Entry, Preset
from adapters.catalogue_check import recommended
from adapters.catalogue_data import default_of
from adapters.catalogue_limits import Environment
from adapters.catalogue_reasons import amount, end_text, left, left_text, range_text, seed_text
from adapters.catalogue_seeds import expert, seeds
from adapters.catalogue_space import Builder, Survey
from adapters.catalogue_ties import questions
from console.output import Column, Format, listing, say
from domain.errors import Misconfigured
from domain.formula import parse
from domain.ports import Json
from domain.space import Settings, Value

PARAMETER_COLUMNS = (Column("field", "field"), Column("value", "value"))
SPACE_COLUMNS = (
    Column("id", "parameter"),
    Column("range", "searched"),
    Column("low", "low end"),
    Column("high", "high end"),
    Column("left", "constraints leave, the others at their seeds"),
    Column("seed", "seed"),
    Column("default", "default", table=False),
    Column("apply", "apply"),
    Column("risk", "risk", ", ".join, table=False),
)
TIE_COLUMNS = (
    Column("id", "constraint"),
    Column("kind", ""),
    Column("expression", "must hold"),
    Column("why", "why"),
)


def parameter_page(entry: Entry, environment: Environment, version: str, present: Mapping[str, Value]) -> Json:
    """Everything about one parameter; the other parameters keep their present or own values."""
    survey, problems = Builder(environment, {}, present, version).look([entry.id])
    made = survey.made.get(entry.id)
    policies = survey.scene.catalogue.policies
    page: Json = {
        "id": entry.id,
        "name": entry.name,
        "affects": entry.data.get("affects", ""),
        "type": f"{entry.type} in {entry.unit}" if entry.unit else entry.type,
        "policy": f"{entry.policy}: {policies[entry.policy]}",
        "apply": entry.mode,
        "scope": entry.scope,
        "danger": ", ".join(entry.risk),
        "since": f"{entry.since}{f' until {entry.until}' if entry.until else ''}",
        "default": _default(entry, survey),
    }
    if made is not None:
        page |= {"scale": (entry.search or {}).get("scale", "none"), "searched": range_text(entry, made)}
        page |= {"low": end_text(entry, made.low, survey)} if made.low else {}
        page |= {"high": end_text(entry, made.high, survey)} if made.high else {}
        page["seed"] = seed_text(entry, survey.scene.environment)
        if made.parameter:
            rest = left_text(entry, left(survey, made.parameter, {}))
            page |= {"constraints leave": rest} if rest else {}
    page |= {"counts when": entry.active_when} if entry.active_when else {}
    page |= {f"set on {place}": how for place, how in entry.set.items()}
    page["read back"] = entry.data.get("readback", "")
    page["constraints"] = [f"{tie['id']} ({tie['kind']}): {tie['why']} {tie['expression']}" for tie in _ties(survey)]
    page |= {"cannot be computed": problems} if problems else {}
    page |= {"note": entry.note} if entry.note else {}
    source = entry.data.get("source") or entry.data.get("measured", "")
    return page | ({"source": source} if source else {})


def preset_page(preset: Preset, environment: Environment, version: str, present: Mapping[str, Value]) -> Json:
    """Every parameter of a preset, its constraints with their numbers, and what must be answered by a person. Raises
    Misconfigured where the environment does not allow the preset at all."""
    builder = Builder(environment, {}, dict(present), version, preset)
    survey, problems = builder.look(list(preset.parameters))
    first = seeds(survey.space, survey.scene)
    advised: Settings = {}
    if not first and survey.space.parameters:
        advised = recommended(preset, environment, version, present)
        builder = Builder(environment, {}, {**advised, **present}, version, preset)
        survey, problems = builder.look(list(preset.parameters))
        first = seeds(survey.space, survey.scene)
    if problems:
        raise Misconfigured("\n".join(problems))
    settings = dict(first[0]) if first else expert(survey.space, survey.scene)
    entries = survey.scene.catalogue.entries
    return {
        "preset": preset.name,
        "about": preset.about,
        "set_first": {name: value for name, value in advised.items() if not first or name in _fixed(survey)},
        "parameters": [_line(entries[each.name], survey, settings) for each in survey.space.parameters],
        "with_consent": list(preset.with_consent),
        "left_out": dict(survey.left_out),
        "constraints": _ties(survey),
        "questions": {
            rule.id: f"{rule.why} Look at: {rule.question or 'both workloads'}"
            for rule in questions(survey.scene.catalogue, survey.scene.chosen).values()
        },
    }


def preset_rows(page: Json, form: Format) -> None:
    """The page as tables, or its parameters as CSV."""
    say(f"{page['preset']}: {page['about']}")
    if page["set_first"]:
        values = ", ".join(f"{name}={amount('', value)}" for name, value in page["set_first"].items())
        say(f"only with these settings, which it does not search: {values}")
    listing(page["parameters"], SPACE_COLUMNS, form)
    if form is Format.csv:
        return
    listing(page["constraints"], TIE_COLUMNS, form, empty="no constraint ties them")
    for name, why in page["left_out"].items():
        say(f"left out: {name}: {why}")
    for name, question in page["questions"].items():
        say(f"question {name}: {question}")
    if page["with_consent"]:
        say(f"with consent also: {', '.join(page['with_consent'])}")


def _line(entry: Entry, survey: Survey, settings: Settings) -> Json:
    made = survey.made[entry.id]
    parameter = survey.scene.chosen[entry.id]
    return {
        "id": entry.id,
        "range": range_text(entry, made),
        "low": end_text(entry, made.low, survey) if made.low else "",
        "high": end_text(entry, made.high, survey) if made.high else "",
        "left": left_text(entry, left(survey, parameter, settings)),
        "seed": amount(entry.unit, settings[entry.id]),
        "default": _default(entry, survey),
        "apply": entry.mode,
        "risk": list(entry.risk),
    }


def _default(entry: Entry, survey: Survey) -> str:
    """What the program does without the setting, computed where it computes it."""
    stated = default_of(entry, survey.scene.version_of(entry))
    value = survey.scene.by_itself(entry)
    if value != stated:
        return f"{amount(entry.unit, value)} here ({stated})"
    return amount(entry.unit, stated)


def _ties(survey: Survey) -> list[Json]:
    rules = {rule.id: rule for rule in survey.scene.catalogue.rules}
    rows: list[Json] = []
    for kind, ties in (("hard", survey.ties), ("soft", survey.warnings)):
        for expression, name in ties.items():
            why = rules[name].why if name in rules else "It follows the searched limit."
            rows.append({"id": name, "kind": kind, "expression": expression, "why": why})
    return rows


def _fixed(survey: Survey) -> set[str]:
    """Parameters that a constraint of the catalogue names beside the searched ones."""
    tied = [rule for rule in survey.scene.catalogue.rules if rule.id in survey.ties.values()]
    return {name for rule in tied for name in parse(rule.expression).names} - survey.scene.chosen.keys()
