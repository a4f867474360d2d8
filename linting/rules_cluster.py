"""The rules about Kubernetes manifests, and those that need more than one line, file or service to be seen."""

from __future__ import annotations

from linting.finding import ERROR, WARNING, Rule

_API = "Kubernetes API reference"
_VPA = "kubernetes/autoscaler, vertical-pod-autoscaler documentation"

SYNTAX = Rule(
    "file-syntax",
    ERROR,
    "The file cannot be parsed",
    "Whatever reads it will refuse it too.",
    "Correct the line that the message names.",
    "the format's definition",
)
DUPLICATE_KEY = Rule(
    "yaml-duplicate-key",
    ERROR,
    "A key stands twice in one mapping, or is a word that YAML reads as something else",
    "One of the values is silently lost, or a text silently becomes a boolean.",
    "Keep one, or put the word in quotes.",
    "YAML 1.2, chapter 3.2.1",
)
NO_CONTAINERS = Rule(
    "k8s-no-containers",
    ERROR,
    "A pod without containers",
    "The API server rejects it (measured: containers must be a list).",
    "Add the containers, and try every manifest with kubectl apply --dry-run=server.",
    _API,
    ("S7.1-05",),
)
REQUEST_ABOVE_LIMIT = Rule(
    "k8s-request-above-limit",
    ERROR,
    "A request above its limit",
    "The API server rejects the pod.",
    "Lower the request, or raise the limit.",
    _API,
)
RANGE = Rule(
    "k8s-range",
    ERROR,
    "A lower bound above its upper bound",
    "The API server rejects the object, or the autoscaler can never satisfy it.",
    "Swap or correct the bounds.",
    _API,
)
VPA_AUTO = Rule(
    "k8s-vpa-auto",
    WARNING,
    "The update mode Auto of the vertical autoscaler",
    "It is deprecated and equals Recreate, which evicts pods to resize them.",
    "Say what is meant: Off to read recommendations, Initial, Recreate, or InPlaceOrRecreate (1.6).",
    _VPA,
    ("S7.3-02",),
)
LIVENESS = Rule(
    "k8s-liveness-dependencies",
    WARNING,
    "A liveness probe that asks for the health of everything",
    "/actuator/health includes the database and whatever else the service needs: when that is away for a minute, every "
    "pod is killed. Without timeoutSeconds a probe has one second.",
    "Probe /actuator/health/liveness, set timeoutSeconds, and add a startupProbe.",
    "Spring Boot documentation, Kubernetes probes",
    ("S9.3-09",),
)
UNMOUNTED = Rule(
    "k8s-config-unmounted",
    WARNING,
    "A server's configuration that nothing mounts",
    "No pod of these files takes the ConfigMap, so the server runs with the defaults of its image; a change of it "
    "would not be noticed either.",
    "Mount it, and put its hash into an annotation of the pod template.",
    "Kubernetes documentation, configure a pod to use a ConfigMap",
    ("S9.1-21", "S9.2-15"),
)
SHM = Rule(
    "postgresql-shm",
    WARNING,
    "PostgreSQL with 64 MiB of shared memory",
    "Containers get 64 MiB at /dev/shm, and a parallel hash join that needs more fails (measured: could not resize "
    "shared memory segment).",
    "Mount an emptyDir with medium Memory at /dev/shm; in Docker --shm-size=1g.",
    "measured on PostgreSQL 15",
    ("S9.2-15",),
)
HPA_VPA = Rule(
    "conflict-hpa-vpa",
    ERROR,
    "Two autoscalers own the same pods by the same metric",
    "One changes the number of pods for a metric and the other their size for the same metric: each undoes what the "
    "other measured.",
    "Set the VPA's updateMode to Off and read its recommendations, or let it control what the HPA does not measure.",
    _VPA + ", known limitations",
    ("S7.2-04", "S7.2-05", "S7.3-01", "S7.3-02"),
)
POOL = Rule(
    "conflict-pool-connections",
    ERROR,
    "All pools together want more connections than the database gives",
    "When the autoscaler adds pods, the last ones get FATAL: sorry, too many clients already.",
    "Keep pods x pool size below max_connections less the reserved ones, or put a pooler in front.",
    "PostgreSQL documentation, runtime-config-connection",
    ("S6.2-06", "S7.2-03", "S9.2-05"),
)
HEAP_LIMIT = Rule(
    "conflict-heap-limit",
    ERROR,
    "The heap fills the container",
    "Beside the heap the JVM needs room for its collector, classes, code, threads and buffers: the kernel kills it "
    "(measured: -Xmx512m with 440 MB live in 512 MiB ends with exit 137).",
    "Leave about a third of the limit outside the heap, or use -XX:MaxRAMPercentage.",
    "native memory tracking of JDK 17, 21 and 25, measured",
    ("S9.3-03", "S9.3-05", "S9.3-07"),
)
SURGE = Rule(
    "conflict-quota-surge",
    WARNING,
    "The quota leaves no room for a rolling update",
    "At the autoscaler's maximum the quota is used up, so the extra pod of an update is refused and the rollout hangs.",
    "Give the quota room for maxReplicas plus maxSurge, or set maxSurge to 0 and maxUnavailable to 1.",
    "Kubernetes documentation, resource quotas; deployments",
    ("S7.1-10", "S7.2-03"),
)
REPLICAS = Rule(
    "conflict-replicas-hpa",
    WARNING,
    "A fixed number of replicas beside an autoscaler",
    "Each apply of the manifest sets the number back, in the middle of a load peak too.",
    "Remove spec.replicas from the manifest.",
    "Kubernetes documentation, horizontal pod autoscaling",
    ("S9.3-01", "S7.2-01"),
)
TIMEOUTS = Rule(
    "conflict-timeouts",
    WARNING,
    "The database may work longer than the proxy waits",
    "nginx gives up and (by default, for requests that may be repeated) asks the next server, while the first goes on "
    "working: a slow query is multiplied when the database is slow already.",
    "Keep the command timeout below proxy_read_timeout, and limit the repeats: proxy_next_upstream_tries 2;",
    "nginx documentation, proxy_next_upstream",
    ("S6.2-07", "S9.1-20"),
)
DIRTY = Rule(
    "conflict-dirty",
    WARNING,
    "Background write-back starts later than forced write-back",
    "The kernel halves the background ratio below the other one, so nothing is written in the background.",
    "Keep vm.dirty_background_ratio below vm.dirty_ratio, 5 and 20 for example.",
    "kernel documentation, admin-guide/sysctl/vm.rst",
    ("S4.3-03", "S4.3-04"),
)
LOGGING = Rule(
    "conflict-log-statement",
    WARNING,
    "Three settings log the same statements",
    "log_statement = all, log_duration and log_min_duration_statement each write a line for one slow statement.",
    "Keep log_min_duration_statement alone.",
    "PostgreSQL documentation, runtime-config-logging",
    ("S9.2-07", "S9.2-08", "S9.2-09"),
)
NO_LIMIT = Rule(
    "conflict-no-limit",
    WARNING,
    "A runtime's memory limit without a limit of the container",
    "The runtime believes in memory that nobody promised: without a limit it competes with the node, and with a "
    "smaller one set elsewhere it is killed before it collects.",
    "Set the container's limit too: 5 to 10 % above GOMEMLIMIT; the heap, 3 % and 60 MB more for Node.js.",
    "go.dev/doc/gc-guide; heap_size_limit of Node.js 20, 22 and 24 measured",
    guide_by_name={"GOMEMLIMIT": ("S6.3-09",), "NODE_OPTIONS": ("S3.2-06",)},
)

CONFLICTS = (HPA_VPA, POOL, HEAP_LIMIT, SURGE, REPLICAS, TIMEOUTS, DIRTY, LOGGING, NO_LIMIT)
RULES = (
    SYNTAX,
    DUPLICATE_KEY,
    NO_CONTAINERS,
    REQUEST_ABOVE_LIMIT,
    RANGE,
    VPA_AUTO,
    LIVENESS,
    UNMOUNTED,
    SHM,
    *CONFLICTS,
)
