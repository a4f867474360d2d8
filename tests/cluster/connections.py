"""Connections that pods really have open, against what their NetworkPolicies say. The network of our test cluster does
not enforce policies, so that a rule that is missing would go unnoticed otherwise."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from adapters.actuators.kubernetes.api import path
from adapters.actuators.kubernetes.autoscalers import selects
from tests.cluster.cluster import Cluster, until

Json = dict[str, Any]
ESTABLISHED, LISTEN = "01", "0A"


@dataclass(frozen=True)
class Connection:
    """Of a pod: to a remote address, or from one to a port on which it listens."""

    pod: str
    remote: str
    port: int
    outwards: bool


def connections(cluster: Cluster, namespace: str, pod: str) -> Iterator[Connection]:
    """The established TCP connections of a pod over IPv4, as its kernel tells; none once it has ended."""
    try:
        table = cluster.kubectl("-n", namespace, "exec", pod, "--", "cat", "/proc/net/tcp")
    except AssertionError:  # a watchdog's pod lasts for seconds

        def ended() -> bool:
            found = cluster.api().get(path("Pod", namespace, pod))
            return found is None or found["status"]["phase"] in ("Succeeded", "Failed")

        until(ended, 10, f"pod {pod} to end, as nothing can be run in it")
        return
    rows = [line.split() for line in table.splitlines()[1:]]
    listening = {_address(row[1])[1] for row in rows if row[3] == LISTEN}
    for row in rows:
        if row[3] != ESTABLISHED:
            continue
        (_, local), (remote, port) = _address(row[1]), _address(row[2])
        if not ipaddress.ip_address(remote).is_loopback:
            inwards = local in listening
            yield Connection(pod, remote, local if inwards else port, not inwards)


def unexpected(cluster: Cluster, namespace: str, release: str) -> tuple[list[Connection], list[Connection]]:
    """The connections of the release's pods that none of its policies allows, and all of them."""
    manifests = [each for each in yaml.safe_load_all(cluster.helm("get", "manifest", release, "-n", namespace)) if each]
    policies = [each for each in manifests if each["kind"] == "NetworkPolicy"]
    owners = _owners(cluster)
    seen, bad = [], []
    for pod in cluster.pods(namespace, f"app.kubernetes.io/instance={release}"):
        labels = pod["metadata"]["labels"]
        mine = [each for each in policies if selects(each["spec"]["podSelector"], labels)]
        assert mine, f"no NetworkPolicy selects pod {pod['metadata']['name']}"
        for each in connections(cluster, namespace, pod["metadata"]["name"]):
            seen.append(each)
            if not any(_allows(policy, each, owners, namespace, _named(pod)) for policy in mine):
                bad.append(each)
    return bad, seen


def _allows(
    policy: Json, seen: Connection, owners: dict[str, list[Json]], namespace: str, named: dict[str, int]
) -> bool:
    rules = policy["spec"].get("egress" if seen.outwards else "ingress") or []
    for rule in rules:
        ports = [named.get(each.get("port"), each.get("port")) for each in rule.get("ports") or []]
        if ports and seen.port not in ports:
            continue
        peers = rule.get("to" if seen.outwards else "from")
        if not peers or any(_is(peer, seen.remote, owners, namespace) for peer in peers):
            return True
    return False


def _is(peer: Json, address: str, owners: dict[str, list[Json]], namespace: str) -> bool:
    if "ipBlock" in peer:
        return ipaddress.ip_address(address) in ipaddress.ip_network(peer["ipBlock"]["cidr"])
    for pod in owners.get(address, []):
        place = pod["metadata"]["namespace"]
        if "namespaceSelector" in peer:
            if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": place}):
                continue
        elif place != namespace:
            continue
        if selects(peer.get("podSelector", {}), pod["metadata"].get("labels") or {}):
            return True
    return False


def _named(pod: Json) -> dict[str, int]:
    """The ports of a pod that have names."""
    ports = [port for each in pod["spec"]["containers"] for port in each.get("ports") or []]
    return {port["name"]: port["containerPort"] for port in ports if "name" in port}


def _owners(cluster: Cluster) -> dict[str, list[Json]]:
    """Pods by their own address and by those of the Services that select them."""
    api = cluster.api()
    found: dict[str, list[Json]] = {}
    pods = [pod for pod in api.items("/api/v1/pods") if pod["status"].get("podIP")]
    for pod in pods:
        found.setdefault(pod["status"]["podIP"], []).append(pod)
    for service in api.items("/api/v1/services"):
        selector, place = service["spec"].get("selector"), service["metadata"]["namespace"]
        address = service["spec"].get("clusterIP")
        if selector and address and address != "None":
            found[address] = [
                pod
                for pod in pods
                if pod["metadata"]["namespace"] == place
                and selects({"matchLabels": selector}, pod["metadata"].get("labels") or {})
            ]
    return found


def _address(text: str) -> tuple[str, int]:
    """`0100007F:1F90` of /proc/net/tcp: an address in the machine's byte order, and a port."""
    address, port = text.split(":")
    return socket.inet_ntoa(struct.pack("<I", int(address, 16))), int(port, 16)
