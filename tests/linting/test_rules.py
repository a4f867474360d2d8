"""Each rule finds what it is for, and leaves its neighbour alone."""

from __future__ import annotations

import re

import pytest

from linting.finding import SEVERITIES
from linting.rules import BY_ID, GROUPS, RULES
from tests.linting.desk import GUIDE, lint_golden, lint_text, lint_texts, rules

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: shop
spec:
  containers:
  - name: shop
    image: registry.example.com/shop:1.4
    resources:
      requests: {cpu: "REQUEST", memory: 512Mi}
      limits: {cpu: "1", memory: 512Mi}
    env:
    - {name: VARIABLE, value: "VALUE"}
"""
HPA = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  minReplicas: MIN
  maxReplicas: 5
"""


def pod(variable: str = "PORT", value: str = "8080", request: str = "1") -> str:
    return POD.replace("VARIABLE", variable).replace("VALUE", value).replace("REQUEST", request)


# rule, file, text that it is about, text beside it that is right
EXAMPLES = [
    ("kernel-old-default", "sysctl.conf", "net.ipv4.tcp_tw_reuse = 0", "net.ipv4.tcp_tw_reuse = 1"),
    ("kernel-bounds", "sysctl.conf", "vm.swappiness = 201", "vm.swappiness = 200"),
    ("kernel-bounds", "sysctl.conf", "vm.swappiness = low", "vm.swappiness = 10"),
    (
        "kernel-relation",
        "sysctl.conf",
        "net.core.rmem_default = 8388608\nnet.core.rmem_max = 4194304",
        "net.core.rmem_default = 4194304\nnet.core.rmem_max = 4194304",
    ),
    ("kernel-lowers", "sysctl.conf", "net/core/rmem_default = 65535", "net/core/rmem_default = 1048576"),
    (
        "kernel-lowers",
        "x.sh",
        "docker run --sysctl net.core.somaxconn=128 shop",
        "docker run --sysctl net.core.somaxconn=8192 shop",
    ),
    ("kernel-action", "x.sh", "sysctl -w vm.drop_caches=3", "sysctl -w vm.vfs_cache_pressure=50"),
    (
        "kernel-action",
        "x.sh",
        "echo 3 | sudo tee /proc/sys/vm/drop_caches > /dev/null",
        "echo 3 | tee /tmp/drop_caches",
    ),
    ("docker-never", "x.sh", "docker run --oom-kill-disable -m 1g shop", "docker run --oom-score-adj=-100 -m 1g shop"),
    ("docker-bounds", "x.sh", "docker run --cpu-shares=1 shop", "docker run --cpu-shares=2 shop"),
    ("docker-bounds", "x.sh", "docker run -m4m shop", "docker run -m6m shop"),
    (
        "docker-memory-order",
        "x.sh",
        "docker run -m 1g --memory-swap=512m shop",
        "docker run -m 1g --memory-swap=1g shop",
    ),
    (
        "docker-memory-order",
        "x.sh",
        "docker run -m 1g --memory-reservation 1g shop",
        "docker run -m 1g --memory-reservation 1m shop",
    ),
    (
        "docker-privileged",
        "compose.yaml",
        "services:\n  a: {image: 'b:1', privileged: true}",
        "services:\n  a: {image: 'b:1'}",
    ),
    ("image-latest", "compose.yaml", "services:\n  a: {image: b}", "services:\n  a: {build: .}"),
    ("image-latest", "Dockerfile", "FROM debian\nRUN true", "FROM debian:13 AS base\nFROM base"),
    ("nginx-syntax", "nginx.conf", "events {\n", "events {\n}\n"),
    ("nginx-syntax", "nginx.conf", "user www\nevents {}", "user www;\nevents {}"),
    ("nginx-syntax", "nginx.conf", "events {} }", "events { }"),
    ("nginx-value", "nginx.conf", "http { sendfile yes; }", "http { sendfile on; }"),
    ("nginx-value", "nginx.conf", "http { gzip_comp_level 10; }", "http { gzip_comp_level 9; }"),
    (
        "nginx-relation",
        "nginx.conf",
        "worker_rlimit_nofile 1024;\nevents { worker_connections 4096; }",
        "worker_rlimit_nofile 8192;\nevents { worker_connections 4096; }",
    ),
    (
        "nginx-static-only",
        "nginx.conf",
        SITE := "http { sendfile on; server { location / { proxy_pass http://a.b; } } }",
        SITE.replace("location", "root /srv; location"),
    ),
    (
        "nginx-upstream-name",
        "nginx.conf",
        "http { server { location / { proxy_pass http://shop:80; } } }",
        "http { server { location / { proxy_pass http://127.0.0.1:80; } } }",
    ),
    ("nginx-default", "nginx.conf", "http { keepalive_timeout 75s; }", "http { keepalive_timeout 75s 60s; }"),
    ("postgresql-syntax", "postgresql.conf", "work_mem 8MB 16MB", "work_mem 8MB # a comment"),
    ("postgresql-syntax", "postgresql.conf", "log_line_prefix = '%m", "log_line_prefix = '%m '''"),
    ("postgresql-value", "postgresql.conf", "work_mem = 8mb", "work_mem = 8MB"),
    ("postgresql-value", "postgresql.conf", "work_mem = 32kB", "work_mem = 64kB"),
    ("postgresql-value", "postgresql.conf", "wal_level = full", "wal_level = archive"),
    ("postgresql-value", "postgresql.conf", "jit = maybe", "jit = off"),
    ("postgresql-value", "postgresql.conf", "random_page_cost = nan", "random_page_cost = 1.5"),
    ("postgresql-unknown", "postgresql.conf", "wal_keep_segments = 8", "wal_keep_size = 128MB"),
    ("postgresql-unknown", "postgresql.conf", "io_method = sync", "pg_stat_statements.max = 5000"),
    ("postgresql-default", "postgresql.conf", "shared_buffers = 16384", "shared_buffers = 32768"),
    ("postgresql-default", "postgresql.conf", "checkpoint_timeout = 300000ms", "checkpoint_timeout = 15min"),
    (
        "postgresql-old-default",
        "postgresql.conf",
        "checkpoint_completion_target = 0.5",
        "checkpoint_completion_target = 0.8",
    ),
    ("postgresql-never", "postgresql.conf", "fsync = off", "synchronous_commit = off"),
    ("postgresql-relation", "postgresql.conf", "min_wal_size = 2GB", "min_wal_size = 512MB"),
    ("postgresql-relation", "postgresql.conf", "random_page_cost = 0.9", "random_page_cost = 1.1"),
    ("postgresql-shm", "x.sh", "docker run postgres:17", "docker run --shm-size=1g postgres:17"),
    ("jvm-old-default", "jvm.options", "-XX:-ParallelRefProcEnabled", "-XX:+UseStringDeduplication"),
    ("jvm-value", "jvm.options", "-XX:MaxGCPauseMillis=0", "-XX:MaxGCPauseMillis=1"),
    ("jvm-value", "jvm.options", "-Xmx2x", "-Xmx2g"),
    ("jvm-removed", "jvm.options", "-XX:+UseConcMarkSweepGC", "-XX:+UseSerialGC"),
    ("jvm-removed", "jvm.options", "-XX:+ZGenerational", "-XX:+UseZGC"),
    ("jvm-never", "jvm.options", "-XX:-UseContainerSupport", "-XX:MaxRAMPercentage=70"),
    ("jvm-two-collectors", "jvm.options", "-XX:+UseSerialGC\n-XX:+UseParallelGC", "-XX:-UseG1GC\n-XX:+UseParallelGC"),
    ("jvm-heap-order", "jvm.options", "-Xms2g\n-Xmx1g", "-Xms1g\n-Xmx1g"),
    (
        "jvm-relation",
        "jvm.options",
        "-XX:MinHeapFreeRatio=80\n-XX:MaxHeapFreeRatio=50",
        "-XX:MinHeapFreeRatio=20\n-XX:MaxHeapFreeRatio=50",
    ),
    ("jvm-channel", "Dockerfile", "FROM shop:1\nENV JAVA_OPTS=-Xmx1g", "FROM tomcat:10\nENV JAVA_OPTS=-Xmx1g"),
    (
        "conflict-heap-limit",
        "x.sh",
        "docker run -m 512m app:1 java -Xmx400m -jar a",
        "docker run -m 512m app:1 java -Xmx380m -jar a",
    ),
    ("conflict-heap-limit", "pod.yaml", pod("JAVA_TOOL_OPTIONS", "-Xmx512m"), pod("JAVA_TOOL_OPTIONS", "-Xmx320m")),
    (
        "postgresql-never",
        "x.sh",
        "docker run --shm-size=1g postgres:17 -c fsync=off",
        "docker run --shm-size=1g postgres:17 -c jit=off",
    ),
    (
        "postgresql-unknown",
        "compose.yaml",
        "services:\n  d: {image: 'postgres:17', command: postgres --checkpoint-segments=9}",
        "services:\n  d: {image: 'postgres:17', command: postgres --max-wal-size=2GB}",
    ),
    (
        "conflict-heap-limit",
        "x.sh",
        "docker run -m 512m app:1 sh -c 'exec java -Xmx512m -jar a'",
        "docker run -m 512m app:1 sh -c 'exec java -Xmx300m -jar a'",
    ),
    (
        "jvm-channel",
        "Dockerfile",
        "FROM a:1\nENV JAVA_OPTS=-Xmx1g\nCMD java -jar a",
        "FROM a:1\nENV JAVA_OPTS=-Xmx1g\nCMD java ${JAVA_OPTS} -jar a",
    ),
    (
        "nginx-upstream-name",
        "nginx.conf",
        "http { server { location / { proxy_pass http://shop; } } }",
        "server { location / { proxy_pass http://shop; } }",
    ),
    ("go-value", "x.sh", "export GOMEMLIMIT=512m", "export GOMEMLIMIT=512MiB"),
    ("go-gogc-off", "x.sh", "GOGC=off ./shop", "GOGC=off GOMEMLIMIT=1GiB ./shop"),
    ("runtime-above-limit", "pod.yaml", pod("GOMEMLIMIT", "500MiB"), pod("GOMEMLIMIT", "460MiB")),
    (
        "runtime-above-limit",
        "pod.yaml",
        pod("NODE_OPTIONS", "--max-old-space-size=512"),
        pod("NODE_OPTIONS", "--max_old_space_size=400"),
    ),
    (
        "node-option-refused",
        "x.sh",
        "NODE_OPTIONS=--stack-size=2000 node a.js",
        "NODE_OPTIONS=--max-semi-space-size=32 node a.js",
    ),
    ("file-syntax", "a.yaml", "apiVersion: v1\nkind: [", "apiVersion: v1\nkind: Namespace"),
    ("file-syntax", "a.py", "def a(:\n", "def a() -> None: ..."),
    ("file-syntax", "sysctl.conf", "vm.swappiness 10", "-net.bridge.bridge-nf-call-iptables"),
    ("yaml-duplicate-key", "a.yaml", "apiVersion: v1\nkind: Pod\nkind: Pod", "apiVersion: v1\nkind: Namespace"),
    ("k8s-request-above-limit", "pod.yaml", pod(request="1500m"), pod(request="1000m")),
    (
        "k8s-no-containers",
        "pod.yaml",
        "apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: {containers: []}}}",
        pod(),
    ),
    ("k8s-range", "hpa.yaml", HPA.replace("MIN", "6"), HPA.replace("MIN", "5")),
    (
        "python-blocking-call",
        "a.py",
        "import time\nasync def a():\n    time.sleep(1)",
        "import time\nasync def a():\n    return lambda: time.sleep(1)",
    ),
    (
        "python-pool-range",
        "a.py",
        "import asyncpg\np = asyncpg.create_pool(max_size=5)",
        "import asyncpg\np = asyncpg.create_pool(min_size=5, max_size=5)",
    ),
    ("python-undefined", "a.py", "def a():\n    return b()", "try:\n    b()\nexcept NameError:\n    pass"),
    (
        "python-undefined",
        "a.py",
        "class A:\n    def __init__(self):\n        self.b()",
        "class A(C):\n    def __init__(self):\n        self.b()",
    ),
    (
        "python-sync-redis",
        "a.py",
        "import redis\nr = redis.Redis()\nasync def a():\n    r.get('k')",
        "import redis.asyncio as redis\nr = redis.Redis()\nasync def a():\n    await r.get('k')",
    ),
    (
        "python-no-timeout",
        "a.py",
        "from requests import get\nget('u')",
        "from requests import get\nget('u', timeout=3)",
    ),
]


