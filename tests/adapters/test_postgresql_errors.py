"""The border to PostgreSQL: no class of the client's errors is missing, and no password is told."""

from __future__ import annotations

import inspect

import psycopg
import pytest
from psycopg import errors

from adapters.actuators.postgresql_errors import ERRORS, STATES, border, retyped, shown, without_secret
from domain.errors import Misconfigured, Rejected, Transient, TrimtabError

DSN = "host=db user=trimtab dbname=shop password='ge heim%'"


def classes() -> list[type[psycopg.Error]]:
    found = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, psycopg.Error)]
    return [
        *found,
        *(each for each in vars(psycopg).values() if inspect.isclass(each) and issubclass(each, psycopg.Error)),
    ]


def test_every_class_of_the_client_has_an_error_of_ours() -> None:
    """The bases of the client are all in the map, so that nothing falls through to one that means something else."""
    bases = {each for each in vars(psycopg).values() if inspect.isclass(each) and issubclass(each, psycopg.Error)}
    assert bases == set(ERRORS)
    assert len(classes()) > 200
    for each in classes():
        assert isinstance(retyped(each("x"), DSN), (Transient, Rejected, Misconfigured)), each


def test_every_state_of_the_map_exists() -> None:
    """A SQLSTATE of the map that the server never sends would be a typing error."""
    known = {each.sqlstate for each in classes() if each.sqlstate}
    for state in STATES:
        assert any(each.startswith(state) for each in known), state


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InsufficientPrivilege("x"), Misconfigured),  # 42501
        (errors.UndefinedObject("x"), Misconfigured),  # 42704: no such parameter
        (errors.CantChangeRuntimeParam("x"), Misconfigured),  # 55P02
        (errors.InvalidParameterValue("x"), Rejected),  # 22023
        (errors.AdminShutdown("x"), Transient),  # 57P01
        (errors.CannotConnectNow("x"), Transient),  # 57P03
        (errors.TooManyConnections("x"), Transient),  # 53300
        (errors.DiskFull("x"), Transient),  # 53100
        (errors.InvalidPassword("x"), Misconfigured),  # 28P01
        (errors.ConfigFileError("x"), Misconfigured),  # F0000
        (errors.QueryCanceled("x"), Transient),  # 57014
        (errors.InternalError_("x"), Transient),  # XX000
        (psycopg.OperationalError("connection failed: Connection refused"), Transient),
        (psycopg.OperationalError('connection failed: FATAL:  role "x" does not exist'), Misconfigured),
        (psycopg.OperationalError("connection failed: FATAL:  the database system is starting up"), Transient),
        (psycopg.OperationalError("connection failed: FATAL:  sorry, too many clients already"), Transient),
        (psycopg.OperationalError("connection failed: fe_sendauth: no password supplied"), Misconfigured),
    ],
)
def test_errors_say_what_must_happen_next(error: psycopg.Error, kind: type[TrimtabError]) -> None:
    """By SQLSTATE where there is one; a connection that is refused gives none, and is judged by what was said."""
    assert type(retyped(error, DSN)) is kind


def test_a_missing_right_says_what_to_grant() -> None:
    """The statement, not only the refusal."""
    assert "GRANT ALTER SYSTEM" in str(retyped(errors.InsufficientPrivilege("no"), DSN))


def test_no_password_is_told() -> None:
    """Neither plain nor percent-encoded, nor by a connection string that cannot be read."""
    for text in ("failed for ge heim%", "failed for ge%20heim%25"):
        assert without_secret(text, DSN) == "failed for ***"
    assert "heim" not in str(retyped(psycopg.OperationalError("bad ge heim%"), DSN))
    assert shown(DSN) == "PostgreSQL (user=trimtab host=db dbname=shop)"
    assert shown("postgresql://u:geheim@h:1/d") == "PostgreSQL (user=u host=h port=1 dbname=d)"
    with pytest.raises(Misconfigured) as told:
        shown("host=db pasword=geheim")
    assert "geheim" not in str(told.value)


def test_only_errors_of_ours_pass_the_border() -> None:
    """Also what the operating system says of a socket."""
    with pytest.raises(Transient), border(DSN):
        raise ConnectionResetError("gone")
    with pytest.raises(Rejected), border(DSN):
        raise errors.NumericValueOutOfRange("x")
