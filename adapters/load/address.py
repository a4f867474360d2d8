"""Whom load may be sent to: this machine and private networks, unless the person says that the host is theirs."""

from __future__ import annotations

import ipaddress
import os
import socket
from urllib.parse import SplitResult, parse_qsl, urlsplit

from domain.errors import Misconfigured

CONFIRM = "--i-may-load-this-host"
# RFC 1918, RFC 4193 and loopback. Not link-local: a cloud's metadata service lives there.
_OURS = tuple(
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
# Parameters of a PostgreSQL URL that lead nowhere else, and variables of the environment that may.
_HARMLESS = ("sslmode", "connect_timeout", "application_name", "options", "target_session_attrs")
_ELSEWHERE = ("PGHOSTADDR", "PGSERVICE")


def http_url(url: str, *, confirmed: bool = False, https: bool = False) -> SplitResult:
    """The parts of a URL that load may be sent to. Raises Misconfigured."""
    parts = http_parts(url, https=https)
    owned(parts.hostname or "", confirmed=confirmed)
    return parts


def http_parts(url: str, *, https: bool = False) -> SplitResult:
    """The parts of a URL, without a look at where it leads. Raises Misconfigured."""
    parts = _split(url)
    schemes = ("http", "https") if https else ("http",)
    if parts.scheme not in schemes or not parts.hostname:
        raise Misconfigured(f"URL {url!r} is not {' or '.join(schemes)}://HOST[:PORT]/PATH")
    if parts.username or parts.password:
        raise Misconfigured(f"URL of {parts.hostname}: a user or password in it would be seen in the process list")
    if not url.isascii() or any(char.isspace() or not char.isprintable() for char in url):
        raise Misconfigured(f"URL {url!r}: percent-encode what is not plain ASCII")
    return parts


def postgres_url(url: str, *, confirmed: bool = False) -> SplitResult:
    """The parts of postgresql://[USER@]HOST[:PORT]/DATABASE. Raises Misconfigured, for a password in it too."""
    parts = _split(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise Misconfigured(f"URL {url!r} is not postgresql://[USER@]HOST[:PORT]/DATABASE")
    if parts.password or "password" in parts.query:
        raise Misconfigured(
            "the URL carries a password, which everybody could read in the process list; put it into ~/.pgpass or"
            " PGPASSWORD"
        )
    strange = [key for key, _ in parse_qsl(parts.query, keep_blank_values=True) if key not in _HARMLESS]
    if strange:
        raise Misconfigured(
            f"URL {url!r}: {strange[0]} is none of {', '.join(_HARMLESS)}; name the host before the path"
        )
    for variable in _ELSEWHERE:
        if os.environ.get(variable) and not confirmed:
            raise Misconfigured(
                f"{variable} is set and may lead to another host than the URL; unset it, or add {CONFIRM}"
            )
    host = parts.hostname or os.environ.get("PGHOST", "")
    if host and not host.lower().startswith(("%2f", "/")):  # a directory: a socket of this machine
        owned(host, confirmed=confirmed)
    return parts


def owned(host: str, *, confirmed: bool = False) -> None:
    """Raises Misconfigured unless every address of `host` is loopback or private, or the person confirmed it, and if
    the name cannot be resolved."""
    if confirmed:
        return
    for address in _addresses(host):
        if not any(address in network for network in _OURS if network.version == address.version):
            raise Misconfigured(
                f"{host} ({address}) is no loopback or private address; load on a host of somebody else is an attack:"
                f" add {CONFIRM} if you may"
            )


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"host {host!r} cannot be resolved ({error}); check its spelling") from error
    return [_plain(str(entry[4][0])) for entry in found]


def _plain(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise Misconfigured(f"URL {url!r}: {error}") from error
    return parts
