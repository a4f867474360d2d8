"""The JVM of a container: its flags, against each other, its version and the container's limits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from domain.space import Value
from linting import parameters, quantity, rules_cluster
from linting import rules_runtime as rules
from linting.facts import Fact, Facts
from linting.finding import Finding, Place
from linting.jvm_flags import UNREAD, Flag, flags
from linting.parts import Container

_BOOK = parameters.Rulebook(rules.JVM_BOUNDS, rules.JVM_DEFAULT, rules.JVM_OLD_DEFAULT)
_COLLECTOR = re.compile(r"Use(Serial|Parallel|G1|Z|Shenandoah|Epsilon|ConcMarkSweep)GC")
_READ_BY_START_SCRIPT = re.compile(r"tomcat|jboss|wildfly|keycloak|jetty|cassandra|kafka|zookeeper|solr|activemq")
_GONE = {
    "PermSize": "removed in 8; metaspace grows by itself",
    "MaxPermSize": "removed in 8; write MaxMetaspaceSize",
    "UseConcMarkSweepGC": "removed in 14; use G1 or ZGC",
    "UseParNewGC": "removed in 10",
    "AggressiveOpts": "removed in 13",
    "PrintGCDetails": "replaced by -Xlog:gc* in 9",
    "PrintGCDateStamps": "removed in 9; write -Xlog:gc*:...:time",
    "UseCGroupMemoryLimitForHeap": "removed in 11; the container's limit is used by itself",
}
_GONE_SINCE = {"PermSize": 8, "MaxPermSize": 8, "UseConcMarkSweepGC": 14, "UseParNewGC": 10, "AggressiveOpts": 13}
_GONE_SINCE |= {"PrintGCDetails": 9, "PrintGCDateStamps": 9, "UseCGroupMemoryLimitForHeap": 11}
_MB = 1024**2
_SERVER_MEMORY = 1792 * _MB  # from here on, with two CPUs, the JVM chooses G1
_BESIDE_HEAP = 85 * _MB  # least that classes, code, threads and the collector take beside the heap, measured
_HEAP_SHARE = 1.04  # what the collector's tables add to each byte of heap
_FEWEST_REGIONS = 64


def check(container: Container, facts: Facts) -> Iterator[Finding]:
    """Everything about the JVM in a container; nothing if no flag of one is to be seen."""
    yield from _channel(container)
    given = flags(container)
    last = {flag.name: flag for flag in given}
    if not given:
        return
    for flag in last.values():
        yield from _flag(flag, container, facts)
    yield from _collectors(given, container, facts)
    values = _values(last, facts)
    yield from _heap(values, last, container)
    yield from _regions(values, container)
    yield from _threads(values, container)
    yield from parameters.broken("jvm", values, facts, rules.JVM_RELATION, frozenset({"C-JVM-XMS", "C-JVM-REGION"}))
    yield from _probe(container)


def _channel(container: Container) -> Iterator[Finding]:
    if _READ_BY_START_SCRIPT.search(container.image):
        return
    command = " ".join(container.command)
    for variable in container.environment:
        if variable.name in UNREAD and "-X" in variable.value and f"${variable.name}" not in command.replace("{", ""):
            yield rules.JVM_CHANNEL.at(variable.place, f"{variable.name}={_cut(variable.value)}")


def _flag(flag: Flag, container: Container, facts: Facts) -> Iterator[Finding]:
    major = facts.major("jvm")
    if _GONE_SINCE.get(flag.name, math.inf) <= major:
        told = _GONE[flag.name]
        yield rules.JVM_REMOVED.at(flag.place, f"{flag.written}, JDK {major}", better=f"{told[0].upper()}{told[1:]}.")
        return
    fact = facts.get("jvm", flag.name)
    if fact is None or _COLLECTOR.fullmatch(flag.name):
        return
    if not fact.present:
        yield rules.JVM_REMOVED.at(flag.place, f"{flag.written}, JDK {major}", why=f"It exists {fact.span}.")
        return
    value = _value(fact, flag)
    if value is None:
        yield parameters.refused(fact, flag.text, flag.place, _BOOK)
    elif fact.policy == "never" and value is False:
        yield rules.JVM_NEVER.at(flag.place, flag.written)
    else:
        yield from parameters.judge(fact, value, flag.written, flag.place, _BOOK)


def _value(fact: Fact, flag: Flag) -> Value | None:
    if fact.type == "bool":
        return flag.on
    if flag.on is not None:
        return None
    if fact.unit == "bytes":
        return quantity.size(flag.text)
    if fact.type in ("enum", "string"):
        return flag.text
    try:
        return float(flag.text) if fact.type == "float" else int(flag.text)
    except ValueError:
        return None


def _values(last: Mapping[str, Flag], facts: Facts) -> dict[str, tuple[Value, Place]]:
    found: dict[str, tuple[Value, Place]] = {}
    for flag in last.values():
        fact = facts.get("jvm", flag.name)
        value = None if fact is None else _value(fact, flag)
        if value is not None:
            found[flag.name] = (value, flag.place)
    return found


def _collectors(given: tuple[Flag, ...], container: Container, facts: Facts) -> Iterator[Finding]:
    chosen = {flag.name: flag for flag in given if flag.on and _COLLECTOR.fullmatch(flag.name)}
    major = facts.major("jvm")
    if len(chosen) > 1:
        yield rules.JVM_COLLECTORS.at(
            list(chosen.values())[-1].place, " ".join(each.written for each in chosen.values())
        )
    elif "UseG1GC" in chosen:
        flag = chosen["UseG1GC"]
        small = _small(container)
        if small and major < 27:
            yield rules.JVM_SMALL_G1.at(flag.place, f"{flag.written} with {small}")
        elif major >= 9:
            on = "on two CPUs and 1792 MB or more" if major < 27 else "everywhere"
            yield rules.JVM_DEFAULT.at(flag.place, flag.written, name="gc", why=f"G1 is its choice {on}.")
    names = {flag.name for flag in given if flag.on}
    if "UseZGC" in chosen and major >= 15:
        flag = chosen["UseZGC"]
        if "UnlockExperimentalVMOptions" in names or (major in (21, 22) and "ZGenerational" not in names):
            seen = (
                f"{'-XX:+UnlockExperimentalVMOptions ' if 'UnlockExperimentalVMOptions' in names else ''}{flag.written}"
            )
            yield rules.JVM_ZGC_UNLOCK.at(flag.place, f"{seen}, JDK {major}")


def _small(container: Container) -> str:
    """Why the JVM would choose Serial here; empty if it would not, or nothing says so."""
    if container.cpu is not None and math.ceil(container.cpu) < 2:
        return f"{container.cpu:g} CPU"
    if container.memory is not None and container.memory < _SERVER_MEMORY:
        return quantity.megabytes(container.memory)
    return ""


def _heap(
    values: Mapping[str, tuple[Value, Place]], last: Mapping[str, Flag], container: Container
) -> Iterator[Finding]:
    if "MaxHeapSize" not in values:
        return
    heap, place = values["MaxHeapSize"]
    if isinstance(heap, str):
        return
    initial, at = values.get("InitialHeapSize", (0, place))
    if not isinstance(initial, str) and initial > heap:
        seen = f"{last['InitialHeapSize'].written} {last['MaxHeapSize'].written}"
        yield rules.JVM_HEAP_ORDER.at(at, seen)
    written = last["MaxHeapSize"].written
    if container.memory is not None:
        most = max(0.0, (0.95 * container.memory - _BESIDE_HEAP) / _HEAP_SHARE)
        if heap > most:
            better = f"Write -Xmx{most // _MB:.0f}m or less, or raise the limit."
            seen = f"{written} with a limit of {quantity.megabytes(container.memory)}"
            yield rules_cluster.HEAP_LIMIT.at(place, seen, better=better if most >= 16 * _MB else "Raise the limit.")
    if container.request is not None and container.manifest is not None and container.request < heap:
        request = container.manifest.at("resources", "requests", "memory")
        yield rules.JVM_REQUEST.at(request.place, f"requests.memory {request.text} with {written}")


def _regions(values: Mapping[str, tuple[Value, Place]], container: Container) -> Iterator[Finding]:
    region, place = values.get("G1HeapRegionSize", (0, container.place))
    if isinstance(region, str) or region <= 0:
        return
    heap = values.get("MaxHeapSize", (None, place))[0]
    if heap is None and container.memory is not None:
        share = values.get("MaxRAMPercentage", (25.0, place))[0]
        heap = container.memory * float(share) / 100
    if heap is None:
        if container.limits_known and region >= 8 * _MB:
            seen = f"G1HeapRegionSize={region // _MB:.0f}m, and nothing says how large the heap is"
            yield rules.JVM_REGION.at(place, seen)
    elif not isinstance(heap, str) and heap / region < _FEWEST_REGIONS:
        yield rules.JVM_REGION.at(place, f"{heap // region:.0f} regions of {region / _MB:g} MiB")


def _threads(values: Mapping[str, tuple[Value, Place]], container: Container) -> Iterator[Finding]:
    count, place = values.get("ParallelGCThreads", (0, container.place))
    if isinstance(count, str) or not container.limits_known:
        return
    if container.cpu is None and count > 1:
        yield rules.JVM_GC_THREADS.at(place, f"ParallelGCThreads={count}, and no CPU limit is set here")
    elif container.cpu is not None and count > max(1, math.ceil(container.cpu)):
        yield rules.JVM_GC_THREADS.at(place, f"ParallelGCThreads={count} with {container.cpu:g} CPU")


def _probe(container: Container) -> Iterator[Finding]:
    pod = container.manifest
    if pod is None or container.cpu is None or container.cpu >= 1:
        return
    if pod.at("livenessProbe") and not pod.at("startupProbe"):
        limit = pod.at("resources", "limits", "cpu")
        yield rules.JVM_CPU.at(limit.place, f"limits.cpu {limit.text}, a livenessProbe and no startupProbe")


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
