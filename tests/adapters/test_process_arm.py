"""Arms that are started anew: what a death leaves behind, what the watchdog brings back, what the file keeps."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapters.actuators import before_image
from adapters.actuators.process import variables_of
from adapters.actuators.registry import LocalArm, actuator
from domain.errors import Misconfigured, Rejected, TrimtabError
from domain.ports import Stamp
from domain.space import Parameter, SearchSpace
from domain.target import Arm
from tests.contracts.arms import reader, running

ROOT = Path(__file__).parents[2]
PACE = "go.GOGC"
SPACE = SearchSpace((Parameter(PACE, "integer", 100, low=25, high=9999, cost="restart"),))


def arm_of(place: Arm) -> LocalArm:
    return actuator("go", place, SPACE)


def test_a_death_between_stop_and_start_is_undone_by_the_watchdog(tmp_path: Path) -> None:
    """SIGKILL when the old program is gone and the new one not there: the original runs again."""
    place = reader(tmp_path, "GOGC=50\n")
    with running(place) as service:
        arm = arm_of(place)
        arm.protect("r1", 100.0)
        code = (
            "import os, signal\n"
            "from adapters.actuators.registry import actuator\n"
            "from adapters.actuators.service import Service\n"
            "from domain.ports import Stamp\n"
            "from domain.space import Parameter, SearchSpace\n"
            "from domain.target import Arm, Restart\n"
            "Service.start = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            f"arm = actuator('go', {place!r}, {SPACE!r})\n"
            f"arm.write({{{PACE!r}: 200}}, Stamp('r1', 1), arm.read().version)\n"
        )
        dead = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
        assert dead.returncode == -signal.SIGKILL
        assert service.pid() is None
        assert arm.reap(99.0) is None
        assert "original settings are back" in (arm.reap(101.0) or "")
        assert dict(arm.effective()) == {PACE: 50}
        assert arm.read().reaped
        assert arm.reap(102.0) is None


def test_a_watchdog_that_could_not_start_the_program_tries_again(tmp_path: Path) -> None:
    """The way back fails at first (its program is missing); the next look finishes it."""
    place = reader(tmp_path, "GOGC=50\n")
    program = tmp_path / "reader.py"
    with running(place):
        arm = arm_of(place)
        arm.protect("r1", 100.0)
        arm.write({PACE: 200}, Stamp("r1", 1), arm.read().version)
        text = program.read_text()
        program.write_text("raise SystemExit('not now')")
        with pytest.raises(TrimtabError, match="not now"):
            arm.reap(101.0)
        program.write_text(text)
        assert "original settings are back" in (arm.reap(102.0) or "")
        assert dict(arm.effective()) == {PACE: 50}


def test_the_owners_lines_order_and_rights_stay(tmp_path: Path) -> None:
    """A file of secrets stays a file of secrets; what is not searched is not touched."""
    place = reader(tmp_path, "# of the shop\nDATABASE=postgresql://u:p@db/x\nGOGC=50\nLAST=1\n")
    config = tmp_path / "env"
    config.chmod(0o600)
    with running(place) as service:
        arm = arm_of(place)
        arm.protect("r1", 100.0)
        image = arm.write({PACE: 200}, Stamp("r1", 1), arm.read().version)
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        assert stat.S_IMODE(before_image.sidecar(config).stat().st_mode) == 0o600
        assert list(variables_of(config.read_text())) == ["DATABASE", "GOGC", "LAST"]
        assert service.environment()["DATABASE"] == "postgresql://u:p@db/x"
        arm.restore(Stamp("r1", 2), image.version)
        assert (
            config.read_text().partition("\n")[2] == "# of the shop\nDATABASE=postgresql://u:p@db/x\nGOGC=50\nLAST=1\n"
        )


def test_a_new_placement_is_a_new_process_once(tmp_path: Path) -> None:
    """Renewed if it is older than asked for, and not again."""
    place = reader(tmp_path, "GOGC=50\n")
    with running(place) as service:
        arm, first = arm_of(place), service.pid()
        since = time.time()
        arm.renew(since)
        second = service.pid()
        assert second not in (None, first)
        arm.renew(since)
        assert service.pid() == second
        assert dict(arm.effective()) == {PACE: 50}


def test_the_same_settings_start_nothing_anew(tmp_path: Path) -> None:
    """Only the generation grows: the program keeps running."""
    place = reader(tmp_path, "GOGC=50\n")
    with running(place) as service:
        arm = arm_of(place)
        image = arm.write({PACE: 200}, Stamp("r1", 1), arm.read().version)
        pid = service.pid()
        image = arm.write({PACE: 200}, Stamp("r1", 2), image.version)
        assert image.generation == 2
        assert service.pid() == pid


def test_a_variable_changed_by_hand_is_not_in_force(tmp_path: Path) -> None:
    """The proof comes from the running process, never from the file."""
    place = reader(tmp_path, "GOGC=50\n")
    with running(place):
        (tmp_path / "env").write_text("GOGC=50\nSHOP=back\n")
        with pytest.raises(TrimtabError, match="not proven"):
            arm_of(place).effective()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("GOGC 50\n", "line 1 .*NAME=value"),
        ("GOGC=50\nGOGC=60\n", "line 2 .*repeats GOGC"),
        ("GOGC=fast\n", r"GOGC \(go.GOGC\): 'fast'"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    """Misconfigured, before anything is touched."""
    place = reader(tmp_path, text)
    with pytest.raises(Misconfigured, match=words):
        arm_of(place).read()


def test_a_value_outside_its_range_is_refused_unless_it_was_there(tmp_path: Path) -> None:
    """Nobody proposes one; what the owner wrote himself may stay."""
    place = reader(tmp_path, "GOGC=10\n")
    with running(place):
        arm = arm_of(place)
        image = arm.write({PACE: 10}, Stamp("r1", 1), arm.read().version)
        assert dict(image.settings) == {PACE: 10}
    os.remove(tmp_path / "serving")
    other = reader(tmp_path / "other", "")
    with running(other):
        arm = arm_of(other)
        with pytest.raises(Rejected, match="GOGC: 10 is outside its range"):
            arm.write({PACE: 10}, Stamp("r1", 1), arm.read().version)


def test_settings_that_need_a_restart_need_to_know_how(tmp_path: Path) -> None:
    """Without `restart` the arm says so when it is made."""
    (tmp_path / "env").write_text("")
    with pytest.raises(Misconfigured, match="GOGC: needs a restart"):
        arm_of(Arm("a", {"env": str(tmp_path / "env")}))
    with pytest.raises(Misconfigured, match="arm a needs 'env'"):
        arm_of(Arm("a"))
