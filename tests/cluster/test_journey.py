"""Whole runs in a real cluster, from traffic that rises to a workload that carries the winner: the chart as users
install it, Prometheus, Alertmanager and the load as pods, and what is left when it is uninstalled."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.actuators.kubernetes.api import path
from tests.cluster import journey
from tests.cluster.cluster import Cluster, until
from tests.cluster.connections import unexpected

Json = dict[str, Any]
ALERT_SECONDS, RUN_SECONDS = 120.0, 780.0
LEFT_SECONDS = 150.0  # that the watchdog may need: the deadline of the demo profile, and its own minute


@dataclass
class World:
    """A shop in one namespace and a release in another."""

    cluster: Cluster
    namespace: str
    release: str
    directory: Path
    figures: dict[str, float] = field(default_factory=dict)

    # --- what people see ---------------------------------------------------------------------------------------------

    def deployment(self) -> Json:
        found = self.cluster.api().get(path("Deployment", self.namespace, "shop"))
        assert found is not None
        return found

    def container(self) -> Json:
        found: Json = self.deployment()["spec"]["template"]["spec"]["containers"][0]
        return found

    def arms(self) -> list[str]:
        pods = self.cluster.api().items(path("Pod", self.namespace), labelSelector="trimtab.dev/arm")
        return sorted(str(pod["metadata"]["name"]) for pod in pods)

    def config_maps(self) -> list[str]:
        found = self.cluster.api().items(path("ConfigMap", self.namespace))
        return sorted(str(each["metadata"]["name"]) for each in found if "trimtab" in each["metadata"]["name"])

    def before(self) -> str:
        annotations = self.deployment()["metadata"].get("annotations") or {}
        return str(annotations.get("trimtab.dev/before", ""))

    def alerts(self) -> list[Json]:
        with journey.forwarded(self.cluster, self.namespace, "pod/alertmanager", 9093) as port:
            return list(journey.read_json(f"http://127.0.0.1:{port}/api/v2/alerts?active=true"))

    def trimtab(self, *arguments: str) -> Any:
        """What a command answers, as JSON."""
        return json.loads(self._run(*arguments, "-o", "json"))

    def _run(self, *arguments: str) -> str:
        """The command on this machine, over a port-forward to the release's Redis."""
        with journey.forwarded(self.cluster, self.release, "svc/trimtab-redis", 6379) as port:
            policy = journey.values(self.namespace)["config"]
            policy["redis"]["url"] = f"redis://127.0.0.1:{port}/0"
            policy["server"].pop("tokens_file")
            file = self.directory / "trimtab.yaml"
            file.write_text(yaml.safe_dump(policy))
            command = [sys.executable, "-m", "console", "--policy", str(file), *arguments]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert ran.returncode == 0, ran.stderr
            return ran.stdout

    def runs(self) -> list[Json]:
        """By the controller's HTTP interface, at its pod's address; none while it does not answer. A look must be
        cheap: what the test itself costs, the load and the arms do not have."""
        with contextlib.suppress(OSError, IndexError):
            selector = f"app.kubernetes.io/instance={self.release},app.kubernetes.io/component=controller"
            address = self.cluster.pods(self.release, selector)[0]["status"]["podIP"]
            return list(journey.read_json(f"http://{address}:8080/api/v1/runs"))
        return []

    # --- what happens ------------------------------------------------------------------------------------------------

    def rise(self) -> str:
        """Traffic rises; returns the run that the alert opened."""
        began = time.monotonic()
        journey.set_rate(self.cluster, self.namespace, journey.BUSY)
        opened = until(self.runs, ALERT_SECONDS, "a run that the alert opens")
        self.figures["traffic rises to run opened"] = time.monotonic() - began
        return str(opened[0]["run"])

    def in_a_trial(self) -> None:
        """Wait for a candidate on an arm."""

        def differ() -> bool:
            settings = set()
            for pod in self.cluster.api().items(path("Pod", self.namespace), labelSelector="trimtab.dev/arm"):
                settings.add((pod["metadata"].get("annotations") or {}).get("trimtab.dev/settings"))
            return len(settings) == 2

        until(differ, 240, "two arms with different settings")

    def closed(self, run: str) -> Json:
        """Wait for its end; its entry."""
        began = time.monotonic()

        def ended() -> Json | None:
            time.sleep(1)
            return next((each for each in self.runs() if each["run"] == run and each["outcome"]), None)

        found = until(ended, RUN_SECONDS, f"the end of {run}")
        self.figures[f"run, {found['outcome']}"] = time.monotonic() - began
        return found

    def delete(self, *components: str) -> None:
        """End pods of the release at once, as a node that dies would."""
        for each in components:
            selector = f"app.kubernetes.io/instance={self.release},app.kubernetes.io/component={each}"
            self.cluster.kubectl(
                "-n", self.release, "delete", "pods", "-l", selector, "--grace-period=0", "--force", "--wait=false"
            )

    def untouched(self) -> bool:
        """The workload carries what it did before any run, and nothing of ours is there."""
        return (
            self.container()["resources"]["limits"]["cpu"] == "300m"
            and self.deployment()["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] == "shop-nginx"
            and self.rests()
        )

    def rests(self) -> bool:
        """No arm, four replicas, no way back that is still open."""
        before = json.loads(self.before() or '{"back": true}')
        return not self.arms() and self.deployment()["spec"]["replicas"] == 4 and bool(before["back"])

    def tell(self) -> None:
        """The story of the runs, for whoever reads the log."""
        with contextlib.suppress(AssertionError):
            for each in self.runs():
                if each["outcome"]:
                    print(self._run("runs", "watch", str(each["run"])))

    def uninstall(self) -> None:
        began = time.monotonic()
        self.cluster.helm("uninstall", self.release, "-n", self.release, "--wait", "--timeout", "4m")
        self.figures["helm uninstall"] = time.monotonic() - began


@pytest.fixture
def world(
    cluster: Cluster,
    namespace: str,
    tmp_path: Path,
    held: None,
    record_property: Callable[[str, object], None],
) -> Iterator[World]:
    """The shop with its monitoring under little traffic, and the chart, all Ready."""
    release = f"trimtab-{uuid.uuid4().hex[:6]}"
    made = World(cluster, namespace, release, tmp_path)
    cluster.apply(namespace, yaml.safe_dump_all([*journey.shop(), *journey.monitoring(release)]))
    try:
        made.figures["helm install --wait"] = journey.install(
            cluster, namespace, release, tmp_path, journey.values(namespace)
        )
        cluster.kubectl("-n", namespace, "rollout", "status", "deployment/shop", "--timeout=120s")
        yield made
    finally:
        for name, seconds in made.figures.items():
            record_property(name, f"{seconds:.0f} s")
        made.tell()
        if cluster.helm("list", "-q", "-n", release, check=False).strip():
            cluster.helm("uninstall", release, "-n", release, "--no-hooks", check=False)
        cluster.kubectl("delete", "namespace", release, "--wait=true", check=False)
        if cluster.own:
            cluster.free_volumes()


def test_the_winner_is_kept_and_the_alert_resolved(world: World) -> None:
    """Traffic rises, the alert opens a run, arms are made and compared, the winner is rolled out, the alert resolves,
    the history tells it, and the release leaves nothing but the winner, its annotations and the claim."""
    began = time.monotonic()
    run = world.rise()
    until(lambda: len(world.arms()) == 2 and world.deployment()["spec"]["replicas"] == 2, 90, "arms for replicas")
    ports: set[int] = set()

    def spoken() -> bool:
        """Connections that are open now are all allowed; those to Prometheus come and go."""
        bad, seen = unexpected(world.cluster, world.release, world.release)
        assert bad == []
        ports.update(each.port for each in seen)
        time.sleep(2)
        return ports >= {6379, 9090, 443}

    until(spoken, 180, "connections to Redis, Prometheus and the API server")
    entry = world.closed(run)
    assert entry["outcome"] == "kept", entry
    assert world.rests()
    assert world.before() == ""
    until(lambda: not world.alerts(), 120, "the alert to be resolved")
    world.figures["traffic rises to alert resolved"] = time.monotonic() - began
    assert world.figures["traffic rises to alert resolved"] < 900

    (told,) = [each for each in world.trimtab("history") if each["run"] == run]
    assert told["effect"] < 0
    assert told["changed"]
    assert told["settings_before"] == {"k8s.cpu_limit": 0.3, "nginx.gzip_comp_level": 9}
    kept = told["settings_after"]
    assert float(world.container()["resources"]["limits"]["cpu"].removesuffix("m")) == round(
        1000 * kept["k8s.cpu_limit"]
    )
    events = world.cluster.kubectl("-n", world.namespace, "get", "events", "-o", "jsonpath={.items[*].reason}").split()
    assert {"TuningStarted", "CandidateApplied", "Kept", "ArmsRetired"} <= set(events)

    told = world.cluster.helm("test", world.release, "-n", world.release)
    assert "Phase:          Succeeded" in told
    world.uninstall()
    kinds = "all,configmap,secret,serviceaccount,role,rolebinding,networkpolicy,pvc"

    def left() -> list[str]:
        names = world.cluster.kubectl("-n", world.release, "get", kinds, "-o", "name").split()
        return [name for name in names if name not in ("configmap/kube-root-ca.crt", "serviceaccount/default")]

    claim = f"persistentvolumeclaim/data-{world.release}-redis-0"
    until(lambda: left() == ["secret/trimtab-tokens", claim], 60, f"nothing but {claim} and what we made by hand")
    wide = world.cluster.kubectl(
        "get", "clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding", "-o", "name"
    )
    assert world.release not in wide
    assert world.cluster.kubectl("-n", world.namespace, "get", "role,rolebinding", "-o", "name") == ""
    assert world.rests()
    assert all(name.startswith("shop-trimtab-kept-") for name in world.config_maps())


def right(world: World, run: str) -> None:
    """However the run ends, the workload is on the right settings within its deadline: by us, or by the watchdog."""
    entry = world.closed(run)
    until(world.rests, LEFT_SECONDS, "the arms to leave")
    if entry["outcome"] == "kept":
        assert world.deployment()["metadata"]["annotations"]["trimtab.dev/kept"]
    else:
        assert world.untouched(), entry
    assert entry["outcome"] in ("kept", "restored", "nothing_to_gain", "inconclusive"), entry


def test_everything_of_ours_may_die_in_the_middle_of_a_trial(world: World) -> None:
    """Controller, worker and Redis at once: journal and broker come back from the disk, and the run goes on."""
    run = world.rise()
    world.in_a_trial()
    world.delete("controller", "worker", "redis")
    right(world, run)


@pytest.mark.slow_cluster
@pytest.mark.parametrize("component", ["controller", "worker", "redis"])
def test_each_of_ours_may_die_in_the_middle_of_a_trial(world: World, component: str) -> None:
    """One of them, alone."""
    run = world.rise()
    world.in_a_trial()
    world.delete(component)
    right(world, run)


@pytest.mark.slow_cluster
def test_without_any_of_ours_the_watchdog_restores(world: World) -> None:
    """Nothing of ours comes back but the CronJob: past its deadline the workload is as it was."""
    world.rise()
    world.in_a_trial()
    for kind, name in (("deployment", "controller"), ("deployment", "worker"), ("statefulset", "redis")):
        world.cluster.kubectl("-n", world.release, "scale", kind, f"{world.release}-{name}", "--replicas=0")
    world.delete("controller", "worker", "redis")
    began = time.monotonic()
    until(world.untouched, 100 + LEFT_SECONDS, "the watchdog's way back")
    world.figures["everything gone to workload as it was"] = time.monotonic() - began


@pytest.mark.slow_cluster
def test_the_api_server_may_die_in_the_middle_of_a_trial(world: World) -> None:
    """Killed and back after ten seconds: writes wait, and the run goes on."""
    run = world.rise()
    world.in_a_trial()
    world.cluster.restart("apiserver", pause=10)
    right(world, run)


@pytest.mark.slow_cluster
def test_an_uninstall_in_the_middle_of_a_trial_restores_first(world: World) -> None:
    """`helm uninstall` waits for the way back, and leaves the workload as it was before the run."""
    world.rise()
    world.in_a_trial()
    world.uninstall()
    assert world.untouched()
    assert world.config_maps() == []
