"""What is asked of a Docker engine, and what its answers mean."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.actuators.registry import LocalArm, actuator
from domain.errors import Misconfigured, Rejected, Transient
from domain.ports import Stamp
from domain.space import Parameter, SearchSpace
from domain.target import Arm
from tests.docker_engine import Engine, fake

MIB = 2**20
MEMORY, CPUS, PERIOD = "docker.memory", "docker.cpus", "docker.cpu_period"
HOST = {"Memory": 256 * MIB, "MemorySwap": 512 * MIB, "NanoCpus": 500_000_000}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with fake(tmp_path / "engine.sock", HOST) as running:
        yield running


def arm_of(engine: Engine, tmp_path: Path, state: str, *names: str, container: str = "shop") -> LocalArm:
    (tmp_path / "state").write_text(state)
    space = SearchSpace(tuple(Parameter(name, "real", "unlimited", low=0, high=2**40, cost="live") for name in names))
    keys = {"container": container, "state": str(tmp_path / "state"), "engine": engine.address}
    return actuator("docker", Arm("a", keys), space)


def test_swap_stays_as_large_as_it_was(engine: Engine, tmp_path: Path) -> None:
    """The engine counts memory and swap together; a memory limit alone would be refused above it, or eat it up."""
    arm = arm_of(engine, tmp_path, f"TRIMTAB_DOCKER_MEMORY={256 * MIB}\n", MEMORY)
    arm.protect("r1", 1e12)
    image = arm.write({MEMORY: 1024 * MIB}, Stamp("r1", 1), arm.read().version)
    assert engine.updates == [{"Memory": 1024 * MIB, "MemorySwap": 1280 * MIB}]
    arm.restore(Stamp("r1", 2), image.version)
    assert engine.host == HOST


def test_cpus_are_written_as_the_container_was_made(engine: Engine, tmp_path: Path) -> None:
    """With --cpus by NanoCpus, with a quota by quota; what is there already is not asked for."""
    arm = arm_of(engine, tmp_path, "TRIMTAB_DOCKER_CPUS=0.5\n", CPUS)
    image = arm.write({CPUS: 0.5}, Stamp("r1", 1), arm.read().version)
    assert engine.updates == []
    image = arm.write({CPUS: 0.75}, Stamp("r1", 2), image.version)
    assert engine.updates == [{"NanoCpus": 750_000_000}]
    engine.host = {"CpuQuota": 50_000, "CpuPeriod": 100_000}
    arm = arm_of(engine, tmp_path, "TRIMTAB_DOCKER_CPUS=0.5\nTRIMTAB_DOCKER_CPU_PERIOD=100000\n", CPUS, PERIOD)
    arm.write({CPUS: 0.3333333, PERIOD: 20_000}, Stamp("r1", 3), arm.read().version)
    assert engine.updates[1:] == [{"CpuPeriod": 20_000, "CpuQuota": 6667}]
    assert dict(arm.effective()) == {CPUS: 0.3333333, PERIOD: 20_000}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, "No such container: shop"), Misconfigured),
        ((409, "Container shop is marked for removal"), Transient),
        ((500, "driver failed"), Transient),
    ],
)
def test_an_engine_that_answers_otherwise(
    engine: Engine, tmp_path: Path, answer: tuple[int, str], error: type[Exception]
) -> None:
    """Nobody has it; it is being changed; the engine is ill. Its own words are told."""
    arm = arm_of(engine, tmp_path, f"TRIMTAB_DOCKER_MEMORY={256 * MIB}\n", MEMORY)
    engine.answer = answer
    with pytest.raises(error, match=answer[1]):
        arm.effective()


def test_an_update_that_the_kernel_refuses_is_a_refused_candidate(engine: Engine, tmp_path: Path) -> None:
    """500 to an update: the state is as before."""
    engine.refuse("Memory", 4 * MIB)
    arm = arm_of(engine, tmp_path, f"TRIMTAB_DOCKER_MEMORY={256 * MIB}\n", MEMORY)
    image = arm.read()
    with pytest.raises(Rejected, match="Cannot update container: Memory 4194304"):
        arm.write({MEMORY: 4 * MIB}, Stamp("r1", 1), image.version)
    assert arm.read() == image
    assert dict(arm.effective()) == {MEMORY: 256 * MIB}


def test_no_engine_is_for_now(tmp_path: Path) -> None:
    """A socket that nobody listens on, or that is not there."""
    nobody = Engine(f"unix://{tmp_path / 'no.sock'}", {})
    arm = arm_of(nobody, tmp_path, f"TRIMTAB_DOCKER_MEMORY={256 * MIB}\n", MEMORY)
    with pytest.raises(Transient, match="does not answer"):
        arm.effective()


@pytest.mark.parametrize(
    ("host", "state", "names", "words"),
    [
        ({}, f"TRIMTAB_DOCKER_MEMORY={MIB}\n", ("docker.shm_size",), "shm_size cannot be changed while"),
        ({}, "TRIMTAB_DOCKER_MEMORY=unlimited\n", (MEMORY,), "cannot take a limit away again"),
        (HOST, "TRIMTAB_DOCKER_CPU_PERIOD=100000\n", (PERIOD,), "made with --cpus"),
        (HOST, "", (MEMORY,), f"add: TRIMTAB_DOCKER_MEMORY={256 * MIB}"),
    ],
)
def test_what_the_engine_cannot_undo_is_refused(
    engine: Engine, tmp_path: Path, host: dict[str, Any], state: str, names: tuple[str, ...], words: str
) -> None:
    """Before the first update."""
    engine.host = dict(host)

    def try_it() -> None:
        arm = arm_of(engine, tmp_path, state, *names)
        arm.write(dict.fromkeys(names, 4096 * MIB), Stamp("r1", 1), arm.read().version)

    with pytest.raises(Misconfigured, match=words):
        try_it()
    assert engine.updates == []


@pytest.mark.parametrize("missing", ["container", "state"])
def test_the_arm_says_what_it_needs(missing: str) -> None:
    """Both keys of its place."""
    keys = {"container": "shop", "state": "/tmp/state"}
    del keys[missing]
    with pytest.raises(Misconfigured, match=f"needs '{missing}'"):
        actuator("docker", Arm("a", keys), SearchSpace((Parameter(MEMORY, "integer", 1, low=1, high=2),)))
