"""nginx in an arm's pod: its file as the container sees it, `nginx -t`, reload, and proof from its workers."""

from __future__ import annotations

import hashlib
import re

from adapters.actuators.kubernetes.api import Absent, Api, Json, Ran
from adapters.actuators.kubernetes.workload import wait
from domain.errors import Rejected, Transient
from domain.target import Workload

FILE_SECONDS = 25.0  # that the kubelet may take to bring a new ConfigMap into the container
RELOAD_SECONDS = 8.0
# One line a process: its stat, a bar, its title. With sh, cat and tr only, which images with nginx have.
_SCRIPT = (
    "for p in /proc/[0-9]*; do "
    'line=$(cat "$p/cmdline" 2>/dev/null | tr "\\0" " "); '
    'case "$line" in "nginx: "*) echo "$(cat "$p/stat" 2>/dev/null)|$line";; esac; done'
)
_PLACES = ("-c", "-p")  # options of the master's command line that say where its configuration is
_STAT = re.compile(r"(\d+) \(.*\) (.*)")
_BIRTH = 19  # field 22 of /proc/PID/stat, counted behind the name


class PodNginx:
    """The nginx of one pod. Raises Transient, Rejected."""

    def __init__(self, api: Api, workload: Workload, pod: Json, container: str) -> None:
        self._api, self._namespace, self._container = api, workload.namespace, container
        self._pod = str(pod["metadata"]["name"])

    def carry(self, file: str, digest: str) -> list[list[int]]:
        """Wait until `file` has this digest inside the container, test it, reload, and prove that none but workers that
        are younger than the reload serve. Returns those: pid and birth in ticks of the kernel. Raises Rejected if
        nginx refuses the file; what it runs with is untouched then."""
        wait(lambda: "" if self.digest(file) == digest else f"{file} is not in pod {self._pod} yet", FILE_SECONDS)
        master, places = self._master()
        tested = self._run("nginx", "-t", *places)
        if tested.code != 0:
            raise Rejected(f"nginx -t in pod {self._pod}: {_last(tested.out)}")
        before = self.workers()
        reloaded = self._run("sh", "-c", f"kill -HUP {master}")
        if reloaded.code != 0:
            raise Transient(f"nginx in pod {self._pod} cannot be told to reload: {_last(reloaded.out)}")
        now: list[list[int]] = []

        def old() -> str:
            nonlocal now
            now = self.workers()
            new = now and not any(each in before for each in now)
            return "" if new else f"older workers of pod {self._pod} still serve"

        wait(old, RELOAD_SECONDS)
        return now

    def digest(self, file: str) -> str:
        """SHA-256 of a file as the container sees it; empty if it cannot be read."""
        seen = self._run("cat", file)
        return hashlib.sha256(seen.out.encode()).hexdigest() if seen.code == 0 else ""

    def workers(self) -> list[list[int]]:
        """Pid and birth of each worker that serves, oldest first."""
        found = [
            [born, pid]
            for pid, born, title in self._processes()
            if title.startswith("nginx: worker process") and "shutting down" not in title
        ]
        return [[pid, born] for born, pid in sorted(found)]

    def _master(self) -> tuple[int, list[str]]:
        """Pid of the master, and where its command line says that its configuration is."""
        for pid, _, title in self._processes():
            if title.startswith("nginx: master process"):
                words = title.split()[3:]
                places = [i for i, word in enumerate(words[:-1]) if word in _PLACES]
                return pid, [each for i in places for each in words[i : i + 2]]
        raise Transient(f"no nginx runs in pod {self._pod}")

    def _processes(self) -> list[tuple[int, int, str]]:
        """Pid, birth in ticks of the kernel, and title of each process of nginx."""
        found = []
        for line in self._run("sh", "-c", _SCRIPT).out.splitlines():
            stat, _, title = line.partition("|")
            match = _STAT.fullmatch(stat)
            if match is not None:
                found.append((int(match[1]), int(match[2].split()[_BIRTH]), title.strip()))
        return found

    def _run(self, *command: str) -> Ran:
        try:
            ran = self._api.run(self._namespace, self._pod, self._container, list(command))
        except Absent as error:
            raise Transient(f"pod {self._pod} went meanwhile") from error
        if ran.code in (126, 127):
            raise Transient(f"{command[0]} cannot be run in pod {self._pod}: {_last(ran.out)}")
        return ran


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    wrong = [line for line in lines if "[emerg]" in line or "[error]" in line]
    return ([*lines, *wrong][-1] if lines else "it says nothing")[:200]
