"""A small server of `metrics.k8s.io` for tests: what the kubelet measured, as autoscalers ask for it.

It runs beside the tests and listens on the bridge of our own cluster; the API server passes calls on to it
(aggregation layer, APIService). The load of pods can be scripted, too. Sources: k8s.io/metrics v1beta1; the kubelet's
`/metrics/resource`.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import http.server
import json
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.actuators.kubernetes.api import path
from tests.cluster.cluster import Cluster, until

Json = dict[str, Any]
Key = tuple[str, str, str]  # namespace, pod, container
GROUP = "/apis/metrics.k8s.io/v1beta1"
API_SERVICE = "/apis/apiregistration.k8s.io/v1/apiservices"
NAME = "metrics"
FRESH = 0.8  # seconds for which what the kubelet said is used again
_LINE = re.compile(r"^(container_cpu_usage_seconds_total|container_memory_working_set_bytes)\{(.*)\} (\S+) (\d+)$")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Usage:
    """Of one container: cores over `window` seconds that ended at `at` (Unix seconds), and bytes then."""

    cores: float
    memory: float
    at: float
    window: float


class Figures:
    """What the kubelet measured. `read` gives the text of its `/metrics/resource`."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read, self._lock, self._at = read, threading.Lock(), 0.0
        self._cpu: dict[Key, list[tuple[float, float]]] = {}  # (seconds, core-seconds), the last two
        self._memory: dict[Key, float] = {}

    def of(self, namespace: str, pod: str, container: str) -> Usage | None:
        """None until the kubelet has measured twice."""
        with self._lock:
            if time.monotonic() > self._at + FRESH:
                self._take(self._read())
                self._at = time.monotonic()
            key = namespace, pod, container
            seen = self._cpu.get(key, [])
            if len(seen) < 2:
                return None
            (start, before), (end, after) = seen
            return Usage((after - before) / (end - start), self._memory.get(key, 0.0), end, end - start)

    def _take(self, text: str) -> None:
        for line in text.splitlines():
            found = _LINE.match(line)
            if found is None:
                continue
            labels, value, at = dict(_LABEL.findall(found[2])), float(found[3]), int(found[4]) / 1000
            key = labels["namespace"], labels["pod"], labels["container"]
            if found[1].startswith("container_memory"):
                self._memory[key] = value
                continue
            seen = self._cpu.setdefault(key, [])
            if seen and value < seen[-1][1]:
                seen.clear()  # another container of that name
            if not seen or at > seen[-1][0]:
                self._cpu[key] = [*seen, (at, value)][-2:]


class MetricsServer:
    """`load` scripts the CPU of pods whose labels hold `app`: so many cores, evenly, of those that are Ready."""

    def __init__(self, cluster: Cluster, figures: Figures) -> None:
        self._cluster, self._figures = cluster, figures
        self.load: dict[tuple[str, str], float] = {}  # (namespace, app): cores

    def answer(self, place: str, query: dict[str, str]) -> Json | None:
        """The body for a path; None where there is nothing."""
        if place == GROUP:
            return _resources()
        found = re.fullmatch(rf"{GROUP}/namespaces/([^/]+)/pods(?:/([^/]+))?", place)
        if found is None:
            return None
        items = [self._pod(pod) for pod in self._pods(found[1], query.get("labelSelector", ""))]
        seen = [each for each in items if each is not None]
        if found[2]:
            return next((each for each in seen if each["metadata"]["name"] == found[2]), None)
        return {**_kind("PodMetricsList"), "metadata": {}, "items": seen}

    def _pods(self, namespace: str, selector: str) -> list[Json]:
        query = {"labelSelector": selector} if selector else {}
        return self._cluster.api().items(path("Pod", namespace), **query)

    def _pod(self, pod: Json) -> Json | None:
        metadata, used = pod["metadata"], []
        for container in pod["spec"]["containers"]:
            seen = self._usage(metadata, container["name"])
            if seen is not None:
                used.append((container["name"], seen))
        if len(used) < len(pod["spec"]["containers"]):
            return None
        last = min((each for _, each in used), key=lambda each: each.at)
        return {
            **_kind("PodMetrics"),
            "metadata": {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata},
            "timestamp": f"{datetime.datetime.fromtimestamp(last.at, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}",
            "window": f"{last.window:.3f}s",
            "containers": [
                {"name": name, "usage": {"cpu": f"{each.cores * 1e9:.0f}n", "memory": f"{each.memory / 1024:.0f}Ki"}}
                for name, each in used
            ],
        }

    def _usage(self, metadata: Json, container: str) -> Usage | None:
        app = (metadata.get("labels") or {}).get("app", "")
        total = self.load.get((metadata["namespace"], app))
        if total is None:
            return self._figures.of(metadata["namespace"], metadata["name"], container)
        serving = len(self._cluster.pods(metadata["namespace"], f"app={app}"))
        return Usage(total / max(1, serving), 8 * 2**20, time.time(), 1.0)


