"""postgresql.conf."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from domain.space import Value
from linting import parameters, postgresql_names, quantity, rules_cluster
from linting import rules_server as rules
from linting.facts import Fact, Facts
from linting.finding import Finding, Place
from linting.parts import Container, Postgresql, Setting

_BOOK = parameters.Rulebook(rules.PG_BOUNDS, rules.PG_DEFAULT, rules.PG_OLD_DEFAULT)
_TRUE = frozenset({"on", "true", "yes", "1", "t", "y", "tr", "tru", "ye"})
_FALSE = frozenset({"off", "false", "no", "0", "f", "n", "of", "fa", "fal", "fals"})
_SWITCHES = {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"}  # in enumerations
_OLD_NAMES = {"archive": "replica", "hot_standby": "replica"}  # of wal_level, still taken
_IMAGES = frozenset({"postgres", "postgresql"})
_LOGGING = ("log_statement", "log_duration", "log_min_duration_statement")


def check(part: Postgresql, facts: Facts, guarded: bool) -> Iterator[Finding]:
    """Everything about one file. A name that stands twice counts as it stands last, as the server reads it. `guarded`:
    a pg_hba.conf beside it says who may come in."""
    version = facts.major("postgresql")
    names = postgresql_names.names(version)
    last: dict[str, Setting] = {}
    for setting in part.settings:
        if setting.name not in names and "." not in setting.name:
            yield _unknown(setting, version, names)
        last[setting.name] = setting
    given: dict[str, tuple[Value, Place]] = {}
    for setting in last.values():
        fact = facts.get("postgresql", setting.name)
        if fact is None or not fact.present:
            continue
        value = _value(fact, setting.value)
        yield from _one(fact, value, setting)
        if value is not None:
            given[setting.name] = (value, setting.place)
    if not guarded:
        yield from _listen(last)
    yield from _logging(last, given)
    yield from parameters.broken("postgresql", given, facts, rules.PG_RELATION)


def from_command(container: Container) -> Postgresql | None:
    """The parameters that the command line of a server sets: `-c name=value` or `--name=value`."""
    image = container.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
    if image not in _IMAGES and "postgres" not in container.command[:1]:
        return None
    settings: list[Setting] = []
    words = list(container.command)
    while words:
        word = words.pop(0)
        text = words.pop(0) if word == "-c" and words else word[2:] if word.startswith(("-c", "--")) else ""
        name, equals, value = text.partition("=")
        if equals and name:
            settings.append(Setting(name.replace("-", "_").lower(), value, container.place))
    return Postgresql(tuple(settings)) if settings else None


def _unknown(setting: Setting, version: int, names: frozenset[str]) -> Finding:
    told = postgresql_names.history(setting.name)
    near = difflib.get_close_matches(setting.name, sorted(names), 1, 0.8)
    hint = told or (f"perhaps {near[0]} was meant" if near else "remove the line")
    seen = f"{setting.name} = {setting.value}, PostgreSQL {version}"
    return rules.PG_UNKNOWN.at(setting.place, seen, name=setting.name, better=f"{hint[0].upper()}{hint[1:]}.")


def _one(fact: Fact, value: Value | None, setting: Setting) -> Iterator[Finding]:
    seen = f"{setting.name} = {setting.value}"
    if value is None:
        if fact.type not in ("string", "list"):
            yield parameters.refused(fact, setting.value, setting.place, _BOOK)
    elif fact.policy == "never" and value is False:
        yield rules.PG_NEVER.at(setting.place, seen)
    else:
        yield from parameters.judge(fact, value, seen, setting.place, _BOOK)


def _value(fact: Fact, raw: str) -> Value | None:
    """The value in the fact's unit; None for a text that the server refuses."""
    text = raw.strip()
    lower = text.lower()
    if fact.type == "bool":
        return True if lower in _TRUE else False if lower in _FALSE else None
    if fact.type == "enum":
        choices = [str(each) for each in fact.choices]
        if "on" in choices and lower in _SWITCHES:
            return _SWITCHES[lower]
        return _OLD_NAMES.get(lower, lower) if fact.name == "wal_level" else lower
    if fact.type in ("string", "list"):
        return text
    if fact.unit == "bytes":
        number = quantity.postgresql_size(text, fact.native_unit)
    elif fact.type == "duration":
        number = quantity.postgresql_time(text, fact.unit)
    else:
        number = quantity.postgresql_number(text)
    if number is None or fact.type == "float":
        return number
    return int(number) if number == int(number) else round(number)


def _listen(last: dict[str, Setting]) -> Iterator[Finding]:
    setting = last.get("listen_addresses")
    if setting and {each.strip() for each in setting.value.split(",")} & {"*", "0.0.0.0", "::"}:
        yield rules.PG_LISTEN.at(setting.place, f"listen_addresses = {setting.value}")


def _logging(last: dict[str, Setting], given: dict[str, tuple[Value, Place]]) -> Iterator[Finding]:
    statement, duration, slow = (given.get(name, (None, None))[0] for name in _LOGGING)
    if statement == "all":
        yield rules.PG_LOG_STATEMENT.at(last["log_statement"].place, "log_statement = all")
    if duration is True:
        yield rules.PG_LOG_DURATION.at(last["log_duration"].place, "log_duration = on")
    if statement == "all" and duration is True and isinstance(slow, int | float) and slow >= 0:
        seen = ", ".join(f"{name} = {last[name].value}" for name in _LOGGING)
        yield rules_cluster.LOGGING.at(last["log_min_duration_statement"].place, seen)
