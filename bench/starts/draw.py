"""Which candidates are tried: an environment, what is set once in it, and settings from the space of a preset there.

Candidate `number` of a preset depends on the seed, the preset and the number alone, so that a run can be taken up again
on any machine with the same number of CPUs, memory and open files.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from adapters.catalogue import preset_of, survey
from adapters.catalogue_check import recommended
from adapters.catalogue_data import Preset, load
from adapters.catalogue_environment import assume
from bench.starts.corner import memory_rules, pushed
from domain.formula import Scalar, parse
from domain.space import Parameter, SearchSpace, Settings, Value, sample

MEM = (256 * 2**20, 8 * 2**30)  # bytes, log-uniform
CPU = (0.25, 2.0)  # cores, log-uniform
PRESETS: Mapping[str, str] = {  # the presets that have a server here, with the version of their program
    "nginx-static": "1.22",
    "nginx-proxy": "1.22",
    "container-cpu": "1.22",
    "node-service": "20",
    "container-node": "20",
    "go-service": "1.26",
    "container-go": "1.26",
    "python-service": "3.11",
    "postgresql-oltp": "15",
    "postgresql-analytic": "15",
    "postgresql-reload": "15",
    "container-postgresql": "15",
    "jvm-service": "17",
    "jvm-batch": "17",
    "container-jvm": "17",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is started. `environment`: variables of catalogue/common.yaml (bytes, cores). `present` is set once, for the
    preset's program, `settings` are the candidate's, values of `parameters`. `loaded`: it also bears load. `free`:
    drawn without constraints."""

    preset: str
    number: int
    loaded: bool
    free: bool
    environment: Mapping[str, Scalar]
    present: Mapping[str, Value]
    settings: Settings
    parameters: tuple[Parameter, ...]

    @property
    def key(self) -> str:
        return key_of(self.preset, self.number, self.free)

    @property
    def family(self) -> str:
        """Of the program that is started."""
        return program_of(preset_of(self.preset))

    def size(self, name: str) -> int:
        """A variable of the environment as a whole number."""
        return int(self.environment[name])

    @property
    def memory(self) -> int:
        """The limit of the control group in bytes: the candidate's own where it has one."""
        return int(self.settings.get("docker.memory", self.environment["mem"]))

    @property
    def cpus(self) -> float:
        """The CPUs of the control group, as `memory`."""
        return float(self.settings.get("docker.cpus", self.environment["cpu"]))


def key_of(preset: str, number: int, free: bool) -> str:
    return f"{preset}/{number}{'/free' if free else ''}"


def is_loaded(number: int, candidates: int, loaded: int) -> bool:
    """Whether candidate `number` of so many is one of the `loaded`, which are spread evenly."""
    return (number + 1) * loaded // candidates > number * loaded // candidates


def draw(preset: str, number: int, seed: int, *, loaded: bool, free: bool) -> Candidate:
    """A candidate: uniform over the space, and where it is `loaded` pushed to the memory bound. The one that is `free`
    is drawn uniformly inside the same bounds without any constraint, whether it is loaded or not."""
    rng = random.Random(f"{seed}/{preset}/{number}")
    named, version = preset_of(preset), PRESETS[preset]
    mem, cpu = round(_log_uniform(rng, *MEM)), round(_log_uniform(rng, *CPU), 2)
    environment = assume({"mem": mem, "cpu": cpu, **machine()}, named.assumes)
    present = {
        name: value
        for name, value in recommended(named, environment, version).items()
        if not name.startswith("docker.")  # the group is new: it has what a new one has
    }
    found = survey(named.parameters, environment, present=present, version=version, preset=preset)
    space = SearchSpace(found.space.parameters) if free else found.space
    settings = sample(space, rng, 1)[0]
    if loaded and not free:
        settings = pushed(space, settings, memory_rules({**found.ties, **found.warnings}), rng)
    return Candidate(preset, number, loaded, free, environment, present, dict(settings), space.parameters)


@cache
def catalogues() -> Mapping[str, str]:
    """By preset, a hash of all in the catalogue that its candidates depend on: with another one they are others."""
    known = load()
    found: dict[str, str] = {}
    for name in PRESETS:
        families = known.presets[name].families
        entries = [
            (each.id, each.search, each.seed, each.active_when)
            for each in known.entries.values()
            if each.family in families
        ]
        own = {id for id, *_ in entries}
        rules = [
            (each.id, each.hard, each.expression)
            for each in known.rules
            if each.expression and parse(each.expression).names & own
        ]
        found[name] = hashlib.sha256(repr((entries, rules, known.presets[name])).encode()).hexdigest()[:12]
    return found


def machine() -> dict[str, Scalar]:
    """What the environment says of the machine itself."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return {"node_cpu": os.cpu_count() or 1, "node_mem": pages, "nofile": min(most, 2**20) if most > 0 else 2**20}


def program_of(preset: Preset) -> str:
    """The family whose server is started."""
    return next(family for family in preset.families if family not in ("docker", "libc"))


def root() -> Path:
    return Path(__file__).resolve().parents[2]


def _log_uniform(rng: random.Random, low: float, high: float) -> float:
    return low * math.exp(rng.random() * math.log(high / low))
