"""`restart` of an arm, and the kinds of actuators, in a policy file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from adapters.policy import Policy, parse_policy, schema
from domain.errors import Misconfigured
from domain.target import Restart

RESTART: dict[str, Any] = {"argv": ["java", "-jar", "shop.jar"], "pid_file": "/run/shop.pid"}


def policy(change: dict[str, Any] | None = None, arm: dict[str, Any] | None = None) -> Policy:
    target: dict[str, Any] = {
        "name": "shop",
        "actuator": {"kind": "jvm", "version": "17"},
        "arms": [{"label": "a", "env": "/etc/shop.env", **(arm or {})}],
        "parameters": {"names": ["jvm.MaxHeapSize", "jvm.gc"]},
        "environment": {"mem": "512MB", "cpu": 2, "live": "100MB", "threads": 16, "metaspace": "40MB"},
        "objective": {"minimise": 'sum(rate(x{arm="$arm"}[$window]))'},
        "measure": {"design": "interleave", "profile": "demo"},
        "allow": {"restart": True},
        **(change or {}),
    }
    target["environment"] |= {"codecache": "30MB", "direct": "16MB", "slo_ms": 100} if "environment" in target else {}
    content = {"prometheus": {"url": "http://127.0.0.1:9090"}, "targets": [target]}
    return parse_policy(yaml.safe_dump(content), Path("/etc/trimtab.yaml"))


def test_a_restart_reaches_the_arm() -> None:
    """Words stay words, an address becomes the question, a duration seconds."""
    given = {**RESTART, "ready": "http://127.0.0.1:80/healthz", "seconds": "12s", "log": "/var/log/shop.log"}
    arm = policy(arm={"restart": given}).targets[0].arms[0]
    assert arm.place == {"env": "/etc/shop.env"}
    assert arm.restart == Restart(
        ("java", "-jar", "shop.jar"),
        "/run/shop.pid",
        ("http://127.0.0.1:80/healthz",),
        seconds=12.0,
        log="/var/log/shop.log",
    )
    assert policy(arm={"restart": RESTART}).targets[0].arms[0].restart == Restart(
        tuple(RESTART["argv"]), "/run/shop.pid"
    )
    assert policy().targets[0].arms[0].restart is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"argv": "java -jar shop.jar"}, r"arms\[0\]\.restart\.argv: 'java -jar shop.jar' is one text"),
        ({"argv": []}, r"restart\.argv: List should have at least 1 item"),
        ({"ready": "curl localhost"}, r"restart\.ready: 'curl localhost' is neither"),
        ({"seconds": "30s"}, r"restart\.seconds: .*25"),
        ({"seconds": 12}, r"restart\.seconds: 12 is no duration"),
        ({"pidfile": "/x"}, r"restart\.pidfile: unknown key; did you mean 'pid_file'"),
        ({"pid_file": ""}, r"restart\.pid_file"),
    ],
)
def test_a_restart_that_makes_no_sense_is_told_with_its_place(change: dict[str, Any], words: str) -> None:
    """File, line, field, value."""
    with pytest.raises(Misconfigured, match=words):
        policy(arm={"restart": {**RESTART, **change}})


def test_a_restart_needs_to_be_allowed() -> None:
    """A way to restart is no permission, and what needs one says so."""
    with pytest.raises(Misconfigured, match=r"arms\[0\]\.restart: .*allow: \{restart: true\}"):
        policy({"allow": {}}, {"restart": RESTART})
    with pytest.raises(Misconfigured, match=r"jvm\.MaxHeapSize, jvm\.gc: a change needs a restart"):
        policy({"allow": {}})


def test_parameters_have_to_be_of_the_kinds_families() -> None:
    """A JVM writes no Go; a container around one writes both."""
    go = {"parameters": {"names": ["go.GOGC"]}}
    with pytest.raises(Misconfigured, match=r"go\.GOGC cannot be written by actuator 'jvm'; it writes jvm, libc"):
        policy(go)
    with pytest.raises(
        Misconfigured, match=r"actuator\.kind: unknown actuator 'ruby'; known: container, container\+go"
    ):
        policy({"actuator": {"kind": "ruby"}})
    joint = {"actuator": {"kind": "container+go"}, "parameters": {"names": ["go.GOGC", "docker.cpus"]}}
    environment = {"mem": "512MB", "cpu": 0.5, "node_cpu": 2, "live": "50MB"}
    target = policy({**joint, "environment": environment}).targets[0]
    assert {each.name: each.cost for each in target.space.parameters} == {"go.GOGC": "restart", "docker.cpus": "live"}


def test_a_limit_that_the_runtime_reads_once_needs_a_restart() -> None:
    """The kernel would resize a JVM's container at once; the JVM would not see it."""
    change = {
        "actuator": {"kind": "container+jvm"},
        "parameters": {"names": ["docker.cpus", "docker.cpu_shares"]},
        "environment": {"mem": "512MB", "cpu": 0.5, "node_cpu": 2},
    }
    target = policy(change).targets[0]
    assert {p.name: p.cost for p in target.space.parameters} == {"docker.cpus": "restart", "docker.cpu_shares": "live"}
    with pytest.raises(Misconfigured, match=r"docker\.cpus: a change needs a restart"):
        policy({**change, "allow": {}})


def test_the_schema_knows_the_restart() -> None:
    """For editors; every field has its words."""
    made = schema()["$defs"]["Restart"]
    assert set(made["properties"]) == {"argv", "pid_file", "ready", "seconds", "writes_pid", "log"}
    assert made["required"] == ["argv", "pid_file"]
    assert all(each.get("description") for each in made["properties"].values())
