"""Which parameters of a cluster an arm carries."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.actuators import registry
from adapters.actuators.kubernetes.shape import FAMILY, RESOURCES
from adapters.catalogue import load
from domain.errors import Misconfigured
from domain.space import Parameter, SearchSpace
from tests.pods import TARGET, WORKLOAD, shop

OTHERS = sorted(name for name, entry in load().entries.items() if entry.family == FAMILY and name not in RESOURCES)


@pytest.mark.parametrize("name", OTHERS)
def test_what_no_arm_carries_is_refused_and_never_called_in_force(name: str) -> None:
    """Replicas, autoscalers, kubelets and the pod's own fields: the catalogue explains them, nothing writes them."""
    space = SearchSpace((Parameter(name, "boolean", False, cost="restart"),))
    workload = replace(WORKLOAD, config_map="", key="")
    target = replace(TARGET, actuator="kubernetes", space=space, workload=workload)
    with shop(target=target, http=False):
        for made in (registry.actuators_for, registry.stage):
            with pytest.raises(Misconfigured, match=rf"{name} cannot be written: .*; leave it out"):
                made(target)


def test_there_are_such() -> None:
    """Else the test above would prove nothing."""
    assert {"k8s.hostNetwork", "k8s.replicas", "hpa.minReplicas", "kubelet.cpuCFSQuota"} <= set(OTHERS)
