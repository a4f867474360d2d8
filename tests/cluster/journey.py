"""What the journey needs in the cluster: a shop that got too slow, a load, Prometheus and Alertmanager, all as pods."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from adapters.actuators.kubernetes.api import path
from tests.cluster.cluster import Cluster, until

Json = dict[str, Any]
CHART = Path(__file__).parents[2] / "helm" / "trimtab"
TOKEN = "0123456789abcdef-journey"
CALM, BUSY = 5.0, 64.0  # requests a second, of all pods together
SLOW = 0.04  # seconds; the alert's limit for the p95

_PAGE = """
import random
random.seed(1)
letters = "abcdefghijklmnopqrstuvwxyz"
words = ["".join(random.choice(letters) for _ in range(random.randint(3, 9))) for _ in range(2000)]
with open("/srv/page.html", "w") as file:
    file.write("<html><body>" + " ".join(random.choice(words) for _ in range(60000)) + "</body></html>")
"""
_NGINX = """
worker_processes 1;
daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events { worker_connections 512; }
http {
  include /etc/nginx/mime.types;
  access_log off;
  include /etc/trimtab/tuned.conf;
  server {
    listen 8080;
    root /srv;
    add_header X-Pod $hostname always;
    location = /who { return 200 "$hostname"; }
  }
}
"""
TUNED = "gzip on;\ngzip_types application/json;\ngzip_comp_level 9;\n"


def shop(replicas: int = 4) -> list[Json]:
    """An nginx with a CPU limit that is too small and a compression that is too dear, and the Service before it."""
    container = {
        "name": "web",
        "image": "localhost/web:1",
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", "python3 /etc/trimtab/page.py && exec nginx -c /etc/trimtab/nginx.conf"],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/who", "port": 8080}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "3"]}}},
        "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"cpu": "300m", "memory": "96Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/trimtab"}, {"name": "srv", "mountPath": "/srv"}],
    }
    volumes = [{"name": "config", "configMap": {"name": "shop-nginx"}}, {"name": "srv", "emptyDir": {}}]
    pod = {"terminationGracePeriodSeconds": 6, "containers": [container], "volumes": volumes}
    return [
        _config_map("shop-nginx", {"nginx.conf": _NGINX, "tuned.conf": TUNED, "page.py": _PAGE}),
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "shop"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "shop"}},
                "template": {"metadata": {"labels": {"app": "shop"}}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "shop"},
            "spec": {"clusterIP": "None", "selector": {"app": "shop"}, "ports": [{"port": 8080}]},
        },
    ]


def monitoring(release: str) -> list[Json]:
    """The load generator, Prometheus that reads it, and Alertmanager that tells the release's controller."""
    load = _pod(
        "load",
        "localhost/trimtab:test",
        ["python", "-m", "console", "load", "service", "http://shop:8080/page.html", "--seconds", "3000",
         "--rate", str(CALM), "--most-rate", str(BUSY), "--arrivals", "fixed", "--who", "/who",
         "--listen", "0.0.0.0:9100"],
    )  # fmt: skip
    prometheus = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "1s"},
        "rule_files": ["/etc/monitoring/rules.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]},
        "scrape_configs": [{"job_name": "load", "static_configs": [{"targets": ["load:9100"]}]}],
    }
    p95 = "histogram_quantile(0.95, sum by (le) (rate(trimtab_load_request_seconds_bucket[10s])))"
    slow = {
        "alert": "HighLatency",
        "expr": f"{p95} > {SLOW}",
        "for": "5s",
        "labels": {"service": "shop", "severity": "tuning"},
        "annotations": {"summary": "the shop answers 95 % of its requests in {{ $value | humanizeDuration }} only"},
    }
    webhook = {
        "url": f"http://{release}.{release}.svc:8080/api/v1/alerts",
        "send_resolved": True,
        "http_config": {"authorization": {"credentials": TOKEN}},
    }
    alertmanager = {
        "route": {"receiver": "trimtab", "group_by": ["alertname"], "group_wait": "1s", "group_interval": "3s"},
        "receivers": [{"name": "trimtab", "webhook_configs": [webhook]}],
    }
    files = {
        "prometheus.yml": yaml.safe_dump(prometheus),
        "rules.yaml": yaml.safe_dump({"groups": [{"name": "latency", "interval": "1s", "rules": [slow]}]}),
        "alertmanager.yml": yaml.safe_dump(alertmanager),
    }
    return [
        _config_map("monitoring", files),
        load,
        _pod("prometheus", "localhost/monitoring:1",
             ["prometheus", "--config.file=/etc/monitoring/prometheus.yml", "--storage.tsdb.path=/tmp/tsdb",
              "--web.listen-address=:9090"], files="monitoring"),
        _pod("alertmanager", "localhost/monitoring:1",
             ["prometheus-alertmanager", "--config.file=/etc/monitoring/alertmanager.yml", "--storage.path=/tmp/am",
              "--web.listen-address=:9093", "--cluster.listen-address="], files="monitoring"),
        *(_service(name, port) for name, port in (("load", 9100), ("prometheus", 9090), ("alertmanager", 9093))),
    ]  # fmt: skip


