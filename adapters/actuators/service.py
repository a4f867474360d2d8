"""A local program that is restarted to take on new settings. It belongs to nobody: whoever starts it may end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.actuators.processes import birth, group, pid_of, unix_time
from domain.errors import Misconfigured, Rejected, Transient
from domain.target import Restart

DAEMON_SECONDS = 1.0  # between the end of a daemon's first process and its pid file
LOOK = 0.05  # seconds between two looks at a program that starts or ends
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER")  # our own secrets are none of its business
LOG_TAIL = 400  # characters of its log in an error
ALIVE_SECONDS = 1.0  # that a program without `ready` has to run before it counts as started
KILL_SECONDS = 5.0  # that the kernel may take to end what was killed
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Service:
    """One program, found by its pid file. `cgroups` are directories of control groups that it begins in."""

    def __init__(
        self, restart: Restart, stop_signal: signal.Signals = signal.SIGTERM, cgroups: Sequence[Path] = ()
    ) -> None:
        if not restart.argv:
            raise Misconfigured("restart.argv is empty; it is the command that starts the program")
        self._restart = restart
        self._stop_signal = stop_signal
        self._cgroups = tuple(cgroups)
        self._pid_file = Path(restart.pid_file)
        self._said = 0  # bytes of the log before the last start

    # --- what runs ---------------------------------------------------------------------------------------------------

    def pid(self) -> int | None:
        """The running program's; None if it does not run, or if the pid now belongs to a younger process."""
        return pid_of(self._pid_file)

    def started(self) -> float | None:
        """Unix seconds at which the running program began; None if it does not run."""
        pid = self.pid()
        born = birth(pid) if pid is not None else None
        return unix_time(born) if born is not None else None

    def environment(self) -> Mapping[str, str]:
        """The environment that the running program was given. Raises Transient if it does not run."""
        pid = self.pid()
        try:
            raw = Path(f"/proc/{pid}/environ").read_bytes() if pid is not None else b""
        except PermissionError as error:
            raise Misconfigured(f"/proc/{pid}/environ cannot be read; run as the program's user or as root") from error
        except OSError:
            raw = b""
        if not raw:
            raise Transient(f"the program of {self._pid_file} does not run")
        pairs = (each.partition("=") for each in raw.decode(errors="replace").split("\0") if each)
        return {name: value for name, _, value in pairs}

    # --- stop and start ----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises Misconfigured for what would keep the program from starting, while it still runs."""
        argv, log = self._restart.argv, self._restart.log
        if shutil.which(argv[0]) is None:
            raise Misconfigured(f"restart.argv: {argv[0]!r} is no program that can be run here")
        for field, path in (("pid_file", self._pid_file), ("log", Path(log) if log else self._pid_file)):
            if not os.access(path.parent, os.W_OK):
                raise Misconfigured(f"restart.{field}: {path} cannot be written; make its directory ours to write")
        for cgroup in self._cgroups:
            if not (cgroup / "cgroup.procs").exists():
                raise Misconfigured(f"{cgroup} is no control group; make it before Trimtab starts the program in it")

    def stop(self) -> None:
        """End it and wait until it is gone, with whatever it started. What does not listen within the time of a start
        is killed. Idempotent."""
        pid = self.pid()
        if pid is None:
            return
        members = group(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, self._stop_signal)
        if not self._gone({pid: members[pid]} if pid in members else {}, self._restart.seconds):
            members |= group(pid)
        for each, born in members.items():
            if birth(each) == born:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        if not self._gone(members, KILL_SECONDS):
            raise Transient(f"process {pid} of {self._pid_file} does not end, not even killed")

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Begin it, with `environment` on top of a small plain one, and wait until it is ready. Raises Rejected with
        the end of its log if it ends or does not become ready in time; what is left of it is stopped then. Raises
        Misconfigured if there is no such program."""
        base = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        command = [sys.executable, "-m", "adapters.actuators.launch"]
        command += ["--log", self._restart.log] if self._restart.log else []
        command += [] if self._restart.writes_pid else ["--pid-file", str(self._pid_file)]
        for cgroup in self._cgroups:
            command += ["--cgroup", str(cgroup)]
        self._said = self._log_size()
        done = subprocess.run(
            [*command, "--", *self._restart.argv],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            input="".join(f"{name}={value}\0" for name, value in {**base, **(environment or {})}.items()),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Misconfigured(f"restart.argv: {done.stderr.strip()[-LOG_TAIL:]}")
        self.wait_ready(int(done.stdout))

    def wait_ready(self, launched: int | None = None) -> None:
        """See `start`. `launched` is the pid under which it was started. A daemon leaves that and goes on under another
        one, which has `DAEMON_SECONDS` to show in the pid file."""
        begun = time.monotonic()
        born = birth(launched) if launched is not None else None
        gone: float | None = None  # when the launched process was seen to be gone
        limit, seen = begun + self._restart.seconds, not self._restart.writes_pid
        while time.monotonic() < limit:
            runs = self.pid() is not None
            seen = seen or runs
            # Where nobody said how to ask, it has to live through the time in which programs refuse their settings.
            if runs and (self._restart.ready or time.monotonic() > begun + ALIVE_SECONDS) and self.ready():
                return
            if launched is not None and gone is None and (born is None or birth(launched) != born):
                gone = time.monotonic()
            if not runs and (seen or (gone is not None and time.monotonic() > gone + DAEMON_SECONDS)):
                raise Rejected(f"crashed: the program ended while it started{self._last_words()}")
            time.sleep(LOOK)
        self.stop()
        if launched is not None and born is not None and birth(launched) == born:  # it never wrote its pid
            os.killpg(launched, signal.SIGKILL)
        what = "it was not ready" if seen else f"no pid in {self._pid_file}"
        raise Rejected(f"crashed: {what} within {self._restart.seconds:g} s after its start{self._last_words()}")

    def ready(self) -> bool:
        """Whether it says that it serves; True where nobody said how to ask."""
        asked = self._restart.ready
        if not asked:
            return True
        if asked[0].startswith("http://"):
            try:
                with _direct.open(asked[0], timeout=1.0) as answer:
                    return 200 <= int(answer.status) < 300
            except (urllib.error.URLError, OSError, ValueError):
                return False
        try:
            done = subprocess.run(asked, capture_output=True, timeout=5.0, check=False)
        except FileNotFoundError as error:
            raise Misconfigured(f"restart.ready: {asked[0]!r} cannot be run") from error
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def _gone(self, members: Mapping[int, int], patience: float) -> bool:
        limit = time.monotonic() + patience
        while any(birth(pid) == born for pid, born in members.items()):
            if time.monotonic() > limit:
                return False
            time.sleep(LOOK)
        return True

    def _log_size(self) -> int:
        try:
            return os.path.getsize(self._restart.log)
        except OSError:
            return 0

    def _last_words(self) -> str:
        """What it printed since its last start."""
        try:
            with open(self._restart.log, "rb") as log:
                log.seek(self._said)
                words = log.read().decode(errors="replace").strip()[-LOG_TAIL:]
        except OSError:
            return ""
        return f"; its last words: {words}" if words else ""
