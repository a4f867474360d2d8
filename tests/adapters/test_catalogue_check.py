"""The catalogue checks itself over many machines: every seed inside its bounds, every constraint can be met, and
whatever is drawn from a preset lies inside all of them."""

from __future__ import annotations

import ast
import itertools
import random

import pytest

from adapters.actuators.registry import KINDS, families
from adapters.catalogue import load, survey
from adapters.catalogue_bounds import make
from adapters.catalogue_check import Found, check_preset, recommended, seed_outside
from adapters.catalogue_environment import assume
from adapters.catalogue_limits import Environment
from domain.formula import Scalar, parse, tree

MIB = 2**20
MEMORY = (256, 384, 512, 1024, 2048, 4096, 8192, 16384, 65536)  # MiB
CPUS = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
VERSIONS = {"postgresql": ("13", "14", "15", "16", "17", "18"), "jvm": ("11", "17", "21", "25"), "node": ("20", "24")}
SMALLEST = 128  # MiB for one CPU: less memory for so many threads is no container that anybody runs
COUNT = 204
PARTS = 3  # of the lattice, so that workers of the test runner share it


def lattice() -> list[tuple[Environment, random.Random]]:
    """Machines from 256 MiB and a tenth of a CPU to 64 GiB and 64 CPUs, each with a disk, a workload and a live set."""
    found: list[tuple[Environment, random.Random]] = []
    sizes = [(mem, cpu) for mem, cpu in itertools.product(MEMORY, CPUS) if mem / cpu >= SMALLEST]
    for number, (mem, cpu) in enumerate((sizes * 3)[:COUNT]):
        rng = random.Random(number)
        given: dict[str, Scalar] = {
            "mem": mem * MIB,
            "cpu": cpu,
            "disk": rng.choice(["hdd", "ssd", "nvme", "net"]),
            "workload": rng.choice(["web", "oltp", "dw", "mixed"]),
            "live": round(rng.choice([0.02, 0.1, 0.2, 0.3]) * mem * MIB),
            "slo_ms": rng.choice([10, 50, 200, 1000]),
            "conns": rng.choice([20, 100, 1000]),
        }
        found.append((assume(given), rng))
    return found


MACHINES = lattice()


def test_there_are_enough_machines() -> None:
    """At least 200 environments are looked at."""
    assert len(MACHINES) >= 200


@pytest.mark.parametrize("part", range(PARTS))
def test_every_preset_works_on_every_machine(part: int) -> None:
    """No line of a check fails: bounds, constraints, seeds, and 20 samples of each preset. The settings that it does
    not search are the recommended ones."""
    failed: list[tuple[str, Environment, str, Found]] = []
    searched: set[str] = set()
    for environment, rng in MACHINES[part::PARTS]:
        for preset in load().presets.values():
            version = next((rng.choice(VERSIONS[each]) for each in preset.families if each in VERSIONS), "")
            present = recommended(preset, environment, version)
            lines = check_preset(preset, environment, version, present)
            failed += [(preset.name, environment, version, line) for line in lines if line.level == "fail"]
            searched |= {preset.name for line in lines if line.level == "ok"}
    assert failed == []
    assert searched == set(load().presets)


def test_every_seed_lies_inside_its_bounds() -> None:
    """For each parameter of the catalogue on each machine: the expert's value is one that may be searched."""
    wrong = {}
    for environment, _ in MACHINES[::2]:
        for entry in load().entries.values():
            if entry.search is None or ("lo" not in entry.search and "values" not in entry.search):
                continue
            problem = seed_outside(entry, make(entry, "9999", (environment,), None, None), environment)
            if problem:
                wrong[entry.id] = (problem, environment["mem"], environment["cpu"])
    assert wrong == {}


