"""Every scenario as the API server sees it: admission, defaults and the expressions of the policies included."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cluster.cluster import Cluster
from tests.helm.chart import SCENARIOS, render

pytestmark = pytest.mark.cluster
OPERATORS = ("ServiceMonitor", "PrometheusRule")  # kinds that an operator brings, and this cluster has none


@pytest.mark.parametrize("file", [None, *SCENARIOS], ids=lambda file: "defaults" if file is None else str(file.stem))
def test_the_api_server_takes_every_object(cluster: Cluster, held: None, file: Path | None) -> None:
    """A dry run with strict checking of fields answers for each object, and warns of nothing."""
    objects = [each for each in render(*([file] if file else [])) if each["kind"] not in OPERATORS]
    told = cluster.kubectl(
        *(
            "apply",
            "--namespace",
            "default",
            "--dry-run=server",
            "--validate=strict",
            "--warnings-as-errors",
            "-f",
            "-",
        ),
        stdin=yaml.safe_dump_all(objects),
    )
    assert len(told.splitlines()) == len(objects)
