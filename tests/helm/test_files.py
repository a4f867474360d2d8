"""The chart's plain data: rights, alerts and dashboards, and what is made from other files."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.metrics import Metrics
from helm.generate import generated, main
from helm.rights import PARTS, RBAC, allowed, files_of, rules
from helm.values import CHART
from tests.helm.chart import EXAMPLES, ROOT
from tests.real import need

RULES = [(path, rule) for path in sorted(RBAC.glob("*.yaml")) for rule in yaml.safe_load(path.read_text("utf-8"))]
IDS = [f"{path.stem}-{'-'.join(rule['resources'])}" for path, rule in RULES]
ARMS = {"WORKLOAD-trimtab-a", "WORKLOAD-trimtab-b"}
OURS = {*ARMS, "WORKLOAD-trimtab-before", *(f"WORKLOAD-trimtab-kept-{number}" for number in range(10))}
WITHOUT_NAMES = {  # what may be done to any object of a kind in a target's namespace
    ("list", "resourcequotas"),
    ("list", "limitranges"),
    ("list", "horizontalpodautoscalers"),
    ("list", "verticalpodautoscalers"),
    ("list", "poddisruptionbudgets"),
    ("create", "events"),
    ("get", "nodes"),
    ("list", "nodes"),
}
ALERTS = CHART / "files" / "alerts" / "trimtab.yaml"
DASHBOARD = CHART / "files" / "dashboards" / "trimtab.json"


@pytest.mark.parametrize(("path", "rule"), RULES, ids=IDS)
def test_no_wildcards_and_no_secrets(path: Path, rule: dict[str, Any]) -> None:
    """No rule says `*`, names Secrets, or lets us hand out rights."""
    words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
    assert not any("*" in word for word in words)
    assert not words & {"secrets", "serviceaccounts", "serviceaccounts/token", "roles", "rolebindings"}
    assert not words & {"escalate", "bind", "impersonate", "deletecollection", "update", "watch"}


@pytest.mark.parametrize(("path", "rule"), RULES, ids=IDS)
def test_rights_are_by_name(path: Path, rule: dict[str, Any]) -> None:
    """Whatever is written or read is named; the exceptions are listed one by one."""
    if not rule.get("resourceNames"):
        assert {(verb, resource) for verb in rule["verbs"] for resource in rule["resources"]} <= WITHOUT_NAMES


@pytest.mark.parametrize(("path", "rule"), RULES, ids=IDS)
def test_only_what_is_ours_is_deleted_or_made(path: Path, rule: dict[str, Any]) -> None:
    """create and delete are for arms and our ConfigMaps by their fixed names, and exec and resize for arms alone. A
    StatefulSet's pod is deleted when it holds up an undo."""
    names = set(rule.get("resourceNames", ()))
    if {"pods/exec", "pods/resize"} & set(rule["resources"]):
        assert names == ARMS
    if {"create", "delete"} & set(rule["verbs"]) and rule["resources"] != ["events"]:
        assert names <= OURS or (path.stem, names, rule["resources"]) == ("stateful-set", {"ORDINALS"}, ["pods"])


def test_cluster_wide_rules_only_read() -> None:
    """The one file that goes into a ClusterRole gets nodes and nothing else."""
    assert yaml.safe_load((RBAC / "nodes.yaml").read_text("utf-8")) == [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}
    ]
    text = "\n".join(path.read_text("utf-8") for path in (CHART / "templates").rglob("*.yaml"))
    assert text.count("kind: ClusterRole\n") == 2  # the role, and the reference to it
    assert 'Files.Get "files/rbac/nodes.yaml"' in text


def test_every_file_of_rules_has_its_accounts() -> None:
    """The README's table leaves no file out."""
    assert {part.file for part in PARTS} == {path.stem for path in RBAC.glob("*.yaml")}


def test_an_observer_gets_no_verb_that_writes() -> None:
    """In modes observe and recommend the accounts may get and list; the watchdog has nothing to do at all."""
    target = {"workload": {"namespace": "shop", "name": "shop", "config_map": "shop", "service": "shop"}}
    for mode in ("observe", "recommend"):
        assert files_of("reap", target, mode) == []
        verbs = {
            verb for file in files_of("worker", target, mode) for rule in rules(file, target) for verb in rule["verbs"]
        }
        assert verbs == {"get", "list"}
    assert files_of("controller", target, "act") == []


