"""What each of the chart's accounts may do, asked of the API server verb by verb, against the README's table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.actuators.kubernetes.api import Json
from helm.rights import RBAC, allowed, files_of, rules
from tests.helm.conftest import Release

pytestmark = pytest.mark.cluster
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
THINGS: dict[tuple[str, str], tuple[str, ...]] = {  # (group, resource) → names; an empty name means any
    ("apps", "deployments"): ("shop", "other", ""),
    ("apps", "deployments/scale"): ("shop", "other"),
    ("apps", "statefulsets"): ("shop", ""),
    ("apps", "replicasets"): ("shop", ""),
    ("", "pods"): ("shop-trimtab-a", "shop-trimtab-b", "shop-trimtab-c", "shop-0", "other-trimtab-a", ""),
    ("", "pods/exec"): ("shop-trimtab-a", "shop-0", "other-trimtab-b"),
    ("", "pods/resize"): ("shop-trimtab-b", "shop-0"),
    ("", "pods/ephemeralcontainers"): ("shop-trimtab-a",),
    ("", "pods/eviction"): ("shop-trimtab-a",),
    ("", "pods/log"): ("shop-trimtab-a",),
    ("", "configmaps"): (
        "shop",
        "shop-trimtab-a",
        "shop-trimtab-before",
        "shop-trimtab-kept-9",
        "shop-trimtab-kept-10",
        "other",
        "",
    ),
    ("", "secrets"): ("shop-db", "shop", ""),
    ("", "services"): ("shop", "other", ""),
    ("", "serviceaccounts"): ("default", ""),
    ("", "serviceaccounts/token"): ("default",),
    ("", "events"): ("",),
    ("", "resourcequotas"): ("",),
    ("", "limitranges"): ("",),
    ("", "nodes"): ("node-1", ""),
    ("", "namespaces"): ("default", ""),
    ("autoscaling", "horizontalpodautoscalers"): ("shop", "other", ""),
    ("autoscaling.k8s.io", "verticalpodautoscalers"): ("shop", ""),
    ("policy", "poddisruptionbudgets"): ("shop", ""),
    ("rbac.authorization.k8s.io", "roles"): ("shop", ""),
    ("rbac.authorization.k8s.io", "clusterroles"): ("cluster-admin", ""),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): ("trimtab", ""),
}


def table(release: Release, account: str) -> list[Json]:
    """The rules of an account in its target's namespace, by the chart's files."""
    files = files_of(account, release.target, release.target["mode"], release.more)
    return [rule for file in files for rule in rules(file, release.target, release.more)]


def cluster_wide(release: Release, account: str) -> list[Json]:
    """Its rules everywhere."""
    return rules("nodes", release.target) if account == "worker" else []


def may(release: Release, account: str, namespace: str, verb: str, group: str, resource: str, name: str) -> bool:
    """What the API server says."""
    plural, _, sub = resource.partition("/")
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": plural, "subresource": sub, "name": name}
    user = f"system:serviceaccount:{release.namespace}:trimtab-{account}"
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{release.namespace}", "system:authenticated"]
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": groups, "resourceAttributes": asked},
    }
    answer = release.admin.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def questions() -> Iterator[tuple[str, str, str, str]]:
    for (group, resource), names in THINGS.items():
        for name in names:
            for verb in VERBS:
                yield verb, group, resource, name


@pytest.mark.parametrize("account", ["controller", "worker", "reap"])
def test_in_the_namespace_of_the_target(release: Release, account: str) -> None:
    """Yes exactly where the table says yes: on the workload, its arms, another workload, Secrets, pods and nodes."""
    given = table(release, account) + cluster_wide(release, account)
    wrong = [
        asked for asked in questions() if may(release, account, release.namespace, *asked) != allowed(given, *asked)
    ]
    assert wrong == []


@pytest.mark.parametrize("account", ["controller", "worker", "reap"])
def test_in_another_namespace(release: Release, account: str) -> None:
    """Nothing beyond the namespaces of the targets, but for reading nodes."""
    given = cluster_wide(release, account)
    wrong = [asked for asked in questions() if may(release, account, "default", *asked) != allowed(given, *asked)]
    assert wrong == []


def test_every_rule_is_asked_about(release: Release) -> None:
    """No resource of the rules is missing from the questions."""
    asked = set(THINGS)
    for path in RBAC.glob("*.yaml"):
        for rule in rules(path.stem, release.target, release.more):
            found = {(group, resource) for group in rule["apiGroups"] for resource in rule["resources"]}
            assert found <= asked