@pytest.mark.parametrize(("rule", "file", "wrong", "right"), EXAMPLES)
def test_a_rule_finds_its_example_and_nothing_beside_it(rule: str, file: str, wrong: str, right: str) -> None:
    """The wrong text has a finding of the rule, the right one has none."""
    assert rule in rules(lint_text(wrong, file))
    assert rule not in rules(lint_text(right, file))


def test_every_rule_is_shown_by_an_example() -> None:
    """Here or in the guide's files: a rule that nothing triggers is a claim."""
    shown = {each.rule for each in lint_golden(GUIDE)} | {rule for rule, *_ in EXAMPLES}
    assert shown == set(BY_ID)


def test_ids_are_unique_and_texts_complete() -> None:
    """Ids are lower-case words, severities are known, titles are one line without a full stop."""
    assert len(BY_ID) == len(RULES) == sum(len(group) for group in GROUPS.values())
    for rule in RULES:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.id)
        assert rule.severity in SEVERITIES
        assert "\n" not in rule.title
        assert not rule.title.endswith(".")
        assert all(re.fullmatch(r"S\d+(\.\d)?-\d\d", row) for row in rule.rows)


def test_the_version_decides() -> None:
    """A removed name, a default and a bound belong to versions."""
    assert rules(lint_text("force_parallel_mode = on", "postgresql.conf", postgresql="15")) == []
    assert rules(lint_text("force_parallel_mode = on", "postgresql.conf", postgresql="16")) == ["postgresql-unknown"]
    assert rules(lint_text("checkpoint_completion_target = 0.9", "postgresql.conf", postgresql="13")) == []
    assert rules(lint_text("-XX:+ZGenerational\n-XX:+UseZGC", "jvm.options", jvm="21")) == []
    assert rules(lint_text("-XX:+ZGenerational\n-XX:+UseZGC", "jvm.options", jvm="25")) == ["jvm-removed"]
    keepalive = "http { keepalive_requests 100; }"
    assert rules(lint_text(keepalive, "nginx.conf", nginx="1.18")) == ["nginx-default"]
    assert rules(lint_text(keepalive, "nginx.conf", nginx="1.28")) == ["nginx-old-default"]
    assert rules(lint_text("vm.swappiness = 60", "sysctl.conf", linux="5.15")) == ["kernel-default"]


