"""Arms of a Deployment on a real cluster: made, resized in place, reloaded, made anew, and gone without a trace."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from adapters.actuators.kubernetes import api as real
from adapters.actuators.kubernetes.api import Outdated, path
from domain.errors import Conflict, Misconfigured, Rejected
from domain.space import Parameter, SearchSpace
from tests.cluster.arms import CPU, LEVEL, MEMORY, MI, ORIGINAL, REQUEST, Hands, again, hands, rights, settled, shop
from tests.cluster.cluster import Cluster, until

QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: small}
spec: {hard: {limits.memory: 640Mi}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: small}
spec: {limits: [{type: Container, max: {cpu: 400m}}]}
"""
HOLD = "python3 -c 'import time; held = bytearray(60 << 20); time.sleep(90)' >/dev/null 2>&1 & sleep 1"


@pytest.fixture(scope="module")
def space(cluster: Cluster) -> Iterator[str]:
    """One namespace for all of these."""
    name = f"trimtab-arms-{uuid.uuid4().hex[:8]}"
    cluster.need_own("its images are loaded into the node")
    cluster.kubectl("create", "namespace", name)
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    try:
        until(lambda: cluster.api().get(account), 30, "the default service account")
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")
        cluster.kubectl("delete", "pods", "--all", "-n", name, "--grace-period=1", "--wait=false")


@pytest.fixture(scope="module")
def made(cluster: Cluster, space: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hands]:
    """A Deployment of two replicas; its arms come on top."""
    with hands(cluster, space, tmp_path_factory.mktemp("accounts"), shop()) as found:
        yield found


@pytest.fixture
def arms(made: Hands) -> Hands:
    """The same in a run, with both arms and the settings of the template."""
    before = (made.owner()["metadata"].get("annotations") or {}).get("trimtab.dev/before")
    if before is None:
        made.begin()
    for label in "ab":
        if made.arms[label].read().settings != ORIGINAL:
            made.write(label, ORIGINAL)
    return made


def test_arms_come_and_go_and_no_production_pod_does(made: Hands) -> None:
    """No ReplicaSet adopts an arm, and none deletes a pod of its own for one: the same pods serve before, with arms
    and after them. The arms are behind the Service, and leave by themselves some time after the run."""
    before, began = made.production(), time.time()
    made.timed("make both arms", made.begin)
    pods = [made.pod(label) for label in "ab"]
    time.sleep(1.5)  # a ReplicaSet that saw too many pods would have acted by now
    for pod in pods:
        (owner,) = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner.get("controller")) == ("Deployment", "shop", False)
        assert "pod-template-hash" not in pod["metadata"]["labels"]
        left = pod["spec"]["activeDeadlineSeconds"] - (1800.0 + 300.0)
        assert -(time.time() - began) - 1 <= left <= 1
    assert made.production() == before
    assert {pod["status"]["podIP"] for pod in pods} <= addresses(made)
    made.timed("remove both arms", made.end)
    assert made.production() == before
    assert not any(made.there(kind, f"shop-trimtab-{label}") for kind in ("Pod", "ConfigMap") for label in "ab")


def addresses(made: Hands) -> set[str]:
    """The addresses of the Service that take traffic."""
    place = f"/apis/discovery.k8s.io/v1/namespaces/{made.namespace}/endpointslices"
    slices = made.cluster.api().items(place, labelSelector=f"kubernetes.io/service-name={made.name}")
    ends = [end for each in slices for end in each.get("endpoints") or []]
    return {address for end in ends if end["conditions"].get("ready") for address in end["addresses"]}


def test_limits_change_in_place(arms: Hands) -> None:
    """CPU up and down and memory up are in the kernel's hands, in the same container, which never restarted."""
    before = arms.group("a")
    for what, settings, quota, memory in (
        ("CPU limit up", {CPU: 0.3}, 30_000, 96),
        ("CPU limit down", {CPU: 0.1}, 10_000, 96),
        ("memory limit up", {MEMORY: 128.0 * MI}, 10_000, 128),
        ("memory limit down", {MEMORY: 100.0 * MI}, 10_000, 100),
    ):
        arms.timed(what, lambda settings=settings: arms.write("a", settings))  # type: ignore[misc]
        seen = arms.group("a")
        assert (seen.quota_us, seen.memory_bytes) == (quota, memory * MI), what
        assert (seen.container, seen.restarts) == (before.container, 0)
    assert arms.arms["a"].effective()[CPU] == 0.1


def test_memory_below_what_is_used_is_refused(arms: Hands) -> None:
    """The kubelet cannot shrink it: Rejected, and kernel, spec and status hold the former limit again."""
    before = arms.group("a")
    arms.inside("a", "sh", "-c", HOLD)
    with pytest.raises(Rejected, match="Error"):
        arms.timed("memory limit below usage", lambda: arms.write("a", {MEMORY: 48.0 * MI}))
    as_before(arms, "a", before.container)