def _kind(name: str) -> Json:
    return {"kind": name, "apiVersion": "metrics.k8s.io/v1beta1"}


def _resources() -> Json:
    pods = {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]}
    version = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1"}
    return {**version, "resources": [pods]}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        split = urllib.parse.urlsplit(self.path)
        try:
            body = self.server.metrics.answer(split.path.rstrip("/"), dict(urllib.parse.parse_qsl(split.query)))
        except Exception as error:  # its caller shall hear of it: the autoscaler says so in its conditions
            status, body = 500, {**_status(500, str(error))}
        else:
            status = 200 if body is not None else 404
        text = json.dumps(body if body is not None else _status(404, "not found")).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    metrics: MetricsServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # the API server hangs up as it likes


def _status(code: int, message: str) -> Json:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}


@contextlib.contextmanager
def serving(cluster: Cluster, namespace: str) -> Iterator[MetricsServer]:
    """`metrics.k8s.io` works in the whole cluster until the end; its Service lies in the namespace. Raises
    AssertionError where another one serves it."""
    cluster.need_own("metrics.k8s.io is served from this machine")
    api = cluster.api()
    assert api.get(f"{API_SERVICE}/v1beta1.metrics.k8s.io") is None, "somebody serves metrics.k8s.io here already"
    node = api.items(path("Node", ""))[0]
    address = next(each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP")
    server = _Server((address, 0), _Handler)
    server.metrics = MetricsServer(cluster, Figures(_kubelet(cluster, node["metadata"]["name"])))
    with tempfile.TemporaryDirectory() as place:
        authority = _encrypt(server, Path(place), _host(namespace))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        for base, body in _service(namespace, address, server.server_address[1]):
            api.create(base, body)
        # Not before the node leads there: whoever else answers for an unknown address would be asked ever after.
        until(lambda: _reached(cluster, namespace, authority), 30, "the Service leads to the server of metrics.k8s.io")
        api.create(API_SERVICE, _registration(namespace, authority))
        try:
            until(lambda: _available(cluster), 30, "the API server reaches the server of metrics.k8s.io")
            yield server.metrics
        finally:
            # While it is registered and does not answer, no namespace could be deleted.
            api.delete(f"{API_SERVICE}/v1beta1.metrics.k8s.io")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _reached(cluster: Cluster, namespace: str, authority: str) -> bool:
    service = cluster.api().get(path("Service", namespace, NAME)) or {}
    context = ssl.create_default_context(cadata=authority)
    with (
        contextlib.suppress(OSError),
        socket.create_connection((service["spec"]["clusterIP"], 443), 2) as plain,
        context.wrap_socket(plain, server_hostname=_host(namespace)),
    ):
        return True
    return False


def _host(namespace: str) -> str:
    return f"{NAME}.{namespace}.svc"


def _available(cluster: Cluster) -> bool:
    found = cluster.api().get(f"{API_SERVICE}/v1beta1.metrics.k8s.io") or {}
    conditions = (found.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)


def _kubelet(cluster: Cluster, node: str) -> Callable[[], str]:
    """Its figures, through the API server's proxy."""
    from kubernetes import client, config

    settings = client.Configuration()
    config.load_kube_config(str(cluster.kubeconfig), client_configuration=settings)  # type: ignore[no-untyped-call]
    core = client.CoreV1Api(client.ApiClient(settings))

    def read() -> str:
        return str(core.connect_get_node_proxy_with_path(node, "metrics/resource", _request_timeout=10))

    return read


def _encrypt(server: _Server, place: Path, name: str) -> str:
    """A certificate of its own for the server; returned as text, for those who shall trust it."""
    key, certificate = place / "key.pem", place / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={name}"[:60], "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return certificate.read_text()


def _service(namespace: str, address: str, port: int) -> Iterator[tuple[str, Json]]:
    """A Service without a selector, and where it leads."""
    meta = {"name": NAME, "namespace": namespace}
    yield (
        path("Service", namespace),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": port}]},
        },
    )
    yield (
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": NAME}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    )


def _registration(namespace: str, authority: str) -> Json:
    """What the API server hands on to the Service."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "caBundle": base64.b64encode(authority.encode()).decode(),
            "service": {"name": NAME, "namespace": namespace, "port": 443},
        },
    }
