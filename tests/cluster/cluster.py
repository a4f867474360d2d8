"""A real cluster for tests: our own of one node, or one whose use a person confirmed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
import yaml

from adapters.actuators.kubernetes.api import Api, Json, path

HERE = Path(__file__).parent
STATE = Path(os.environ.get("TRIMTAB_CLUSTER_STATE", "/tmp/trimtab-cluster"))
GROUPS = Path("/sys/fs/cgroup")
T = TypeVar("T")


def missing(reason: str) -> NoReturn:
    """Skip the test with the reason; under CI=true fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def tool(name: str) -> str:
    """Path of `kubectl`, `helm` or `kubeconform`: the one built for the cluster, or else one of PATH. Needs no running
    cluster. Skips the test where there is none (fails it under CI=true)."""
    built = _script("build.sh", "--where").stdout.strip()
    found = shutil.which(name, path=f"{built}:{os.environ.get('PATH', '')}")
    return found or missing(f"{name} is missing; `make cluster-programs` builds it (needs Go), or install it")


def schemas() -> str:
    """The value of kubeconform's `-schema-location` with schemas of all kinds on disk. Needs no cluster. Skips the test
    where they can neither be found nor made (fails it under CI=true)."""
    ran = _script("schemas.sh")
    return ran.stdout.strip() if ran.returncode == 0 else missing(f"no schemas: {ran.stderr.strip()}")


def until(check: Callable[[], T | None], seconds: float, what: str) -> T:
    """The first answer of `check` that is true, asked five times a second. AssertionError after `seconds`, with the
    last answer."""
    end = time.monotonic() + seconds
    while not (answer := check()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}; the last answer was {answer!r}")
        time.sleep(0.2)
    return answer


@dataclass(frozen=True)
class ControlGroup:
    """What the kernel holds a container to. `quota_us` and `memory_bytes` are None without a limit. `container` and
    `restarts` are those of the pod's status: they tell whether it is still the same process."""

    quota_us: int | None
    period_us: int
    memory_bytes: int | None
    container: str
    restarts: int