def test_rights_follow_the_names_of_the_target() -> None:
    """What one target's account may do to its own workload, it may not do to another."""
    target = {"workload": {"namespace": "shop", "name": "web", "kind": "StatefulSet"}}
    more = {"replicas": 2, "autoscaler": "web-hpa"}
    given = [rule for file in files_of("worker", target, "act", more) for rule in rules(file, target, more)]
    assert allowed(given, "patch", "apps", "statefulsets", "web")
    assert not allowed(given, "patch", "apps", "statefulsets", "other")
    assert not allowed(given, "patch", "apps", "deployments", "web")
    assert [allowed(given, "delete", "", "pods", f"web-{ordinal}") for ordinal in range(3)] == [True, True, False]
    assert allowed(given, "patch", "autoscaling", "horizontalpodautoscalers", "web-hpa")
    assert not allowed(given, "delete", "", "configmaps", "web")


def test_generated_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """Schema and README are what `python -m helm.generate` would write."""
    assert main(["--check"]) == 0, capsys.readouterr().err
    assert {path.name for path in generated()} == {"values.schema.json", "README.md"}


def _exported() -> set[str]:
    """Names of the series that the controller exports, counters with their `_total`."""
    return {each.name + ("_total" if each.type == "counter" else "") for each in Metrics().registry.collect()}


def _used(text: str) -> set[str]:
    return set(re.findall(r"\btrimtab_[a-z_]+", text))


def test_dashboards_and_alerts_use_what_is_exported() -> None:
    """Every metric of a panel or a rule is exported, and every exported one is shown or alerted on."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    asked = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    asked += " ".join(
        rule["expr"] for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]
    )
    assert _used(asked) == _exported()


def test_every_alert_says_what_to_do() -> None:
    """A rule has a severity, a summary and a description."""
    for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("info", "warning", "critical")
            assert rule["annotations"].keys() == {"summary", "description"}


@pytest.mark.real
def test_prometheus_takes_the_rules() -> None:
    """promtool parses our alerts and those of the example."""
    files = [str(ALERTS), str(ROOT / "examples" / "kubernetes" / "prometheus-rules.yaml")]
    ran = subprocess.run([need("promtool"), "check", "rules", *files], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_panels_have_places_of_their_own() -> None:
    """No two panels of the dashboard lie on each other, and their ids differ."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)


def test_examples_name_every_kind_of_workload() -> None:
    """There is an example for a Deployment and for a StatefulSet, and one for every runtime."""
    targets = [target for file in EXAMPLES for target in yaml.safe_load(file.read_text("utf-8"))["config"]["targets"]]
    assert {target["workload"].get("kind", "Deployment") for target in targets} == {"Deployment", "StatefulSet"}
    kinds = {"kubernetes", *(f"kubernetes+{inside}" for inside in ("nginx", "jvm", "go", "node", "python"))}
    assert {target["actuator"]["kind"] for target in targets} == kinds


def test_the_examples_belong_together() -> None:
    """The alert's severity is what Alertmanager routes to us, and its name is what the targets wait for."""
    folder = ROOT / "examples" / "kubernetes"
    (group,) = yaml.safe_load((folder / "prometheus-rules.yaml").read_text("utf-8"))["groups"]
    alert = next(rule for rule in group["rules"] if "alert" in rule)
    routed = yaml.safe_load((folder / "alertmanager.yaml").read_text("utf-8"))
    (route,) = routed["route"]["routes"]
    assert route["matchers"] == [f'severity = "{alert["labels"]["severity"]}"']
    assert route["receiver"] in {receiver["name"] for receiver in routed["receivers"]}
    for file in EXAMPLES:
        for target in yaml.safe_load(file.read_text("utf-8"))["config"]["targets"]:
            assert target["when"]["alertname"] == alert["alert"]


def test_the_image_holds_every_room() -> None:
    """The Dockerfile copies the folders that are packaged, and .dockerignore lets them through."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        packages = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    text = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.findall(r"^COPY (\w+)/ \1/$", text, re.MULTILINE) == sorted(
        packages, key=[*re.findall(r"^COPY (\w+)/", text, re.MULTILINE)].index
    )
    let_through = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()}
    assert set(packages) | {"requirements/worker.txt"} <= let_through


def test_the_image_is_locked_and_runs_as_nobody() -> None:
    """Packages are installed by hash, the base is an argument, and the user is the one of the chart."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    user = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))["pods"]["runAsUser"]
    assert "--require-hashes" in text
    assert text.count("FROM ${BASE}") == text.count("FROM ") == 2
    assert f"\nUSER {user}:{user}\n" in text
