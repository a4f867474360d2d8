"""The ledger on Redis: lists, hashes, sorted sets, and one Lua script for every change (`redis_scripts/`).

Every change is a single script, so it happens as a whole or not at all, and two processes cannot interleave. The
server must not evict keys and should keep an append-only file; `check` says whether it does.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis

from adapters.ledger_text import (
    IGNORED_CAP,
    REMEMBER_SECONDS,
    chained,
    finite,
    ignored_of,
    lines_of,
    messages_of,
    records_of,
    signal_of,
    text_of,
)
from adapters.redis_client import Scripts, connect
from adapters.redis_errors import border, retyped, shown_url
from domain.codec import to_json
from domain.errors import Misconfigured, Stale, Transient
from domain.ports import Journal, Json, Lead, Lease, Record, RunInfo
from domain.signal import Signal

CONNECTIONS = 32  # more callers than that wait for a free one
RACES = 50  # tries to chain one ignored signal while others do the same


class RedisLedger:
    """See `domain.ports.Ledger`. Leases last in the server's time; everything else uses the caller's times.

    Raises Misconfigured for a url that cannot work (a cluster, an unknown scheme). Connects on first use."""

    def __init__(self, url: str, prefix: str = "trimtab:") -> None:
        self._url, self._prefix = url, prefix
        self._client = connect(url, CONNECTIONS)
        self._scripts = Scripts(self._client, url, prefix)

    # --- the server --------------------------------------------------------------------------------------------------

    def ping(self) -> None:
        """Return when the server answers. Raises Transient, or Misconfigured for wrong credentials."""
        with border(self._url):
            self._client.ping()

    def wait(self, log: Callable[[str], None], until: float = math.inf, pause: float = 1.0) -> None:
        """Return once the server answers; say through `log` that it is waited for, at first and every ten tries. Raises
        Transient when it does not answer by `until` (Unix seconds), Misconfigured for wrong credentials."""
        tries = 0
        while True:
            try:
                self.ping()
            except Transient as hindrance:
                if time.time() + pause > until:
                    raise
                if tries % 10 == 0:
                    log(f"waiting for Redis: {hindrance}")
                tries += 1
                time.sleep(pause)
            else:
                if tries:
                    log(f"Redis at {shown_url(self._url)} answers")
                return

    def close(self) -> None:
        """Close all connections; the next call opens new ones."""
        self._client.connection_pool.disconnect()

    def check(self, *, acting: bool = False) -> list[str]:
        """What may lose journals on this server, in sentences; empty if all is well. With `acting`, a server that may
        evict keys is refused with Misconfigured, because a lost journal leaves a target changed."""
        policy, aof = self._told("maxmemory-policy", "maxmemory_policy"), self._told("appendonly", "aof_enabled")
        where, words = f"Redis at {shown_url(self._url)}", []
        if policy is None:
            words.append(f"{where} does not tell its maxmemory-policy (unknown); it must be noeviction")
        elif policy != "noeviction":
            evicts = f"{where} has maxmemory-policy {policy} and may drop journals; set it to noeviction"
            if acting:
                raise Misconfigured(f"{evicts}, or set mode to observe or recommend")
            words.append(evicts)
        if aof is None:
            words.append(f"{where} does not tell whether it keeps an append-only file (unknown); set appendonly yes")
        elif aof not in ("yes", "1"):
            words.append(f"{where} keeps no append-only file, so history dies with it; set appendonly yes")
        return words

    def _told(self, config: str, info: str) -> str | None:
        """One setting of the server: CONFIG GET is often forbidden where INFO is not, and the other way round."""
        for ask in (lambda: self._client.config_get(config).get(config), lambda: self._client.info().get(info)):
            try:
                value = ask()
            except (redis.ConnectionError, redis.TimeoutError) as error:
                raise retyped(error, self._url) from error
            except redis.RedisError:
                continue
            if value is not None:
                return str(value)
        return None

    # --- signals -----------------------------------------------------------------------------------------------------

    def submit(self, signal: Signal, lead: Lead | None = None) -> bool:
        text, job, token = (
            text_of(to_json(signal)),
            "" if lead is None else lead.job,
            "" if lead is None else lead.token,
        )
        answer = self._run("submit", f"{signal.id}|{signal.status}", text, REMEMBER_SECONDS, job, token)
        if answer == -1:
            raise Stale(f"{signal.id} was not queued: lead {token} of {job} is no longer the newest one")
        return bool(answer)

    def submitted(self) -> Signal | None:
        text = self._run("submitted")
        return None if text is None else signal_of(text)

    def settle(self, signal: Signal) -> None:
        self._run("settle", f"{signal.id}|{signal.status}")

    def ignore(self, target: str, record: Json) -> None:
        for _ in range(RACES):
            with border(self._url):
                last: Any = self._client.lindex(self._key("ignored", target), -1)
            if self._run("ignore", target, last or "", chained(last, record), IGNORED_CAP):
                return
        raise Transient(f"{RACES} other signals for {target!r} were noted at the same moment; try again")

    def ignored(self, target: str) -> tuple[Json, ...]:
        with border(self._url):
            lines: Any = self._client.lrange(self._key("ignored", target), 0, -1)
        return ignored_of(target, lines)

    # --- journals ----------------------------------------------------------------------------------------------------

    def open(self, run: str, target: str, locks: Sequence[str], first: Record, due: float) -> bool:
        (line,) = lines_of((first,), 0)
        signal = first.data.get("signal")
        cause = str(signal.get("id", "")) if isinstance(signal, dict) else ""
        opened = finite("time of the first record", first.time)
        answer = self._run(
            "open", run, target, repr(opened), repr(finite("due", due)), line, cause, json.dumps(list(locks))
        )
        if answer == -1:
            raise Stale(f"run {run} exists already; open under a new name")
        return bool(answer)

    def read(self, run: str) -> Journal:
        with border(self._url), self._client.pipeline(transaction=True) as both:
            both.lrange(self._key("run", run, "journal"), 0, -1)
            both.lrange(self._key("run", run, "inbox"), 0, -1)
            lines, inbox = both.execute()
        return Journal(records_of(run, lines), messages_of(run, inbox))

    def append(
        self,
        lease: Lease,
        expected: int,
        records: Sequence[Record],
        *,
        heard: int = 0,
        due: float,
        outcome: str | None = None,
    ) -> None:
        lines, due = lines_of(records, expected), finite("due", due)
        if outcome == "":
            raise ValueError("outcome is empty; a closed run needs a word")
        closed = repr(float(records[-1].time if records else due))
        answer = self._run("append", lease.run, lease.token, expected, heard, repr(due), outcome or "", closed, *lines)
        if answer != "ok":
            raise Stale(f"nothing was appended to {lease.run}: {answer}; replay")

    def hear(self, run: str, message: Json, at: float) -> bool:
        return bool(self._run("hear", run, text_of(message), repr(finite("at", at))))

    # --- who may step, and when --------------------------------------------------------------------------------------

    def lease(self, run: str, now: float, seconds: float) -> Lease | None:
        if finite("seconds", seconds) <= 0:
            raise ValueError(f"seconds is {seconds}; a lease must last longer than 0 s")
        answer = self._run("lease", run, repr(finite("now", now)), math.ceil(seconds * 1000))
        return None if answer is None else Lease(run, str(answer[0]), int(answer[1]))

    def release(self, lease: Lease, due: float | None = None) -> None:
        self._run("release", lease.run, lease.token, "" if due is None else repr(finite("due", due)))

    def due(self, now: float, resend: float) -> tuple[str, ...]:
        until = finite("now", now) + finite("resend", resend)
        return tuple(self._run("due", repr(float(now)), repr(until)))

    # --- the index ---------------------------------------------------------------------------------------------------

    def open_run(self, target: str) -> str | None:
        with border(self._url):
            run: Any = self._client.get(self._key("open", target))
        return None if run is None else str(run)

    def runs(
        self,
        *,
        target: str | None = None,
        outcome: str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> tuple[RunInfo, ...]:
        index = f"runs:target:{target}" if target is not None else "runs"
        if target is None and outcome is not None:
            index = f"runs:outcome:{outcome}"
        start = "-inf" if since is None else repr(finite("since", since))
        flat = self._run("runs", index, start, limit, "" if outcome is None else "1", outcome or "")
        return tuple(
            RunInfo(run, its_target, float(opened), float(closed) if closed else None, its_outcome)
            for run, its_target, opened, closed, its_outcome in zip(*[iter(flat)] * 5, strict=True)
        )

    # --- inside ------------------------------------------------------------------------------------------------------

    def _key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)

    def _run(self, script: str, *args: str | int) -> Any:
        return self._scripts.run(script, *args)
