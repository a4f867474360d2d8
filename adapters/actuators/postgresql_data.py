"""The data directory of a local PostgreSQL: the only way to its settings while a bad value keeps it from starting."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from adapters.actuators.before_image import flocked, sync_directory
from adapters.actuators.postgresql_conf import Content, Lines, edited, parse
from adapters.actuators.postgresql_server import session
from adapters.actuators.service import Service
from domain.errors import Misconfigured, Rejected, Transient
from domain.target import Restart

LOOK = 0.05  # seconds between two attempts to connect to a server that starts


class Data:
    """One data directory and the program that serves it. `dsn` is how to see that it serves, `cgroups` are the control
    groups that it begins in. Raises Misconfigured for half a description of a restart."""

    def __init__(self, directory: Path, restart: Restart, dsn: str, cgroups: Sequence[Path] = ()) -> None:
        self._directory, self._restart, self._dsn = directory, restart, dsn
        # Whether it serves is seen by connecting; without that the service would wait to see whether it lives.
        self._service = Service(replace(restart, ready=restart.ready or ("true",)), signal.SIGINT, cgroups)
        self._auto = directory / "postgresql.auto.conf"
        own = directory / "postmaster.pid"
        if Path(restart.pid_file) != own or not restart.writes_pid:
            raise Misconfigured(
                f"restart.pid_file is {restart.pid_file} (writes_pid: {restart.writes_pid}); PostgreSQL keeps its pid "
                f"itself, so write pid_file: {own} and writes_pid: true"
            )

    # --- what is there -----------------------------------------------------------------------------------------------

    def check(self, said: str | None) -> None:
        """That this is the directory which the server says it serves (None: it does not say), that we may write to it,
        that its pid file names the server that runs, and that it could be started. Raises Misconfigured."""
        self._service.check()
        if said is None:
            raise Misconfigured("the server does not say its data directory; GRANT pg_read_all_settings to this role")
        if not os.access(self._directory, os.R_OK | os.W_OK | os.X_OK):
            raise Misconfigured(
                f"data: {self._directory} cannot be written; run as the server's user, or without restart"
            )
        if not os.path.exists(said) or not os.path.samefile(said, self._directory):
            raise Misconfigured(f"data is {self._directory}, and the server serves {said}; correct `data`")
        pid = self._service.pid()
        if pid is None or not _works_in(pid, self._directory):
            raise Misconfigured(
                f"{self._restart.pid_file} names process {pid}, which is not the running server (is it in a container "
                "of its own?); a restart needs a server whose processes are seen from here"
            )

    def runs(self) -> bool:
        return self._service.pid() is not None

    @property
    def seconds(self) -> float:
        """How long a stop, and how long a start may take."""
        return self._restart.seconds

    def started(self) -> float | None:
        """Unix seconds; None while it does not run."""
        return self._service.started()

    def content(self, names: tuple[str, ...]) -> Content:
        """The lines of postgresql.auto.conf, without the server. Raises Misconfigured if they cannot be read."""
        return Content(parse(self._text()), {}, names)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One writer of this machine at a time, also while the server is down. On the directory itself, so that no file
        of ours lies in it. Raises Transient if it is taken."""
        try:
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Misconfigured(f"data: {self._directory} cannot be opened: {error}") from error
        with flocked(descriptor, f"the settings in {self._directory}"):
            yield

    # --- what is done ------------------------------------------------------------------------------------------------

    def edit(self, changes: Lines) -> None:
        """Put these lines in (None: take them out), all at once. Only while the server is down, because a running one
        writes the file too."""
        if self.runs():
            raise Transient(f"the server of {self._directory} runs; its file is changed by ALTER SYSTEM only")
        _replace(self._auto, edited(self._text(), changes))

    def stop(self) -> None:
        self._service.stop()

    def start(self) -> None:
        """Raises Rejected with the end of its log if it does not come up within the time that a start may take; it is
        down then."""
        limit = time.monotonic() + self._restart.seconds
        self._service.start()
        why = ""
        while time.monotonic() < limit and self.runs():
            try:
                with session(self._dsn):
                    return
            except Transient as error:
                why = str(error)
            time.sleep(LOOK)
        crashed = not self.runs()
        self._service.stop()
        words = "it ended while it started" if crashed else f"no connection within {self._restart.seconds:g} s ({why})"
        raise Rejected(f"crashed: {words}{self._last_words()}")

    def _text(self) -> str:
        try:
            return self._auto.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{self._auto} cannot be read: {error}") from error

    def _last_words(self) -> str:
        try:
            return f"; its last words: {Path(self._restart.log).read_text(errors='replace').strip()[-400:]}"
        except OSError:
            return ""


def _works_in(pid: int, directory: Path) -> bool:
    """The server's first process works in its data directory. False where that cannot be seen."""
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", directory)
    except OSError:
        return False


def _replace(path: Path, text: str) -> None:
    """Atomic and durable, and the file stays its owner's: the server must be able to read it. A foreign file in its
    directory would break backups, so what is not finished is removed."""
    owner = path.stat() if path.exists() else path.parent.stat()
    temporary = path.with_name(f"{path.name}.trimtab.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
