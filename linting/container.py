"""One container: its image, its options, its main process."""

from __future__ import annotations

from collections.abc import Iterator

from linting import parameters, quantity, settings_files
from linting import rules_container as rules
from linting.facts import Facts
from linting.finding import Finding, Place
from linting.parts import Container, Daemon, Kernel, Setting

_PROGRAMS = frozenset(  # names of programs for which there is no official image
    {"stress-ng", "stress", "iperf", "iperf3", "valgrind", "htop", "iotop", "iftop", "nethogs", "perf", "ping", "nc"}
    | {"fio", "sysbench", "wrk", "hey", "ab", "strace", "tcpdump", "top", "dstat", "netstat"}
)
_EXERCISES = frozenset({"vish/stress", "polinux/stress"})
_WORKERS = frozenset({"nginx", "nginxinc/nginx-unprivileged", "bitnami/nginx"})
_AUTOTUNE = "NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE"
_SLOWEST_BYTES, _FEWEST_IO = 8 * 1024**2, 500  # a second; below these even start-up and logs wait
_PREFIXES = frozenset({"nice", "chrt", "ionice", "env", "exec", "taskset"})
_BOOK = parameters.Rulebook(rules.BOUNDS, rules.BOUNDS, rules.BOUNDS)
_MEMORY = ("--memory", "--memory-swap", "--memory-reservation")


def check(container: Container, facts: Facts) -> Iterator[Finding]:
    """Everything about a container but the runtime in it."""
    yield from _image(container)
    yield from _workers(container)
    yield from _main_process(container)
    for option in container.options:
        yield from _option(option, facts)
    yield from _memory_order(container)
    for variable in container.environment:
        if variable.name == "ASAN_OPTIONS" and "detect_leaks=1" in variable.value:
            yield rules.ASAN.at(variable.place, f"{variable.name}={variable.value}")


def kernel(container: Container) -> Kernel:
    """The kernel parameters of its network and IPC namespaces."""
    found: list[Setting] = []
    for option in container.options:
        if option.name == "--sysctl":
            name, _, value = option.value.partition("=")
            found += settings_files.kernel_settings(name, value, option.place)
    return Kernel(tuple(found))


def daemon(part: Daemon) -> Iterator[Finding]:
    """The storage settings of dockerd."""
    driver = part.tree.at("storage-driver")
    if driver.text == "overlay2":
        yield rules.STORAGE_DRIVER.at(driver.place, "storage-driver: overlay2")
    for option in part.tree.at("storage-opts").each():
        name, _, value = option.text.partition("=")
        if name == "overlay2.override_kernel_check":
            yield rules.KERNEL_CHECK.at(option.place, option.text)
        elif name == "overlay2.size" and value:
            yield rules.OVERLAY_SIZE.at(option.place, option.text)


def _image(container: Container) -> Iterator[Finding]:
    name, tag = _split(container.image)
    if name in _PROGRAMS and not container.pinned:
        known = rules.IMAGE_IS_PROGRAM.guide_by_name
        use = " ".join([name, *container.command[:1]])  # the same program may stand in several rows
        yield rules.IMAGE_IS_PROGRAM.at(container.place, f"image {container.image}", name=use if use in known else name)
        return
    if name in _EXERCISES:
        yield rules.IMAGE_OUTDATED.at(container.place, f"image {container.image}")
    elif container.pinned and name and name != "scratch" and tag in ("", "latest") and "{" not in name:
        yield rules.IMAGE_LATEST.at(container.place, f"image {container.image}")


def _workers(container: Container) -> Iterator[Finding]:
    name, _ = _split(container.image)
    if name not in _WORKERS or container.cpu is None or container.manifest is not None:
        return
    told = any("worker_processes" in word for word in container.command)
    mounted = any(option.name in ("--volume", "--mount") for option in container.options)
    if not told and not mounted and not any(variable.name == _AUTOTUNE for variable in container.environment):
        yield rules.QUOTA_NOT_CORES.at(container.place, f"--cpus={container.cpu:g} {container.image}")


def _main_process(container: Container) -> Iterator[Finding]:
    words = list(container.command)
    realtime = False
    while words and words[0] in _PREFIXES:
        if words[0] == "chrt" and {"-f", "-r", "--fifo", "--rr"} & set(words):
            realtime = True
        words.pop(0)
        while words and (words[0].startswith("-") or words[0].lstrip("-").isdigit()):
            words.pop(0)
    seen = " ".join(container.command)
    if realtime:
        yield rules.REALTIME.at(container.place, seen)
    if words[:1] == ["nginx"] and not any("daemon off" in word for word in words):
        yield rules.DAEMONISING.at(container.place, seen)


def _option(option: Setting, facts: Facts) -> Iterator[Finding]:
    seen = f"{option.name}={option.value}"
    if option.name == "--privileged" and option.value == "true":
        yield rules.PRIVILEGED.at(option.place, "--privileged")
    elif option.name == "--cap-add" and option.value.removeprefix("CAP_") in ("SYS_NICE", "ALL"):
        yield rules.SYS_NICE.at(option.place, seen)
    elif option.name in ("--device-read-bps", "--device-write-bps"):
        rate = quantity.size(option.value.rpartition(":")[2])
        if rate is not None and rate < _SLOWEST_BYTES:
            yield rules.IO_LIMIT.at(option.place, seen, name=option.name)
    elif option.name in ("--device-read-iops", "--device-write-iops"):
        rate = quantity.count(option.value.rpartition(":")[2])
        if rate is not None and rate < _FEWEST_IO:
            yield rules.IO_LIMIT.at(option.place, seen, name=option.name)
    else:
        yield from _bounds(option, seen, facts)


def _bounds(option: Setting, seen: str, facts: Facts) -> Iterator[Finding]:
    fact = facts.get("docker", option.name.removeprefix("--").replace("-", "_"))
    if fact is None:
        return
    if fact.policy == "never":
        yield rules.NEVER.at(option.place, seen, why=fact.note)
        return
    if fact.low is None or fact.type not in ("int", "float", "size"):
        return
    value = quantity.size(option.value) if fact.unit == "bytes" and option.value != "-1" else _number(option.value)
    if value is None:
        yield parameters.refused(fact, option.value, option.place, _BOOK)
    elif value and not fact.low <= value <= (fact.high or value):  # 0 means unset for all of them
        bounds = f"{parameters.show(fact, fact.low)} to {parameters.show(fact, fact.high or value)}"
        yield rules.BOUNDS.at(option.place, seen, better=f"Write {bounds}.")


def _memory_order(container: Container) -> Iterator[Finding]:
    given: dict[str, tuple[float, Place]] = {}
    for option in container.options:
        size = quantity.size(option.value)
        if option.name in _MEMORY and size:
            given[option.name] = size, option.place
    if "--memory" not in given:
        return
    limit, _ = given["--memory"]
    told = ", ".join(f"{name} {quantity.megabytes(size)}" for name, (size, _) in given.items())
    if "--memory-swap" in given and given["--memory-swap"][0] < limit:
        yield rules.MEMORY_ORDER.at(given["--memory-swap"][1], told)
    if "--memory-reservation" in given and given["--memory-reservation"][0] >= limit:
        yield rules.MEMORY_ORDER.at(given["--memory-reservation"][1], told)


def _split(image: str) -> tuple[str, str]:
    """The name without registry hub and tag, and the tag or digest."""
    name, at, digest = image.partition("@")
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{head}/{last}" if head else last
    for hub in ("docker.io/", "index.docker.io/", "library/"):
        name = name.removeprefix(hub)
    return name, digest if at else tag


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
