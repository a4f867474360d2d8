"""Tests on a real cluster. They run only where they are asked for: `make test-cluster`, or `pytest -m cluster`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster, find, until
from tests.helm.conftest import held as held

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in this folder carries the mark, so that none can end up in the quick tests by mistake. Runs
    and pods take their time: each wait has a limit of its own, long before this one."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(1500))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Figures that tests recorded, at the end: they are what docs/kubernetes.md tells."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                for name, value in report.user_properties:
                    terminalreporter.write_line(f"figure: {report.nodeid.rpartition('::')[2]}: {name}: {value}")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster to test on; see `find`."""
    found = find()
    yield found
    found.close()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A new namespace in which pods may be made, deleted with all that is in it afterwards."""
    name = f"trimtab-test-{uuid.uuid4().hex[:8]}"
    api = cluster.api()
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        until(lambda: api.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"), 30, "the default service account")
        yield name
    finally:
        # Pods that linger for their grace period would take the room of the next test's.
        cluster.kubectl("delete", "namespace", name, "--wait=false")
        cluster.kubectl("delete", "pods", "--all", "-n", name, "--grace-period=1", "--wait=false")