@pytest.mark.parametrize("name", sorted(load().presets))
def test_a_preset_says_what_it_may(name: str) -> None:
    """At most 12 parameters that need nobody's word, none twice, all of its families; the others need the owner's."""
    known = load()
    preset = known.presets[name]
    assert 1 <= len(preset.parameters) <= 12
    both = [*preset.parameters, *preset.with_consent]
    assert len(set(both)) == len(both)
    assert {known.entries[each].policy for each in preset.parameters} == {"auto"}
    assert {known.entries[each].policy for each in preset.with_consent} <= {"opt_in", "recommend"}
    assert {known.entries[each].family for each in both} <= set(preset.families)
    assert {known.entries[each].family for each in preset.parameters} == set(preset.families)
    assert set(preset.bounds) <= set(both)
    assert set(preset.assumes) <= set(known.environment)


def test_somebody_writes_what_a_preset_searches() -> None:
    """For each preset there is a kind of actuator that writes all of its families; kernel settings are shown only."""
    kinds = {kind: set(families(kind)) for kind in KINDS}
    unwritten = [
        preset.name
        for preset in load().presets.values()
        if not any(set(preset.families) <= written for written in kinds.values())
    ]
    assert unwritten == ["sysctl-network"]


@pytest.mark.parametrize("name", ["postgresql-reload", "nginx-static", "nginx-proxy", "nginx-inert"])
def test_reload_presets_never_restart(name: str) -> None:
    """Nothing in them needs more than a reload, the consented ones included."""
    preset = load().presets[name]
    modes = {load().entries[each].mode for each in (*preset.parameters, *preset.with_consent)}
    assert modes <= {"live", "reload"}


def test_every_executable_constraint_is_evaluated_somewhere() -> None:
    """Each constraint with an expression ties something when what it names is searched or present."""
    known = load()
    silent = []
    machine = assume({"mem": 4096 * MIB, "cpu": 4})
    for rule in known.rules:
        if not rule.expression:
            continue
        ids = sorted(parse(rule.expression).names & known.entries.keys())
        searched = [each for each in ids if (known.entries[each].search or {}).get("scale")]
        present = {each: known.entries[each].default.get("all", 0) for each in ids if each not in searched}
        version = "18" if rule.id.startswith("C-PG") else ""
        found = survey(searched, machine, present=present, version=version)
        if rule.id not in {*found.ties.values(), *found.warnings.values()}:
            silent.append(rule.id)
    assert silent == []


def test_no_constraint_divides_by_a_parameter() -> None:
    """What is in force may be 0: a JVM says so of every flag that its collector does not read."""
    for rule in load().rules:
        for node in ast.walk(tree(rule.expression)) if rule.expression else ():
            if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.FloorDiv, ast.Mod)):
                divisor = parse(ast.unparse(node.right))
                assert not divisor.names & load().entries.keys(), rule.id


def test_defaults_that_leave_no_room_are_told_with_what_to_set() -> None:
    """PostgreSQL's own 100 connections do not fit into 256 MiB: a warning names the values that make room."""
    small = assume({"mem": 256 * MIB, "cpu": 0.5})
    lines = check_preset(load().presets["postgresql-oltp"], small)
    (warning,) = [line for line in lines if line.what == "C-PG-MEM"]
    assert warning.level == "warn"
    assert "pg.max_connections=10" in warning.why


def test_a_machine_that_nothing_fits_fails_with_the_constraint() -> None:
    """Half of 256 MiB alive leaves no room for a JVM: the check says which constraint, and does not crash."""
    crowded = assume({"mem": 256 * MIB, "cpu": 0.5, "live": 128 * MIB})
    (line,) = check_preset(load().presets["jvm-service"], crowded)
    assert line.level == "fail"
    assert line.why.startswith("C-JVM-MEM")


def test_questions_are_asked_and_parameters_left_out_are_named() -> None:
    """What no expression can decide is a question; what is not searched has its reason."""
    lines = check_preset(load().presets["jvm-service"], assume({"mem": 512 * MIB, "cpu": 0.5}), "11")
    asked = {line.what for line in lines if line.level == "ask"}
    assert "C-JVM-GC1" in asked
    out = {line.what: line.why for line in lines if line.level == "out"}
    assert out["jvm.ParallelGCThreads"] == "one possible value: 1"
    static = check_preset(load().presets["nginx-static"], assume({}))
    assert ("nginx.open_file_cache", "ask") in {(line.what, line.level) for line in static}