def test_the_last_of_two_lines_counts() -> None:
    """PostgreSQL takes the last value of a name, so the first one is no default that matters."""
    found = lint_text("work_mem = 4MB\nwork_mem = 16MB", "postgresql.conf")
    assert found == ()


def test_names_that_other_files_define_are_known() -> None:
    """An upstream by the name of a service of the same set resolves there."""
    site = ("nginx.conf", "http { server { location / { proxy_pass http://shop:8080; } } }")
    service = ("service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: shop}")
    compose = ("compose.yaml", "services:\n  shop: {image: 'shop:1'}")
    assert rules(lint_texts(site)) == ["nginx-upstream-name"]
    assert lint_texts(site, service) == ()
    assert lint_texts(site, compose) == ()


def test_a_guarded_server_may_listen_everywhere() -> None:
    """pg_hba.conf beside it has to name networks, and to ask for a password."""
    server = ("postgresql.conf", "listen_addresses = '*'")
    assert lint_texts(server, ("pg_hba.conf", "hostssl all all 10.0.0.0/8 scram-sha-256")) == ()
    assert rules(lint_texts(server, ("pg_hba.conf", "host all all 0.0.0.0/0 trust"))) == ["postgresql-listen"]


def test_two_autoscalers_may_share_a_service() -> None:
    """They conflict by metric, not by existing: a recommender, or one that controls memory alone, is no conflict."""
    vpa = "apiVersion: autoscaling.k8s.io/v1\nkind: VerticalPodAutoscaler\nmetadata: {name: v}\nspec:\n"
    vpa += "  targetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}\n"
    memory = "  resourcePolicy: {containerPolicies: [{containerName: a, controlledResources: [memory]}]}\n"
    hpa = ("hpa.yaml", HPA.replace("MIN", "2"))
    assert rules(lint_texts(hpa, ("vpa.yaml", vpa))) == ["conflict-hpa-vpa"]
    assert lint_texts(hpa, ("vpa.yaml", vpa + "  updatePolicy: {updateMode: 'Off'}\n")) == ()
    assert lint_texts(hpa, ("vpa.yaml", vpa + memory)) == ()


