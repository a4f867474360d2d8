"""The catalogue's files as values: entries, constraints, presets, known-good settings. Read once for each process."""

from __future__ import annotations

import difflib
import importlib.resources
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from adapters import strict_yaml
from domain.errors import Misconfigured
from domain.space import Value

Consent = Literal["auto", "opt_in", "recommend", "guard", "never"]

VERSIONS: Mapping[str, str] = {  # of the program, where a target does not say its own
    "nginx": "1.22",
    "postgresql": "15",
    "jvm": "17",
    "node": "20",
    "python": "3.11",
    "go": "1.22",
}
_PAGES = ("guide.yaml",)  # made into pages of docs/, and no part of any space
_FACTORS = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = re.compile(r"([-+]?[0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One parameter of the catalogue; the fields are explained in docs/catalogue.md. `set` says per platform how a
    value is written (`<v>`), `computed` per version what a program without the setting works out for itself (an
    expression of the environment), `data` is the whole entry."""

    id: str
    name: str
    family: str
    type: str
    unit: str
    scope: str
    policy: Consent
    mode: str
    default: Mapping[str, Any]
    search: Mapping[str, Any] | None
    seed: str | float | bool | None
    active_when: str
    since: str
    until: str
    computed: Mapping[str, str]
    native_unit: str
    risk: tuple[str, ...]
    note: str
    set: Mapping[str, str]
    data: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """One constraint: `expression` decides it, or `question` says what to look at where none can. Hard ones keep a
    candidate out, soft ones are told. `foreign`: its parameters belong to different workloads."""

    id: str
    hard: bool
    expression: str
    question: str
    why: str
    evidence: str
    foreign: bool


@dataclass(frozen=True, slots=True)
class Within:
    """Narrower bounds of a parameter inside a preset: expressions of the environment, or some of its values."""

    low: str = ""
    high: str = ""
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Preset:
    """A named selection: `parameters` as it stands, most effect first, `with_consent` those that need the owner's word
    too. `bounds` are narrower than the catalogue's unless the owner says more; `assumes` are variables of the
    environment that the situation itself tells (the workload, say)."""

    name: str
    families: tuple[str, ...]
    about: str
    parameters: tuple[str, ...]
    with_consent: tuple[str, ...] = ()
    bounds: Mapping[str, Within] = field(default_factory=dict)
    assumes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """Settings that somebody runs with success, and who."""

    name: str
    source: str
    settings: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Catalogue:
    entries: Mapping[str, Entry]
    rules: tuple[Rule, ...]
    presets: Mapping[str, Preset]
    known_good: tuple[Known, ...]
    environment: Mapping[str, str]  # variable → meaning and unit
    policies: Mapping[str, str]


@cache
def load() -> Catalogue:
    """Everything in catalogue/. Raises Misconfigured for a file that cannot be read or an id that occurs twice."""
    folder = importlib.resources.files("catalogue")
    wanted = (each for each in folder.iterdir() if each.name.endswith(".yaml") and each.name not in _PAGES)
    files = sorted(wanted, key=lambda each: each.name)
    return assemble([(each.name, each.read_text(encoding="utf-8")) for each in files])


def assemble(files: Iterable[tuple[str, str]]) -> Catalogue:
    """The catalogue of (file name, YAML text) pairs."""
    entries: dict[str, Entry] = {}
    rules: dict[str, Rule] = {}
    presets: dict[str, Preset] = {}
    known_good: list[Known] = []
    common: dict[str, Any] = {}
    for name, text in files:
        data = _content(name, text)
        common |= data.get("catalog", {})
        for raw in data.get("parameters", []):
            _unique(entries, raw["id"], name)
            entries[raw["id"]] = _entry(raw)
        for raw in data.get("constraints", []):
            _unique(rules, raw["id"], name)
            rules[raw["id"]] = _rule(raw)
        presets |= {key: _preset(key, raw) for key, raw in data.get("presets", {}).items()}
        known_good += [Known(raw["name"], raw["source"], raw["settings"]) for raw in data.get("known_good", [])]
    return Catalogue(
        entries, tuple(rules.values()), presets, tuple(known_good), common.get("env_vars", {}), common["policies"]
    )


def _content(name: str, text: str) -> Mapping[str, Any]:
    try:
        document = strict_yaml.read(text)
    except Misconfigured as error:
        raise Misconfigured(f"catalogue/{name}: {error}") from None
    if document.problems:
        path, problem = document.problems[0]
        raise Misconfigured(f"catalogue/{name}:{document.lines[path]}: {strict_yaml.where(path)}: {problem}")
    content: Mapping[str, Any] = document.data or {}
    return content


def _unique(seen: Mapping[str, object], name: str, file: str) -> None:
    if name in seen:
        raise Misconfigured(f"catalogue/{file}: the id {name!r} occurs twice; ids are unique over all files")


def _entry(raw: Mapping[str, Any]) -> Entry:
    unit = str(raw["unit"])
    return Entry(
        id=raw["id"],
        name=raw["name"],
        family=raw["family"],
        type=raw["type"],
        unit="" if unit == "none" else unit,
        scope=raw["scope"],
        policy=raw["policy"],
        mode=raw["apply"]["mode"],
        default=raw["default"],
        search=raw.get("search"),
        seed=raw.get("seed"),
        active_when=raw.get("active_when", ""),
        since=str(raw["since"]),
        until=str(raw.get("until", "")),
        computed=raw.get("computed", {}),
        native_unit=raw.get("native_unit", ""),
        risk=tuple(raw["risk"]),
        note=raw.get("note", ""),
        set=raw["set"],
        data=raw,
    )


def _rule(raw: Mapping[str, Any]) -> Rule:
    return Rule(
        id=raw["id"],
        hard=raw["kind"] == "hard",
        expression=raw.get("expr", ""),
        question=raw.get("check", ""),
        why=raw["why"],
        evidence=raw.get("evidence", ""),
        foreign=raw.get("cross_workload", False),
    )


def _preset(name: str, raw: Mapping[str, Any]) -> Preset:
    narrower = {
        key: Within(str(each.get("low", "")), str(each.get("high", "")), tuple(each.get("values", ())))
        for key, each in raw.get("bounds", {}).items()
    }
    return Preset(
        name=name,
        families=tuple(raw["families"]),
        about=raw["about"],
        parameters=tuple(raw["parameters"]),
        with_consent=tuple(raw.get("with_consent", ())),
        bounds=narrower,
        assumes=raw.get("assumes", {}),
    )


def unknown(what: str, name: str, known: Iterable[str]) -> Misconfigured:
    """The error for a name that nobody knows: near matches, else all names."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 5)
    near += [each for each in names if each.rpartition(".")[2] == name and each not in near]
    hint = f"near: {', '.join(near)}" if near else f"known: {', '.join(names[:40])}{' ...' if len(names) > 40 else ''}"
    return Misconfigured(f"unknown {what} {name!r}; {hint}")


# --- versions and texts ----------------------------------------------------------------------------------------------


def default_of(entry: Entry, version: str) -> Value:
    """What the program does when the setting is absent, in the entry's unit; a text where the program computes it."""
    raw = _for_version(entry.default, _version(version))
    if isinstance(raw, bool) or not isinstance(raw, str):
        return raw if isinstance(raw, (bool, int, float)) else str(raw)
    words = re.sub(r"\(.*?\)", "", raw).split("|")[0].split()  # `8k|16k` (by platform), `32 4k` (number and size)
    if not words or not all(re.fullmatch(r"[0-9]+[kmg]?|local", word) for word in words[1:]):
        return raw
    try:
        return value_of(entry, words[0])
    except Misconfigured:
        return raw


def exists(entry: Entry, version: str) -> bool:
    """Whether that version of the program has the parameter (True where the catalogue says it in words)."""
    number, length = r"[0-9]+(?:\.[0-9]+)*", len(_version(version))
    if re.fullmatch(number, entry.since) and _version(version) < _version(entry.since)[:length]:
        return False
    until = _version(entry.until) if re.fullmatch(number, entry.until) else ()
    return not until or _version(version)[: len(until)] <= until


def version_of(family: str, version: str, families: Iterable[str]) -> str:
    """The version of a family's program in a selection of families. `version` is that of the first program among them
    (where none is a program, of the first family); other programs count at `VERSIONS`, anything else at its newest."""
    known = list(families)
    first = next((each for each in known if each in VERSIONS), known[0] if known else "")
    return version if version and family == first else VERSIONS.get(family, "9999")


def computed(entry: Entry, version: str) -> str:
    """The expression for what the program works out where the setting is absent; empty if the catalogue has none."""
    return str(_for_version(entry.computed, _version(version))) if entry.computed else ""


def value_of(entry: Entry, raw: object) -> Value:
    """A value that a person wrote (`64k`, `75s`, `on`) in the entry's unit. Raises Misconfigured."""
    if entry.type == "bool":
        words = {"on": True, "true": True, "off": False, "false": False}
        if isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and raw.lower() in words:
            return words[raw.lower()]
        raise Misconfigured(f"{raw!r} is neither true nor false")
    listed = [*(entry.search or {}).get("special", ()), *(entry.search or {}).get("values", ())]
    for each in listed:
        if raw == each and isinstance(raw, bool) == isinstance(each, bool):
            return each if isinstance(each, (bool, int, float, str)) else str(each)
    if entry.type in ("enum", "list", "string"):
        raise Misconfigured(f"{raw!r} is none of {listed}" if listed else f"{raw!r} is not in the catalogue")
    if isinstance(raw, (int, float)) and not isinstance(raw, bool):
        return _whole(entry, raw)
    match = _NUMBER.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if match is None:
        special = f" or one of {listed}" if listed else ""
        raise Misconfigured(f"{raw!r} is no number{f' of {entry.unit}' if entry.unit else ''}{special}")
    return _whole(entry, float(match[1]) * _factor(entry, match[2], match[0]))


def _factor(entry: Entry, suffix: str, text: str) -> float:
    if not suffix:
        return 1.0
    if entry.unit == "bytes":
        letter = re.sub(r"i?b$", "", suffix.lower())
        if letter in _FACTORS:
            return _FACTORS[letter]
    if entry.unit in _SECONDS and suffix in _SECONDS:
        return _SECONDS[suffix] / _SECONDS[entry.unit]
    raise Misconfigured(f"{text!r} has a unit that does not fit; write a plain number{_of(entry)}")


def _of(entry: Entry) -> str:
    return f" of {entry.unit}" if entry.unit else ""


def _whole(entry: Entry, number: float) -> Value:
    if entry.type == "float" or (entry.type == "quantity" and entry.unit != "bytes"):
        return float(number)
    if abs(number - round(number)) > 1e-9:
        raise Misconfigured(f"{number:g} is no whole number{_of(entry)}")
    return round(number)


def version_at_least(version: str, since: str) -> bool:
    """Whether `version` is `since` or newer."""
    return _version(version) >= _version(since)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", text)[:4])


def _for_version(table: Mapping[str, Any], version: tuple[int, ...]) -> Any:
    """The value that counts for a version: keys are `1.29.7` (from then on), `<1.19.10` (before), `20-24` (between),
    `all`; a key in other words is what remains."""
    before = [(_version(key), value) for key, value in table.items() if re.fullmatch(r"<[0-9.]+", key)]
    under = sorted((limit, place) for place, (limit, _) in enumerate(before) if version < limit)
    if under:
        return before[under[0][1]][1]
    since = [
        (_version(key.partition("-")[0]), value)
        for key, value in table.items()
        if re.fullmatch(r"[0-9.]+(?:-[0-9.]+)?", key)
    ]
    reached = [each for each in since if each[0] <= version]
    if reached:
        return max(reached, key=lambda each: each[0])[1]
    words = [value for key, value in table.items() if not re.fullmatch(r"<?[0-9.]+(?:-[0-9.]+)?", key)]
    return words[0] if words else next(iter(table.values()))
