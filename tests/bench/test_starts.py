"""The starts of sampled candidates: what is drawn, what is kept, what the page says of it, and nginx for real."""

from __future__ import annotations

import itertools
import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.catalogue import load, preset_of, survey
from bench.starts.__main__ import main
from bench.starts.corner import memory_rules, pushed, share
from bench.starts.draw import CPU, MEM, PRESETS, Candidate, catalogues, draw, is_loaded
from bench.starts.group import PREFIX, Group, Refused
from bench.starts.kept import FILE, Plan, begun, keep, lines
from bench.starts.page import page, told
from bench.starts.play import played
from bench.starts.spaces import differing, written
from domain.errors import Misconfigured
from domain.space import Parameter, SearchSpace, allowed, problems
from tests.real import need

PLAN = Plan(4, 2, 1)


def space_of(candidate: Candidate) -> SearchSpace:
    """The space that it was drawn from, with its constraints."""
    named = preset_of(candidate.preset)
    return survey(
        named.parameters,
        candidate.environment,
        present=candidate.present,
        version=PRESETS[candidate.preset],
        preset=candidate.preset,
    ).space


def line(number: int, ending: str = "served", *, loaded: bool = False, free: bool = False) -> dict[str, Any]:
    return {
        "preset": "go-service",
        "catalogue": catalogues()["go-service"],
        "number": number,
        "loaded": loaded,
        "free": free,
        "mem": 2**30,
        "cpu": 1.5,
        "present": {},
        "settings": {"go.GOGC": 100},
        "ending": ending,
        "why": "" if ending == "served" else "it said no",
        "seconds": 1.25,
        "held": 2**29,
        "limit": 2**30,
    }


# --- drawing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_candidate_lies_in_its_space_and_comes_out_the_same_again(preset: str) -> None:
    """Loaded or not; the environment is inside what is promised."""
    for number, loaded in enumerate((False, True)):
        drawn = draw(preset, number, 7, loaded=loaded, free=False)
        assert drawn == draw(preset, number, 7, loaded=loaded, free=False)
        assert problems(space_of(drawn), drawn.settings) == ()
        assert MEM[0] <= drawn.size("mem") <= MEM[1]
        assert CPU[0] <= float(drawn.environment["cpu"]) <= CPU[1]
        assert drawn.memory <= drawn.size("mem")


def test_without_constraints_the_environments_are_the_same_and_some_settings_are_not_allowed() -> None:
    """Bounds hold there too."""
    free = [draw("jvm-service", number, 1, loaded=False, free=True) for number in range(20)]
    bound = [draw("jvm-service", number, 1, loaded=False, free=False) for number in range(20)]
    assert [each.environment for each in free] == [each.environment for each in bound]
    assert all(allowed(SearchSpace(each.parameters), each.settings) for each in free)
    assert not all(allowed(space_of(each), each.settings) for each in free)


def test_only_what_a_preset_depends_on_changes_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule about PostgreSQL's memory leaves the candidates of nginx what they were."""
    before, known = dict(catalogues()), load()
    kept = tuple(rule for rule in known.rules if rule.id != "C-PG-MEM")
    monkeypatch.setattr("bench.starts.draw.load", lambda: replace(known, rules=kept))
    catalogues.cache_clear()
    try:
        changed = {name for name, value in catalogues().items() if value != before[name]}
    finally:
        catalogues.cache_clear()
    assert changed == {"postgresql-oltp", "postgresql-analytic", "postgresql-reload", "container-postgresql"}


def test_the_loaded_ones_are_spread_evenly() -> None:
    """None, some, or all of them."""
    chosen = [number for number in range(500) if is_loaded(number, 500, 60)]
    assert len(chosen) == 60
    assert {b - a for a, b in itertools.pairwise(chosen)} <= {8, 9}
    assert not any(is_loaded(number, 10, 0) for number in range(10))
    assert all(is_loaded(number, 10, 10) for number in range(10))


# --- the edge --------------------------------------------------------------------------------------------------------


