"""Limits of control groups: real files of cgroup v1, and the names and words of v2."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapters.actuators.layers.cgroup import Group
from adapters.actuators.layers.cgroup_limits import GroupLimits, weight_of
from adapters.actuators.layers.container import UNLIMITED
from adapters.actuators.process import variables_of
from adapters.actuators.registry import LocalArm, actuator, restarting
from adapters.actuators.service import Service
from domain.errors import Misconfigured, Rejected
from domain.ports import Stamp
from domain.space import Parameter, SearchSpace, Value
from domain.target import Arm
from tests.contracts.arms import reader
from tests.control_groups import control_group, unified

MIB = 2**20
CPUS, PERIOD, BURST = "docker.cpus", "docker.cpu_period", "docker.cpu_burst"
MEMORY, SWAP, SHARES = "docker.memory", "docker.memory_swap", "docker.cpu_shares"


def limits(path: str) -> GroupLimits:
    return GroupLimits(Group({"cgroup": path}))


def arm_of(env: Path, place: Mapping[str, str], *names: str) -> LocalArm:
    space = SearchSpace(tuple(Parameter(name, "real", "unlimited", low=0, high=2**62, cost="live") for name in names))
    return actuator("container", Arm("a", {"env": str(env), **place}), space)


def test_quota_period_and_burst_change_in_an_order_that_the_kernel_takes() -> None:
    """Longer and shorter periods, with a burst up to the quota each time; the kernel refuses every other order."""
    with control_group("cpu") as group:
        kept = limits(group.path)
        steps: list[dict[str, Value]] = [
            {CPUS: 0.5, PERIOD: 100_000, BURST: 50_000},
            {CPUS: 0.5, PERIOD: 10_000, BURST: 5_000},
            {CPUS: 0.25, PERIOD: 200_000, BURST: 50_000},
            {CPUS: 1.5, PERIOD: 50_000, BURST: 0},
            {CPUS: 0.3333333, PERIOD: 30_000, BURST: 1_000},
        ]
        for wanted in steps:
            kept.settle(wanted)
            for name, value in wanted.items():
                assert kept.fits(name, value, kept.present(name)), (name, value)
        assert group.read("cpu.cfs_quota_us") == "10000"
        kept.settle({CPUS: UNLIMITED})
        assert group.read("cpu.cfs_quota_us") == "-1"
        assert kept.present(CPUS) == float(os.cpu_count() or 1)


def test_a_quota_inside_a_smaller_parent_moves_without_passing_it() -> None:
    """Between two writes the child's share is never above either; the parent's 0.5 CPU would refuse it."""
    with control_group("cpu") as parent:
        parent.write("cpu.cfs_period_us", "100000")
        parent.write("cpu.cfs_quota_us", "50000")
        child = parent.file("cpu.shares").parent / "inner"
        child.mkdir()
        try:
            kept = limits(f"{parent.path}/inner")
            for period in (100_000, 10_000, 200_000, 20_000):
                kept.settle({CPUS: 0.5, PERIOD: period})
                assert kept.present(PERIOD) == period
                assert kept.present(CPUS) == 0.5
            with pytest.raises(Rejected, match=r"cpu.cfs_quota_us refuses"):
                kept.settle({CPUS: 0.75})
        finally:
            child.rmdir()


def test_a_period_alone_keeps_the_share() -> None:
    """The quota follows a period that is searched without it."""
    with control_group("cpu") as group:
        group.write("cpu.cfs_quota_us", "50000")
        limits(group.path).settle({PERIOD: 20_000})
        assert group.read("cpu.cfs_quota_us") == "10000"


def test_memory_and_swap_grow_and_shrink_together() -> None:
    """v1 refuses a limit above memory and swap, so growing and shrinking have their own order."""
    with control_group("memory") as group:
        kept = limits(group.path)
        for size in (64 * MIB, 512 * MIB, 32 * MIB):
            kept.settle({MEMORY: size, SWAP: size})
            assert kept.present(MEMORY) == size
            assert kept.present(SWAP) == size
        kept.settle({MEMORY: 123_456_789, SWAP: -1})
        assert kept.fits(MEMORY, 123_456_789, kept.present(MEMORY))
        assert kept.present(SWAP) == -1
        with pytest.raises(Rejected, match=r"docker.memory_swap: 1048576 bytes is below docker.memory"):
            kept.settle({SWAP: MIB})


def test_a_limit_below_what_is_in_use_is_refused_before_it_kills(tmp_path: Path) -> None:
    """A program holds 48 MiB: 32 MiB is refused, nothing is changed, and the program lives."""
    hold = "import sys; held = bytearray(48 << 20); print('held', flush=True); sys.stdin.read()"
    with control_group("memory") as group:
        enter = (
            f"import os; open({str(group.file('memory.stat').parent / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"
        )
        command = [sys.executable, "-S", "-E", "-c", f"{enter}; {hold}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == b"held\n"
            env = tmp_path / "env"
            env.write_text(f"TRIMTAB_DOCKER_MEMORY={256 * MIB}\n")
            group.write("memory.limit_in_bytes", str(256 * MIB))
            arm = arm_of(env, {"cgroup": group.path}, MEMORY)
            image = arm.read()
            with pytest.raises(Rejected, match=r"docker.memory: 33554432 bytes is below"):
                arm.write({MEMORY: 32 * MIB}, Stamp("r1", 1), image.version)
            assert arm.read() == image
            assert group.read("memory.limit_in_bytes") == str(256 * MIB)
            assert program.poll() is None
            program.communicate(timeout=10)


def test_shares_pids_and_processors_are_read_back() -> None:
    """What is left of the limits of v1."""
    with control_group("cpu", "pids", "cpuset") as group:
        kept = limits(group.path)
        wanted: dict[str, Value] = {SHARES: 300, "docker.pids_limit": 77, "docker.cpuset_cpus": "0"}
        kept.settle(wanted)
        assert {name: kept.present(name) for name in wanted} == wanted
        kept.settle({"docker.pids_limit": -1})
        assert (kept.present("docker.pids_limit"), group.read("pids.max")) == (-1, "max")
        with pytest.raises(Rejected, match=r"cpuset.cpus refuses '99-100'"):
            kept.settle({"docker.cpuset_cpus": "99-100"})


def test_a_program_begins_inside_its_group_and_is_started_anew_for_a_limit_that_it_reads(tmp_path: Path) -> None:
    """A go program looks at its processors once, at its start; its quota may change under it."""
    place = reader(tmp_path, "TRIMTAB_DOCKER_CPUS=0.5\nTRIMTAB_DOCKER_CPUSET_CPUS=0-1\n")
    with control_group("cpu", "cpuset") as group:
        names = (CPUS, "docker.cpuset_cpus")
        parameters = (
            Parameter(CPUS, "real", "unlimited", low=0.1, high=2, cost="live"),
            Parameter(names[1], "categorical", "all", choices=("0", "0-1"), cost="live"),
        )
        inside = Arm("a", {**place.place, "cgroup": group.path}, place.restart)
        space = SearchSpace(restarting("container+go", parameters))
        assert [parameter.cost for parameter in space.parameters] == ["live", "restart"]
        arm = actuator("container+go", inside, space)
        assert place.restart is not None
        service = Service(place.restart, cgroups=Group(inside.place).directories())
        try:
            service.start(variables_of((tmp_path / "env").read_text()))
            first = service.pid()
            for name in ("cpu.shares", "cpuset.cpus"):
                assert (group.file(name).parent / "cgroup.procs").read_text().split() == [str(first)]
            image = arm.write({CPUS: 0.3, names[1]: "0-1"}, Stamp("r1", 1), arm.read().version)
            assert service.pid() == first
            arm.write({CPUS: 0.3, names[1]: "0"}, Stamp("r1", 2), image.version)
            assert service.pid() not in (None, first)
            assert (group.file("cpu.shares").parent / "cgroup.procs").read_text().split() == [str(service.pid())]
            assert dict(arm.effective()) == {CPUS: 0.3, names[1]: "0"}
        finally:
            service.stop()


# --- cgroup v2 -------------------------------------------------------------------------------------------------------


def test_the_unified_hierarchy_has_its_own_files_and_words(tmp_path: Path) -> None:
    """One directory; `max` for no limit, a weight for shares, swap without the memory."""
    group = unified(tmp_path)
    kept = GroupLimits(Group({"cgroup": "shop", "cgroup_root": str(tmp_path)}))
    assert kept.present(MEMORY) == UNLIMITED
    assert kept.present(SWAP) == -1
    wanted: dict[str, Value] = {
        CPUS: 0.5,
        PERIOD: 20_000,
        BURST: 5_000,
        SHARES: 512,
        MEMORY: 64 * MIB,
        SWAP: 96 * MIB,
        "docker.memory_reservation": 32 * MIB,
        "docker.pids_limit": 99,
        "docker.blkio_weight": 500,
        "docker.cpuset_cpus": "0-1",
    }
    kept.settle(wanted)
    files = ("cpu.max", "cpu.max.burst", "cpu.weight", "memory.max", "memory.swap.max", "memory.low", "io.weight")
    assert [(group / name).read_text() for name in files] == [
        "10000 20000",
        "5000",
        "59",
        str(64 * MIB),
        str(32 * MIB),
        str(32 * MIB),
        "4950",
    ]
    assert all(kept.fits(name, value, kept.present(name)) for name, value in wanted.items())
    kept.settle({CPUS: UNLIMITED, MEMORY: UNLIMITED, "docker.pids_limit": -1, "docker.cpuset_cpus": "all"})
    assert (group / "cpu.max").read_text() == "max 20000"
    assert [(group / name).read_text() for name in ("memory.max", "pids.max", "cpuset.cpus")] == ["max", "max", "\n"]


def test_an_absolute_directory_is_a_group_of_the_unified_hierarchy(tmp_path: Path) -> None:
    """Where v1 and v2 are mounted side by side."""
    folder = unified(tmp_path)
    assert Group({"cgroup": str(folder)}).directories() == (folder,)
    assert Group({"cgroup": str(folder)}).unified


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (512, 59), (1024, 100), (4096, 303), (262144, 10000)])
def test_shares_become_a_weight_as_in_container_runtimes(shares: int, weight: int) -> None:
    """The points of opencontainers/cgroups."""
    assert weight_of(shares) == weight


# --- what is wrong ---------------------------------------------------------------------------------------------------


def test_the_file_has_to_say_what_is_in_force(tmp_path: Path) -> None:
    """Nothing else knows the way back: the error names the lines that are missing, as they are now."""
    unified(tmp_path, cpu__max="50000 100000")
    (tmp_path / "env").write_text("")
    arm = arm_of(tmp_path / "env", {"cgroup": "shop", "cgroup_root": str(tmp_path)}, CPUS, MEMORY)
    with pytest.raises(Misconfigured, match=r"add: TRIMTAB_DOCKER_CPUS=0.5 TRIMTAB_DOCKER_MEMORY=unlimited"):
        arm.read()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({}, "'cgroup' is ''"),
        ({"cgroup": "../../etc"}, "'cgroup' is '../../etc'"),
        ({"cgroup": "no-such-group"}, "cpu.max does not exist"),
    ],
)
def test_a_group_that_is_not_there_is_named(tmp_path: Path, place: dict[str, str], words: str) -> None:
    """Misconfigured: which file, and what it may be."""
    unified(tmp_path)
    (tmp_path / "env").write_text("TRIMTAB_DOCKER_CPUS=0.5\n")
    with pytest.raises(Misconfigured, match=words):
        arm_of(tmp_path / "env", {**place, "cgroup_root": str(tmp_path)}, CPUS).effective()


def test_a_kernel_without_bursts_is_told_apart_from_a_refused_value(tmp_path: Path) -> None:
    """The file is missing: the parameter has to go, whatever its value."""
    (unified(tmp_path) / "cpu.max.burst").unlink()
    kept = GroupLimits(Group({"cgroup": "shop", "cgroup_root": str(tmp_path)}))
    with pytest.raises(Misconfigured, match=r"does the kernel have cpu.max.burst"):
        kept.settle({BURST: 0})


def test_files_that_may_only_be_read_leave_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hierarchy mounted read-only: the target keeps its text and its limit."""
    group = unified(tmp_path, cpu__max="50000 100000")
    (tmp_path / "env").write_text("TRIMTAB_DOCKER_CPUS=0.5\n")
    arm = arm_of(tmp_path / "env", {"cgroup": "shop", "cgroup_root": str(tmp_path)}, CPUS)
    real = open

    def read_only(path: object, mode: str = "r", **options: str) -> object:
        if "w" in mode and str(path).startswith(str(group)):
            raise OSError(30, "Read-only file system")
        return real(path, mode, **options)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", read_only)
    image = arm.read()
    with pytest.raises(Misconfigured, match=r"cpu.max cannot be written: .*mounted read-only"):
        arm.write({CPUS: 0.25}, Stamp("r1", 1), image.version)
    assert arm.read() == image
    assert dict(arm.effective()) == {CPUS: 0.5}


def test_what_needs_another_container_is_refused_by_name(tmp_path: Path) -> None:
    """Its shared memory is set where it is made."""
    unified(tmp_path)
    with pytest.raises(Misconfigured, match=r"docker.shm_size cannot be changed while a container runs"):
        arm_of(tmp_path / "env", {"cgroup": "shop", "cgroup_root": str(tmp_path)}, "docker.shm_size")
