"""What Helm makes of the chart. These need helm and kubeconform and no cluster, and run with the cluster's tests."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from helm.rights import files_of, rules
from helm.values import CHART, values
from tests.cluster.cluster import schemas, tool
from tests.helm.chart import EXAMPLES, SCENARIOS, VERSION, Json, merged, render, template

pytestmark = pytest.mark.cluster
CI = CHART / "ci"
FILES = [*SCENARIOS, *EXAMPLES]
OPERATORS = "ServiceMonitor,PrometheusRule"  # kinds that an operator brings, whose schemas are not Kubernetes'


def of(objects: list[Json], kind: str) -> list[Json]:
    return [each for each in objects if each["kind"] == kind]


def named(objects: list[Json], kind: str, name: str) -> Json:
    return next(each for each in of(objects, kind) if each["metadata"]["name"] == name)


def pod_specs(objects: list[Json]) -> dict[str, Json]:
    """The pods of whatever makes pods, by kind and name."""
    found = {}
    for each in objects:
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        pod = spec if each["kind"] == "Pod" else spec.get("template", {}).get("spec")
        if pod and "containers" in pod:
            found[f"{each['kind']}/{each['metadata']['name']}"] = pod
    return found


@pytest.mark.parametrize("file", [None, *FILES], ids=lambda file: "defaults" if file is None else str(file.stem))
def test_lint(file: Path | None) -> None:
    """`helm lint --strict` finds nothing in the defaults, a scenario or an example."""
    command = [tool("helm"), "lint", "--strict", "--kube-version", VERSION, str(CHART)]
    ran = subprocess.run(
        [*command, *(["--values", str(file)] if file else [])], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("file", [None, *SCENARIOS], ids=lambda file: "defaults" if file is None else str(file.stem))
def test_objects_fit_the_schemas_of_kubernetes(file: Path | None) -> None:
    """kubeconform knows every field that we write."""
    ran = template(*([file] if file else []))
    assert ran.returncode == 0, ran.stderr
    checked = subprocess.run(
        [tool("kubeconform"), "-strict", "-skip", OPERATORS, "-schema-location", schemas()],
        input=ran.stdout,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_helm_refuses_what_the_schema_refuses() -> None:
    """Helm reads our schema as our own check does."""
    ran = template(over={"controller": {"replicas": 0}, "config": {"tagets": []}})
    assert ran.returncode != 0
    assert "/controller/replicas" in ran.stderr
    assert "tagets" in ran.stderr


TARGET = values()["config"]["targets"][0]


def _act(**more: Any) -> Json:
    return {**TARGET, "mode": "act", "guardrails": ["up < 2"], **more}


def _targets(*targets: Json) -> Json:
    return {"config": {"targets": list(targets)}}


WRONG: list[tuple[str, Json, str]] = [
    ("guardrails", _targets(_act(guardrails=[])), "target example: mode act without guardrails"),
    ("twice", _targets(TARGET, {**TARGET, "name": "again"}), "targets example and again: both tune Deployment default"),
    ("bind", {"config": {"server": {"bind": "127.0.0.1:8080"}}}, "where only its own pod reaches it"),
    ("tokens", {"tokens": {"existingSecret": "t"}}, 'config.server.tokens_file is ""'),
    ("file", {"config": {"server": {"tokens_file": "/x"}}}, "nothing is mounted there"),
    ("redis", {"config": {"redis": {"url": "redis://elsewhere:6379/0"}}}, "is not the Redis of this release"),
    ("both", {"externalRedis": {"existingSecret": "r"}}, "exclude each other"),
    ("peers", {"redis": {"enabled": False}}, "networkPolicy.redis.peers is empty"),
    ("lost", _targets(_act()) | {"redis": {"persistence": {"enabled": False}}}, "a lost journal leaves it changed"),
    ("reap", _targets(_act()) | {"reap": {"enabled": False}}, "nothing would take a trial back"),
    ("rights", {"rbac": {"targets": {"shop": {"replicas": 1}}}}, "rbac.targets.shop: no target"),
    (
        "ordinals",
        _targets(_act(workload={**TARGET["workload"], "kind": "StatefulSet"})),
        "rbac.targets.example.replicas",
    ),
    ("machine", _targets({**TARGET, "workload": None, "actuator": {"kind": "nginx"}}), "a pod of ours is on no other"),
]


@pytest.mark.parametrize(("over", "words"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_what_cannot_be_right_is_refused(over: Json, words: str) -> None:
    """A sentence says what is wrong, and what to write instead."""
    ran = template(over=over)
    assert ran.returncode != 0
    assert words in ran.stderr


def test_everything_wrong_is_told_at_once() -> None:
    """Two slips are two sentences of one refusal."""
    ran = template(over={**_targets(_act(guardrails=[])), "tokens": {"existingSecret": "t"}})
    assert ran.stderr.count("\n- ") == 2


def test_config_is_mounted_as_it_is() -> None:
    """What the pods read is the block of the values, number for number."""
    file = CI / "all-actuators.yaml"
    objects = render(file)
    mounted = yaml.safe_load(named(objects, "ConfigMap", "trimtab")["data"]["trimtab.yaml"])
    assert mounted == merged(file)["config"]


@pytest.mark.parametrize("file", [None, *SCENARIOS], ids=lambda file: "defaults" if file is None else str(file.stem))
def test_rights_are_those_of_the_table(file: Path | None) -> None:
    """Roles, their namespaces and their subjects are what the README's table says, for every target and account."""
    content = merged(*([file] if file else []))
    objects = render(*([file] if file else []))
    roles = {each["metadata"]["name"]: each for each in of(objects, "Role")}
    bindings = {each["metadata"]["name"]: each for each in of(objects, "RoleBinding")}
    wanted = {}
    for target in content["config"]["targets"]:
        mode = target.get("mode", content["config"]["mode"])
        more = content["rbac"]["targets"].get(target["name"])
        for account in ("controller", "worker", "reap"):
            files = files_of(account, target, mode, more)
            if files:
                name = f"trimtab.tuning.{account}.{target['name']}"
                wanted[name] = [rule for each in files for rule in rules(each, target, more)]
                assert roles[name]["metadata"]["namespace"] == target["workload"]["namespace"]
                (subject,) = bindings[name]["subjects"]
                assert subject == {"kind": "ServiceAccount", "name": f"trimtab-{account}", "namespace": "tuning"}
                assert bindings[name]["roleRef"]["name"] == name
    order = {name: sorted(map(str, given)) for name, given in wanted.items()}
    assert {name: sorted(map(str, role["rules"])) for name, role in roles.items()} == order


