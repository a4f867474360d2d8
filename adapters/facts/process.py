"""Facts about the target's processes: a master and everything below it, thread by thread, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.facts.collector import Raw, delta, fields, number_of, pid_of, ratio, read_text, readings, share
from domain.errors import Transient
from domain.evidence import Seen

MOST_THREADS = 500  # the samples are written into a journal
TICKS = os.sysconf("SC_CLK_TCK")
BLIND = ("process.cpu_cores", "process.busiest_thread", "process.run_queue_share", "process.waiting_threads")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Task:
    """One thread: seconds on a CPU, waiting for one, and waiting for block I/O (0 unless the kernel counts it)."""

    cpu: float
    waiting: float
    blocked: float
    born: int


def tree(pid: int, proc: Path = PROC) -> list[int]:
    """A process and all its descendants. Empty if it is gone."""
    if not (proc / str(pid) / "stat").exists():
        return []
    found, queue = [pid], [pid]
    while queue:
        parent = queue.pop()
        for task in _listed(proc / str(parent) / "task"):
            children = read_text(proc / str(parent) / "task" / task / "children") or ""
            fresh = [child for child in map(int, children.split()) if child not in found]
            found += fresh
            queue += fresh
    return found


def tasks(pids: Sequence[int], proc: Path = PROC) -> dict[int, Task]:
    """The threads of processes, by thread id; at most MOST_THREADS of them."""
    found: dict[int, Task] = {}
    for pid in pids:
        for tid in _listed(proc / str(pid) / "task"):
            if len(found) >= MOST_THREADS:
                return found
            task = _task(proc / str(pid) / "task" / tid)
            if task is not None:
                found[int(tid)] = task
    return found


def cpu_seconds(pids: Sequence[int], proc: Path = PROC) -> float:
    """CPU time of a whole tree so far, with that of its members that ended and were waited for: it only grows while
    the tree lives, whoever comes and goes below."""
    total = 0.0
    for pid in pids:
        stat = read_text(proc / str(pid) / "stat")
        if stat is not None:
            total += sum(map(int, stat[stat.rindex(")") + 2 :].split()[11:15])) / TICKS
    return total


def _task(folder: Path) -> Task | None:
    stat = read_text(folder / "stat")
    if stat is None:
        return None
    words = stat[stat.rindex(")") + 2 :].split()
    ran, waited, *_ = [*(read_text(folder / "schedstat") or "").split(), "", ""]
    ticks = (int(words[11]) + int(words[12])) / TICKS
    on_cpu, waiting = number_of(ran), number_of(waited)
    return Task(
        # schedstat counts nanoseconds, stat clock ticks only; a kernel without the first leaves the second.
        cpu=ticks if not on_cpu else on_cpu / 1e9,
        waiting=0.0 if waiting is None else waiting / 1e9,
        blocked=int(words[39]) / TICKS if len(words) > 39 else 0.0,
        born=int(words[19]),
    )


class ProcessCollector:
    """See `Collector`. `place`: `pid`, a process id or a file that holds it."""

    def __init__(self, place: Mapping[str, str], arm: str = "", proc: Path = PROC) -> None:
        self.name = f"{arm}/process"
        self._pid, self._proc = place["pid"], proc

    def sample(self) -> Raw:
        pid = pid_of(self._pid)
        pids = tree(pid, self._proc)
        if not pids:
            raise Transient(f"pid: there is no process {pid}; is the program running?")
        raw = {"node.cpus": float(os.cpu_count() or 1), "fds.of_limit": _fullest(pids, self._proc)}
        raw["tree.cpu_s"] = cpu_seconds(pids, self._proc)
        raw |= {"allowed.cpus": float(_allowed(pids, self._proc)), **_volume(self._proc / str(pid) / "cwd")}
        for tid, task in tasks(pids, self._proc).items():
            # A thread id that is used again belongs to another thread: its birth is part of the name.
            raw[f"thread.{tid}.{task.born}"] = task.cpu
            raw[f"waiting.{tid}.{task.born}"] = task.waiting
            if number_of(read_text(self._proc / "sys/kernel/task_delayacct")) == 1:
                raw[f"blocked.{tid}.{task.born}"] = task.blocked
        for each in pids:
            raw |= _of_process(self._proc / str(each), each)
        return raw

    @staticmethod
    def facts(first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        return facts(first, second, seconds)

    @staticmethod
    def blind() -> tuple[str, ...]:
        return BLIND


def facts(first: Raw, second: Raw, seconds: float) -> dict[str, Seen]:
    """Facts of one tree of processes from two samples; a thread that was born in between counts from its birth."""
    threads = [grown for _, grown in _grown(first, second, "thread.", new=True)]
    waiting = sum(grown for _, grown in _grown(first, second, "waiting.", new=True))
    blocked = [grown for _, grown in _grown(first, second, "blocked.", new=False)]
    total, running = delta(first, second, "tree.cpu_s"), sum(threads)
    cpus = second.get("node.cpus", 1.0)
    allowed = second.get("allowed.cpus") or cpus
    read = sum(grown for _, grown in _grown(first, second, "read.", new=False))
    written = sum(grown for _, grown in _grown(first, second, "written.", new=False))
    counted = any(name.startswith("read.") for name in second)
    return readings(
        {
            "process.cpu_cores": ratio(total, seconds),
            "process.cpu_of_node": share(ratio(total, seconds * cpus)),
            "process.cpu_of_allowed": share(ratio(total, seconds * allowed)),
            "cpu.kept_by_cpuset": share(1 - allowed / cpus),
            "process.busiest_thread": share(ratio(max(threads, default=0.0), seconds)),
            "process.run_queue_share": ratio(waiting, waiting + running) if waiting + running > 0.01 * seconds else 0.0,
            "process.waiting_threads": ratio(waiting, seconds),
            "process.major_faults_per_s": ratio(
                sum(grown for _, grown in _grown(first, second, "faults.", new=False)), seconds
            ),
            "process.io_delay_share": share(ratio(max(blocked, default=0.0), seconds)) if blocked else None,
            "process.fds_of_limit": second.get("fds.of_limit"),
            "volume.used": second.get("volume.used"),
            "volume.inodes_used": second.get("volume.inodes_used"),
            "io.read_bytes_per_s": ratio(read, seconds) if counted else None,
            "io.write_bytes_per_s": ratio(written, seconds) if counted else None,
        }
    )


def _grown(first: Raw, second: Raw, prefix: str, *, new: bool) -> Iterator[tuple[str, float]]:
    """Growth of each counter with this prefix; those that are only in the second sample from 0, if `new`."""
    for name, number in second.items():
        if name.startswith(prefix) and (new or name in first):
            yield name, max(0.0, number - first.get(name, 0.0))


def _of_process(folder: Path, pid: int) -> dict[str, float]:
    """Device bytes and major faults of one process; the bytes only where we may read them."""
    found: dict[str, float] = {}
    stat = read_text(folder / "stat")
    if stat is not None:
        words = stat[stat.rindex(")") + 2 :].split()
        found[f"faults.{pid}.{words[19]}"] = float(words[9])
        lines = fields((read_text(folder / "io") or "").replace(":", ""))
        for name, key in (("read", "read_bytes"), ("written", "write_bytes")):
            if key in lines:
                found[f"{name}.{pid}.{words[19]}"] = lines[key]
    return found


def _fullest(pids: Sequence[int], proc: Path) -> float:
    """Open descriptors of the fullest process, of its soft limit."""
    fullest = 0.0
    for pid in pids:
        limit = next(
            (
                number_of(line.split()[3])
                for line in (read_text(proc / str(pid) / "limits") or "").splitlines()
                if line.startswith("Max open files")
            ),
            None,
        )
        fullest = max(fullest, ratio(len(_listed(proc / str(pid) / "fd")), limit) or 0.0)
    return fullest


def _allowed(pids: Sequence[int], proc: Path) -> int:
    """CPUs that at least one of the processes may run on; 0 where that is not told."""
    cpus: set[int] = set()
    for pid in pids:
        for line in (read_text(proc / str(pid) / "status") or "").splitlines():
            if line.startswith("Cpus_allowed_list:"):
                for part in line.partition(":")[2].strip().split(","):
                    low, _, high = part.partition("-")
                    cpus |= set(range(int(low), int(high or low) + 1)) if low else set()
    return len(cpus & set(range(os.cpu_count() or 1)))


def _volume(folder: Path) -> dict[str, float]:
    """How full the volume of a folder is; inodes only where the file system counts them."""
    try:
        stat = os.statvfs(folder)
    except OSError:
        return {}
    shares = {
        "volume.used": ratio(stat.f_blocks - stat.f_bfree, stat.f_blocks - stat.f_bfree + stat.f_bavail),
        "volume.inodes_used": ratio(stat.f_files - stat.f_favail, stat.f_files),
    }
    return {name: used for name, used in shares.items() if used is not None}


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
