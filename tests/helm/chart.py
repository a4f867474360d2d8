"""The chart's files for tests: values as Helm merges them, and what Helm renders."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from helm.values import CHART, values
from tests.cluster.cluster import Cluster, tool

Json = dict[str, Any]
ROOT = CHART.parent.parent
SCENARIOS = sorted((CHART / "ci").glob("*.yaml"))
EXAMPLES = sorted((ROOT / "examples" / "kubernetes").glob("values-*.yaml"))
VERSION = "1.34.2"  # of Kubernetes, for templates that are rendered without a cluster


def merged(*files: Path, over: Mapping[str, Any] | None = None) -> Json:
    """The chart's values with those of files over them, as Helm merges: mappings by key, lists as a whole."""
    found = values()
    for file in files:
        _merge(found, yaml.safe_load(file.read_text(encoding="utf-8")))
    _merge(found, over or {})
    return found


def render(*files: Path, over: Mapping[str, Any] | None = None, release: str = "trimtab") -> list[Json]:
    """The objects that `helm template` makes. AssertionError with its words if it refuses."""
    ran = template(*files, over=over, release=release)
    assert ran.returncode == 0, ran.stderr
    return [each for each in yaml.safe_load_all(ran.stdout) if each]


def template(
    *files: Path, over: Mapping[str, Any] | None = None, release: str = "trimtab"
) -> subprocess.CompletedProcess[str]:
    """What `helm template` says. Skips the test where Helm is missing, and fails it under CI=true."""
    command = [tool("helm"), "template", release, str(CHART), "--namespace", "tuning", "--kube-version", VERSION]
    for file in files:
        command += ["--values", str(file)]
    return subprocess.run(
        [*command, "--values", "-"], input=yaml.safe_dump(dict(over or {})), capture_output=True, text=True, timeout=60
    )


@contextmanager
def installed(cluster: Cluster, namespace: str, directory: Path, content: Json) -> Iterator[None]:
    """The release `trimtab` with these values: its objects exist, and its pods do not matter."""
    file = directory / "values.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    cluster.helm("install", "trimtab", str(CHART), "-n", namespace, "--no-hooks", "-f", str(file))
    try:
        yield
    finally:
        cluster.helm("uninstall", "trimtab", "-n", namespace, "--no-hooks", check=False)


def _merge(under: Json, over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            _merge(under[key], value)
        else:
            under[key] = copy.deepcopy(value)
