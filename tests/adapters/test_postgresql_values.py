"""Values of PostgreSQL: what we write is what the server understands, for every parameter of the catalogue."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql

from adapters.actuators.postgresql_server import session
from adapters.actuators.postgresql_values import Known, agrees, in_force, text_for, value_of
from adapters.catalogue import load
from adapters.catalogue_data import exists
from domain.errors import Misconfigured, Rejected
from domain.space import Parameter, Value
from tests.postgresql_server import Server, postgresql

SIZE = Known("work_mem", "4096", "kB", "integer", "user", "default", "4096", "64", "2147483647", (), False)
TIME = Known("checkpoint_timeout", "300", "s", "integer", "sighup", "default", "300", "30", "86400", (), False)
COST = Known("random_page_cost", "4", "", "real", "user", "default", "4", "0", "1.79769e+308", (), False)
FLAG = Known("jit", "on", "", "bool", "user", "default", "on", "", "", (), False)
WORD = Known(
    "wal_compression", "off", "", "enum", "superuser", "default", "off", "", "", ("pglz", "lz4", "on", "off"), False
)
WORK_MEM = Parameter("pg.work_mem", "integer", 4194304, low=65536, high=2**30, unit="bytes")
TIMEOUT = Parameter("pg.checkpoint_timeout", "integer", 300, low=30, high=3600, unit="s")
PAGE_COST = Parameter("pg.random_page_cost", "real", 4.0, low=1.0, high=10.0)
JIT = Parameter("pg.jit", "categorical", True, choices=(False, True))
COMPRESSION = Parameter("pg.wal_compression", "categorical", "off", choices=("off", "on", "lz4"))


@pytest.mark.parametrize(
    ("parameter", "known", "value", "text"),
    [
        (WORK_MEM, SIZE, 8388608, "8388608B"),
        (WORK_MEM, SIZE, -1, "-1"),
        (TIMEOUT, TIME, 75, "75"),
        (PAGE_COST, COST, 1.1, "1.1"),
        (JIT, FLAG, False, "off"),
        (COMPRESSION, WORD, "lz4", "lz4"),
    ],
)
def test_texts(parameter: Parameter, known: Known, value: Value, text: str) -> None:
    """Sizes in bytes, "automatic" bare, everything else in the server's own unit."""
    loose = replace(known, low="-1") if known.kind == "integer" else known
    assert text_for(parameter, value, loose) == text
    assert value_of(parameter, text, loose) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4MB", 4194304),
        ("4096", 4194304),
        ("1.5GB", 1610612736),
        ("0x10", 16384),
        ("010", 8192),
        (" 64 kB ", 65536),
        ("-1", -1),
    ],
)
def test_sizes_that_people_write_are_read(text: str, value: int) -> None:
    """Bare numbers count in the server's unit; hexadecimal and octal are numbers too."""
    assert value_of(WORK_MEM, text, SIZE) == value


@pytest.mark.parametrize("text", ["", "4 MBytes", "four", "1s", "4XB"])
def test_what_is_no_size_is_told(text: str) -> None:
    """The server could not read it either."""
    with pytest.raises(Misconfigured):
        value_of(WORK_MEM, text, SIZE)


@pytest.mark.parametrize(("text", "value"), [("75s", 75), ("1min", 60), ("0.5h", 1800), ("75000ms", 75)])
def test_times_that_people_write_are_read(text: str, value: int) -> None:
    """In the catalogue's unit."""
    assert value_of(TIMEOUT, text, TIME) == value


@pytest.mark.parametrize(("text", "value"), [("ON", True), ("f", False), ("yes", True), ("0", False)])
def test_words_for_true_and_false_are_read(text: str, value: bool) -> None:
    """Any beginning that says which one is meant."""
    assert value_of(JIT, text, FLAG) is value


def test_a_size_between_two_of_the_servers_units_agrees_with_what_it_rounds_to() -> None:
    """5000000 bytes are 4882.8 kB, and the server has 4883."""
    assert agrees("5000000B", replace(SIZE, setting="4883"))
    assert not agrees("5000000B", replace(SIZE, setting="4882"))
    assert value_of(WORK_MEM, "5000000B", SIZE) == 5000000


