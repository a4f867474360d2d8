"""Whom load may be sent to."""

from __future__ import annotations

import pytest

from adapters.load.address import CONFIRM, http_url, postgres_url
from domain.errors import Misconfigured


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:80/x", "http://[::1]:8080/", "http://10.1.2.3/", "http://192.168.0.9/", "http://[fd00::1]/"],
)
def test_loopback_and_private_addresses_are_fine(url: str) -> None:
    """One's own machine and networks need no confirmation."""
    assert http_url(url).scheme == "http"


@pytest.mark.parametrize(
    "url",
    ["http://8.8.8.8/", "http://169.254.169.254/latest", "http://[2001:4860:4860::8888]/", "http://[::ffff:8.8.8.8]/"],
)
def test_other_hosts_need_the_persons_word(url: str) -> None:
    """A public host and a cloud's metadata service are refused with the flag that allows them."""
    with pytest.raises(Misconfigured, match=CONFIRM):
        http_url(url)
    assert http_url(url, confirmed=True).hostname


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1",
        "ftp://127.0.0.1/",
        "https://127.0.0.1/",
        "http:///path",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/\r\nX: y",
        "http://127.0.0.1/ü",
    ],
)
def test_what_is_no_plain_http_url_is_refused(url: str) -> None:
    """Also with a confirmation; and a password is never repeated in the message."""
    with pytest.raises(Misconfigured) as error:
        http_url(url, confirmed=True)
    assert "secret" not in str(error.value)


def test_a_password_for_the_database_must_not_be_on_the_command_line() -> None:
    """Everybody may read the process list; the message names the other ways."""
    for url in ("postgresql://u:secret@127.0.0.1/db", "postgresql://127.0.0.1/db?password=secret"):
        with pytest.raises(Misconfigured, match="pgpass") as error:
            postgres_url(url)
        assert "secret" not in str(error.value)


def test_database_hosts_are_checked_like_others() -> None:
    """The host may not hide in a parameter; a socket's directory is this machine."""
    assert postgres_url("postgresql://u@127.0.0.1:5432/db").port == 5432
    assert postgres_url("postgresql://u@%2Fvar%2Frun%2Fpostgresql/db")
    for url in ("postgresql://8.8.8.8/db", "postgresql:///db?host=8.8.8.8", "mysql://127.0.0.1/db"):
        with pytest.raises(Misconfigured):
            postgres_url(url)


def test_the_environment_may_not_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """libpq takes hosts from variables too: these are held to the same rule."""
    monkeypatch.setenv("PGHOSTADDR", "8.8.8.8")
    with pytest.raises(Misconfigured, match="PGHOSTADDR"):
        postgres_url("postgresql://127.0.0.1/db")
    monkeypatch.delenv("PGHOSTADDR")
    monkeypatch.setenv("PGHOST", "8.8.8.8")
    with pytest.raises(Misconfigured, match=CONFIRM):
        postgres_url("postgresql:///db")
