"""What only the ledger on Redis can get wrong: the server's death, its settings, its errors, and damaged bytes."""

from __future__ import annotations

import inspect
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.exceptions

from adapters.redis_errors import ERRORS, border, checked_url, retyped
from adapters.redis_ledger import RedisLedger
from domain.errors import Corrupt, Misconfigured, Transient, TrimtabError
from domain.events import Closed, Heard, Opened
from domain.journal import seal, verify
from domain.signal import Signal
from tests.journal_factory import target
from tests.redis_server import RedisServer, free_port, redis_server

T = 1_795_529_700.25
SIGNAL = Signal("fp-1", "alert", "firing", T, "p95 is high")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as running:
        yield running


def open_run(ledger: RedisLedger, run: str = "r1", name: str = "shop") -> None:
    first = seal([Opened(run, SIGNAL, target(), 7)], T, ())[0]
    assert ledger.open(run, name, ("db",), first, T)


def write(ledger: RedisLedger, *texts: str, run: str = "r1") -> None:
    lease = ledger.lease(run, T, 30)
    assert lease is not None
    records = ledger.read(run).records
    ledger.append(lease, len(records), seal([Heard("signal", text) for text in texts], T, records), due=T)
    ledger.release(lease)


# --- the server dies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_history_survives_the_death_of_the_server(tmp_path: Path, fsync: str) -> None:
    """After SIGKILL and restart journals, inbox, indexes, signals, due times and leases are as they were, and the same
    client goes on."""
    with redis_server(tmp_path, fsync=fsync) as running:
        ledger = RedisLedger(running.url)
        open_run(ledger)
        write(ledger, "a", "b")
        ledger.hear("r1", {"kind": "stop", "text": "c"}, T)
        ledger.submit(SIGNAL)
        ledger.ignore("shop", {"reason": "cool-down"})
        lease = ledger.lease("r1", T, 60)
        before = (ledger.read("r1"), ledger.runs(), ledger.submitted(), ledger.ignored("shop"))
        if fsync == "everysec":
            time.sleep(1.2)  # what was written in the last second may be lost under this setting
        running.kill()
        with pytest.raises(Transient):
            ledger.read("r1")
        running.start()
        assert (ledger.read("r1"), ledger.runs(), ledger.submitted(), ledger.ignored("shop")) == before
        verify("r1", before[0].records)
        assert ledger.lease("r1", T, 60) is None, "the lease went on through the restart"
        assert lease is not None
        end = seal([Closed("kept", "done")], T, before[0].records)
        ledger.append(lease, 3, end, heard=1, due=T, outcome="kept")  # scripts are gone from the new server's cache
        assert ledger.open_run("shop") is None


