"""Patches for somebody else's hands: golden texts, and YAML that means what was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from adapters.actuators.kubernetes.patches import Values, helm, kustomize, plain
from domain.errors import Misconfigured

METRIC: dict[str, Any] = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 35}},
}
VALUES = Values(
    "Deployment",
    "web",
    "shop",
    "nginx",
    resources={"limits": {"cpu": "2", "memory": "512Mi"}, "requests": {"cpu": "500m"}},
    env={"GOGC": "200", "MODE": "on"},
)
WHOLE = replace(
    VALUES,
    config_map="shop-conf",
    files={"tuned.conf": "gzip_comp_level 4;\nkeepalive_timeout 75s;\n"},
    autoscaler="shop",
    metrics=(METRIC,),
)
WORKLOAD = """\
spec:
  template:
    spec:
      containers:
      - name: nginx
        resources:
          requests:
            cpu: 500m
          limits:
            cpu: '2'
            memory: 512Mi
        env:
        - name: GOGC
          value: '200'
        - name: MODE
          value: 'on'
"""
CONFIG_MAP = """\
data:
  tuned.conf: |
    gzip_comp_level 4;
    keepalive_timeout 75s;
"""
AUTOSCALER = """\
spec:
  metrics:
  - type: Resource
    resource:
      name: cpu
      target:
        type: Utilization
        averageUtilization: 35
"""


def test_plain() -> None:
    """One strategic merge patch an object, and the command for each."""
    patch = plain(WHOLE)
    assert patch.files == {
        "trimtab-deployment-shop.yaml": WORKLOAD,
        "trimtab-configmap-shop-conf.yaml": CONFIG_MAP,
        "trimtab-horizontalpodautoscaler-shop.yaml": AUTOSCALER,
    }
    assert patch.how == (
        "kubectl -n web patch deployment shop --type strategic --patch-file trimtab-deployment-shop.yaml\n"
        "kubectl -n web patch configmap shop-conf --type strategic --patch-file trimtab-configmap-shop-conf.yaml\n"
        "kubectl -n web patch horizontalpodautoscaler shop --type strategic "
        "--patch-file trimtab-horizontalpodautoscaler-shop.yaml\n"
    )


def test_kustomize() -> None:
    """The same with what names the object, and the stanza."""
    patch = kustomize(replace(WHOLE, autoscaler="", metrics=()))
    head = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\n  namespace: web\n"
    assert patch.files == {
        "trimtab-deployment-shop.yaml": head + WORKLOAD,
        "trimtab-configmap-shop-conf.yaml": (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop-conf\n  namespace: web\n" + CONFIG_MAP
        ),
    }
    assert patch.how == (
        "# Lay the files beside kustomization.yaml and add to it:\n"
        "patches:\n"
        "- path: trimtab-deployment-shop.yaml\n"
        "- path: trimtab-configmap-shop-conf.yaml\n"
        "# Where a configMapGenerator makes the ConfigMap, change its files instead of patching it.\n"
    )


def test_helm() -> None:
    """The usual places, and a word about the unusual ones."""
    patch = helm(WHOLE)
    assert patch.files == {
        "values-trimtab.yaml": """\
resources:
  requests:
    cpu: 500m
  limits:
    cpu: '2'
    memory: 512Mi
env:
- name: GOGC
  value: '200'
- name: MODE
  value: 'on'
"""
    }
    assert patch.how == (
        "# Values for the release of Deployment shop, container nginx. A chart may keep them\n"
        "# under other keys: look for resources and env in its own values.yaml.\n"
        "# The files of ConfigMap shop-conf have no usual place in values.yaml:\n"
        "#   tuned.conf: see the plain patch\n"
        "# HPA shop scales at a share of the request, so its target has to move along:\n"
        "#   cpu: averageUtilization 35\n"
    )


def test_only_what_changes_is_in_it() -> None:
    """A patch with an empty `env` would say something that nobody meant."""
    only = replace(VALUES, env={}, resources={"limits": {"cpu": "1"}, "requests": {}})
    (text,) = plain(only).files.values()
    (container,) = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"]
    assert container == {"name": "nginx", "resources": {"limits": {"cpu": "1"}}}
    assert helm(replace(WHOLE, resources={}, env={}, metrics=())).files == {}


@pytest.mark.parametrize("make", [plain, kustomize, helm])
def test_nothing_to_change_is_told(make: Any) -> None:
    """As is a kind that has no template of this form."""
    with pytest.raises(Misconfigured, match="nothing to change for Deployment shop"):
        make(replace(VALUES, resources={}, env={}))
    with pytest.raises(Misconfigured, match="kind 'CronJob'"):
        make(replace(VALUES, kind="CronJob"))


TEXT = st.text(max_size=40) | st.text("a \n\r\t\x85\u2028\u2029\ufeff:#'\"|>-", max_size=8)


@given(st.dictionaries(st.text("ABC_", min_size=1, max_size=4), TEXT, min_size=1, max_size=3))
def test_any_text_survives_the_yaml(env: dict[str, str]) -> None:
    """`on`, `1e3`, line ends, colons and hashes too: what is read is what was meant."""
    for text in plain(replace(VALUES, env=env, config_map="c", files={"f": "\n".join(env.values())})).files.values():
        read = yaml.safe_load(text)
        if "data" in read:
            assert read["data"] == {"f": "\n".join(env.values())}
        else:
            (container,) = read["spec"]["template"]["spec"]["containers"]
            assert {each["name"]: each["value"] for each in container["env"]} == env


def test_names_are_quoted_for_the_shell() -> None:
    """A namespace is a label of DNS; a patch that somebody pastes does not rely on it."""
    assert "-n 'a; rm b' patch" in plain(replace(VALUES, namespace="a; rm b")).how
