"""The demo's scenarios: every example policy is one that Trimtab accepts, and says what the scenario needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.actuators.process import variables_of
from adapters.policy import load_policy
from console.demo.scenarios.base import ARMS, EXAMPLES, Scenario, fill
from console.demo.scenarios.postgresql import PostgreSQL
from console.demo.scenarios.registry import SCENARIOS
from console.demo.scenarios.started import Started
from console.demo.stage import Stage
from domain.errors import Misconfigured
from domain.target import Target


def staged(scenario: Scenario, directory: Path) -> Stage:
    """A stage whose servers are only named, not started."""
    directory.mkdir()
    stage = Stage.__new__(Stage)
    stage.directory, stage.scenario, stage.seed = directory, scenario, 1
    names = ("redis", "prometheus", "alertmanager", "controller", "load", *scenario.ports())
    stage.ports = {name: 10_000 + number for number, name in enumerate(names)}
    return stage


def target_of(name: str, tmp_path: Path, *, allow_restart: bool = False) -> tuple[Scenario, Target]:
    """The scenario's target, as its policy says it."""
    try:
        scenario = SCENARIOS[name](allow_restart=allow_restart)
        stage = staged(scenario, tmp_path / "stage")
        if isinstance(scenario, PostgreSQL):
            scenario._data = {arm: tmp_path / arm for arm in ARMS}
        if isinstance(scenario, Started) and scenario.limits:
            scenario._places = {arm: f"demo/{arm}" for arm in ARMS}
        values = {**stage.ports, "root": stage.directory, "watch": "false", "strategy": "random"}
        values |= scenario.policy(stage)
    except Misconfigured as missing:
        pytest.skip(str(missing))
    fill(EXAMPLES / scenario.example / "trimtab.yaml", tmp_path / "trimtab.yaml", values)
    (tmp_path / "tokens").write_text("a token of sixteen characters\n")
    (target,) = load_policy(tmp_path / "trimtab.yaml").targets
    return scenario, target


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_each_policy_is_accepted_and_names_the_scenario(name: str, tmp_path: Path) -> None:
    """Target and metrics carry the scenario's name; something is open to the search; first guesses lie inside it."""
    scenario, target = target_of(name, tmp_path)
    assert target.name == scenario.service
    assert scenario.histogram in target.objective.query
    assert f'service="{scenario.service}"' in target.objective.query
    assert len(target.space.parameters) >= 3
    assert len(target.arms) == len(ARMS)
    assert scenario.name == name


@pytest.mark.parametrize("name", ["jvm", "go", "nodejs", "container"])
def test_what_restarts_says_how(name: str, tmp_path: Path) -> None:
    """Every arm can be started anew, waits until it is ready, and begins with what the scenario says."""
    scenario, target = target_of(name, tmp_path)
    assert isinstance(scenario, Started)
    assert target.profile.name == "demo-restart"
    assert variables_of(scenario.environment)
    for arm in target.arms:
        assert arm.restart is not None
        assert arm.restart.ready[0].startswith("http://127.0.0.1:")


def test_postgresql_restarts_only_where_that_is_allowed(tmp_path: Path) -> None:
    """By default everything that is searched takes a reload."""
    for part in ("reload", "restart"):
        (tmp_path / part).mkdir()
    _, target = target_of("postgresql", tmp_path / "reload")
    assert {parameter.cost for parameter in target.space.parameters} <= {"live", "reload"}
    assert all(arm.restart is None for arm in target.arms)
    _, target = target_of("postgresql", tmp_path / "restart", allow_restart=True)
    assert "restart" in {parameter.cost for parameter in target.space.parameters}
    assert all(arm.restart is not None and arm.restart.writes_pid for arm in target.arms)


def test_a_quota_is_never_bought(tmp_path: Path) -> None:
    """The container may spend its quota otherwise, not have a larger one."""
    scenario, target = target_of("container", tmp_path)
    (quota,) = (parameter for parameter in target.space.parameters if parameter.name == "docker.cpus")
    assert isinstance(scenario, Started)
    assert quota.high == float(variables_of(scenario.environment)["TRIMTAB_DOCKER_CPUS"])
