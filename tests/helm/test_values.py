"""The chart's values: they fit the schema, the schema refuses what is wrong, and the program can read the policy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.actuators.registry import KINDS
from adapters.policy import load_policy
from detectors.factory import DETECTORS
from domain.profile import PROFILES
from helm.values import CHART, entries, schema, values
from optimizers.factory import STRATEGIES
from tests.helm.chart import EXAMPLES, SCENARIOS, merged
from tests.helm.schema_check import problems

TOKEN = "a-token-for-tests-only"
FILES = [*SCENARIOS, *EXAMPLES]
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def test_defaults_fit_the_schema() -> None:
    """What is installed without a word passes the schema."""
    assert problems(values(), SCHEMA) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.stem))
def test_files_fit_the_schema(file: Path) -> None:
    """Every scenario and every example passes the schema, merged as Helm merges."""
    assert problems(merged(file), SCHEMA) == []


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"contoller": {}}, "/contoller", "additionalProperties"),
    ({"controller": {"replicas": 0}}, "/controller/replicas", "minimum"),
    ({"controller": {"replicas": "2"}}, "/controller/replicas", "type"),
    ({"controller": {"resources": {"limit": {}}}}, "/controller/resources/limit", "additionalProperties"),
    ({"controller": {"service": {"type": "Cluster"}}}, "/controller/service/type", "enum"),
    ({"image": {"digest": "latest"}}, "/image/digest", "pattern"),
    ({"pods": {"runAsUser": 0}}, "/pods/runAsUser", "minimum"),
    ({"rbac": {"targets": {"shop": {"replica": 3}}}}, "/rbac/targets/shop/replica", "additionalProperties"),
    ({"redis": {"persistence": {"size": "1G"}}}, "/redis/persistence/size", "pattern"),
    ({"networkPolicy": {"apiServer": {"cidrs": []}}}, "/networkPolicy/apiServer/cidrs", "minItems"),
    ({"config": {"mode": "do"}}, "/config/mode", "enum"),
    ({"config": {"redis": {"url": "http://redis"}}}, "/config/redis/url", "pattern"),
    ({"config": {"tagets": []}}, "/config/tagets", "additionalProperties"),
    ({"config": {"targets": []}}, "/config/targets", "minItems"),
    ({"config": {"watch": {"detector": "eyes"}}}, "/config/watch/detector", "enum"),
]


@pytest.mark.parametrize(("over", "place", "keyword"), BAD, ids=[place for _, place, _ in BAD])
def test_bad_values_are_refused(over: dict[str, Any], place: str, keyword: str) -> None:
    """A bad value is refused at its own place and for the right reason, and nothing else is."""
    assert problems(merged(over=over), SCHEMA) == [(place, keyword)]


BAD_TARGETS: list[tuple[str, Any, str, str]] = [
    ("workload", {"name": "shop"}, "/workload/namespace", "required"),
    ("workload", {"namespace": "shop", "name": "Shop"}, "/workload/name", "pattern"),
    ("workload", {"namespace": "shop", "name": "shop", "kind": "DaemonSet"}, "/workload/kind", "enum"),
    ("workload", {"namespace": "shop", "name": "shop", "secret": "x"}, "/workload/secret", "additionalProperties"),
    ("actuator", {"kind": "kubernetes+perl"}, "/actuator/kind", "enum"),
    ("strategy", "guessing", "/strategy", "enum"),
    ("measure", {"profile": "hasty"}, "/measure/profile", "enum"),
    ("objective", None, "/objective", "type"),
]


@pytest.mark.parametrize(("key", "value", "place", "keyword"), BAD_TARGETS, ids=[each[2] for each in BAD_TARGETS])
def test_bad_targets_are_refused(key: str, value: Any, place: str, keyword: str) -> None:
    """The same inside a target, so that a slip in the policy is told by `helm install` and not by a pod that dies."""
    target = {**values()["config"]["targets"][0], key: value}
    told = problems(merged(over={"config": {"targets": [target]}}), SCHEMA)
    alternatives = {(f"/config/targets/0{place}", keyword), (f"/config/targets/0/{key}", "anyOf")}
    assert len(told) == 1
    assert told[0] in alternatives


def test_names_equal_the_registries() -> None:
    """A strategy, detector or profile that is new reaches the chart's schema, too."""
    definitions = SCHEMA["definitions"]
    assert definitions["Actuator"]["properties"]["kind"]["enum"] == list(KINDS)
    assert definitions["Target"]["properties"]["strategy"]["enum"] == sorted(STRATEGIES)
    assert definitions["Watch"]["properties"]["detector"]["enum"] == sorted(DETECTORS)
    assert definitions["Measure"]["properties"]["profile"]["enum"] == sorted(PROFILES)


