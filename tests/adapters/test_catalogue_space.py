"""Spaces of the catalogue: searched limits, activity, versions, present values, and who may narrow what."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adapters.catalogue import Narrow, load, space_for, survey
from adapters.catalogue_environment import RULES, assume, read
from adapters.catalogue_limits import LIMITS
from adapters.catalogue_reasons import end_text, left, left_text
from domain.errors import Misconfigured
from domain.formula import parse
from domain.space import Settings, problems, sample

MIB = 2**20
ROOMY = assume({"mem": 2048 * MIB, "cpu": 2})


def numbers(settings: Settings) -> dict[str, float]:
    return {name: float(value) for name, value in settings.items() if isinstance(value, (int, float))}


# --- limits that are searched ----------------------------------------------------------------------------------------


def test_a_searched_limit_takes_the_place_of_mem_in_constraints() -> None:
    """Whatever heap and limit are drawn together, they fit by the catalogue's own constraint at that limit."""
    rule = next(rule for rule in load().rules if rule.id == "C-JVM-MEM")
    space, _ = space_for(["docker.memory", "jvm.MaxHeapSize", "jvm.gc"], ROOMY)
    drawn = sample(space, random.Random(1), 200)
    limits = [int(str(each["docker.memory"])) for each in drawn]
    assert min(limits) < ROOMY["mem"] / 2  # type: ignore[operator]
    assert max(limits) > 2 * ROOMY["mem"]  # type: ignore[operator]
    for each in drawn:
        assert parse(rule.expression).truth({**ROOMY, **each, "mem": each["docker.memory"]})