def test_an_observer_gets_nothing_that_writes() -> None:
    """The defaults hold no verb but get and list, no ClusterRole, and no policy but the one that matches nothing."""
    objects = render()
    assert {verb for role in of(objects, "Role") for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list"}
    assert not of(objects, "ClusterRole")
    (policy,) = of(objects, "ValidatingAdmissionPolicy")
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert rule["resources"] == ["nothing"]


def test_without_rbac_no_role_is_made() -> None:
    """Somebody else may make the Roles; no other object is missing then."""
    objects = render(CI / "one-target.yaml", over={"rbac": {"create": False}})
    kinds = {each["kind"] for each in objects}
    assert not kinds & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    assert "ValidatingAdmissionPolicy" in kinds


@pytest.mark.parametrize("file", [None, *SCENARIOS], ids=lambda file: "defaults" if file is None else str(file.stem))
def test_pods_satisfy_the_restricted_level(file: Path | None) -> None:
    """Non-root, read-only root, no capability, the runtime's seccomp profile, resources set; for every pod of ours."""
    pods = pod_specs(render(*([file] if file else [])))
    assert len(pods) >= 4
    for name, pod in pods.items():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] == merged(*([file] if file else []))["pods"]["runAsUser"], name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name


def test_only_what_speaks_to_the_api_server_has_a_token() -> None:
    """Worker and watchdog get a token; controller, Redis and the test do not."""
    pods = pod_specs(render(CI / "one-target.yaml"))
    with_token = {name for name, pod in pods.items() if pod["automountServiceAccountToken"]}
    assert with_token == {"Deployment/trimtab-worker", "CronJob/trimtab-reap", "Job/trimtab-before-uninstall"}


def test_every_process_reads_the_policy_and_what_it_names() -> None:
    """A policy that names a tokens file is read by all of ours, so that all of them have it."""
    pods = pod_specs(render(CI / "one-target.yaml"))
    for name in ("Deployment/trimtab-controller", "Deployment/trimtab-worker", "CronJob/trimtab-reap"):
        (container,) = pods[name]["containers"]
        assert {"name": "TRIMTAB_POLICY", "value": "/etc/trimtab/trimtab.yaml"} in container["env"]
        places = {each["mountPath"] for each in container["volumeMounts"]}
        assert {"/etc/trimtab/trimtab.yaml", "/etc/trimtab/tokens", "/tmp", "/var/lib/trimtab/reports"} <= places


