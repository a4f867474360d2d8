"""Programs that read their settings when they start: a JVM, Go, Node.js and Python service of the examples; under load
one that needs what the environment says."""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from adapters.actuators.layers import jvm_flags
from adapters.actuators.layers.golang import Golang
from adapters.actuators.layers.libc import Libc
from adapters.actuators.layers.nodejs import Nodejs
from adapters.actuators.layers.python import Python
from adapters.actuators.process import Layer
from bench.starts.clients import Asked, answers, idle, load
from bench.starts.draw import Candidate, root
from bench.starts.group import Group, children
from bench.starts.ports import own_port
from bench.starts.props import PROGRAMS
from bench.starts.spaces import differing, written
from domain.space import Value
from domain.target import Arm

MIB = 2**20
ORDER = 880  # bytes of heap that one order of examples/jvm takes (measured on JDK 17)
WIDE_ORDER = 1060  # the same under ZGC, which has no compressed references
ITEM = 256  # bytes of heap that one item of examples/go takes (measured on Go 1.26)
STARTED = 64 * MIB  # of `live`, at most, in a candidate that only has to start
NODE_SHARE = 0.72  # of the old space that is live under load; V8 gives up above 0.8 when collections do not help


class Runtime(ABC):
    """What they have in common. See `play.Player`."""

    path = "/work"

    def __init__(self, candidate: Candidate, group: Group, props: Path) -> None:
        self._candidate, self._group, self._props = candidate, group, props
        self._port, self._pid = own_port(), 0

    def start(self) -> None:
        self._pid = self._group.start(self._command(), self._variables())
        self._group.until(answers(self._port, "/healthz"))

    def load(self, seconds: float) -> list[str]:
        """`active` clients that ask without a pause, while the other connections wait."""
        active, conns = self._candidate.size("active"), self._candidate.size("conns")
        with idle(self._port, "/healthz", self._idle(conns - active)):
            count, wrong = load(self._port, [Asked(self.path)], active, seconds)
        if wrong and not self._group.runs():
            wrong.append(self._group.last_words())
        return [*wrong, *([] if count else ["nothing was answered"])]

    @abstractmethod
    def problems(self) -> list[str]: ...

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _variables(self) -> dict[str, str]: ...

    def _idle(self, count: int) -> int:
        return max(0, count)

    def _own_environment(self) -> dict[str, str]:
        """Of the running process."""
        pairs = Path(f"/proc/{self._pid}/environ").read_bytes().decode().split("\0")
        return {name: text for name, equals, text in (pair.partition("=") for pair in pairs) if equals}


