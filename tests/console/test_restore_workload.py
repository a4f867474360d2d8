"""The way back by hand of a workload whose run was kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapters.actuators import registry
from adapters.actuators.kubernetes.api import path
from domain.ports import Actuator, Stage
from domain.target import Target
from tests.console.desk import Desk, Screen
from tests.journeys.pods import BEFORE, TUNED, PodWorld, pod_world


class ClusterDesk(Desk):
    """A desk whose target is the workload of a world."""

    def __init__(self, reports: Path, world: PodWorld) -> None:
        super().__init__(reports, world.ledger, (TUNED,))

    def actuators(self, target: Target) -> Mapping[str, Actuator]:
        return registry.actuators_for(target)

    def stage(self, target: Target) -> Stage | None:
        return registry.stage(target)


@pytest.mark.parametrize("owned", [False, True])
def test_kept_settings_of_a_workload_are_undone(
    owned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They go into the template, and no watchdog calls that a revert. Where somebody came to own it meanwhile nothing
    is written: the patch is told, with exit code 1."""
    with pod_world() as world:
        world.open()
        world.go()
        assert world.outcome() == "kept"
        if owned:
            note = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop"}}}
            world.cluster.api.merge(path("Deployment", "default", "shop"), note, manager="argocd-controller")
        screen = Screen(ClusterDesk(tmp_path, world), capsys)
        assert screen("restore", "shop", "-o", "json") == (1 if owned else 0)
        if owned:
            assert world.cluster.in_template("limits", "cpu") == "400m"
            assert "cpu: 150m" in screen.err
            assert "somebody else owns k8s.cpu_limit, nginx.gzip_comp_level" in screen.err
        else:
            assert world.settings() == {"a": BEFORE, "b": BEFORE}
            assert "restored" in {row["action"] for row in json.loads(screen.out)}
        assert registry.reap(world.cluster.target, world.clock.time + 1e6) == []
        assert "trimtab.dev/before" not in world.cluster.owner()["metadata"]["annotations"]
