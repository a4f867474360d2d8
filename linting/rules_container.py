"""The rules about containers: Docker's commands, its daemon, compose files, images, and load tools in containers."""

from __future__ import annotations

from linting.finding import ERROR, NOTE, WARNING, Rule

_RUN = "Docker documentation, docker container run"
_IMAGES = "docker-library/official-images, August 2026"
_OMISSION = "Gil Tene, How NOT to Measure Latency"
_TOOLS = {"wrk": ("S8.3-01",), "ab": ("S8.3-02",), "hey": ("S8.3-03",)}

IMAGE_IS_PROGRAM = Rule(
    "docker-image-is-a-program",
    ERROR,
    "The name of a program stands where the image belongs",
    "There is no official image of that name, so the pull fails, or fetches what a stranger put there.",
    "Name an image that contains the program, with its tag or digest, before the program's name.",
    _IMAGES,
    guide_by_name={
        "stress-ng --cpu": ("S1.1-06",),
        "stress-ng --vm": ("S1.1-07",),
        "stress-ng --io": ("S1.1-08",),
        "iperf3 -s": ("S1.1-09",),
        "iperf3 -c": ("S4.2-07",),
        "valgrind --tool=memcheck": ("S3.3-01",),
        "valgrind --tool=massif": ("S3.3-03",),
        "htop": ("S8.1-01",),
        "iotop": ("S8.1-02",),
        "nethogs": ("S8.1-03",),
        "perf": ("S8.1-04",),
    },
)
QUOTA_NOT_CORES = Rule(
    "docker-quota-not-cores",
    WARNING,
    "A CPU quota on an image that starts one worker for each core of the node",
    "`--cpus` is a share of time and not a number of cores: the container still sees every core (measured: two workers "
    "under half a CPU), so it starts too many workers, and they throttle each other.",
    "Set the number of workers: for the nginx image -e NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE=1.",
    "measured on nginx 1.22.1; the entry point scripts of the nginx image",
    ("S2.1-02", "S9.1-01"),
)
STRESS_IO = Rule(
    "load-stress-io",
    WARNING,
    "stress-ng --io does not measure a disk",
    "It only calls sync(2) in a loop: the mounted directory is never used, and the write caches of all other "
    "services of the host are flushed.",
    "Use fio on the real volume, with the block size and the fsync of the service.",
    "stress-ng(1)",
    ("S1.1-08",),
)
IPERF_ENDLESS = Rule(
    "load-iperf-endless",
    WARNING,
    "An iperf3 server without an end",
    "The server waits for ever, so the script stops here, nothing is measured, and `--rm` never removes the container.",
    "Start it with --one-off, and run a client against it for a fixed time.",
    "iperf3(1)",
    ("S1.1-09",),
)
IMAGE_OUTDATED = Rule(
    "docker-image-outdated",
    WARNING,
    "An image that was made for an example",
    "It is an exercise of the Kubernetes documentation from years ago, and its load resembles no real service.",
    "Use the real service under a load generator.",
    "Kubernetes documentation, assign CPU and memory resources",
    ("S2.1-07",),
)
IMAGE_LATEST = Rule(
    "image-latest",
    WARNING,
    "An image without a fixed version",
    "Two pods of one service may run different programs, and no measurement can be repeated.",
    "Name a version, better a digest (image@sha256:...).",
    "Kubernetes documentation, concepts/containers/images",
    ("S9.3-11",),
)
DAEMONISING = Rule(
    "docker-daemonising",
    ERROR,
    "The main process of the container goes into the background",
    "nginx without `daemon off` forks and its first process ends; with that the container stops at once (measured: "
    "exit 0, no nginx left).",
    "Add -g 'daemon off;' to the command.",
    "measured on nginx 1.22.1",
    ("S2.2-04", "S2.2-05"),
)
REALTIME = Rule(
    "docker-realtime",
    WARNING,
    "A service under a real-time scheduling policy",
    "A SCHED_FIFO task that does not sleep starves everything else on its core, the kubelet included; in a cgroup "
    "without a real-time budget the call is refused.",
    "Give the service CPU weight (--cpu-shares) or cores of its own (--cpuset-cpus).",
    "sched(7); refusal measured on cgroup v1",
    ("S2.2-05",),
)
SYS_NICE = Rule(
    "docker-cap-sys-nice",
    NOTE,
    "The capability SYS_NICE",
    "It is more power than a service needs, and the pod security levels restricted and baseline refuse it; nice only "
    "ranks tasks inside one container.",
    "Remove it; use --cpu-shares between containers.",
    "Kubernetes documentation, pod security standards",
    ("S2.2-06",),
)
PRIVILEGED = Rule(
    "docker-privileged",
    WARNING,
    "A container with all rights of the host",
    "Whoever gets into it owns the node. Monitoring needs single capabilities or an exporter on the host.",
    "Grant the single capability that is needed (PERFMON, NET_ADMIN), or read an exporter's numbers.",
    _RUN,
    ("S8.1-02", "S8.1-04"),
)
TASKSET = Rule(
    "docker-taskset-one-thread",
    WARNING,
    "The affinity of one thread is changed",
    "Without -a only the first thread of the process is moved; workers and threads that exist keep their cores, and "
    "the change is lost at the next start.",
    "docker update --cpuset-cpus=0,1 CONTAINER",
    "taskset(1)",
    ("S2.3-03",),
)
NETSTAT = Rule(
    "docker-netstat",
    NOTE,
    "netstat in a container",
    "net-tools is absent from most images, and a list of listening ports says nothing about the network's health.",
    "Use `ss -s` and `nstat` in the container's network namespace.",
    "netstat(8): this program is mostly obsolete",
    ("S1.2-08",),
)
IO_LIMIT = Rule(
    "docker-io-limit",
    WARNING,
    "A limit on the disk that nearly stops the service",
    "At this rate even start-up and logs wait for the disk. The device's name is a guess too, and `docker update` "
    "cannot change the limit: the container has to be made anew.",
    "Remove it, or set it from measured use on the device that holds the data.",
    _RUN,
    guide_by_name={
        "--device-read-bps": ("S4.1-01",),
        "--device-write-bps": ("S4.1-02",),
        "--device-read-iops": ("S4.1-03",),
        "--device-write-iops": ("S4.1-04",),
    },
)
STORAGE_DRIVER = Rule(
    "docker-storage-driver",
    NOTE,
    "The storage driver is fixed to what has long been the default",
    "It changes nothing on an old engine. From Engine 29 on a fresh installation uses containerd's image store, and "
    "the line keeps it from that; switching a driver hides every image that is there.",
    "Remove the line, and keep data on volumes.",
    "Docker documentation, storage drivers",
    ("S4.1-05",),
)
KERNEL_CHECK = Rule(
    "docker-kernel-check",
    WARNING,
    "A storage option that is gone",
    "overlay2.override_kernel_check was deprecated in 19.03 and removed in 24.0.",
    "Remove the option.",
    "docker/cli, deprecated.md",
    ("S4.1-06",),
)
OVERLAY_SIZE = Rule(
    "docker-overlay-size",
    WARNING,
    "A size quota for overlay2",
    "The daemon does not start unless the directory lies on xfs mounted with pquota; it is a quota and makes nothing "
    "faster.",
    "Remove the option; limit log files and give data volumes a size.",
    "Docker documentation, dockerd storage options",
    ("S4.1-07",),
)
NEVER = Rule(
    "docker-never",
    WARNING,
    "A container option that takes the node's protection away",
    "It lets one container take memory or time that the node needs for itself.",
    "Remove the option.",
    _RUN,
)
BOUNDS = Rule(
    "docker-bounds",
    ERROR,
    "A container option has a value that the engine refuses",
    "The container is not made.",
    "Write a value inside the bounds.",
    _RUN,
)
MEMORY_ORDER = Rule(
    "docker-memory-order",
    ERROR,
    "Memory options that contradict each other",
    "memory-swap is memory plus swap, so it cannot be below memory; a reservation has to be below memory.",
    "Keep reservation < memory <= memory-swap.",
    _RUN,
)
OWN_LOCALHOST = Rule(
    "load-own-localhost",
    ERROR,
    "A load tool in a container calls localhost",
    "There localhost is the tool's own container, and nothing listens in it.",
    "Put the tool into the service's network and call it by name, or use --network host.",
    "Docker documentation, networking overview",
    guide_by_name=_TOOLS,
)
CLOSED_LOOP = Rule(
    "load-closed-loop",
    WARNING,
    "A closed-loop load tool",
    "It sends the next request when the last one has been answered: while the service is slow it sends less, and the "
    "latencies that users would have seen are never measured (coordinated omission).",
    "Send at a fixed rate: wrk2 -R, vegeta attack -rate, k6 with an arrival rate, oha -q with --latency-correction.",
    _OMISSION,
    guide_by_name=_TOOLS,
)
AB_HTTP10 = Rule(
    "load-ab-http10",
    WARNING,
    "ab without keep-alive",
    "ab speaks HTTP/1.0 and opens a connection for each request (measured), so it measures connecting; it loads any "
    "HTTP server, not just Apache.",
    "Use a tool that speaks HTTP/1.1 at a fixed rate; at least add -k.",
    "measured; ab(1)",
    ("S8.3-02",),
)
TOO_FEW = Rule(
    "load-too-few",
    WARNING,
    "A benchmark of few requests",
    "They last a second or two: what is reported is warm-up and noise, and the 99th percentile of a thousand rests on "
    "ten of them.",
    "Measure for minutes, repeat, and report the spread.",
    "of 1000 samples, ten lie above the 99th percentile",
    guide_by_name={"ab": ("S8.3-02",), "hey": ("S8.3-03",)},
)
JMAP_HISTO = Rule(
    "jvm-jmap-histo",
    WARNING,
    "A heap histogram of a running service",
    "It stops all threads while it walks through the heap.",
    "Use `jcmd PID GC.heap_info` while serving; take a histogram (jcmd PID GC.class_histogram) outside of traffic.",
    "JDK documentation, jcmd and jmap",
    ("S8.1-06",),
)
ASAN = Rule(
    "asan-default",
    NOTE,
    "ASAN_OPTIONS=detect_leaks=1 changes nothing",
    "Only a program built with -fsanitize=address reads it, and there the leak check is on already on x86-64 Linux.",
    "Build with -fsanitize=address, and leave the option out.",
    "clang documentation, AddressSanitizer",
    ("S3.3-02",),
)

RULES = (
    IMAGE_IS_PROGRAM,
    QUOTA_NOT_CORES,
    STRESS_IO,
    IPERF_ENDLESS,
    IMAGE_OUTDATED,
    IMAGE_LATEST,
    DAEMONISING,
    REALTIME,
    SYS_NICE,
    PRIVILEGED,
    TASKSET,
    NETSTAT,
    IO_LIMIT,
    STORAGE_DRIVER,
    KERNEL_CHECK,
    OVERLAY_SIZE,
    NEVER,
    BOUNDS,
    MEMORY_ORDER,
    OWN_LOCALHOST,
    CLOSED_LOOP,
    AB_HTTP10,
    TOO_FEW,
    JMAP_HISTO,
    ASAN,
)
