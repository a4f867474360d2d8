"""nginx configurations and fragments of them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

from domain.space import Value
from linting import parameters, quantity
from linting import rules_server as rules
from linting.facts import Fact, Facts
from linting.finding import Finding, Place
from linting.parts import Directive, Nginx

_BOOK = parameters.Rulebook(rules.NGINX_BOUNDS, rules.NGINX_DEFAULT, rules.NGINX_OLD_DEFAULT)
_FILES = frozenset({"root", "alias", "try_files", "index", "autoindex", "proxy_cache", "proxy_store", "flv", "mp4"})
_PROXIES = frozenset({"proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass"})
_BY_LOAD = frozenset({"least_conn", "least_time", "random"})
_KEEPALIVE_SINCE = (1, 29, 7)  # upstream connections are kept without being told from then on
_IN_UPSTREAM = frozenset({"keepalive", "keepalive_requests", "keepalive_timeout"})
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")

Known = Callable[[str], bool]  # whether a name is a service of the files that are looked at


def check(part: Nginx, facts: Facts, known: Known) -> Iterator[Finding]:
    """Everything about one configuration. `known` says which host names other files define."""
    every = list(walk(part.directives))
    given: dict[str, tuple[Value, Place]] = {}
    for directive, above in every:
        fact = _fact(directive, above, facts)
        if fact is not None:
            value = _value(fact, directive)
            yield from _judge(fact, value, directive)
            if value is not None:
                given[fact.name] = (value, directive.place)
        yield from _single(directive, part.contained)
    yield from _files([directive for directive, _ in every])
    yield from _upstreams([directive for directive, _ in every], facts, known)
    yield from parameters.broken("nginx", given, facts, rules.NGINX_RELATION)


def walk(directives: tuple[Directive, ...], above: str = "") -> Iterator[tuple[Directive, str]]:
    """Each directive with the name of the block that it stands in, outer ones first."""
    for directive in directives:
        yield directive, above
        yield from walk(directive.block or (), directive.name)


def find(part: Nginx, name: str) -> Iterator[Directive]:
    """All directives of this name."""
    return (directive for directive, _ in walk(part.directives) if directive.name == name)


def _fact(directive: Directive, above: str, facts: Facts) -> Fact | None:
    if directive.block is not None or not directive.args:
        return None
    if above == "upstream":
        return facts.get("nginx", f"upstream_{directive.name}") if directive.name in _IN_UPSTREAM else None
    return None if directive.name == "keepalive" else facts.get("nginx", directive.name)


def _value(fact: Fact, directive: Directive) -> Value | None:
    """The value of a directive of one argument; None where its grammar is richer than the catalogue's entry."""
    if len(directive.args) != 1:
        return None
    text = directive.args[0]
    if "$" in text:
        return None
    if fact.type == "bool":
        return {"on": True, "off": False}.get(text.lower())
    if fact.unit == "bytes":
        return quantity.size(text)
    if fact.unit in ("s", "ms"):
        seconds = quantity.nginx_seconds(text)
        return None if seconds is None else seconds * (1000 if fact.unit == "ms" else 1)
    if fact.type == "int":
        return int(text) if re.fullmatch(r"-?[0-9]{1,12}", text) else None
    return text if fact.type == "enum" and fact.name not in ("use", "listen", "access_log") else None


def _judge(fact: Fact, value: Value | None, directive: Directive) -> Iterator[Finding]:
    seen = f"{directive.name} {' '.join(directive.args)}"
    if fact.type == "bool" and (value is None or len(directive.args) != 1):
        if not any("$" in word for word in directive.args):
            yield rules.NGINX_BOUNDS.at(directive.place, seen, better=f"Write `{directive.name} on;` or off.")
    elif value is not None and not isinstance(value, str):
        yield from parameters.judge(fact, value, seen, directive.place, _BOOK)


def _single(directive: Directive, contained: bool) -> Iterator[Finding]:
    seen = f"{directive.name} {' '.join(directive.args)}"
    match directive.name, directive.args:
        case "use", ("epoll",):
            yield rules.NGINX_USE.at(directive.place, seen)
        case "worker_processes", ("auto",) if contained:
            yield rules.NGINX_AUTO_WORKERS.at(directive.place, seen)
        case "worker_cpu_affinity", ("auto", *_) if contained:
            yield rules.NGINX_AFFINITY.at(directive.place, seen)


def _files(directives: list[Directive]) -> Iterator[Finding]:
    """sendfile and tcp_nopush where everything is proxied."""
    names = {directive.name for directive in directives}
    if not names & _PROXIES or names & _FILES or _includes(directives):
        return
    for directive in directives:
        if directive.name in ("sendfile", "tcp_nopush") and directive.args == ("on",):
            yield rules.NGINX_STATIC_ONLY.at(directive.place, f"{directive.name} on", name=directive.name)


def _includes(directives: list[Directive]) -> bool:
    """Whether other files may hold locations of their own."""
    return any(each.name == "include" and "mime.types" not in " ".join(each.args) for each in directives)


def _upstreams(directives: list[Directive], facts: Facts, known: Known) -> Iterator[Finding]:
    upstreams = {each.args[0]: each for each in directives if each.name == "upstream" and each.args and each.block}
    complete = any(each.name == "http" for each in directives) and not _includes(directives)  # no upstream elsewhere
    version = tuple(int(part) for part in re.findall(r"[0-9]+", facts.version("nginx")))
    for upstream in upstreams.values():
        block = upstream.block or ()
        names = {each.name for each in block}
        for server in block:
            if server.name == "server" and server.args and "resolve" not in server.args:
                yield from _name(server.args[0], server, known)
        for method in block:
            if method.name in _BY_LOAD and "zone" not in names:
                yield rules.NGINX_ZONE.at(method.place, f"{method.name} in upstream {upstream.args[0]} without zone")
    for directive in directives:
        if directive.name != "proxy_pass" or not directive.args:
            continue
        match = re.match(r"https?://(\[[^\]]+\]|[^/:$]+)(?::[0-9]+)?(?:/|$)", directive.args[0])
        if match is None:
            continue
        upstream_of = upstreams.get(match[1])
        if upstream_of is None:
            if complete:
                yield from _name(match[1], directive, known)
        elif version < _KEEPALIVE_SINCE and not any(each.name == "keepalive" for each in upstream_of.block or ()):
            seen = f"proxy_pass {directive.args[0]}, and upstream {match[1]} keeps no connection"
            yield rules.NGINX_UPSTREAM_KEEPALIVE.at(directive.place, seen)


def _name(address: str, directive: Directive, known: Known) -> Iterator[Finding]:
    host = address.partition(":")[0]
    if address.startswith(("unix:", "[")) or host == "localhost" or not _NAME.fullmatch(host) or known(host):
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        yield rules.NGINX_UPSTREAM_NAME.at(directive.place, f"host {host}")