@pytest.mark.parametrize(("what", "request_"), [("Infeasible", 3.0), ("Deferred", 1.99)])
def test_a_request_that_finds_no_room_is_withdrawn(arms: Hands, what: str, request_: float) -> None:
    """Beyond the node, or beyond what is free on it: Rejected, nothing pending, the former resources."""
    before = arms.group("b")
    with pytest.raises(Rejected, match=what):
        arms.timed(f"request that is {what}", lambda: arms.write("b", {REQUEST: request_, CPU: 4.0}))
    as_before(arms, "b", before.container)


def as_before(arms: Hands, label: str, container: str) -> None:
    """The original resources: asked for, given, enforced, and nothing else on its way."""
    pod, seen = arms.pod(label), arms.group(label)
    conditions = {each["type"] for each in pod["status"]["conditions"] if each["status"] == "True"}
    assert not conditions & {"PodResizePending", "PodResizeInProgress"}
    for resources in (pod["spec"]["containers"][0]["resources"], pod["status"]["containerStatuses"][0]["resources"]):
        assert resources["limits"] == {"cpu": "150m", "memory": "96Mi"}
        assert resources["requests"] == {"cpu": "20m", "memory": "32Mi"}
    assert (seen.quota_us, seen.memory_bytes, seen.container, seen.restarts) == (15_000, 96 * MI, container, 0)
    assert arms.arms[label].read().settings == ORIGINAL


def workers(arms: Hands, label: str) -> set[str]:
    """Births of the nginx workers, in ticks of the kernel."""
    script = 'for p in /proc/[0-9]*; do grep -q "nginx: worker" $p/cmdline && cut -d" " -f22 $p/stat; done; true'
    return set(arms.inside(label, "sh", "-c", script).split())


def test_a_changed_file_is_reloaded_and_proven(arms: Hands) -> None:
    """The arm's own ConfigMap reaches the container, nginx reads it without a restart, and no older worker serves. The
    owner's ConfigMap is never touched."""
    before, group = workers(arms, "a"), arms.group("a")
    arms.timed("ConfigMap and reload", lambda: arms.write("a", {LEVEL: 2}))
    assert "gzip_comp_level 2;" in arms.inside("a", "cat", "/etc/trimtab/tuned.conf")
    assert arms.arms["a"].effective()[LEVEL] == 2
    after = workers(arms, "a")
    assert after
    assert min(map(int, after)) > max(map(int, before))
    assert arms.group("a").container == group.container
    assert "gzip_comp_level 6;" in arms.get("ConfigMap", "shop-nginx")["data"]["tuned.conf"]
    assert "gzip_comp_level 6;" in arms.inside("b", "cat", "/etc/trimtab/tuned.conf")