def test_what_is_pushed_needs_all_that_the_constraint_allows() -> None:
    """Of two parameters that share a room, whichever goes first; one that no rule names stays."""
    space = SearchSpace(
        (
            Parameter("a", "integer", 1, low=1, high=100),
            Parameter("b", "integer", 1, low=1, high=100),
            Parameter("c", "integer", 1, low=1, high=100),
        ),
        ("a + b <= 120",),
    )
    rules = memory_rules({"a + b <= 120": "C-X-MEM", "a <= 50": "C-X-OTHER"})
    seen = [pushed(space, {"a": 10, "b": 10, "c": 10}, rules, random.Random(n)) for n in range(20)]
    assert {share(rules, each) for each in seen} == {1.0}
    assert {each["c"] for each in seen} == {10}
    assert len({each["a"] for each in seen}) > 5
    assert share(rules, {"a": 60, "b": 30}) == 0.75


def test_a_limit_is_pushed_down_and_a_special_value_left_where_a_number_needs_more() -> None:
    """Less room is as good as more need."""
    space = SearchSpace(
        (
            Parameter("limit", "integer", 100, low=50, high=100),
            Parameter("pool", "integer", -1, low=1, high=60, special=(-1,)),
        ),
        ("pool <= 0.5 * limit",),
    )
    rules = memory_rules({"pool <= 0.5 * limit": "C-X-MEM"})
    found = pushed(space, {"limit": 100, "pool": -1}, rules, random.Random(1))
    assert share(rules, found) == 1.0
    assert isinstance(found["pool"], int)
    assert found["pool"] >= 25


@pytest.mark.parametrize("preset", ["jvm-service", "container-jvm", "postgresql-oltp", "node-service", "go-service"])
def test_a_loaded_candidate_is_at_its_memory_bound(preset: str) -> None:
    """Within a hundredth, or its parameters are at their ends."""
    drawn = draw(preset, 3, 1, loaded=True, free=False)
    named = preset_of(preset)
    found = survey(named.parameters, drawn.environment, present=drawn.present, version=PRESETS[preset], preset=preset)
    rules = memory_rules(found.ties)
    plain = draw(preset, 3, 1, loaded=False, free=False)
    assert share(rules, drawn.settings) >= share(rules, plain.settings)
    names = {name for need, room in rules for name in need.names | room.names}
    ends = [
        drawn.settings[each.name] in (each.low, each.high)
        for each in drawn.parameters
        if each.name in names and not each.choices
    ]
    assert share(rules, drawn.settings) > 0.99 or all(ends)


def test_what_is_set_once_is_written_and_compared_too() -> None:
    """True is not 1, and a value that nobody shows is not in force."""
    drawn = draw("nginx-proxy", 0, 1, loaded=False, free=False)
    space, values = written(drawn, "nginx")
    assert values["nginx.upstream_keepalive"] == 16
    assert {each.name for each in space.parameters} == values.keys()
    assert differing({"a": 1, "b": True, "c": 2}, {"a": 1, "b": 1}) == [
        "b: True was written, and 1 is in force",
        "c: 2 was written, and nothing is in force",
    ]


# --- what is kept, and the page --------------------------------------------------------------------------------------


def test_a_run_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    """A line that was cut short does not count, nor one of another catalogue; of a candidate the last one does. Another
    plan is refused."""
    begun(tmp_path, PLAN)
    keep(tmp_path, line(0, "oom"))
    keep(tmp_path, line(0))
    keep(tmp_path, line(0, free=True))
    keep(tmp_path, {**line(1), "catalogue": "another"})
    with (tmp_path / FILE).open("a") as file:
        file.write('{"preset": "go-serv')
    begun(tmp_path, PLAN)
    assert lines(tmp_path) == [line(0), line(0, free=True)]
    with pytest.raises(Misconfigured, match="another folder"):
        begun(tmp_path, Plan(4, 2, 2))


