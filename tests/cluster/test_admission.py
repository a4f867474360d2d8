"""Policies of a real cluster's people: a bound of the search, and never a failed trial."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from domain.allowance import Allowance
from domain.errors import Rejected
from tests.cluster.arms import CPU, Hands, again, hands, shop
from tests.cluster.cluster import Cluster, until

POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAME}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], resources: [pods, pods/resize], operations: [CREATE, UPDATE]}
  validations:
  - expression: object.spec.containers.all(c, quantity(c.resources.limits.cpu).compareTo(quantity('300m')) <= 0)
    message: a container may have 300m of CPU here
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NAME}
spec: {policyName: NAME, validationActions: [Deny]}
"""


def test_what_admission_refuses_bounds_the_search(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """A policy of the cluster's people is a bound with its own words for a reason; up to it an arm is resized and made
    anew, beyond it the write is Rejected and the arm stays as it was."""
    with hands(cluster, namespace, tmp_path, shop()) as made:
        cluster.apply(namespace, POLICY.replace("NAME", namespace))
        try:
            allowed = until(lambda: _bounded(made, CPU), 20, "the policy takes effect")
            assert not allowed.refusal
            high = allowed.bounds[CPU].high
            assert 0.28 < high <= 0.3
            assert "a container may have 300m of CPU here" in allowed.bounds[CPU].reason
            made.begin()
            made.write("a", {CPU: high})
            since = time.time()
            time.sleep(1.1)  # the API server tells seconds only
            again(lambda: made.arms["a"].renew(since))
            group = made.group("a")
            assert group.quota_us == pytest.approx(100_000 * high, rel=0.01)
            with pytest.raises(Rejected, match="300m of CPU here"):
                made.write("a", {CPU: 0.31})
            assert made.group("a") == group
            made.end()
        finally:
            cluster.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", namespace)


def _bounded(arms: Hands, name: str) -> Allowance | None:
    """What the survey says, once it says anything about admission."""
    found = arms.stage.survey()
    return found if "admission" in getattr(found.bounds.get(name), "reason", "") else None