def test_on_is_another_name_for_a_method() -> None:
    """The server shows pglz where on was written."""
    assert agrees("on", replace(WORD, setting="pglz"))
    assert value_of(COMPRESSION, "on", WORD) == "on"


@pytest.mark.parametrize(
    ("parameter", "known", "value"),
    [
        (WORK_MEM, SIZE, 1),
        (TIMEOUT, TIME, 10**9),
        (PAGE_COST, COST, -2.0),
        (PAGE_COST, COST, float("nan")),
        (COMPRESSION, WORD, "zstd"),
        (JIT, FLAG, "pglz"),
    ],
)
def test_what_this_server_does_not_allow_is_rejected(parameter: Parameter, known: Known, value: Value) -> None:
    """Bounds and words are those of the running server: builds differ."""
    with pytest.raises(Rejected):
        text_for(parameter, value, known)


# Bounds that pg_settings does not show, and values that it reads from the socket of the session.
BEYOND_THE_VIEW = (
    "max_stack_depth",
    "huge_page_size",
    "vacuum_buffer_usage_limit",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
)


# --- against a server ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresql() as running:
        yield running


def parameters(version: str) -> list[Parameter]:
    """Every parameter of the catalogue that may be written at all and that this version has."""
    found = []
    for entry in load().entries.values():
        writable = entry.family == "postgresql" and entry.policy not in ("guard", "never") and entry.search is not None
        if writable and exists(entry, version) and entry.name not in BEYOND_THE_VIEW:
            real = entry.type == "float"
            found.append(Parameter(entry.id, "real" if real else "integer", 0, low=0, high=1, unit=entry.unit))
    return found


def test_every_parameter_of_the_catalogue_is_written_as_the_server_reads_it(server: Server) -> None:
    """Bounds, default and numbers in between: the server takes each text, and shows a value that we hold for it."""
    rng = random.Random(7)
    with session(server.admin) as looked:
        space = parameters(str(looked.version // 10000))
        known = looked.known([parameter.name.split(".", 1)[1] for parameter in space])
    assert len(space) > 70
    with psycopg.connect(server.admin, autocommit=True) as connection:
        for parameter in space:
            each = known[parameter.name.split(".", 1)[1]]
            for value in values(each, parameter, rng):
                text = text_for(parameter, value, each)
                command = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(each.name), sql.Literal(text))
                connection.execute(command)
                if each.context in ("user", "superuser") and each.kind != "enum":
                    connection.execute(command.as_string().replace("ALTER SYSTEM SET", "SET", 1).encode())
                    with_value = shown(connection, each)
                    assert agrees(text, with_value), (parameter.name, text, with_value)
                    if not isinstance(value, str):
                        assert in_force(parameter, with_value) == pytest.approx(value, rel=1e-5), parameter.name
    server.auto.write_text("")


def shown(connection: psycopg.Connection[tuple[object, ...]], known: Known) -> Known:
    row = connection.execute("SELECT setting, source FROM pg_settings WHERE name = %s", (known.name,)).fetchone()
    assert row is not None
    return replace(known, setting=str(row[0]), source=str(row[1]))


def values(known: Known, parameter: Parameter, rng: random.Random) -> list[Value]:
    if known.kind == "bool":
        return ["on", "off"]
    if known.kind == "enum":
        return list(known.choices)
    factor = {"8kB": 8192, "kB": 1024, "MB": 1024**2}.get(known.unit, 1)
    low, high = float(known.low), min(float(known.high), 2**30)
    whole = known.kind == "integer"
    middle = [rng.uniform(max(low, 0), high) for _ in range(3)]
    numbers = [low, float(known.boot), max(low, 1.0), *middle]
    inside = [round(each) if whole else float(f"{each:.6g}") for each in numbers if low <= each <= high]
    return [each if each < 0 else (round(each * factor) if whole else each * factor) for each in inside]
