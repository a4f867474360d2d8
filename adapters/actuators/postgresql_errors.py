"""The border to PostgreSQL: every error of the client named by what must happen next, and no password in any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from domain.errors import Misconfigured, Rejected, Transient, TrimtabError

# By the class of the client's error, looked up along its hierarchy; a test asserts that no class is missing.
ERRORS: Mapping[type[Exception], type[TrimtabError]] = {
    psycopg.Error: Transient,
    psycopg.InterfaceError: Transient,
    psycopg.DatabaseError: Transient,
    psycopg.DataError: Rejected,
    psycopg.OperationalError: Transient,
    psycopg.IntegrityError: Misconfigured,
    psycopg.InternalError: Transient,
    psycopg.ProgrammingError: Misconfigured,
    psycopg.NotSupportedError: Misconfigured,
}

# By SQLSTATE, the longest beginning first: what the class alone would get wrong.
STATES: Mapping[str, type[TrimtabError]] = {
    "0A": Misconfigured,  # not supported: a proxy or a managed service in between
    "22": Rejected,  # the value
    "25": Misconfigured,  # ALTER SYSTEM inside a transaction: something in between opened one
    "28": Misconfigured,  # who we are
    "3D": Misconfigured,  # no such database
    "42": Misconfigured,  # 42501: no right to do it; 42704: no such parameter
    "42P05": Transient,  # a prepared statement of somebody else's: a pooler changed servers under us
    "53": Transient,  # out of memory, disk or connections
    "55006": Transient,
    "55P02": Misconfigured,  # a parameter that cannot be set at all
    "55P03": Transient,
    "57": Transient,  # shutting down, starting, cancelled
    "58": Transient,
    "F0": Misconfigured,  # a configuration file that the server cannot read
    "XX": Transient,
}

# What a server that refuses a connection says (it gives no SQLSTATE then), where waiting helps.
_LATER = (
    "starting up", "shutting down", "recovery", "not yet accepting", "too many", "remaining connection slots",
    "pooler is shut down", "terminating",
)  # fmt: skip
_GRANT = (
    "; as superuser: GRANT ALTER SYSTEM ON PARAMETER ... (15 and newer), GRANT SELECT ON pg_file_settings, "
    "GRANT EXECUTE ON FUNCTION pg_reload_conf() (docs/postgresql.md has the whole list). A managed service that keeps "
    "ALTER SYSTEM to itself cannot be tuned by this actuator"
)
_MOST = 300  # signs of a message that are kept


def shown(dsn: str) -> str:
    """Role, host, port and database of a connection string, for messages. Raises Misconfigured for one that cannot be
    read; the message does not quote it, because it may hold a password."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise Misconfigured(
            "dsn cannot be read; write key=value pairs or postgresql://role@host:port/database, with the password in a "
            "password file (passfile=...) or a service (service=...)"
        ) from None
    names = ("service", "user", "host", "port", "dbname")
    return "PostgreSQL (" + " ".join(f"{name}={parts[name]}" for name in names if parts.get(name)) + ")"


def without_secret(text: str, dsn: str) -> str:
    """`text` in which no password of `dsn` appears, neither plain nor percent-encoded."""
    parts = conninfo_to_dict(dsn)
    for name in ("password", "sslpassword", "oauth_client_secret"):
        secret = str(parts.get(name) or "")
        for each in {secret, quote(secret, safe="")} if secret else ():
            text = text.replace(each, "***")
    return text[:_MOST]


def retyped(error: psycopg.Error, dsn: str) -> TrimtabError:
    """The error of ours for one of the client's: what to do next, and what was seen."""
    state = error.sqlstate or ""
    kind = next((STATES[state[:length]] for length in (5, 2) if state[:length] in STATES), None)
    kind = kind or next(ERRORS[base] for base in type(error).__mro__ if base in ERRORS)
    said = " ".join(without_secret(str(error), dsn).split())
    if not state and isinstance(error, psycopg.OperationalError) and _for_good(said):
        kind = Misconfigured
    hint = _GRANT if state == "42501" else ""
    return kind(f"{shown(dsn)}: {said}{f' ({state})' if state else ''}{hint}")


@contextmanager
def border(dsn: str) -> Iterator[None]:
    """Nothing but errors of ours leaves this block."""
    try:
        yield
    except psycopg.Error as error:
        raise retyped(error, dsn) from error
    except OSError as error:
        raise Transient(f"{shown(dsn)}: {without_secret(str(error), dsn)}; try again later") from error


def _for_good(said: str) -> bool:
    """Whether a refused connection will be refused again: the server answered, and not that it is busy."""
    answered = "FATAL:" in said or "no password supplied" in said or "definition of service" in said
    return answered and not any(word in said for word in _LATER)
