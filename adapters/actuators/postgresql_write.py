"""Bringing lines into force on a PostgreSQL: noted, written, taken up by a reload or a restart, proven, settled. Why in
this order: docs/decisions/postgresql-generation.md."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.actuators import postgresql_limits as limits
from adapters.actuators.postgresql_conf import BEFORE, GENERATION, Before, Content, Lines, settled, writing
from adapters.actuators.postgresql_data import Data
from adapters.actuators.postgresql_errors import shown
from adapters.actuators.postgresql_server import Session, reload, session
from domain.errors import Conflict, Misconfigured, Rejected, Transient
from domain.ports import Stamp


class Writer:
    """`dsn` writes, `app_dsn` proves; `names` are the parameters of the target, `data` the local server where restarts
    are allowed."""

    def __init__(self, dsn: str, app_dsn: str, names: tuple[str, ...], data: Data | None) -> None:
        self._dsn, self._app_dsn, self._names, self._data = dsn, app_dsn, names, data
        self._where = shown(dsn)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that no other writer of ours has beside it. Raises Transient while one has."""
        with self._data.lock() if self._data is not None else contextlib.nullcontext(), session(self._dsn) as server:
            server.lock()
            yield server

    def data(self) -> Data:
        """Raises Misconfigured where restarts are not allowed."""
        if self._data is None:
            raise Misconfigured(f"{self._where} needs a restart, and the arm does not say how (restart: ...)")
        return self._data

    def activate(self, server: Session, content: Content, will: Lines, stamp: Stamp) -> None:
        """From `content` to `will`. Raises Rejected if the server refuses; `content` is back in force then. Raises
        Conflict for what somebody else wrote meanwhile, which stays."""
        was, former = content.lines(tuple(will)), content.auto.get(GENERATION)
        changed = [name for name in will if was[name] != will[name]]
        known = server.known(tuple(will))
        waiting = [name for name, each in known.items() if each.pending]
        if not changed and not waiting and not content.halfway and not self._unproven(will):
            server.alter(GENERATION, settled(stamp, will).text)  # nothing new for the server: the generation grows
            return
        server.alter(GENERATION, writing(stamp, was, will).text)
        restart = bool(waiting) or any(known[name].context == "postmaster" for name in changed)
        reloaded = False
        try:
            for name in changed:
                server.alter(name, will[name])
            wrong = server.errors(tuple(will))
            if wrong:
                raise Rejected(f"{self._where}: {wrong}")
            if not restart:
                reloaded = True
                reload(self._dsn)
                self._prove(will)
        except Rejected:
            self._take_back(server, was, will, reloaded)
            server.alter(GENERATION, former)
            raise
        if restart:
            self._restart(server, was, will, former, stamp)
        else:
            self._settle(server, will, stamp)

    def renew(self, server: Session, lines: Lines, original: Lines, stamp: Stamp) -> None:
        """Restart with the lines that are there; with `original`, if the server does not come up with them."""
        server.alter(GENERATION, writing(stamp, original, lines).text)
        self._restart(server, original, lines, settled(stamp, original).text, stamp)

    def start_with(self, content: Content, before: Before, stamp: Stamp) -> None:
        """Start a server that is down with the lines of the before-image: put in by one replacement of its file, and
        noted as being written until the server is up."""
        data = self.data()
        mark = writing(stamp, content.lines(tuple(before.lines)), before.lines)
        data.edit({**before.lines, BEFORE: before.text, GENERATION: mark.text})
        data.start()
        with session(self._dsn) as fresh:
            fresh.lock()
            self._settle(fresh, before.lines, stamp)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _take_back(self, server: Session, was: Lines, will: Lines, reloaded: bool) -> None:
        present = server.content(self._names).lines(tuple(will))
        if _foreign(present, was, will):
            raise self._conflict()
        for name in will:
            if present[name] != was[name]:
                server.alter(name, was[name])
        if reloaded:
            reload(self._dsn)

    def _restart(self, server: Session, was: Lines, will: Lines, former: str | None, stamp: Stamp) -> None:
        """Stop, start, prove, settle. If the server does not come up, or not with `will`, the lines `was` go into its
        file while it is down, and it starts with them: a server that a bad value stops cannot be reset by SQL."""
        data = self.data()
        server.checkpoint(data.seconds)
        server.close()
        data.stop()
        try:
            data.start()
            self._prove(will)
        except Rejected as refusal:
            data.stop()
            present = data.content(self._names).lines(tuple(will))
            data.edit({name: was[name] for name in will if present[name] == will[name]})
            try:
                data.start()
            except Rejected as error:
                raise Transient(f"{self._where} does not come up with its former settings either: {error}") from error
            if _foreign(present, was, will):
                raise self._conflict() from refusal
            with session(self._dsn) as fresh:
                fresh.alter(GENERATION, former)
            raise refusal
        with session(self._dsn) as fresh:
            fresh.lock()
            self._settle(fresh, will, stamp)

    def _prove(self, will: Lines) -> None:
        wrong = self._unproven(will)
        if wrong:
            raise Rejected(f"{self._where} did not take up {wrong}")

    def _unproven(self, lines: Lines) -> str:
        """What a new session of the application does not have in force, in words; empty if it has everything."""
        with session(self._dsn) as server:
            below = server.content(self._names).below
        with session(self._app_dsn) as application:
            return limits.not_in_force(lines, below, application.known(tuple(lines)))

    def _settle(self, server: Session, will: Lines, stamp: Stamp) -> None:
        """The last line of a write: from now on whatever differs from `will` is somebody else's."""
        if server.content(self._names).lines(tuple(will)) != dict(will):
            raise self._conflict()
        server.alter(GENERATION, settled(stamp, will).text)

    def _conflict(self) -> Conflict:
        return Conflict(f"{self._where} was changed by somebody else while it was being written; that stays")


def _foreign(present: Lines, was: Lines, will: Lines) -> bool:
    return any(present[name] not in (was[name], will[name]) for name in will)
