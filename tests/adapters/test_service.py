"""Programs that are stopped and started: whoever asks for it may die, the program belongs to nobody."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.actuators.processes import birth
from adapters.actuators.service import Service
from domain.errors import Misconfigured, Rejected, Transient
from domain.target import Restart

ROOT = Path(__file__).parents[2]
WAIT = "import signal; signal.pause()"


def restart(root: Path, program: str, *, seconds: float = 10.0, ready: tuple[str, ...] = ()) -> Restart:
    argv = (sys.executable, "-S", "-E", "-c", program)
    return Restart(argv, str(root / "pid"), ready, seconds, log=str(root / "log"))


def said(root: Path, word: str) -> tuple[str, ...]:
    """Ready once the program's log has the word."""
    return ("grep", "-qs", word, str(root / "log"))


def starting(made: Restart, *, before: str = "", after: str = "") -> list[str]:
    """The command of a process of its own that starts the program."""
    lines = (
        "import signal",
        before,
        "from adapters.actuators.service import Service",
        "from domain.target import Restart",
    )
    return [sys.executable, "-c", "\n".join([*lines, f"Service({made!r}).start()", after])]


@contextlib.contextmanager
def stopping(service: Service) -> Iterator[Service]:
    try:
        yield service
    finally:
        service.stop()


def test_a_program_outlives_whoever_started_it(tmp_path: Path) -> None:
    """The starter's whole process group is killed; the program is in no group and no session of it."""
    made = restart(tmp_path, f"print('up', flush=True); {WAIT}", ready=said(tmp_path, "up"))
    command = starting(made, after="print('started', flush=True); signal.pause()")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True) as starter:
        with stopping(Service(made)) as service:
            assert starter.stdout is not None
            assert starter.stdout.readline() == b"started\n"
            pid = service.pid()
            assert pid is not None
            assert os.getsid(pid) == os.getpgid(pid) == pid
            os.killpg(starter.pid, signal.SIGKILL)
            starter.wait(5)
            assert service.pid() == pid
        assert service.pid() is None


def test_what_its_starter_ignores_ends_a_program_all_the_same(tmp_path: Path) -> None:
    """A pool's worker ignores SIGTERM and SIGINT; a JVM that inherits that would have to be killed at every restart."""
    made = restart(tmp_path, f"print('up', flush=True); {WAIT}", ready=said(tmp_path, "up"))
    ignoring = "[signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]"
    blocking = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])"
    with stopping(Service(made)) as service:
        subprocess.run(starting(made, before=f"{ignoring}; {blocking}"), cwd=ROOT, check=True)
        lines = Path(f"/proc/{service.pid()}/status").read_text().splitlines()
        masks = {
            name: int(mask, 16)
            for name, mask in (line.split(":", 1) for line in lines if line.startswith("Sig"))
            if "/" not in mask
        }
    kept = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    assert not [number for number in kept if (masks["SigIgn"] | masks["SigBlk"]) >> (number - 1) & 1]


def test_the_pid_is_known_before_the_program_begins(tmp_path: Path) -> None:
    """Its first line finds its own pid in the file."""
    program = f"import os; print(open({str(tmp_path / 'pid')!r}).read() == f'{{os.getpid()}}\\n', flush=True); {WAIT}"
    with stopping(Service(restart(tmp_path, program, ready=said(tmp_path, "True")))) as service:
        service.start()


def test_a_crash_at_the_start_is_refused_with_its_last_words(tmp_path: Path) -> None:
    """Only what this start printed is told, not what an earlier one did."""
    (tmp_path / "log").write_text("words of an earlier start\n")
    with pytest.raises(Rejected, match=r"crashed: .* its last words: no such heap$") as refusal:
        Service(restart(tmp_path, "import sys; sys.exit('no such heap')", ready=("false",))).start()
    assert "earlier" not in str(refusal.value)


def test_a_program_without_a_question_has_to_live_for_a_moment(tmp_path: Path) -> None:
    """Nobody said how to ask whether it serves; one that ends at once is refused all the same."""
    with pytest.raises(Rejected, match="crashed"):
        Service(restart(tmp_path, "pass")).start()


def test_a_program_that_is_not_ready_in_time_is_stopped(tmp_path: Path) -> None:
    """Nothing of it is left."""
    service = Service(restart(tmp_path, WAIT, seconds=0.5, ready=("false",)))
    with pytest.raises(Rejected, match=r"not ready within 0\.5 s"):
        service.start()
    assert service.pid() is None


def test_a_program_that_does_not_listen_is_killed_with_its_children(tmp_path: Path) -> None:
    """It and its child ignore SIGTERM; neither is left, so the next start finds the port free."""
    program = (
        "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); child = os.fork(); "
        f"child and print('child', child, flush=True); {WAIT}"
    )
    service = Service(restart(tmp_path, program, seconds=0.5, ready=said(tmp_path, "child")))
    service.start()
    child = int((tmp_path / "log").read_text().split()[1])
    assert birth(child) is not None
    service.stop()
    assert service.pid() is None
    assert birth(child) is None
    service.stop()


def test_a_pid_that_came_back_belongs_to_somebody_else(tmp_path: Path) -> None:
    """A process younger than the pid file is not the program: it is neither found nor stopped."""
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", WAIT]) as stranger:
        try:
            (tmp_path / "pid").write_text(f"{stranger.pid}\n")
            os.utime(tmp_path / "pid", (time.time() - 3600, time.time() - 3600))
            service = Service(restart(tmp_path, WAIT))
            assert service.pid() is None
            assert service.started() is None
            service.stop()
            assert stranger.poll() is None
            with pytest.raises(Transient, match="does not run"):
                service.environment()
        finally:
            stranger.kill()


def test_our_own_variables_do_not_reach_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets what its file says and a plain base; the passwords of whoever starts it stay with him."""
    monkeypatch.setenv("PGPASSWORD", "of the tuner")
    with stopping(
        Service(restart(tmp_path, f"print('up', flush=True); {WAIT}", ready=said(tmp_path, "up")))
    ) as service:
        before = time.time()
        service.start({"SHOP": "front = back", "EMPTY": ""})
        found = service.environment()
        assert {name: found.get(name) for name in ("SHOP", "EMPTY", "PGPASSWORD", "PYTHONPATH")} == {
            "SHOP": "front = back",
            "EMPTY": "",
            "PGPASSWORD": None,
            "PYTHONPATH": None,
        }
        started = service.started()
        assert started is not None
        assert before - 0.1 <= started <= time.time() + 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"argv": ("no-such-program",)}, "restart.argv: 'no-such-program'"),
        ({"pid_file": "/no/such/place/pid"}, "restart.pid_file"),
        ({"log": "/no/such/place/log"}, "restart.log"),
    ],
)
def test_what_cannot_start_is_told_while_the_program_still_runs(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    """The check names the field."""
    fields: dict[str, object] = {"argv": ("true",), "pid_file": str(tmp_path / "pid"), "log": "", **change}
    with pytest.raises(Misconfigured, match=words):
        Service(Restart(**fields)).check()  # type: ignore[arg-type]


def test_a_program_that_cannot_be_run_is_no_candidates_fault(tmp_path: Path) -> None:
    """Misconfigured, with the system's words."""
    plain = tmp_path / "plain"
    plain.write_text("no program")
    plain.chmod(0o755)
    with pytest.raises(Misconfigured, match="cannot be started"):
        Service(Restart((str(plain),), str(tmp_path / "pid"))).start()
