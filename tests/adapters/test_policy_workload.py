"""The part of a policy that names workloads of a cluster, and what the environment says of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.policy import Policy, parse_policy, schema
from domain.errors import Misconfigured

ROOT = Path(__file__).parents[2]
TARGET: dict[str, Any] = {
    "name": "shop",
    "actuator": {"kind": "kubernetes+nginx", "version": "1.22"},
    "workload": {"namespace": "shop", "name": "front", "config_map": "front", "key": "tuned.conf"},
    "parameters": {"names": ["nginx.gzip_comp_level"]},
    "objective": {"minimise": 'sum(rate(seconds_sum{pod="front-trimtab-$arm"}[$window]))'},
}


def policy(**changes: Any) -> Policy:
    target = {**copy.deepcopy(TARGET), **changes}
    content = {"prometheus": {"url": "http://prometheus:9090"}, "targets": [target]}
    return parse_policy(yaml.safe_dump(content), Path("/etc/trimtab.yaml"))


def test_the_arms_of_a_workload_are_made() -> None:
    """Two in a duet, one interleaved; nobody lists them."""
    (target,) = policy().targets
    assert [arm.label for arm in target.arms] == ["a", "b"]
    assert target.workload is not None
    assert (target.workload.kind, target.workload.take_over) == ("Deployment", ())
    assert not target.diagnose


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"arms": [{"label": "a"}]}, "arms", "leave them out"),
        ({"actuator": {"kind": "nginx"}}, "actuator.kind", "write kubernetes+"),
        ({"workload": {"namespace": "shop", "name": "front"}}, "workload.config_map", "is missing"),
        ({"workload": {**TARGET["workload"], "key": ""}}, "workload.key", "belong together"),
        ({"workload": {**TARGET["workload"], "kind": "StatefulSet"}}, "measure.design", "interleave"),
        ({"workload": {**TARGET["workload"], "kind": "DaemonSet"}}, "workload.kind", "'DaemonSet'"),
        ({"workload": {**TARGET["workload"], "opt_in": ["everything"]}}, "workload.opt_in", "'everything'"),
        ({"workload": {**TARGET["workload"], "name": "Front_"}}, "workload.name", "'Front_'"),
        ({"workload": None}, "workload", "needs it"),
    ],
)
def test_what_cannot_be_right_is_told_with_its_place(changes: dict[str, Any], place: str, words: str) -> None:
    """The field, the value and what is allowed."""
    with pytest.raises(Misconfigured) as told:
        policy(**changes)
    assert f"targets[0].{place}" in str(told.value)
    assert words in str(told.value)


def test_an_address_of_redis_with_a_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts before the file's, and is never shown."""
    monkeypatch.setenv("TRIMTAB_REDIS_URL", "rediss://user:hunter2@redis:6380/1")
    made = policy()
    assert made.redis_url == "rediss://user:hunter2@redis:6380/1"
    assert "hunter2" not in repr(made)
    monkeypatch.setenv("TRIMTAB_REDIS_URL", "http://user:hunter2@redis")
    with pytest.raises(Misconfigured) as told:
        policy()
    assert "TRIMTAB_REDIS_URL" in str(told.value)
    assert "hunter2" not in str(told.value)


def test_the_schema_in_the_docs_is_made_from_the_model() -> None:
    """python -m adapters.policy > docs/policy.schema.json"""
    assert json.loads((ROOT / "docs" / "policy.schema.json").read_text()) == schema()