def test_the_page_counts_every_ending_and_lists_every_failure() -> None:
    """Without constraints only the first ones of a preset."""
    kept = [
        line(0),
        line(1, "oom", loaded=True),
        line(2, "refused"),
        line(3, "error", loaded=True),
        *(line(number, "oom", free=True) for number in range(30)),
    ]
    text = page(kept, PLAN, {"Go": "1.26"})
    assert "--candidates 4 --loaded 2 --seed 1`, Go 1.26." in text
    assert "| go-service | 4 | 1 | 1 | 0 | 1 | 2 | 2 | 50 %, 50 % | 5 |" in text
    assert "| go-service | 30 | 0 | 30 | 0 | 0 | 0 | 0 | - | 38 |" in text
    assert "- go-service 1 loaded (1.00 GiB, 1.5 CPU): oom, held 50 %, 1.25 s: it said no" in text
    assert '`{"go.GOGC": 100}`' in text
    assert "go-service: 27 more" in text
    assert f"Not complete: {4 * len(PRESETS) - 4} of {4 * len(PRESETS)} candidates" in text
    assert "Nothing failed." in page([line(0)], PLAN, {})
    assert told(line(0)).endswith("served, held 50 %, 1.25 s")


def test_an_unknown_preset_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The known ones are named."""
    with pytest.raises(SystemExit):
        main(["--preset", "nginx-nothing"])
    assert "nginx-static" in capsys.readouterr().err


def test_a_report_needs_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The missing file is named."""
    assert main(["report", "--keep", str(tmp_path / "none")]) == 2
    assert "plan.json" in capsys.readouterr().err


# --- for real --------------------------------------------------------------------------------------------------------


def our_groups() -> None:
    if not os.access("/sys/fs/cgroup/memory/cgroup.procs", os.W_OK):
        message = "no writable control groups of version 1; run as root"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@pytest.mark.real
def test_two_candidates_of_nginx_serve(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """And are not started again when they are asked for again."""
    need("nginx")
    our_groups()
    command = ["--preset", "nginx-static", "--candidates", "2", "--loaded", "0", "--keep", str(tmp_path), "-o", "json"]
    assert main(command) == 0
    out, _ = capfd.readouterr()
    assert json.loads(out)["endings"] == {"served": 2, "refused": 0, "oom": 0, "wrong": 0, "error": 0}
    assert main(command) == 0
    assert "served" not in capfd.readouterr().err
    assert not [*Path("/sys/fs/cgroup/memory").glob(f"{PREFIX}-{os.getpid()}-*")]


class Greedy:
    """A program that takes more than its group has."""

    def __init__(self, candidate: Candidate, group: Group, props: Path) -> None:
        self._group = group

    def start(self) -> None:
        self._group.start(["/bin/sh", "-c", 'a=x; while true; do a="$a$a"; done'])
        self._group.until(lambda: False, 30.0)

    def problems(self) -> list[str]:
        return []

    def load(self, seconds: float) -> list[str]:
        return []


class Gone(Greedy):
    """A program that goes away while it is looked at."""

    def start(self) -> None:
        self._group.start(["sleep", "30"])

    def problems(self) -> list[str]:
        raise ConnectionResetError("it went away")


@pytest.mark.real
def test_whom_the_kernel_kills_counts_as_killed_and_what_does_not_start_as_refused(tmp_path: Path) -> None:
    """The check can fail: a program beyond its limit, and one that ends at once."""
    our_groups()
    drawn = draw("nginx-static", 0, 1, loaded=False, free=False)
    small = Candidate(
        drawn.preset, 0, False, False, {**drawn.environment, "mem": 16 * 2**20}, {}, drawn.settings, drawn.parameters
    )
    name = f"{PREFIX}-test-{os.getpid()}"
    seen = played(small, Greedy, tmp_path, Group(name, small, tmp_path / "one"))
    assert seen["ending"] == "oom"
    assert seen["why"].startswith("the kernel killed")

    seen = played(small, Gone, tmp_path, Group(name, small, tmp_path / "three"))
    assert (seen["ending"], seen["why"]) == ("error", "ConnectionResetError: it went away; ")

    own = Group(name, small, tmp_path / "two")
    with own:
        own.start(["/bin/sh", "-c", "echo no; exit 3"])
        with pytest.raises(Refused, match="ended with 3: no"):
            own.until(lambda: False, 30.0)
    assert not Path("/sys/fs/cgroup/memory", name).exists()