def test_nobody_else_s_pod_can_be_made_or_changed(arms: Hands) -> None:
    """Rights by name: the arms were made by this account with an apply, and it cannot make or touch any other pod, nor
    another ConfigMap. An apply that is to make an object changes none that is there."""
    name = arms.cluster.pods(arms.namespace, "app=shop,!trimtab.dev/arm")[0]["metadata"]["name"]
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}, "spec": {"containers": []}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}, "data": {}}
    place = path("Pod", arms.namespace, name)
    refusals: list[Callable[[], object]] = [
        lambda: arms.ours.apply(path("Pod", arms.namespace, "other"), body),
        lambda: arms.ours.create(path("Pod", arms.namespace), body),
        lambda: arms.ours.apply(path("ConfigMap", arms.namespace, "other"), config),
        lambda: arms.ours.get(place),
        lambda: arms.ours.delete(place),
        lambda: arms.ours.resize(place, "web", {"limits": {"cpu": "1"}}),
        lambda: arms.ours.run(arms.namespace, name, "web", ["true"]),
    ]
    for refused in refusals:
        with pytest.raises(Misconfigured, match="cannot"):
            refused()
    pod = arms.pod("a")
    metadata = {"name": pod["metadata"]["name"], "labels": {"trimtab.dev/run": "late"}, "resourceVersion": "1"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    with pytest.raises(Outdated):
        arms.ours.apply(path("Pod", arms.namespace, metadata["name"]), body)
    assert arms.pod("a")["metadata"]["labels"]["trimtab.dev/run"] == arms.run


def test_what_the_namespace_allows_bounds_the_search(arms: Hands) -> None:
    """Quota and LimitRange are bounds with their reasons; a write inside them is admitted, one outside is Rejected and
    leaves the arm as it was."""
    arms.cluster.apply(arms.namespace, QUOTA)
    quota = path("ResourceQuota", arms.namespace, "small")
    admin = arms.cluster.api()
    try:
        until(lambda: ((admin.get(quota) or {}).get("status") or {}).get("used"), 20, "the quota is counted")
        allowed = arms.timed("survey", arms.stage.survey)
        assert not allowed.refusal
        assert allowed.bounds[CPU].high == pytest.approx(0.4)
        assert "small" in allowed.bounds[CPU].reason
        assert allowed.bounds[MEMORY].high < 2048.0 * MI
        assert "small" in allowed.bounds[MEMORY].reason
        container = arms.group("a").container
        arms.write("a", {CPU: allowed.bounds[CPU].high})
        assert arms.group("a").quota_us == 40_000
        arms.write("a", ORIGINAL)
        for settings, why in (({CPU: 0.5}, "maximum cpu usage"), ({MEMORY: 700.0 * MI}, "exceeded quota")):
            with pytest.raises(Rejected, match=why):
                arms.write("a", settings)
            as_before(arms, "a", container)
    finally:
        arms.cluster.kubectl("delete", "resourcequota/small", "limitrange/small", "-n", arms.namespace)


def test_an_arm_that_outlives_everything_of_ours_leaves_by_itself(arms: Hands) -> None:
    """At its deadline the kubelet ends it, and the Service forgets it; the next write makes it anew."""
    pod = arms.pod("b")
    arms.cluster.api().merge(
        path("Pod", arms.namespace, pod["metadata"]["name"]), {"spec": {"activeDeadlineSeconds": 1}}
    )
    until(lambda: arms.pod("b")["status"]["phase"] == "Failed", 40, "the kubelet ends the arm")
    assert arms.pod("b")["status"]["reason"] == "DeadlineExceeded"
    until(lambda: pod["status"]["podIP"] not in addresses(arms), 20, "the Service forgets it")
    arms.timed("make an arm anew", lambda: arms.write("b", {CPU: 0.2}))
    assert arms.pod("b")["metadata"]["uid"] != pod["metadata"]["uid"]
    assert arms.group("b").quota_us == 20_000


def test_a_placement_is_a_new_pod(arms: Hands) -> None:
    """A renewed arm is another pod with the same settings; asked again about the same moment, it stays."""
    arms.write("a", {CPU: 0.25})
    before, now = arms.pod("a"), time.time()
    time.sleep(1.1)  # the API server tells seconds only
    arms.timed("renew", lambda: again(lambda: arms.arms["a"].renew(now)))
    after = arms.pod("a")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert arms.group("a").quota_us == 25_000
    arms.arms["a"].renew(now)
    assert arms.pod("a")["metadata"]["uid"] == after["metadata"]["uid"]


def test_the_environment_makes_an_arm_anew(arms: Hands) -> None:
    """A variable is read by a program when it starts: another pod with it, and nothing in the template."""
    space = SearchSpace((Parameter("go.GOGC", "integer", 100, low=25, high=400, cost="restart"),))
    assert arms.target.workload is not None
    workload = replace(arms.target.workload, config_map="", key="")
    other = replace(arms, target=replace(arms.target, actuator="kubernetes+go", space=space, workload=workload))
    before = arms.pod("a")["metadata"]["uid"]
    try:
        other.timed("environment", lambda: other.write("a", {"go.GOGC": 200}))
        assert arms.pod("a")["metadata"]["uid"] != before
        assert other.inside("a", "sh", "-c", "echo $GOGC").strip() == "200"
        assert other.arms["a"].effective() == {"go.GOGC": 200}
        assert "env" not in arms.owner()["spec"]["template"]["spec"]["containers"][0]
    finally:
        arms.generation = other.generation
        made = arms.pod("a")["metadata"]
        arms.cluster.kubectl("delete", "pod", made["name"], "-n", arms.namespace)
    arms.write("a", ORIGINAL)


def test_what_is_proven_goes_into_the_template_and_its_story_is_told(arms: Hands) -> None:
    """A rollout with an immutable ConfigMap of its own, waited for; `kubectl describe` tells what happened. Restoring
    brings the original back, and the arms leave."""
    winner = {**ORIGINAL, CPU: 0.2, LEVEL: 3}
    arms.write("a", winner)
    original = arms.owner()["spec"]["template"]["spec"]
    adopted = arms.timed("adopt", lambda: again(lambda: arms.stage.adopt(winner, arms.stamp())))
    assert adopted.settings == winner
    spec = arms.owner()["spec"]["template"]["spec"]
    assert spec["containers"][0]["resources"]["limits"]["cpu"] == "200m"
    kept = arms.get("ConfigMap", spec["volumes"][0]["configMap"]["name"])
    assert kept["immutable"]
    assert "gzip_comp_level 3;" in kept["data"]["tuned.conf"]
    settled(arms)
    stamp = arms.stamp()
    arms.timed("restore", lambda: again(lambda: arms.arms["a"].restore(stamp, None)))
    assert arms.owner()["spec"]["template"]["spec"] == original
    for arm in arms.arms.values():
        arm.release(arms.run)
    settled(arms)
    place = path("Event", arms.namespace)
    events = arms.cluster.api().items(place, fieldSelector="involvedObject.kind=Deployment,involvedObject.name=shop")
    told = {each["reason"] for each in events if (each.get("source") or {}).get("component") == "trimtab"}
    assert told >= {"TuningStarted", "CandidateApplied", "Kept", "RolledBack"}


def test_a_rollout_that_gets_stuck_is_undone(arms: Hands) -> None:
    """Production pods that do not start with proven settings: Rejected once the controller gives up (10 s here), and
    the original template is back."""
    original = arms.owner()["spec"]["template"]["spec"]
    serving = arms.production()
    bad = {**ORIGINAL, MEMORY: 33.0 * MI, REQUEST: 3.0, CPU: 4.0}  # no node has room for it
    with pytest.raises(Rejected, match="does not come up"):
        arms.timed("adopt what does not start", lambda: again(lambda: arms.stage.adopt(bad, arms.stamp())))
    assert arms.owner()["spec"]["template"]["spec"] == original
    settled(arms)
    assert arms.production() & serving  # they were never all away


def test_an_edit_of_somebody_else_is_a_conflict(arms: Hands) -> None:
    """kubectl changes the template in the middle: nothing more is written, the edit stays, the arms leave."""
    seen = arms.arms["a"].read()
    arms.cluster.kubectl("set", "env", "deployment/shop", "BY=hand", "-n", arms.namespace)
    assert arms.arms["a"].read().stamp is None
    with pytest.raises(Conflict):
        arms.arms["a"].write({**ORIGINAL, CPU: 0.3}, arms.stamp(), seen.version)
    with pytest.raises(Conflict):
        arms.write("a", {CPU: 0.3})  # whatever it believes that it has seen
    with pytest.raises(Conflict):
        arms.arms["a"].restore(arms.stamp(), seen.version)
    arms.end()
    assert not any(arms.there(kind, f"shop-trimtab-{label}") for kind in ("Pod", "ConfigMap") for label in "ab")
    (container,) = arms.owner()["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "BY", "value": "hand"}]
    arms.cluster.kubectl("set", "env", "deployment/shop", "BY-", "-n", arms.namespace)
    settled(arms)


def test_arms_stand_in_for_replicas_and_the_watchdog_gives_them_back(made: Hands, tmp_path: Path) -> None:
    """Of three replicas one is left while two arms serve. With nobody but the watchdog past the deadline, and with its
    few rights, there are three again, and no arm."""
    made.cluster.kubectl("scale", "deployment/shop", "--replicas=3", "-n", made.namespace)
    settled(made)
    before = made.production()
    made.begin()
    assert made.owner()["spec"]["replicas"] == 1
    assert len(made.production() & before) == 1
    made.cluster.apply(made.namespace, rights(made.namespace, "shop", "watchdog", ("undo",)))
    watchdog = made.cluster.api(made.cluster.account(made.namespace, "watchdog", tmp_path))
    with mock.patch.object(real, "connect", return_value=watchdog):
        said = made.timed("reap", lambda: again(lambda: made.arms["a"].reap(time.time() + 7200.0)))
    assert said is not None
    assert "silent past its deadline" in said
    assert made.owner()["spec"]["replicas"] == 3
    assert len(made.production()) == 3
    assert not any(made.there(kind, f"shop-trimtab-{label}") for kind in ("Pod", "ConfigMap") for label in "ab")
    for arm in made.arms.values():
        arm.release(made.run)
    made.cluster.kubectl("scale", "deployment/shop", "--replicas=2", "-n", made.namespace)


def test_a_file_behind_a_sub_path_makes_an_arm_anew(cluster: Cluster, space: str, tmp_path: Path) -> None:
    """Such a mount never changes: another pod has the new file. Arms and their files go with the Deployment."""
    text = shop("sub", replicas=2, sub_path=True)
    with hands(cluster, space, tmp_path, text, "sub") as sub:
        sub.begin()
        before = sub.pod("a")["metadata"]["uid"]
        sub.timed("file behind a subPath", lambda: sub.write("a", {LEVEL: 2}))
        assert sub.pod("a")["metadata"]["uid"] != before
        assert "gzip_comp_level 2;" in sub.inside("a", "cat", "/etc/trimtab/tuned.conf")
        assert sub.arms["a"].effective()[LEVEL] == 2
        cluster.kubectl("delete", "deployment/sub", "-n", space)
        names = [(kind, f"sub-trimtab-{label}") for kind in ("Pod", "ConfigMap") for label in "ab"]
        until(lambda: not any(sub.there(*each) for each in names), 40, "garbage collection takes arms and files")
