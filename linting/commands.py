"""What scripts run: writes to the kernel, calls of the container engine, load and diagnosis tools."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from linting import quantity, rules_kernel, settings_files
from linting import rules_container as rules
from linting.containers import ENGINES
from linting.facts import Facts
from linting.finding import Finding
from linting.parts import Command, Container, Kernel, Setting

_SYSCTL = "/proc/sys/"
_SCHED_DOMAIN = "/proc/sys/kernel/sched_domain/"
_NO_PATHS = ("/sys/kernel/mm/compaction/",)
_RT_BUDGET = "/proc/sys/kernel/sched_rt_runtime_us"
_LOCALHOST = re.compile(r"https?://(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]+)?(?:/|$)")
_CLOSED = frozenset({"wrk", "ab", "hey"})
_FEW = 10_000  # requests; fewer last a second or two


def kernel(commands: Iterable[Command]) -> Kernel:
    """The kernel parameters that the commands of one file set, in order."""
    found: list[Setting] = []
    for command in commands:
        for path in command.writes:
            if path.startswith(_SYSCTL) and not path.startswith(_SCHED_DOMAIN) and command.name in ("echo", "printf"):
                value = " ".join(word for word in command.words[1:] if word not in ("-n", "-e"))
                found += settings_files.kernel_settings(path, value, command.place)
        if command.name == "sysctl":
            for word in command.words[1:]:
                name, equals, value = word.partition("=")
                if equals and not word.startswith("-"):
                    found += settings_files.kernel_settings(name, value, command.place)
    return Kernel(tuple(found))


def check(command: Command, facts: Facts) -> Iterator[Finding]:
    """Everything about one command but the container that it makes and the kernel parameters that it sets."""
    seen = _line(command.words)
    for path in command.writes:
        if path.startswith(_SCHED_DOMAIN):
            yield rules_kernel.SCHED_DOMAIN.at(command.place, f"{seen} > {path}")
        elif path.startswith(_NO_PATHS):
            yield rules_kernel.NO_SUCH_PATH.at(command.place, f"{seen} > {path}")
    if command.name in ("cat", "head", "less") and _RT_BUDGET in command.words:
        yield rules_kernel.RT_BUDGET.at(command.place, seen)
    if command.name == "mount" and command.words[-1] == "/" and any("nodiratime" in word for word in command.words):
        yield rules_kernel.REMOUNT.at(command.place, seen)
    if command.name in ENGINES and command.words[1:2] == ("exec",):
        yield from _tool(_inside(command.words[2:]), command, seen)
    elif command.name not in ENGINES:
        yield from _tool(command.words, command, seen)
        yield from load(command.words, command, seen)


def container(made: Container) -> Iterator[Finding]:
    """What the command line inside a container does, where a load tool runs in it."""
    program = made.image.rpartition("/")[2].partition(":")[0]
    words = made.command
    if program in _CLOSED and (not words or words[0].startswith("-")):
        words = (program, *words)  # images whose entry point is the tool
    command = Command(words, (), (), made.place)
    seen = _line((made.image, *made.command))
    if "stress-ng" in (program, command.name) and "--io" in words:
        yield rules.STRESS_IO.at(made.place, seen)
    if "iperf3" in (program, command.name) and "-s" in words and not {"--one-off", "-1", "-D"} & set(words):
        yield rules.IPERF_ENDLESS.at(made.place, seen)
    if command.name in (*_CLOSED, "wrk2", "vegeta", "oha", "k6") or program in _CLOSED:
        if not made.host_network and any(_LOCALHOST.match(word) for word in words):
            yield rules.OWN_LOCALHOST.at(made.place, seen, name=command.name)
        yield from load(words, command, seen)


def load(words: tuple[str, ...], command: Command, seen: str) -> Iterator[Finding]:
    """What is wrong with a call of a load tool, in a container or not."""
    name = words[0].rpartition("/")[2] if words else ""
    if name not in _CLOSED:
        return
    yield rules.CLOSED_LOOP.at(command.place, seen, name=name)
    if name == "ab" and not any(word.startswith("-") and "k" in word for word in words[1:]):
        yield rules.AB_HTTP10.at(command.place, seen)
    if name in ("ab", "hey") and "-n" in words[:-1]:
        count = quantity.count(words[words.index("-n") + 1])
        if count is not None and count < _FEW:
            yield rules.TOO_FEW.at(command.place, seen, name=name)


def _tool(words: tuple[str, ...], command: Command, seen: str) -> Iterator[Finding]:
    name = words[0].rpartition("/")[2] if words else ""
    options = [word for word in words[1:] if word.startswith("-")]
    if name == "netstat":
        yield rules.NETSTAT.at(command.place, seen)
    elif name == "jmap" and any(word.startswith("-histo") for word in options):
        yield rules.JMAP_HISTO.at(command.place, seen)
    elif name == "taskset" and len(words) > len(options) + 2 and any("p" in word for word in options):
        if not any("a" in word for word in options):
            yield rules.TASKSET.at(command.place, seen)
    elif name == "chrt" and {"-f", "-r", "--fifo", "--rr"} & set(options):
        yield rules.REALTIME.at(command.place, seen)


def _inside(words: tuple[str, ...]) -> tuple[str, ...]:
    """What `docker exec` runs: the words after its options and the container's name."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-e", "--env", "-u", "--user", "-w", "--workdir") and rest:
            rest.pop(0)
    return tuple(rest[1:])


def _line(words: tuple[str, ...]) -> str:
    text = " ".join(words)
    return text if len(text) <= 100 else text[:97] + "..."