def test_a_frozen_server_costs_two_seconds_and_is_transient(tmp_path: Path) -> None:
    """A step never hangs on a server that accepts and says nothing, and nothing is repeated behind its back."""
    with redis_server(tmp_path) as running:
        ledger = RedisLedger(running.url)
        ledger.ping()
        os.kill(running.pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(Transient, match="again later"):
                ledger.due(T, 10)
            assert time.monotonic() - started < 3
        finally:
            os.kill(running.pid, signal.SIGCONT)


def test_waiting_for_redis_says_so(tmp_path: Path) -> None:
    """`wait` tells what it waits for, returns when the server answers, and gives up at its time."""
    running = RedisServer(tmp_path)
    ledger, said = RedisLedger(running.url), list[str]()
    with pytest.raises(Transient):
        ledger.wait(said.append, until=time.time() + 0.2, pause=0.05)
    assert len(said) == 1
    assert said[0].startswith(f"waiting for Redis: Redis at {running.url}")
    try:
        running.start()
        ledger.wait(said.append, pause=0.05)
        assert len(said) == 1
    finally:
        running.kill()


# --- what lies in the store ------------------------------------------------------------------------------------------


def damaged(text: str, at: int, by: bytes) -> bytes:
    raw = text.encode()
    return raw[:at] + by + raw[at + 1 :]


def test_every_changed_byte_of_a_journal_is_found(server: RedisServer) -> None:
    """Whatever byte of whatever record is changed: reading or verifying names the run and the record."""
    ledger, client = RedisLedger(server.url, "damage:"), server.client()
    open_run(ledger)
    write(ledger, "0.1", "ä")
    key = "damage:run:r1:journal"
    line = client.lrange(key, 0, -1)[1]
    for at in range(len(line.encode())):
        for by in (b"7", b"\xff", b'"', b" "):
            if line.encode()[at : at + 1] == by:
                continue
            client.lset(key, 1, damaged(line, at, by))
            with pytest.raises(Corrupt, match="r1 is broken at record 1"):
                verify("r1", ledger.read("r1").records)
    client.lset(key, 1, line)
    verify("r1", ledger.read("r1").records)


def test_a_number_that_still_means_the_same_is_a_changed_line(server: RedisServer) -> None:
    """`0.30000000000000004` and `...05` are one float; the text tells them apart."""
    ledger, client = RedisLedger(server.url, "digits:"), server.client()
    first = seal([Opened("r1", SIGNAL, target(), 7)], 0.1 + 0.2, ())[0]
    assert ledger.open("r1", "shop", (), first, T)
    line = client.lindex("digits:run:r1:journal", 0)
    assert isinstance(line, str)
    assert "0.30000000000000004" in line
    client.lset("digits:run:r1:journal", 0, line.replace("0.30000000000000004", "0.30000000000000005"))
    with pytest.raises(Corrupt, match="record 0"):
        ledger.read("r1")


def test_a_removed_record_is_found(server: RedisServer) -> None:
    """A journal with a hole does not verify."""
    ledger, client = RedisLedger(server.url, "hole:"), server.client()
    open_run(ledger)
    write(ledger, "a", "b")
    client.lrem("hole:run:r1:journal", 1, client.lrange("hole:run:r1:journal", 0, -1)[1])
    with pytest.raises(Corrupt, match="record 1"):
        verify("r1", ledger.read("r1").records)


def test_a_changed_ignored_signal_is_found(server: RedisServer) -> None:
    """The list of ignored signals vouches for itself."""
    ledger, client = RedisLedger(server.url, "ignored:"), server.client()
    for reason in ("cool-down", "freeze", "budget"):
        ledger.ignore("shop", {"reason": reason})
    key = "ignored:ignored:shop"
    line = client.lrange(key, 0, -1)[1]
    client.lset(key, 1, line.replace("freeze", "breeze"))
    with pytest.raises(Corrupt, match="ignored:shop is broken at record 1"):
        ledger.ignored("shop")
    client.lset(key, 1, line)
    client.lrem(key, 1, line)
    with pytest.raises(Corrupt, match="does not continue"):
        ledger.ignored("shop")


def test_all_keys_carry_the_prefix(server: RedisServer) -> None:
    """Two installations share a server without meeting."""
    one, two = RedisLedger(server.url, "one:"), RedisLedger(server.url, "two:")
    before = set(server.client().scan_iter())
    open_run(one)
    write(one, "a")
    one.hear("r1", {"kind": "stop"}, T)
    one.due(T, 1)
    one.submit(SIGNAL)
    one.ignore("shop", {})
    made = set(server.client().scan_iter()) - before
    assert len(made) > 10
    assert all(key.startswith("one:") for key in made)
    assert (two.runs(), two.submitted(), two.due(T, 1), two.ignored("shop")) == ((), None, (), ())


# --- the server's settings -------------------------------------------------------------------------------------------


def test_a_server_that_keeps_everything_passes(server: RedisServer) -> None:
    """noeviction and an append-only file: nothing to say."""
    assert RedisLedger(server.url).check(acting=True) == []


def test_a_server_that_may_evict_is_told_and_refused_for_acting(tmp_path: Path) -> None:
    """Losing a journal leaves a target changed, so acting is refused; looking on is warned."""
    with redis_server(tmp_path, "--maxmemory-policy", "allkeys-lru", "--appendonly", "no") as running:
        ledger = RedisLedger(running.url)
        policy, aof = ledger.check()
        assert "allkeys-lru" in policy
        assert "set it to noeviction" in policy
        assert "append-only" in aof
        with pytest.raises(Misconfigured, match="allkeys-lru"):
            ledger.check(acting=True)


def test_a_server_that_does_not_tell_is_unknown(tmp_path: Path) -> None:
    """Where CONFIG and INFO are forbidden the check says so instead of guessing."""
    with redis_server(tmp_path) as running:
        running.client().execute_command("ACL", "SETUSER", "default", "-config", "-info")
        words = RedisLedger(running.url).check(acting=True)
    assert len(words) == 2
    assert all("unknown" in word for word in words)


def test_where_config_is_forbidden_info_tells(tmp_path: Path) -> None:
    """Managed servers forbid CONFIG and still tell their policy."""
    with redis_server(tmp_path) as running:
        running.client().execute_command("ACL", "SETUSER", "default", "-config")
        assert RedisLedger(running.url).check(acting=True) == []


# --- errors ----------------------------------------------------------------------------------------------------------


def client_errors() -> list[type[Exception]]:
    found = [each for _, each in inspect.getmembers(redis.exceptions, inspect.isclass)]
    return [each for each in found if issubclass(each, Exception)]


def test_the_map_of_errors_is_complete() -> None:
    """Every exception class of the client has its entry, so an upgrade that brings a new one fails here."""
    assert set(client_errors()) == set(ERRORS)


@pytest.mark.parametrize("kind", client_errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_client_becomes_one_of_ours(kind: type[Exception]) -> None:
    """Nothing but our errors passes the border, of the kind that the map says and without the password."""
    error = kind.__new__(kind)
    Exception.__init__(error, "seen hunter2")
    with pytest.raises(TrimtabError) as caught, border("redis://me:hunter2@example:6379/0"):
        raise error
    assert type(caught.value) is ERRORS[kind]
    assert "hunter2" not in str(caught.value)
    assert kind.__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis+cluster://:hunter2@a:6379", "cluster"),
        ("http://:hunter2@a", "redis://, rediss:// or unix://"),
        ("localhost:6379", "redis://localhost:6379/0"),
        ("redis://:hunter2/x@a:6379/0", "percent-encode"),
        ("redis:///0", "no host"),
    ],
)
def test_an_address_that_cannot_work_is_refused(url: str, says: str) -> None:
    """The message says what is allowed and never shows the password."""
    with pytest.raises(Misconfigured, match=says) as caught:
        RedisLedger(url)
    assert "hunter2" not in str(caught.value)