def test_bounds_follow_the_searched_limit() -> None:
    """Bounds widen to the largest limit, and each candidate lies inside the bounds at its own limit."""
    ids = ["docker.memory", "docker.cpus", "pg.shared_buffers", "jvm.ParallelGCThreads"]
    found = survey(ids, ROOMY)
    memory, buffers = found.scene.chosen["docker.memory"], found.scene.chosen["pg.shared_buffers"]
    assert buffers.high == pytest.approx(0.4 * float(memory.high or 0), rel=1e-6)
    assert buffers.low == pytest.approx(max(16 * MIB, 0.1 * float(memory.low or 0)), abs=8192)
    for each in map(numbers, sample(found.space, random.Random(2), 100)):
        share = each["pg.shared_buffers"] / each["docker.memory"]
        assert share <= 0.4 or each["pg.shared_buffers"] <= 32 * MIB
        assert share >= 0.1 or each["pg.shared_buffers"] >= 16 * MIB
        assert each["jvm.ParallelGCThreads"] <= max(1, -(-each["docker.cpus"] // 1))


def test_what_the_program_works_out_follows_the_searched_limit() -> None:
    """A heap that nobody sets is a quarter of whatever limit is tried, not of the limit in force."""
    found = survey(["docker.memory", "jvm.gc"], ROOMY)
    (text,) = [text for text, rule in found.ties.items() if rule == "C-JVM-MEM"]
    assert "docker.memory / 4" in text
    assert problems(found.space, {"docker.memory": 1024 * MIB, "jvm.gc": "Serial"}) == ()
    assert problems(found.space, {"docker.memory": 340 * MIB, "jvm.gc": "G1"}) != ()


def test_no_limit_counts_as_the_whole_node() -> None:
    """`unset` of the CPU limit is searched as well, and stands for the node's CPUs."""
    found = survey(["k8s.cpu_limit", "jvm.ParallelGCThreads"], ROOMY)
    assert found.scene.chosen["jvm.ParallelGCThreads"].high == ROOMY["node_cpu"]
    drawn = [each for each in sample(found.space, random.Random(0), 300) if each["k8s.cpu_limit"] == "unset"]
    assert max(numbers(each)["jvm.ParallelGCThreads"] for each in drawn) > 4


def test_seeds_follow_the_limit_that_they_start_from() -> None:
    """The expert's values are those for the limit in the same seed; the preset does not go above the one in force."""
    _, seeds = space_for(load().presets["container-go"].parameters, ROOMY, preset="container-go")
    assert seeds[0]["docker.memory"] == ROOMY["mem"]
    assert seeds[0]["go.GOMEMLIMIT"] == pytest.approx(0.9 * float(str(seeds[0]["docker.memory"])), rel=1e-6)


def test_two_limits_of_one_container_are_refused() -> None:
    """Nobody can say which of the two is meant."""
    with pytest.raises(Misconfigured, match=r"k8s\.memory_limit both set 'mem'"):
        space_for(["docker.memory", "k8s.memory_limit"], ROOMY)


@pytest.mark.parametrize("name", [name for names in LIMITS.values() for name in names])
def test_a_limit_itself_keeps_the_limit_in_force(name: str) -> None:
    """The bounds of a limit come from the environment, not from its own candidates."""
    found = survey([name], ROOMY).scene.chosen[name]
    search = load().entries[name].search or {}
    assert found.low == pytest.approx(parse(search["lo"]).number(ROOMY), abs=1)
    assert found.high == pytest.approx(parse(search["hi"]).number(ROOMY), abs=1)


# --- what counts in constraints --------------------------------------------------------------------------------------


def test_the_collector_that_the_vm_would_choose_counts() -> None:
    """A heap that is searched alone is held to the memory that the VM's own choice of collector needs."""
    small = assume({"mem": 512 * MIB, "cpu": 0.5})
    found = survey(["jvm.MaxHeapSize"], small)
    entry = load().entries["jvm.MaxHeapSize"]
    rest = left(found, found.scene.chosen["jvm.MaxHeapSize"], {})
    outside = 0.95 * 512 * MIB - sum(float(str(small[name])) for name in ("codecache", "direct")) - 32 * MIB
    outside -= 1.25 * float(str(small["metaspace"])) + 0.25 * MIB * float(str(small["threads"]))
    assert rest.high == pytest.approx(outside / 1.005, rel=1e-3)
    assert left_text(entry, rest).endswith("by C-JVM-MEM")


def test_inactive_parameters_tie_nothing() -> None:
    """More concurrent than parallel threads is refused by the VM only where the collector has both kinds."""
    found = survey(["jvm.gc", "jvm.ParallelGCThreads", "jvm.ConcGCThreads"], assume({"mem": 8192 * MIB, "cpu": 8}))
    base: dict[str, object] = {"jvm.ParallelGCThreads": 1, "jvm.ConcGCThreads": 4}
    assert problems(found.space, {**base, "jvm.gc": "Serial"}) == ()  # type: ignore[dict-item]
    assert problems(found.space, {**base, "jvm.gc": "G1"}) != ()  # type: ignore[dict-item]


def test_a_present_value_switches_a_parameter_off() -> None:
    """`active_when` is asked of what the target has: without compression its level is left out, with the reason."""
    ids = ["nginx.gzip_comp_level", "nginx.sendfile"]
    found = survey(ids, ROOMY, present={"nginx.gzip": False})
    assert found.left_out == {"nginx.gzip_comp_level": "inactive: counts only when nginx.gzip == True"}
    assert survey(ids, ROOMY, present={"nginx.gzip": True}).left_out == {}


def test_present_values_are_numbers_in_constraints() -> None:
    """600 connections leave less room for shared_buffers than 20."""
    entry = load().entries["pg.shared_buffers"]
    tops = []
    for connections in (20, 600):
        present = {"pg.max_connections": connections, "pg.max_parallel_workers_per_gather": 0, "pg.jit": False}
        found = survey(["pg.shared_buffers"], ROOMY, present=present)
        seen = left(found, found.scene.chosen["pg.shared_buffers"], {})
        tops.append(float(str(seen.high)))
    assert tops[0] > tops[1]
    assert end_text(entry, found.made["pg.shared_buffers"].high, found) == "max(32*MB, 0.40*mem) = 819.2 MiB"  # type: ignore[arg-type]


def test_docker_knows_shared_memory_by_its_own_name() -> None:
    """The constraint on /dev/shm is written for Kubernetes and holds for a container of the engine too."""
    ids = ["docker.shm_size", "pg.max_parallel_workers_per_gather", "pg.work_mem"]
    tied = [text for text, rule in survey(ids, ROOMY).ties.items() if rule == "C-PG-SHM"]
    assert len(tied) == 1
    assert all(name in tied[0] for name in ids)


def test_auto_counts_as_the_cpus_of_the_node() -> None:
    """`auto` workers are as many as the node has CPUs, whatever the quota is."""
    few = {**ROOMY, "conns": 2000}
    space, _ = space_for(["nginx.worker_processes"], few, present={"nginx.worker_connections": 512})
    assert problems(space, {"nginx.worker_processes": "auto"}) == ()
    assert problems(space, {"nginx.worker_processes": 1}) != ()


# --- what is left out, and what may not be ---------------------------------------------------------------------------


def test_a_version_without_the_parameter_leaves_it_out_unless_it_was_named() -> None:
    """A preset spans versions; whoever names a parameter, or bounds of it, hears that the version lacks it."""
    ids = ["pg.io_method", "pg.jit"]
    found = survey(ids, ROOMY, version="15")
    assert "exists since 18; the target's version is 15" in found.left_out["pg.io_method"]
    assert survey(ids, ROOMY, version="18").left_out == {}
    with pytest.raises(Misconfigured, match=r"pg\.io_method: exists since 18"):
        survey(ids, ROOMY, version="15", required=["pg.io_method"])
    with pytest.raises(Misconfigured, match=r"pg\.io_method: exists since 18"):
        survey(ids, ROOMY, {"pg.io_method": Narrow(values=("worker", "sync"))}, version="15")
    assert "until 23" in survey(["jvm.ZGenerational", "jvm.gc"], ROOMY, version="25").left_out["jvm.ZGenerational"]


def test_a_live_set_that_no_heap_can_hold_is_told() -> None:
    """1.3 times the live set above four fifths of the limit: no heap is safe, and no crash of the tool either."""
    crowded = assume({"mem": 1024 * MIB, "cpu": 2, "live": 900 * MIB})
    found = survey(["jvm.MaxHeapSize", "jvm.gc", "jvm.MaxGCPauseMillis"], crowded)
    assert "no safe value exists here" in found.left_out["jvm.MaxHeapSize"]
    assert list(found.scene.chosen) == ["jvm.gc", "jvm.MaxGCPauseMillis"]
    with pytest.raises(Misconfigured, match="no safe value exists"):
        survey(["jvm.MaxHeapSize", "jvm.gc"], crowded, required=["jvm.MaxHeapSize"])


def test_nothing_left_to_search_is_an_error_with_the_reasons() -> None:
    """A space without parameters would be a run that cannot do anything."""
    with pytest.raises(Misconfigured, match=r"nothing to search: pg\.io_method: exists since 18"):
        survey(["pg.io_method"], ROOMY, version="15")


def test_the_owner_goes_beyond_the_preset_but_not_beyond_the_catalogue() -> None:
    """Bounds of the preset are a default, those of the catalogue are not."""
    ids = load().presets["container-cpu"].parameters
    tight = survey(ids, ROOMY, preset="container-cpu").scene.chosen["docker.cpus"]
    assert (tight.low, tight.high) == (1.0, 2.0)
    owner = {"docker.cpus": Narrow(1.0, 4.0)}
    wide = survey(ids, ROOMY, owner, preset="container-cpu").scene.chosen["docker.cpus"]
    assert (wide.low, wide.high) == (1.0, 4.0)
    with pytest.raises(Misconfigured, match=r"outside the catalogue's 0\.5 to 8"):
        survey(ids, ROOMY, {"docker.cpus": Narrow(1.0, 9.0)}, preset="container-cpu")


# --- the environment -------------------------------------------------------------------------------------------------


def test_assumptions_cover_every_variable_and_give_way() -> None:
    """There is a rule for each variable of the catalogue; what a person or a preset says counts first."""
    assert set(RULES) == set(load().environment)
    said = assume({"mem": 256 * MIB, "conns": 7}, {"workload": "dw", "conns": 9})
    assert (said["conns"], said["workload"], said["cpu"]) == (7, "dw", 2)


def test_the_page_names_every_rule_and_every_preset() -> None:
    """docs/catalogue.md has the rules of the assumptions as they are, and no preset is missing there."""
    text = (Path(__file__).parents[2] / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert [name for name, rule in RULES.items() if f"| `{name}` | `{rule}` |" not in text] == []
    assert [name for name in load().presets if f"`{name}`" not in text] == []


def test_values_of_people_are_read_with_their_units() -> None:
    """Sizes, numbers and words; names with a dot are parameters."""
    environment, present = read(["mem=2Gi", "live=300M", "disk=nvme", "cpu=1.5", "pg.work_mem=8MB", "pg.jit=off"])
    assert environment == {"mem": 2048 * MIB, "live": 300 * MIB, "disk": "nvme", "cpu": 1.5}
    assert present == {"pg.work_mem": 8 * MIB, "pg.jit": False}
    for wrong in ("mem=much", "disk=tape", "nothing", "pg.nothing=1", "conns=-1"):
        with pytest.raises(Misconfigured, match=wrong.partition("=")[0]):
            read([wrong])
