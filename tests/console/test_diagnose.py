"""`trimtab diagnose`: what a person and a program read of it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.facts import examiner
from adapters.memory_telemetry import MemoryTelemetry
from console.__main__ import main
from domain.evidence import Missing, Reading, Seen
from domain.target import Arm
from tests import journal_factory as factory
from tests.console.desk import Desk, Screen
from tests.diagnosis.cases import KINDS, case, facts


class Given:
    """A collector whose facts are given."""

    def __init__(self, seen: Mapping[str, Seen]) -> None:
        self.name, self._seen = "a/given", seen

    def sample(self) -> dict[str, float]:
        return {}

    def facts(self, first: object, second: object, seconds: float) -> Mapping[str, Seen]:
        return self._seen

    def blind(self) -> tuple[str, ...]:
        return ()


class Doctor:
    """The console with facts that are given, of the target and of Prometheus."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.desk = Desk(folder, targets=(factory.target(),))
        self.remote: dict[str, float] = {}
        self.prometheus = MemoryTelemetry(self.desk.clock, self._script)
        self.desk.prometheus = self.prometheus  # type: ignore[assignment]
        self.screen = Screen(self.desk, capsys)

    def __call__(self, seen: Mapping[str, Seen], *options: str) -> int:
        self._patch.setattr(examiner, "collectors_for", lambda target: (Given(seen),))
        return self.screen("diagnose", factory.target().name, *options)

    def _script(self, query: str, arm: str, start: float, end: float) -> Seen:
        found = next((number for part, number in self.remote.items() if part in query), None)
        return Missing("empty result") if found is None else Reading(found)


@pytest.fixture
def doctor(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    return Doctor(tmp_path, capsys, monkeypatch)


def test_a_person_reads_the_bottleneck_and_what_can_matter(doctor: Doctor) -> None:
    """Headline, evidence with its limit, parameters; the exit code is that of an answer."""
    assert doctor(case("quota")) == 0
    out = doctor.screen.out
    assert "the CPU quota stops the container in 30 % of its periods" in out
    assert "cpu.throttled_share" in out
    assert "5 %" in out
    assert "can matter: docker.cpus" in out
    assert doctor.screen.err == ""


def test_only_parameters_of_the_target_are_named_where_it_has_some(doctor: Doctor) -> None:
    """A space that holds parameters of the answer narrows it to those."""
    assert doctor(case("worker")) == 0
    assert "can matter: nginx.gzip_comp_level" in doctor.screen.out
    assert "nginx.ssl_session_cache" not in doctor.screen.out


def test_a_refusal_is_an_answer(doctor: Doctor) -> None:
    """A slow dependency: no parameters, the reason, exit code 0."""
    assert doctor(case("dependency")) == 0
    assert "not to be tuned: a dependency got slower: 203 ms" in doctor.screen.out
    assert "can matter" not in doctor.screen.out


def test_programs_read_json_and_csv(doctor: Doctor) -> None:
    """JSON holds the answer and every fact with its unit; CSV one line a piece of evidence."""
    assert doctor({**case("spill"), "gc.share_of_time": Missing("no JVM there")}, "-o", "json") == 0
    told = json.loads(doctor.screen.out)
    assert (told["layer"], told["refusal"], told["follows"]) == ("pg_memory", "", ["io_storage"])
    assert told["evidence"][0]["fact"] == "pg.temp_bytes_per_s"
    assert told["facts"]["pg.temp_bytes_per_s"] == {"value": 8e7, "unit": "B/s"}
    assert told["facts"]["gc.share_of_time"] == {"value": None, "missing": "no JVM there"}
    assert "not read: gc.share_of_time: no JVM there" in doctor.screen.err
    assert doctor(case("spill"), "-o", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(doctor.screen.out, newline="")))
    assert rows[0]["fact"] == "pg.temp_bytes_per_s"
    assert (rows[0]["layer"], float(rows[0]["limit"])) == ("pg_memory", 1e6)
    assert doctor(facts(KINDS["proxy"]), "-o", "csv") == 0
    (row,) = csv.DictReader(io.StringIO(doctor.screen.out, newline=""))
    assert (row["layer"], row["refusal"], row["fact"]) == ("none", "nothing is wrong here", "")


def test_prometheus_adds_what_the_target_does_not_tell(doctor: Doctor) -> None:
    """Throttling is known to Prometheus only; what the target tells itself is not overwritten."""
    doctor.remote = {"cfs_throttled_periods": 0.6, "container_memory_working_set": 0.99}
    healthy = {name: seen for name, seen in facts(KINDS["service"]).items() if name != "cpu.throttled_share"}
    assert doctor(healthy, "-o", "json") == 0
    told = json.loads(doctor.screen.out)
    assert told["layer"] == "cpu_quota"
    assert told["facts"]["memory.working_set_of_limit"]["value"] == 0.5


def test_without_prometheus_the_target_speaks_for_itself(doctor: Doctor) -> None:
    """It is said that Prometheus is away, and nothing more."""
    doctor.prometheus.silent = True
    assert doctor(case("quota")) == 0
    assert "Prometheus does not answer" in doctor.screen.err


def test_nothing_read_is_exit_code_1(doctor: Doctor) -> None:
    """A target that tells nothing has no diagnosis; the keys that would help are named."""
    assert doctor({"process.cpu_cores": Missing("pid: gone")}) == 1
    assert "name pid, cgroup, dsn or metrics" in doctor.screen.err


def test_an_unknown_target_and_a_silly_interval(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong words are refused before anything is read."""
    assert doctor.screen("diagnose", "nobody") == 4
    assert "known targets" in doctor.screen.err
    with pytest.raises(SystemExit) as left:
        main(["diagnose", factory.target().name, "--seconds", "0"], doctor.desk)
    assert left.value.code == 2
    capsys.readouterr()


def test_a_real_process_is_read(doctor: Doctor) -> None:
    """Without given facts the collectors of the target's own keys do the work: here, this very process."""
    arm = Arm("a", {"pid": str(os.getpid())})
    doctor.desk._targets = (replace(factory.target(), actuator="container", arms=(arm,)),)
    assert doctor.screen("diagnose", factory.target().name, "-o", "json") == 0
    told = json.loads(doctor.screen.out)
    assert told["facts"]["process.cpu_cores"]["unit"] == "CPUs"
    assert told["facts"]["process.fds_of_limit"]["value"] > 0