class Layered(Runtime):
    """A runtime whose settings are variables, by the layers of the product's actuators."""

    families: tuple[str, ...] = ()

    def __init__(self, candidate: Candidate, group: Group, props: Path) -> None:
        super().__init__(candidate, group, props)
        self._space, self._values = written(candidate, *self.families)

    def problems(self) -> list[str]:
        running = self._own_environment()
        seen: dict[str, Value] = {}
        for layer in self._layers():
            seen |= layer.effective(running, running)
        return differing(self._values, seen)

    @abstractmethod
    def _layers(self) -> list[Layer]: ...

    def _variables(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for layer in self._layers():
            found |= {name: text for name, text in layer.variables(self._values, {}).items() if text is not None}
        return found

    def _arm(self, **place: str) -> Arm:
        return Arm("a", place)


class Jvm(Runtime):
    """Flags through JDK_JAVA_OPTIONS; in force is what the JVM itself prints when it starts."""

    def __init__(self, candidate: Candidate, group: Group, props: Path) -> None:
        super().__init__(candidate, group, props)
        space, self._values = written(candidate, "jvm")
        self._flags = jvm_flags.Flags(space.parameters)

    def problems(self) -> list[str]:
        shown = jvm_flags.shown(self._group.log.read_text(errors="replace"))
        seen = self._flags.effective(shown, self._values)
        return differing({name: value for name, value in self._values.items() if self._counts(name)}, seen)

    def _counts(self, name: str) -> bool:
        """Whether the collector in use reads the parameter: HotSpot takes others and may change them."""
        collector = str(self._values.get("jvm.gc", ""))
        if re.match(r"jvm\.(G1|InitiatingHeap)", name):
            return collector == "G1"
        return name not in _THREADS or collector in _THREADS[name]

    def _variables(self) -> dict[str, str]:
        return {"JDK_JAVA_OPTIONS": " ".join(self._flags.written(self._values, []))}

    def _command(self) -> list[str]:
        size = self._candidate.size
        order = WIDE_ORDER if self._values.get("jvm.gc") == "ZGC" else ORDER
        program = ["Orders", self._port, min(size("live"), STARTED) // order]
        if self._candidate.loaded:
            program = ["Busy", self._port, *map(size, ("live", "threads", "direct", "metaspace"))]
        return ["java", "-XX:+PrintFlagsFinal", "-cp", str(self._props / "classes"), *map(str, program)]


_THREADS: Mapping[str, tuple[str, ...]] = {
    "jvm.ParallelGCThreads": ("Parallel", "G1", "ZGC", "Shenandoah"),
    "jvm.ConcGCThreads": ("G1", "ZGC", "Shenandoah"),
    "jvm.SoftMaxHeapSize": ("ZGC", "Shenandoah"),
}


class Go(Layered):
    """The catalogue service; under load one that makes more garbage, of which `live` bytes live."""

    families = ("go",)

    def _layers(self) -> list[Layer]:
        return [Golang(self._arm(metrics=f"http://127.0.0.1:{self._port}/metrics"), self._space)]

    def _command(self) -> list[str]:
        live, address = self._candidate.size("live"), f"127.0.0.1:{self._port}"
        if self._candidate.loaded:
            return [str(self._props / "go" / "busy"), "-listen", address, "-live", str(live)]
        return [str(self._props / "go" / "catalogue"), "-listen", address, "-items", str(min(live, STARTED) // ITEM)]


class Node(Layered):
    """The documents service; under load one whose old space is nearly full of what lives, and as many buffers beside as
    the environment says."""

    families = ("node", "libc")

    def _layers(self) -> list[Layer]:
        node = [each for each in self._space.parameters if each.name.startswith("node.")]
        place = self._arm(inspect=f"http://127.0.0.1:{self._port}/heap")
        return [Nodejs(place, type(self._space)(tuple(node)))]

    def _command(self) -> list[str]:
        if not self._candidate.loaded:
            return ["node", str(root() / "examples/nodejs/server.js"), str(self._port)]
        old = float(self._values["node.max_old_space_size"]) * MIB
        sizes = [self._port, round(NODE_SHARE * old), self._candidate.size("direct")]
        return ["node", str(PROGRAMS / "busy.js"), *map(str, sizes)]


class Gunicorn(Layered):
    """The pre-forking service: as many workers as WEB_CONCURRENCY says. It has no threads, which are only passed on;
    under load one that has them, and whose every worker keeps `live` bytes."""

    families = ("python", "libc")
    path = "/page"

    def problems(self) -> list[str]:
        wanted = int(self._values["py.gunicorn_workers"])
        workers = children(self._pid, wanted)
        wrong = super().problems()
        if workers != wanted:
            wrong.append(f"py.gunicorn_workers: {wanted} was written, and {workers} run")
        return wrong

    def _layers(self) -> list[Layer]:
        kinds = {"py.": Python, "libc.": Libc}
        parameters = self._space.parameters
        return [
            kind(self._arm(), type(self._space)(tuple(each for each in parameters if each.name.startswith(start))))
            for start, kind in kinds.items()
        ]

    def _command(self) -> list[str]:
        if self._candidate.loaded:
            return [sys.executable, str(PROGRAMS / "busy.py"), str(self._port), str(self._candidate.size("live"))]
        return [sys.executable, str(root() / "examples/container/service.py"), str(self._port)]

    def _idle(self, count: int) -> int:
        return 0  # a connection is one answer here