def test_replicas_of_the_scaled_deployment_are_a_warning_and_of_a_stranger_a_note() -> None:
    """The same name is a conflict; another one, where nothing else fits, is a question."""
    deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: NAME}\nspec:\n  replicas: 3\n"
    deployment += "  template: {spec: {containers: [{name: a, image: 'a:1'}]}}\n"
    hpa = ("hpa.yaml", HPA.replace("MIN", "2"))
    for name, severity in (("shop", "warning"), ("store", "note")):
        found = lint_texts(hpa, ("deployment.yaml", deployment.replace("NAME", name)))
        assert [(each.rule, each.severity, each.place.line) for each in found] == [
            ("conflict-replicas-hpa", severity, 5)
        ]


def test_lines_inside_a_config_map_are_those_of_the_file() -> None:
    """Line by line after `|`; a text in quotes has the line of its key."""
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n"
    block = head + "  postgresql.conf: |\n    # first\n\n    fsync = off\n"
    quoted = head + '  postgresql.conf: "jit = on\\n\\nfsync = off\\n"\n'
    second = "---\n" + block
    assert [each.place.line for each in lint_text(block, "a.yaml")] == [8]
    assert {each.place.line for each in lint_text(quoted, "a.yaml")} == {5}
    assert [each.place.line for each in lint_text(block + second, "a.yaml")] == [8, 17]