def test_a_secret_address_of_redis_is_no_plain_text() -> None:
    """The address of a Redis elsewhere comes from its Secret by reference."""
    file = CI / "external-redis-tls.yaml"
    for name, pod in pod_specs(render(file)).items():
        for container in pod["containers"] if name != "Pod/trimtab-test" else ():
            (address,) = [each for each in container["env"] if each["name"] == "TRIMTAB_REDIS_URL"]
            assert address["valueFrom"]["secretKeyRef"] == {"name": "trimtab-redis", "key": "url"}


def test_budgets_only_above_one_replica() -> None:
    """A budget over one replica would block every drain."""
    assert of(render(), "PodDisruptionBudget") == []
    (budget,) = of(render(CI / "all-actuators.yaml"), "PodDisruptionBudget")
    assert budget["metadata"]["name"] == "trimtab-worker"
    assert budget["spec"]["maxUnavailable"] == 1


def test_pods_start_anew_with_another_policy() -> None:
    """The policy is read at the start, so that another one must bring other pods."""
    sums = [
        named(render(over=over), "Deployment", "trimtab-worker")["spec"]["template"]["metadata"]["annotations"]
        for over in ({}, {"config": {"mode": "recommend"}})
    ]
    assert sums[0]["checksum/config"] != sums[1]["checksum/config"]


def test_network_policies_cover_every_pod_both_ways() -> None:
    """Every pod that stays is selected by one policy that rules both directions; the controller may not reach the API
    server, the watchdog nothing else."""
    objects = render(CI / "networkpolicy-strict.yaml")
    policies = {each["metadata"]["name"]: each["spec"] for each in of(objects, "NetworkPolicy")}
    assert policies.keys() == {f"trimtab-{part}" for part in ("controller", "worker", "reap", "redis")}
    for each in policies.values():
        assert each["policyTypes"] == ["Ingress", "Egress"]
    ports = {
        name: sorted(port["port"] for rule in each["egress"] for port in rule["ports"])
        for name, each in policies.items()
    }
    assert ports == {
        "trimtab-controller": [53, 53, 6379, 9090],
        "trimtab-worker": [53, 53, 6379, 6443, 9090, 9404],
        "trimtab-reap": [6443],
        "trimtab-redis": [],
    }
    assert [name for name, each in policies.items() if each["ingress"]] == ["trimtab-controller", "trimtab-redis"]


def test_network_policies_select_our_pods() -> None:
    """The labels that the policies ask for are those that the pods carry."""
    objects = render(CI / "one-target.yaml")
    labels = []
    for each in objects:
        spec = each.get("spec", {}).get("jobTemplate", {}).get("spec", each.get("spec", {}))
        if "containers" in spec.get("template", {}).get("spec", {}):
            labels.append(spec["template"]["metadata"]["labels"])
    for policy in of(objects, "NetworkPolicy"):
        wanted = policy["spec"]["podSelector"]["matchLabels"].items()
        assert any(wanted <= found.items() for found in labels), policy["metadata"]["name"]
    service = named(objects, "Service", "trimtab")["spec"]["selector"].items()
    assert [found["app.kubernetes.io/component"] for found in labels if service <= found.items()] == ["controller"]


def test_the_claim_outlives_the_release() -> None:
    """The journals' claim is kept unless somebody says otherwise."""
    spec = named(render(), "StatefulSet", "trimtab-redis")["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"
    gone = named(render(over={"redis": {"persistence": {"keep": False}}}), "StatefulSet", "trimtab-redis")["spec"]
    assert gone["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"


def test_uninstalling_restores_first() -> None:
    """The hook runs before anything is deleted, as the watchdog's account, with every workload due at once."""
    (job,) = of(render(CI / "one-target.yaml"), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "trimtab-reap"
    assert pod["containers"][0]["command"][-2:] == ["reap", "--now"]
    assert of(render(), "Job") == []  # an observer has nothing to restore


def test_names_fit_a_long_release() -> None:
    """Names stay within the 63 characters of a label's value, and two releases do not share any."""
    long = render(CI / "one-target.yaml", release="r" * 53)
    names = {(each["kind"], each["metadata"]["name"]) for each in long}
    assert all(len(name) <= 63 for kind, name in names if kind in ("Service", "Deployment", "StatefulSet", "CronJob"))
    cron = next(name for kind, name in names if kind == "CronJob")
    assert len(cron) <= 52  # Kubernetes appends 11 characters for the jobs
    assert not names & {(each["kind"], each["metadata"]["name"]) for each in render()} - {("Service", "trimtab-redis")}
