"""`trimtab catalogue`: what may be searched, within which bounds, and why."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.console.desk import Screen


def test_list_filters_by_family_policy_and_word(screen: Screen) -> None:
    """Each filter narrows the list; the forms carry the same rows."""
    assert screen("catalogue", "list", "-o", "json") == 0
    everything = json.loads(screen.out)
    assert len(everything) > 500
    assert screen("catalogue", "list", "--policy", "never", "-o", "json") == 0
    never = json.loads(screen.out)
    assert {"pg.fsync", "sysctl.vm.drop_caches"} <= {row["id"] for row in never}
    assert {row["policy"] for row in never} == {"never"}
    assert screen("catalogue", "list", "--family", "go", "--search", "gomemlimit", "-o", "csv") == 0
    (row,) = csv.DictReader(io.StringIO(screen.out, newline=""))
    assert row["id"] == "go.GOMEMLIMIT"
    assert "container-go" in row["presets"]
    assert screen("catalogue", "list", "--family", "go") == 0
    assert "GOMAXPROCS" in screen.out


@pytest.mark.parametrize("arguments", [("list", "--family", "ruby"), ("list", "--policy", "maybe"), ("show", "pg.wrk")])
def test_unknown_names_are_told_with_the_known_ones(screen: Screen, arguments: tuple[str, ...]) -> None:
    """Exit code 4, one line, and names that exist."""
    assert screen("catalogue", *arguments) == 4
    assert screen.out == ""
    assert "known: " in screen.err or "near: " in screen.err


def test_show_explains_a_bound_with_its_formula_and_number(screen: Screen) -> None:
    """Bounds, seed and default of a parameter come with the formula, and constraints with what they leave."""
    size = ("--mem", "2Gi", "--cpu", "1.5", "--version", "17")
    assert screen("catalogue", "show", "pg.shared_buffers", *size, "-o", "json") == 0
    page = json.loads(screen.out)
    assert page["high"] == "max(32*MB, 0.40*mem) = 819.2 MiB"
    assert page["seed"] == "0.25*mem if mem>=1*GB else 0.15*mem = 512 MiB"
    assert page["default"] == "128 MiB"
    assert page["policy"].startswith("auto")
    assert any(text.startswith("C-PG-MEM (hard)") for text in page["constraints"])
    assert screen("catalogue", "show", "jvm.MaxHeapSize", "--mem", "512Mi", "--cpu", "0.5") == 0
    assert "by C-JVM-MEM" in screen.out
    assert "128 MiB here (ergonomic)" in screen.out


def test_what_nobody_said_is_shown_as_assumed(screen: Screen) -> None:
    """Variables of the environment that a person did not give stand on stderr, with how to say them; no others do."""
    assert screen("catalogue", "show", "pg.work_mem", "--mem", "2Gi", "--set", "conns=77", "-o", "json") == 0
    assert "assumed (say otherwise with --mem, --cpu, --set)" in screen.err
    assert "cpu=2" in screen.err
    assert "conns=" not in screen.err
    assert screen("catalogue", "show", "postgresql-analytic", "-o", "json") == 0
    assert "workload=dw (by the preset)" in screen.err


def test_show_a_guarded_parameter_says_that_it_is_not_searched(screen: Screen) -> None:
    """What the tuner never writes is explained all the same."""
    assert screen("catalogue", "show", "pg.fsync", "-o", "json") == 0
    page = json.loads(screen.out)
    assert page["policy"].startswith("never")
    assert page["searched"] == "not searched: the catalogue has no search range for it"


def test_show_a_preset_over_layers(screen: Screen) -> None:
    """The joint space: ranges, who narrowed them, what follows the limit, and the questions to a person."""
    assert screen("catalogue", "show", "container-go", "--mem", "1Gi", "--cpu", "2", "-o", "json") == 0
    page = json.loads(screen.out)
    lines = {line["id"]: line for line in page["parameters"]}
    assert lines["docker.memory"]["high"].endswith("narrowed to 1 GiB by the preset: mem")
    assert "over all docker.memory that may be tried" in lines["go.GOMEMLIMIT"]["high"]
    assert any("docker.memory" in tie["expression"] for tie in page["constraints"] if tie["id"] == "C-GO-MEM")
    assert "C-GO-OFF" in page["questions"]
    assert screen("catalogue", "show", "container-go", "--mem", "1Gi", "--cpu", "2") == 0
    assert "go.GOMAXPROCS" in screen.out
    assert "with consent also: docker.cpu_period, docker.cpu_burst" in screen.err


def test_a_value_of_the_target_moves_the_constraints(screen: Screen) -> None:
    """`--set` takes values of parameters that are not searched; 600 connections leave less for shared_buffers."""
    left = []
    for connections in (20, 600):
        values = (f"pg.max_connections={connections}", "pg.max_parallel_workers_per_gather=0", "pg.jit=off")
        given = ("--mem", "2Gi", *(word for value in values for word in ("--set", value)), "-o", "json")
        assert screen("catalogue", "show", "pg.shared_buffers", *given) == 0
        left.append(json.loads(screen.out).get("constraints leave", ""))
    assert left[0] == ""
    assert left[1].endswith("by C-PG-MEM")


def test_check_is_clean_on_an_ordinary_machine(screen: Screen) -> None:
    """All presets work on 4 GiB and 4 CPUs; questions and what is left out are listed."""
    assert screen("catalogue", "check", "--mem", "4Gi", "--cpu", "4", "-o", "json") == 0
    rows = json.loads(screen.out)
    assert {row["level"] for row in rows} >= {"ok", "ask", "out"}
    assert "fail" not in {row["level"] for row in rows}
    assert len({row["preset"] for row in rows}) >= 17


def test_check_fails_where_nothing_fits(screen: Screen) -> None:
    """A live set that no heap in the limit can hold: exit code 1, and the constraint by its name."""
    crowded = ("--mem", "256Mi", "--cpu", "0.5", "--set", "live=128Mi")
    assert screen("catalogue", "check", "jvm-service", *crowded) == 1
    assert "C-JVM-MEM" in screen.out
    assert "1 of 1 lines failed" in screen.err


@pytest.mark.parametrize("wrong", [("--mem", "lots"), ("--set", "conns"), ("--set", "pg.jit=maybe")])
def test_wrong_values_are_one_line(screen: Screen, wrong: tuple[str, str]) -> None:
    """Exit code 4 and the name that the value was for."""
    assert screen("catalogue", "check", "nginx-static", *wrong) == 4
    assert screen.err.startswith("trimtab: misconfigured: ")