class Cluster:
    """`kubeconfig` is a file; `state` the directory of our own cluster, or None for another one."""

    def __init__(self, kubeconfig: Path, state: Path | None) -> None:
        self.kubeconfig, self.state = kubeconfig, state
        self._clients: list[Any] = []

    @property
    def own(self) -> bool:
        return self.state is not None

    @cached_property
    def kubectl_path(self) -> str:
        return tool("kubectl")

    @cached_property
    def helm_path(self) -> str:
        return tool("helm")

    @cached_property
    def kubeconform_path(self) -> str:
        return tool("kubeconform")

    def need_own(self, why: str) -> Path:
        """The state directory of our own cluster; skips the test (fails it under CI=true) on another one."""
        return self.state or missing(f"only on the cluster of `make cluster`: {why}")

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """stdout of kubectl. AssertionError with its stderr if it fails, unless `check` is off (then both)."""
        return self._run([self.kubectl_path, *arguments], stdin, check)

    def helm(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """stdout of helm, as with kubectl. Its caches lie beside the kubeconfig."""
        return self._run([self.helm_path, *arguments], stdin, check)

    def _run(self, command: list[str], stdin: str | None, check: bool) -> str:
        ran = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=600, env=self.environment())
        if check and ran.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit code {ran.returncode}\n{ran.stderr}")
        return ran.stdout if check else ran.stdout + ran.stderr

    def environment(self) -> dict[str, str]:
        """The environment for a process that is to work with this cluster."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def api(self, kubeconfig: Path | None = None) -> Api:
        """The actuator's API: as administrator, or as whom another kubeconfig says. One connection for each."""
        return self._connect(kubeconfig or self.kubeconfig)

    @cache  # noqa: B019  a cluster lives as long as the tests
    def _connect(self, kubeconfig: Path) -> Api:
        from kubernetes import client, config

        settings = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call]
        settings.retries = False
        connected = client.ApiClient(settings)
        self._clients.append(connected)
        return Api(connected)

    def account(self, namespace: str, name: str, directory: Path) -> Path:
        """A kubeconfig, written into `directory`, for what a service account may do."""
        given = yaml.safe_load(self.kubectl("config", "view", "--raw", "--minify", "--flatten"))
        given["users"][0]["user"] = {"token": self.kubectl("create", "token", name, "-n", namespace).strip()}
        file = directory / f"{namespace}-{name}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(given))
        return file

    def apply(self, namespace: str, text: str) -> None:
        """`kubectl apply` of YAML."""
        self.kubectl("apply", "-n", namespace, "-f", "-", stdin=text)

    def pods(self, namespace: str, selector: str) -> list[Json]:
        """Ready pods that are not on their way out, by name."""
        found = self.api().items(path("Pod", namespace), labelSelector=selector)
        ready = [pod for pod in found if "deletionTimestamp" not in pod["metadata"] and _ready(pod)]
        return sorted(ready, key=lambda pod: str(pod["metadata"]["name"]))

    def restart(self, component: str, *, pause: float = 0.0, kill: bool = True) -> None:
        """SIGKILL (or SIGTERM) a component of our own cluster, leave it away for `pause` seconds, and start it anew."""
        state = self.need_own(f"{component} is restarted")
        options = ["--pause", str(pause), *([] if kill else ["--term"])]
        ran = _script("cluster-restart.sh", *options, str(state), component)
        if ran.returncode != 0:
            raise AssertionError(f"{component} did not come back: {ran.stderr}")

    def cgroup(self, namespace: str, pod: str, container: str) -> ControlGroup:
        """What the kernel enforces now, read on the node; only on our own cluster."""
        self.need_own("control groups are read on the node")
        found = self.api().get(path("Pod", namespace, pod))
        assert found is not None, f"pod {pod} is gone"
        status = next(each for each in found["status"]["containerStatuses"] if each["name"] == container)
        name = str(status["containerID"]).rpartition("/")[2]
        below = f"kubepods/**/pod{found['metadata']['uid']}/{name}"
        if (GROUPS / "cgroup.controllers").exists():  # version 2
            (group,) = GROUPS.glob(below)
            quota, period = (group / "cpu.max").read_text().split()
            memory = (group / "memory.max").read_text().strip()
        else:
            (group,) = (GROUPS / "cpu").glob(below)
            quota, period = ((group / f"cpu.cfs_{each}_us").read_text().strip() for each in ("quota", "period"))
            (group,) = (GROUPS / "memory").glob(below)
            memory = (group / "memory.limit_in_bytes").read_text().strip()
        limit = None if memory == "max" or int(memory) >= 2**62 else int(memory)  # version 1 says "a lot" for none
        cpu = None if quota in ("max", "-1") else int(quota)
        return ControlGroup(cpu, int(period), limit, name, int(status["restartCount"]))

    def free_volumes(self) -> None:
        """Empty those of our own cluster's volumes whose claim is gone, and make them available again."""
        state = self.need_own("its volumes are emptied")
        for volume in self.api().items("/api/v1/persistentvolumes"):
            name = volume["metadata"]["name"]
            if volume["status"]["phase"] == "Released":
                for each in (state / "volumes" / name).iterdir():
                    shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
                self.api().merge(f"/api/v1/persistentvolumes/{name}", {"spec": {"claimRef": None}})

    def close(self) -> None:
        """Close the connections of all that `api` returned."""
        for client in self._clients:
            client.rest_client.pool_manager.clear()


def find() -> Cluster:
    """Our own cluster if it runs; else the one of KUBECONFIG, if TRIMTAB_CLUSTER_CONFIRMED names its current context.
    Otherwise the test is skipped with the reason (fails under CI=true)."""
    if (STATE / "admin.kubeconfig").exists():
        return Cluster(STATE / "admin.kubeconfig", STATE)
    given = os.environ.get("KUBECONFIG", "")
    if not given:
        missing("no cluster runs: `make cluster` starts one (Debian, root, Go), or set KUBECONFIG")
    from kubernetes.config import list_kube_config_contexts

    _, current = list_kube_config_contexts(given)  # type: ignore[no-untyped-call]
    confirmed = os.environ.get("TRIMTAB_CLUSTER_CONFIRMED", "")
    if confirmed != current["name"]:
        missing(
            f"TRIMTAB_CLUSTER_CONFIRMED is {confirmed!r}: set it to {current['name']!r} if these tests may create and "
            f"delete namespaces, workloads and cluster roles in the cluster of KUBECONFIG ({given})"
        )
    return Cluster(Path(given), None)


def _ready(pod: Json) -> bool:
    conditions: list[dict[str, Any]] = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HERE / name), *arguments], capture_output=True, text=True, timeout=300)