def test_addresses_of_one_server_are_allowed() -> None:
    """Plain, encrypted and local addresses pass unchanged."""
    for url in ("redis://a", "redis://me:pw@a:1/2", "rediss://a:6380/0", "unix:///run/redis.sock"):
        assert checked_url(url) == url


def test_passwords_never_stand_in_messages() -> None:
    """Neither as typed nor decoded nor inside the whole address."""
    url = "redis://me:p%40ss@example:6379/0"
    told = str(retyped(redis.exceptions.ConnectionError(f"p@ss p%40ss {url}"), url))
    assert "p@ss" not in told
    assert "p%40ss" not in told
    assert "redis://example:6379/0" in told


def test_nobody_listening_is_transient_at_once() -> None:
    """No hidden retries: a refused connection is known within a moment, without naming the password."""
    ledger = RedisLedger(f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    started = time.monotonic()
    with pytest.raises(Transient) as caught:
        ledger.submit(SIGNAL)
    assert time.monotonic() - started < 1
    assert "hunter2" not in str(caught.value)


def test_a_wrong_password_is_no_reason_to_wait(tmp_path: Path) -> None:
    """Waiting cannot cure it, so start-up refuses and names what to correct."""
    with redis_server(tmp_path, "--requirepass", "right") as running:
        ledger = RedisLedger(running.url.replace("redis://", "redis://:hunter2@"))
        with pytest.raises(Misconfigured, match="password") as caught:
            ledger.wait(lambda text: None)
        assert "hunter2" not in str(caught.value)
        RedisLedger(running.url.replace("redis://", "redis://:right@")).ping()


def test_a_full_server_changes_nothing(tmp_path: Path) -> None:
    """Out of memory is transient, and no half of an open is left."""
    with redis_server(tmp_path) as running:
        ledger, client = RedisLedger(running.url), running.client()
        client.config_set("maxmemory", 1)
        with pytest.raises(Transient):
            open_run(ledger)
        assert list(client.scan_iter()) == []
        client.config_set("maxmemory", 0)
        open_run(ledger)