def test_everything_of_ours_is_closed() -> None:
    """No mapping of the schema takes unknown keys but where it says of what kind they are."""
    open_ones = []

    def look(node: Any, place: str) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object" and "additionalProperties" not in node:
                open_ones.append(place)
            for key, each in node.items():
                look(each, f"{place}/{key}")

    look(SCHEMA, "")
    # Peers, rules, volumes and tolerations are Kubernetes' own objects; `global` is Helm's.
    assert [each for each in open_ones if not each.endswith("/items") and each != "/properties/global"] == []


def test_a_value_without_a_schema_is_refused() -> None:
    """A list or an empty mapping says nothing about its content, so its comment must."""
    with pytest.raises(ValueError, match=r"a\.b needs a line `# @schema`"):
        entries("a:\n  b: []\n")
    with pytest.raises(ValueError, match="c needs a line `# @schema`"):
        entries("c: {}\n")


def test_every_value_is_described() -> None:
    """A key of values.yaml has a comment, or belongs to a group whose keys have."""

    def bare(found: Any, place: str) -> list[str]:
        told = []
        for entry in found:
            told += [place + entry.name] if not entry.about and not entry.inside else []
            told += bare(entry.inside, f"{place}{entry.name}.")
        return told

    assert bare(entries((CHART / "values.yaml").read_text(encoding="utf-8")), "") == []


def test_every_value_is_used() -> None:
    """A value that no template reads is a promise that nobody keeps."""
    text = "\n".join(path.read_text("utf-8") for path in (CHART / "templates").rglob("*") if path.is_file())

    def unused(found: Any, place: str) -> list[str]:
        told = []
        for entry in found:
            told += [place + entry.name] if not re.search(rf"\.{entry.name}\b", text) else []
            told += unused(entry.inside, f"{place}{entry.name}.")
        return told

    assert unused(entries((CHART / "values.yaml").read_text(encoding="utf-8")), "") == []


def test_schema_is_the_committed_one() -> None:
    """values.schema.json is what values.yaml and the policy's model give today."""
    assert schema() == SCHEMA, "run python -m helm.generate"


@pytest.mark.parametrize("file", [None, *FILES], ids=lambda file: "defaults" if file is None else str(file.stem))
def test_the_program_reads_the_config(tmp_path: Path, file: Path | None) -> None:
    """The `config` block is a policy file: the program's own reader takes it."""
    content = merged(*([file] if file else []))
    config = content["config"]
    if content["tokens"]["existingSecret"]:
        assert config["server"]["tokens_file"] == f"/etc/trimtab/tokens/{content['tokens']['key']}"
        (tmp_path / "tokens").write_text(TOKEN, encoding="utf-8")
        config["server"]["tokens_file"] = "tokens"
    path = tmp_path / "trimtab.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    policy = load_policy(path)
    assert [target.workload is not None for target in policy.targets] == [True] * len(config["targets"])


def test_defaults_only_observe() -> None:
    """Nothing that is installed without a word may write anything."""
    config = values()["config"]
    assert {target.get("mode", config["mode"]) for target in config["targets"]} == {"observe"}
