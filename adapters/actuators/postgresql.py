"""The PostgreSQL actuator: ALTER SYSTEM, a reload or a restart, and proof from new sessions.

Every line of `postgresql.auto.conf` is a statement of its own, so a write can die between two of them. What is being
written is therefore noted in the same file before the first line and settled after the proof; whoever looks in between
sees our stamp (docs/decisions/postgresql-generation.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from adapters.actuators import postgresql_limits as limits
from adapters.actuators.layers.cgroup import begins_in
from adapters.actuators.postgresql_conf import BEFORE, KEPT, Before, Content
from adapters.actuators.postgresql_data import Data
from adapters.actuators.postgresql_errors import shown
from adapters.actuators.postgresql_events import disturbances
from adapters.actuators.postgresql_server import Session, session
from adapters.actuators.postgresql_values import Known, agrees, guc, in_force, text_for, value_of
from adapters.actuators.postgresql_write import Writer
from domain.errors import Conflict, Misconfigured, Stale, Transient
from domain.ports import Image, Stamp
from domain.space import SearchSpace, Settings, Value
from domain.target import Arm


class PostgresArm:
    """See `domain.ports.Actuator`. `place`: `dsn` (a role with the rights of docs/postgresql.md, at the server itself)
    and `app_dsn` (role and database of the application); with `arm.restart` also `data`, the data directory."""

    def __init__(self, arm: Arm, space: SearchSpace) -> None:
        for key in ("dsn", "app_dsn"):
            if not arm.place.get(key):
                raise Misconfigured(f"arm {arm.label} of PostgreSQL needs {key!r}: {_MEANING[key]}")
        self._dsn, self._app_dsn = arm.place["dsn"], arm.place["app_dsn"]
        self._where, self._app = shown(self._dsn), shown(self._app_dsn)
        self._space = space
        self._gucs = {parameter.name: guc(parameter) for parameter in space.parameters}
        self._names = tuple(self._gucs.values())
        limits.refuse(space.parameters, self._gucs)
        self._data: Data | None = None
        if arm.restart is not None:
            if not arm.place.get("data"):
                raise Misconfigured(f"arm {arm.label} may restart, and so needs 'data': {_MEANING['data']}")
            self._data = Data(Path(arm.place["data"]), arm.restart, self._dsn, begins_in(arm.place))
        self._writer = Writer(self._dsn, self._app_dsn, self._names, self._data)

    # --- the port ----------------------------------------------------------------------------------------------------

    def read(self) -> Image:
        with session(self._dsn) as server:
            known, content = server.known(self._names), server.content(self._names)
        before = content.before
        return Image(
            version=content.version,
            stamp=content.stamp,
            settings=self._stored(content, known),
            generation=content.generation,
            protected=before.run if before else "",
            reaped=before.reaped if before else False,
        )

    def protect(self, run: str, deadline: float, expected: str | None = None) -> None:
        with self._writer.session() as server:
            content = server.content(self._names) if expected is None else self._expect(server, expected)
            before = content.before
            if before is None:
                waiting = [name for name, known in self._admit(server, content).items() if known.pending]
                if waiting:
                    raise Misconfigured(
                        f"{self._where}: {', '.join(waiting)} wait for a restart already; restart it first"
                    )
                before = Before(run, deadline, content.lines(self._names))
            elif before.run != run:
                raise Conflict(f"{self._where} has the before-image of run {before.run}; `trimtab restore` it first")
            server.alter(BEFORE, replace(before, deadline=deadline).text)

    def write(self, settings: Settings, stamp: Stamp, expected: str) -> Image:
        with self._writer.session() as server:
            content = self._check(server, stamp, expected)
            known = self._admit(server, content)
            before = content.before
            if before is not None and not set(self._names) <= set(before.lines):
                raise Misconfigured(
                    f"the before-image of run {before.run} lacks {sorted(set(self._names) - set(before.lines))}: the "
                    "target's parameters were changed while it ran; put them back, or `trimtab restore` first"
                )
            will = {
                guc(parameter): text_for(parameter, settings[parameter.name], known[guc(parameter)])
                for parameter in self._space.parameters
            }
            self._writer.activate(server, content, will, stamp)
        return self.read()

    def effective(self) -> Settings:
        with session(self._dsn) as server:
            content = server.content(self._names)
        with session(self._app_dsn) as server:
            application = server.known(self._names)
        mark, before = content.mark, content.before
        if mark is not None and not mark.settled:
            raise Transient(f"{self._where}: the settings of generation {mark.generation} are not all written yet")
        waiting = [name for name, known in application.items() if known.pending]
        if waiting:
            raise Transient(f"{self._where}: {', '.join(waiting)} wait for a restart")
        if before is None or content.lines(tuple(before.lines)) != before.lines:
            # Only a candidate must reach the application. The original is what it is, wherever it comes from.
            limits.check_sources(application, content, self._app)
            wrong = limits.not_in_force(content.lines(self._names), content.below, application)
            if wrong:
                raise Transient(f"{self._where}: not in force: {wrong}")
        return self._seen(content, application)

    def renew(self, since: float) -> None:
        if self._data is None:
            raise Misconfigured(f"{self._where}: the arm does not say how its server is restarted (restart: ...)")
        started = self._data.started()
        if started is not None and started > since:
            return
        with self._writer.session() as server:
            content = server.content(self._names)
            stamp = content.stamp
            if stamp is None:
                raise Conflict(f"{self._where} carries content that is not ours; it is not restarted")
            before = content.before
            original = before.lines if before is not None else content.lines(self._names)
            self._writer.renew(server, content.lines(self._names), original, stamp)

    def disturbed(self, start: float, end: float) -> str:
        return ", ".join(dict.fromkeys(each.kind for each in disturbances(self._dsn, self._app_dsn, start, end)))

    def restore(self, stamp: Stamp, expected: str | None) -> Image:
        if expected is None and self._is_down():
            self._restore_offline(stamp)
            return self.read()
        with self._writer.session() as server:
            content = server.content(self._names) if expected is None else self._check(server, stamp, expected)
            before = content.before
            if before is None:
                raise Conflict(f"{self._where} has no before-image")
            self._writer.activate(server, content, before.lines, _grown(stamp, content))
        return self.read()

    def release(self, run: str, *, keep: bool = False) -> None:
        with self._writer.session() as server:
            before = server.content(self._names).before
            if before is None or before.run != run:
                return
            if keep:
                server.alter(KEPT, before.text)
            server.alter(BEFORE, None)

    # --- the watchdog ------------------------------------------------------------------------------------------------

    def reap(self, now: float) -> str | None:
        """Bring the original back if the run was silent past its deadline and the content is ours; also onto a server
        that is down, and at once onto one whose writer died between its stop and its start. Returns what was done or
        found, in words; None if there was nothing to do."""
        if self._is_down():
            return self._reap_offline(now)
        with session(self._dsn) as look:
            if not look.content(self._names).due(now):
                return None
        with self._writer.session() as server:
            content = server.content(self._names)
            before = content.before
            if before is None or not content.due(now):
                return None
            if content.stamp is None and content.lines(tuple(before.lines)) != before.lines:
                return f"{self._where}: past its deadline, but the content is not ours; left as it is"
            # Told after done: who dies in between is followed by another look, and a run that comes back meanwhile
            # finds a later generation under its own name, which it answers by restoring, too.
            self._writer.activate(server, content, before.lines, Stamp(before.run, content.generation + 1))
            with session(self._dsn) as fresh:
                fresh.alter(BEFORE, replace(before, reaped=True).text)
        return f"{self._where}: run {before.run} was silent past its deadline; the original settings are back"

    # --- looking -----------------------------------------------------------------------------------------------------

    def _stored(self, content: Content, known: Mapping[str, Known]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for parameter in self._space.parameters:
            name = guc(parameter)
            text = content.stored(name)
            if text is None:
                of_server = known[name].source in ("default", "command line", "environment variable", "override")
                text = known[name].setting if of_server else known[name].boot
            found[parameter.name] = value_of(parameter, text, known[name])
        return found

    def _seen(self, content: Content, application: Mapping[str, Known]) -> dict[str, Value]:
        """The values in force; a stored text that means the same says it without the server's rounding."""
        found: dict[str, Value] = {}
        for parameter in self._space.parameters:
            known, text = application[guc(parameter)], content.stored(guc(parameter))
            carried = text is not None and agrees(text, known)
            found[parameter.name] = value_of(parameter, text, known) if text and carried else in_force(parameter, known)
        return found

    def _admit(self, server: Session, content: Content) -> dict[str, Known]:
        """What the server knows of the parameters. Raises Misconfigured where writing is not allowed or pointless."""
        known = server.known(self._names)
        limits.check_contexts(known, restarts=self._data is not None)
        if self._data is not None:
            self._data.check(server.one("SELECT setting FROM pg_settings WHERE name = 'data_directory'"))
        if server.version >= 170000 and server.one("SELECT current_setting('allow_alter_system')") == "off":
            raise Misconfigured(f"{self._where} has allow_alter_system = off; turn it on, or leave this server alone")
        with session(self._app_dsn) as application:
            limits.check_sources(application.known(self._names), content, self._app)
        return known

    def _expect(self, server: Session, expected: str) -> Content:
        content = server.content(self._names)
        if content.version != expected:
            if content.stamp is not None:
                raise Stale(f"{self._where} is at {content.version}, not {expected}: another writer of ours was faster")
            raise Conflict(f"{self._where} was changed by somebody else (version {content.version})")
        return content

    def _check(self, server: Session, stamp: Stamp, expected: str) -> Content:
        content = self._expect(server, expected)
        if stamp.generation <= content.generation:
            raise Stale(f"generation {stamp.generation} is not above {content.generation} of {self._where}")
        return content

    # --- while the server is down ------------------------------------------------------------------------------------

    def _is_down(self) -> bool:
        return self._data is not None and not self._data.runs()

    def _reap_offline(self, now: float) -> str | None:
        data = self._writer.data()
        if not data.content(self._names).due_offline(now):
            return None
        with data.lock():
            content = data.content(self._names)
            before = content.before
            if before is None or not content.due_offline(now) or data.runs():
                return None
            if content.stamp is None and content.lines(tuple(before.lines)) != before.lines:
                return f"{self._where}: down and past its deadline, but the content is not ours; left as it is"
            stamp = Stamp(before.run, content.generation + 1)
            self._writer.start_with(content, replace(before, reaped=True), stamp)
        return f"{self._where}: was down in run {before.run}; it is started again with the original settings"

    def _restore_offline(self, stamp: Stamp) -> None:
        data = self._writer.data()
        with data.lock():
            content = data.content(self._names)
            if content.before is None:
                raise Conflict(f"{self._where} is down, and has no before-image; start it by hand")
            self._writer.start_with(content, content.before, _grown(stamp, content))


_MEANING = {
    "dsn": "how to connect, with a role that may ALTER SYSTEM, to the server itself",
    "app_dsn": "how the application connects (its role and database), to see what reaches it",
    "data": "its data directory, where settings are put right while it is down",
}


def _grown(stamp: Stamp, content: Content) -> Stamp:
    return replace(stamp, generation=max(stamp.generation, content.generation + 1))
