"""A release whose objects exist and whose pods do not matter: rights and policies are the API server's work alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

from adapters.actuators.kubernetes.api import Api, Json, path
from helm.values import CHART
from tests.cluster.cluster import Cluster, find, until
from tests.helm.chart import installed, render

SHOP = Path(__file__).parent / "shop.yaml"


@dataclass(frozen=True)
class Release:
    """The chart in a namespace of its own, with the workload in it. `speak` gives the API as one of our accounts."""

    namespace: str
    admin: Api
    target: Json
    more: Json
    speak: Callable[[str], Api]


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster to test on."""
    return find()


@pytest.fixture(scope="session")
def held(cluster: Cluster) -> None:
    """Policies that match nothing and outlive every release: see README.md of the chart, `keepAtUninstall`. They stay
    in the cluster (trimtab-tests.holds-...), or the next run of these tests would find every arm refused."""
    objects = [each for each in render() if each["kind"].startswith("ValidatingAdmissionPolicy")]
    for kind in ("Deployment", "StatefulSet"):
        name = f"trimtab-tests.holds-{kind.lower()}s"
        for each in objects:
            each["metadata"] = {"name": name}
            if "policyName" in each["spec"]:
                each["spec"]["policyName"] = name
            else:
                each["spec"]["paramKind"]["kind"] = kind
        cluster.apply("default", yaml.safe_dump_all(objects))


@pytest.fixture(scope="module")
def release(cluster: Cluster, held: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """One target in mode act with an HPA, a StatefulSet beside it, and the accounts' rights to them."""
    namespace, folder = f"trimtab-rights-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("release")
    admin = cluster.api()
    content = yaml.safe_load((CHART / "ci" / "one-target.yaml").read_text("utf-8"))
    (target,) = content["config"]["targets"]
    target["workload"]["namespace"] = namespace
    content["rbac"] = {"targets": {target["name"]: {"autoscaler": "shop"}}}
    admin.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    try:
        until(lambda: admin.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"), 30, "an account for pods")
        cluster.apply(namespace, SHOP.read_text("utf-8"))
        more = content["rbac"]["targets"][target["name"]]

        @cache
        def speak(account: str) -> Api:
            return cluster.api(cluster.account(namespace, f"trimtab-{account}", folder))

        with installed(cluster, namespace, folder, content):
            yield Release(namespace, admin, target, more, speak)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def shop(release: Release) -> Json:
    """The workload as it is now."""
    found = release.admin.get(path("Deployment", release.namespace, "shop"))
    assert found is not None
    return found
