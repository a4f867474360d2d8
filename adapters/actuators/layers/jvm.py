"""HotSpot, 11 and newer: flags that it reads when it starts, the few that change while it runs, and its own word for
all of them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from adapters.actuators.before_image import replace_text
from adapters.actuators.layers import options
from adapters.actuators.layers.jvm_flags import Flags, shown
from adapters.actuators.processes import birth, catches, pid_of
from adapters.actuators.service import KEPT_VARIABLES
from domain.errors import Misconfigured, Rejected, Transient
from domain.space import SearchSpace, Settings, Value
from domain.target import Arm

CHANNELS = ("JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "JAVA_OPTS")
ARGUMENTS = "TRIMTAB_JVM_OPTIONS"  # holds the content of an argument file
HEADER = f"# Written by Trimtab before each start of the JVM; the text is {ARGUMENTS}"
READS_AT_START = frozenset({"docker.cpus", "docker.cpuset_cpus", "docker.memory"})
JCMD_SECONDS = 10.0
ATTACH_SECONDS = 5.0  # that a JVM may take after its start until it can be asked
_SMALL = ("-J-Xmx32m", "-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1")  # jcmd is a JVM too, beside what is measured
MOST_REMEMBERED = 16  # JVMs
_flags_of: dict[tuple[int, int | None], dict[str, str]] = {}  # by pid and birth
_QUIT = 3  # the signal that asks a JVM to listen; one that does not catch it yet would die of it


class Jvm:
    """`place`: optional `channel`, how flags reach the JVM: JDK_JAVA_OPTIONS (default; the launcher of 9 and newer),
    JAVA_TOOL_OPTIONS (every JVM), JAVA_OPTS (only if the program's own script expands it), or `@/path`, an argument
    file that Trimtab owns and `restart.argv` names; optional `jcmd` (else the one on PATH; it runs as the JVM's user or
    root); `pid`, the pid file, where the arm has no `restart`."""

    def __init__(self, arm: Arm, space: SearchSpace) -> None:
        channel = arm.place.get("channel", CHANNELS[0])
        self._file = Path(channel[1:]) if channel.startswith("@/") else None
        if channel not in CHANNELS and self._file is None:
            raise Misconfigured(f"arm {arm.label}: channel is {channel!r}; allowed: {', '.join(CHANNELS)}, @/path")
        argv = arm.restart.argv if arm.restart else ()
        if self._file is not None and argv and channel not in argv:
            raise Misconfigured(f"restart.argv does not name {channel}; write it behind java")
        pid_file = arm.restart.pid_file if arm.restart else arm.place.get("pid", "")
        if not pid_file:
            raise Misconfigured(f"arm {arm.label} of a JVM needs 'pid', the path of its pid file, or restart")
        self._pid_file, self._jcmd = Path(pid_file), arm.place.get("jcmd", "jcmd")
        self._flags = Flags(space.parameters)
        self._variable = ARGUMENTS if self._file is not None else channel
        self.names = frozenset({self._variable})
        options.not_on_command_line(argv, self._flags.mine, self._variable)

    # --- the layer ---------------------------------------------------------------------------------------------------

    def stored(self, variables: Mapping[str, str]) -> dict[str, Value]:
        if self._file is not None and not self._own(self._file):
            raise Misconfigured(f"{self._file} holds options of its owner; move them to {ARGUMENTS} and remove it")
        return self._flags.stored(self._options(variables), self._variable)

    def variables(self, settings: Settings, present: Mapping[str, str]) -> dict[str, str | None]:
        return {self._variable: " ".join(self._flags.written(settings, self._options(present))) or None}

    def began_with(self, running: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
        began, want = (self._flags.at_start(self._options(each)) for each in (running, wanted))
        return began == want

    def prepare(self, variables: Mapping[str, str]) -> None:
        if self._file is None:
            return
        try:
            replace_text(self._file, "\n".join([HEADER, *self._options(variables)]) + "\n")
        except OSError as error:
            raise Misconfigured(f"{self._file} cannot be written: {error}") from error

    def live(self, variables: Mapping[str, str]) -> None:
        if not self._flags.manageable:
            return
        stored, flags = self.stored(variables), self._seen()
        seen = self._flags.effective(flags, stored)
        wanted: dict[str, Value] = {}
        for name in sorted(self._flags.manageable & seen.keys()):
            default = self._flags.parameters[name].default
            # SoftMaxHeapSize is the heap's size where nobody sets it.
            wanted[name] = stored.get(name, int(flags["MaxHeapSize"]) if isinstance(default, str) else default)
        late = [name for name in wanted if wanted[name] != seen[name] and self._set(name, wanted[name])]
        refused = [said for name in late if (said := self._set(name, wanted[name]))]  # a pair may bound one another
        if refused:
            raise Rejected("; ".join(refused))

    def effective(self, running: Mapping[str, str], written: Mapping[str, str]) -> dict[str, Value]:
        return self._flags.effective(self._seen(), self.stored(written)) if self._flags.parameters else {}

    # --- inside ------------------------------------------------------------------------------------------------------

    def _options(self, variables: Mapping[str, str]) -> list[str]:
        return options.split(variables.get(self._variable, ""), self._variable)

    def _own(self, file: Path) -> bool:
        try:
            return not file.exists() or file.read_text().startswith(HEADER)
        except (OSError, UnicodeDecodeError):
            return False

    def _seen(self) -> dict[str, str]:
        """The flags in force. Those that are not manageable never change in a running JVM: they are asked for once."""
        pid = self._attachable()
        process = (pid, birth(pid))
        if self._flags.manageable or process not in _flags_of:
            found = shown(self._ask("VM.flags", "-all"))
            if "MaxHeapSize" not in found:
                raise Transient(f"VM.flags of {self._pid_file} names no flags")
            _flags_of[process] = found
            for old in list(_flags_of)[:-MOST_REMEMBERED]:
                del _flags_of[old]
        return _flags_of[process]

    def _set(self, name: str, value: Value) -> str:
        """Change a flag of the running JVM; what it says against it, or nothing. jcmd ends with 0 either way."""
        flag, text = self._flags.command(name, value)
        said = " ".join(self._ask("VM.set_flag", flag, text).splitlines()[1:])
        return "" if "successfully" in said else f"VM.set_flag {flag} {text}: {said[:300]}"

    def _ask(self, *command: str) -> str:
        """The answer of `jcmd`. Raises Transient if the JVM does not answer."""
        pid = self._attachable()
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        try:
            done = subprocess.run(
                [self._jcmd, *_SMALL, str(pid), *command],
                env=environment,
                capture_output=True,
                text=True,
                timeout=JCMD_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise Misconfigured(f"{self._jcmd!r} cannot be run; name the JDK's jcmd as `jcmd` of the arm") from error
        except subprocess.TimeoutExpired as error:
            raise Transient(f"the JVM {pid} did not answer jcmd within {JCMD_SECONDS:g} s") from error
        said = f"{done.stdout.strip()} {done.stderr.strip()}"[:300]
        if "not permitted" in said or "not owned" in said:
            raise Misconfigured(f"jcmd may not ask the JVM {pid}; run as its user or as root: {said}")
        if done.returncode != 0:
            raise Transient(f"the JVM {pid} does not answer jcmd: {said}")
        return done.stdout

    def _attachable(self) -> int:
        limit = time.monotonic() + ATTACH_SECONDS
        while True:
            pid = pid_of(self._pid_file)
            if pid is None:
                raise Transient(f"the JVM of {self._pid_file} does not run")
            if catches(pid, _QUIT):
                return pid
            if time.monotonic() > limit:
                raise Transient(f"process {pid} of {self._pid_file} does not listen to jcmd (is it a JVM?)")
            time.sleep(0.05)