def values(namespace: str, **changes: Any) -> Json:
    """The chart's values: one target, the shop, that may be acted on."""
    requests = 'trimtab_load_request_seconds_count{pod="shop-trimtab-$arm"'
    target = {
        "name": "shop",
        "mode": "act",
        "when": {"alertname": "HighLatency", "service": "shop"},
        "actuator": {"kind": "kubernetes+nginx", "version": "1.22"},
        "workload": {
            "namespace": namespace,
            "name": "shop",
            "container": "web",
            "service": "shop",
            "config_map": "shop-nginx",
            "key": "tuned.conf",
            "take_over": ["kubectl-client-side-apply"],
        },
        "parameters": {
            "names": ["k8s.cpu_limit", "nginx.gzip_comp_level"],
            "bounds": {"k8s.cpu_limit": [0.1, 0.5], "nginx.gzip_comp_level": [1, 6]},
        },
        "environment": {"cpu": 0.3, "mem": "96MB", "cpu_req": 0.05, "node_cpu": 2, "node_mem": "8GB", "startup_s": 2},
        "objective": {
            # Of so few requests in a window the median is steadier than a high quantile.
            "minimise": "histogram_quantile(0.5, sum by (le) ("
            'rate(trimtab_load_request_seconds_bucket{pod="shop-trimtab-$arm"}[$window])))',
            "unit": "s",
        },
        "guardrails": [
            {
                "name": "errors",
                "query": f'(sum(rate({requests},code!="200"}}[$window])) or vector(0))'
                f" / sum(rate({requests}}}[$window]))",
                "below": 0.05,
            }
        ],
        "measure": {"design": "duet", "profile": "demo"},
        **changes,
    }
    never = {"pullPolicy": "Never"}
    return {
        "image": {"repository": "localhost/trimtab", "tag": "test", **never},
        "tokens": {"existingSecret": "trimtab-tokens"},
        "redis": {
            "image": {"repository": "localhost/redis", "tag": "1", **never},
            "persistence": {"storageClass": "local"},
        },
        "config": {
            "mode": "observe",
            "prometheus": {"url": f"http://prometheus.{namespace}.svc:9090"},
            "redis": {"url": "redis://trimtab-redis:6379/0"},
            "reports": "/var/lib/trimtab/reports",
            "server": {"bind": "0.0.0.0:8080", "tokens_file": "/etc/trimtab/tokens/tokens"},
            "limits": {"cooldown": "10m", "harm": "600s"},
            "targets": [target],
        },
    }


def install(cluster: Cluster, namespace: str, release: str, directory: Path, given: Json) -> float:
    """`helm install --wait` of the chart into a namespace of its own; how long it took, in seconds."""
    cluster.kubectl("create", "namespace", release)
    cluster.kubectl("-n", release, "create", "secret", "generic", "trimtab-tokens", f"--from-literal=tokens={TOKEN}")
    file = directory / "values.yaml"
    file.write_text(yaml.safe_dump(given))
    began = time.monotonic()
    cluster.helm("install", release, str(CHART), "-n", release, "-f", str(file), "--wait", "--timeout", "4m")
    return time.monotonic() - began


def set_rate(cluster: Cluster, namespace: str, rate: float) -> None:
    """Tell the load generator, over its own pod's address."""
    pod = cluster.api().get(path("Pod", namespace, "load"))
    assert pod is not None
    body = json.dumps({"rate": rate}).encode()
    request = urllib.request.Request(f"http://{pod['status']['podIP']}:9100/rate", data=body, method="PUT")
    with urllib.request.urlopen(request, timeout=10):
        pass


@contextlib.contextmanager
def forwarded(cluster: Cluster, namespace: str, what: str, port: int) -> Iterator[int]:
    """`kubectl port-forward` to a port of something; the local port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        local = probe.getsockname()[1]
    process = subprocess.Popen(
        [cluster.kubectl_path, "-n", namespace, "port-forward", what, f"{local}:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=cluster.environment(),
    )

    def open_() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", local), 1):
            return True
        return False

    try:
        until(open_, 20, f"port-forward to {what}")
        yield local
    finally:
        process.terminate()
        process.wait(10)


def read_json(address: str) -> Any:
    """What an HTTP address answers."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        return json.load(answer)


def _config_map(name: str, data: dict[str, str]) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _service(name: str, port: int) -> Json:
    spec = {"selector": {"part": name}, "ports": [{"port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _pod(name: str, image: str, command: list[str], files: str = "") -> Json:
    container: Json = {
        "name": name,
        "image": image,
        "imagePullPolicy": "Never",
        "command": command,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    }
    spec: Json = {"terminationGracePeriodSeconds": 1, "containers": [container]}
    if files:
        container["volumeMounts"] = [{"name": "files", "mountPath": "/etc/monitoring"}]
        spec["volumes"] = [{"name": "files", "configMap": {"name": files}}]
    labels = {"part": name, "app.kubernetes.io/name": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
