"""What a StatefulSet allows before anything is touched, and what its policy must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.policy import parse_policy
from domain.allowance import Allowance
from domain.errors import Misconfigured
from domain.ports import Stamp
from domain.space import Settings
from tests.ordinals import Sets, protected, sets
from tests.pods import CPU_LIMIT, LEVEL

FAST: Settings = {CPU_LIMIT: 0.4, LEVEL: 1}


def surveyed(cluster: Sets, *opt_in: Any) -> Allowance:
    assert cluster.target.workload is not None
    cluster.target = replace(cluster.target, workload=replace(cluster.target.workload, opt_in=opt_in))
    return cluster.stage().survey()


def hpa() -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "shop"}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "busy", "namespace": "default"},
        "spec": {"scaleTargetRef": reference, "maxReplicas": 5, "metrics": []},
    }


def test_an_ordinal_replaces_itself() -> None:
    """One pod of three, nothing on top, and how pods come and go is told."""
    with sets(http=False) as cluster:
        seen = surveyed(cluster)
        assert (seen.refusal, seen.share, seen.on_top) == ("", 1 / 3, False)
        assert any("OrderedReady: while one pod is not Ready" in note for note in seen.notes)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"updateStrategy": {"type": "OnDelete"}}, "updateStrategy is OnDelete"),
        ({"replicas": 1}, "its only pod would carry every candidate; opt in with single-replica"),
        ({"replicas": 0}, "0 replicas"),
    ],
)
def test_what_cannot_be_tried_on_one_ordinal_is_refused(spec: dict[str, Any], words: str) -> None:
    """With the reason, before anything is written."""
    with sets(http=False, **spec) as cluster:
        assert words in surveyed(cluster).refusal


def test_the_only_ordinal_needs_consent() -> None:
    """Then it is the arm, with all of the traffic."""
    with sets(1, http=False) as cluster:
        assert surveyed(cluster, "single-replica").share == 1.0
        arm = protected(cluster)
        arm.write(FAST, Stamp("r1", 2), arm.read().version)
        assert cluster.carried() == [("400m", "gzip_comp_level 1;")]


def test_a_rollout_under_way_is_refused() -> None:
    """Pods below the partition would never get the template that is taken for the original."""
    with sets(http=False, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}) as cluster:
        cluster.edit("300m")
        cluster.server.settle()
        assert "only 1 of its 3 pods carry its template" in surveyed(cluster).refusal


def test_an_autoscaler_of_the_set_is_refused() -> None:
    """A pod that it adds is above the partition, and would carry the candidate."""
    with sets(http=False) as cluster:
        cluster.server.add(hpa())
        assert "HorizontalPodAutoscaler busy scales it" in surveyed(cluster).refusal


def test_a_field_that_somebody_else_owns_is_not_searched() -> None:
    """Here a candidate is written into the workload itself."""
    with sets(http=False) as cluster:
        cluster.edit("150m")  # a server-side apply by somebody
        assert "somebody applies it" in surveyed(cluster).frozen[CPU_LIMIT]


def policy(**allow: bool) -> Any:
    target = {
        "name": "shop",
        "mode": "act",
        "actuator": {"kind": "kubernetes+nginx"},
        "workload": {"namespace": "default", "name": "shop", "kind": "StatefulSet", "config_map": "c", "key": "k"},
        "parameters": {"names": [LEVEL]},
        "objective": {"minimise": 'sum(rate(x{arm="$arm"}[$window]))'},
        "measure": {"design": "interleave", "profile": "demo"},
        "allow": allow,
    }
    content = {"prometheus": {"url": "http://127.0.0.1:9090"}, "targets": [target]}
    return parse_policy(yaml.safe_dump(content), Path("/etc/trimtab.yaml"))


def test_every_change_costs_a_restart_and_has_to_be_allowed() -> None:
    """A reload elsewhere is a new pod here."""
    assert [each.cost for each in policy(restart=True).targets[0].space.parameters] == ["restart"]
    with pytest.raises(Misconfigured, match=r"gzip_comp_level: a change needs a restart, as pods of a StatefulSet"):
        policy(reload=True)
