"""The border to Redis: addresses that are allowed, and every error of the client named by what must happen next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from redis import exceptions as e

from domain.errors import Misconfigured, Transient, TrimtabError

SCHEMES = ("redis", "rediss", "unix")

# Looked up along the class hierarchy, most specific first; a test asserts that no class of the client is missing.
# Wrong credentials, a missing permission and a cluster do not go away by waiting, everything else may.
ERRORS: Mapping[type[Exception], type[TrimtabError]] = {
    e.AskError: Misconfigured,
    e.AuthenticationError: Misconfigured,
    e.AuthenticationWrongNumberOfArgsError: Misconfigured,
    e.AuthorizationError: Misconfigured,
    e.BusyLoadingError: Transient,
    e.ChildDeadlockedError: Transient,
    e.ClusterCrossSlotError: Misconfigured,
    e.ClusterDownError: Transient,
    e.ClusterError: Misconfigured,
    e.ConnectionError: Transient,
    e.CrossSlotTransactionError: Misconfigured,
    e.DataError: Misconfigured,
    e.ExecAbortError: Transient,
    e.ExternalAuthProviderError: Transient,
    e.IncorrectPolicyType: Misconfigured,
    e.InvalidPipelineStack: Misconfigured,
    e.InvalidResponse: Transient,
    e.LockError: Transient,
    e.LockNotOwnedError: Transient,
    e.MasterDownError: Transient,
    e.MaxConnectionsError: Transient,
    e.ModuleError: Misconfigured,
    e.MovedError: Misconfigured,
    e.NoPermissionError: Misconfigured,
    e.NoScriptError: Transient,
    e.NoSuchFieldsetError: Misconfigured,
    e.OutOfMemoryError: Transient,
    e.PubSubError: Transient,
    e.ReadOnlyError: Transient,
    e.RedisClusterException: Misconfigured,
    e.RedisError: Transient,
    e.ResponseError: Transient,
    e.SlotNotCoveredError: Misconfigured,
    e.TimeoutError: Transient,
    e.TryAgainError: Transient,
    e.WatchError: Transient,
}


def checked_url(url: str) -> str:
    """`url` itself. Raises Misconfigured for what cannot hold a ledger or a queue; the message never shows the url."""
    scheme = url.split("://", 1)[0] if "://" in url else ""
    if scheme in ("redis+cluster", "rediss+cluster"):
        raise Misconfigured(
            f"redis.url: {scheme}:// is a cluster, which cannot change several keys at once; "
            "give one server as redis://host:port/db"
        )
    if scheme not in SCHEMES:
        raise Misconfigured(
            f"redis.url: scheme {scheme!r} is not known; write redis://, rediss:// or unix://, "
            "for example redis://localhost:6379/0"
        )
    try:
        parts = urlsplit(url)
        ports_and_hosts = (parts.port, parts.hostname)
    except ValueError:
        # The parser's own message may quote a password that holds an unescaped "/" or "@".
        raise Misconfigured("redis.url: host or port cannot be read; percent-encode the password") from None
    if scheme != "unix" and ports_and_hosts[1] is None:
        raise Misconfigured("redis.url: no host; write redis://host:port/db")
    return url


def shown_url(url: str) -> str:
    """`url` without user and password, for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_secret(text: str, url: str) -> str:
    """`text` in which the password of `url` does not appear, neither plain nor percent-encoded; at most 300 signs."""
    password = urlsplit(url).password
    for secret in {password, unquote(password)} if password else set():
        text = text.replace(secret, "***")
    return text.replace(url, shown_url(url))[:300]


def retyped(error: Exception, url: str) -> TrimtabError:
    """The error of ours for one of the client's: what to do next, what was seen, and never a password."""
    kind = next(ERRORS[base] for base in type(error).__mro__ if base in ERRORS)
    seen = f"Redis at {shown_url(url)}: {type(error).__name__}: {without_secret(str(error), url)}"
    if kind is Misconfigured:
        return Misconfigured(f"{seen}; correct redis.url, its password, or the server's permissions")
    return kind(f"{seen}; the same step is tried again later")


@contextmanager
def border(url: str) -> Iterator[None]:
    """Nothing but errors of ours leaves this block."""
    try:
        yield
    except tuple(ERRORS) as error:
        raise retyped(error, url) from error
    except OSError as error:
        raise Transient(f"Redis at {shown_url(url)}: {without_secret(str(error), url)}; try again later") from error
