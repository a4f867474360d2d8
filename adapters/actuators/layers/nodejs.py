"""Node.js: V8's heap through NODE_OPTIONS, where node accepts it, and the variables that node and its programs read."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping

from adapters.actuators.layers import options
from adapters.actuators.layers.variables import Variables, plain, read, unset
from domain.errors import Misconfigured, Transient
from domain.space import SearchSpace, Settings, Value
from domain.target import Arm

VARIABLES = {"node.UV_THREADPOOL_SIZE": "UV_THREADPOOL_SIZE", "node.cluster_workers": "WEB_CONCURRENCY"}
# What node accepts in NODE_OPTIONS (18 to 24); it exits with 9 for other options of V8.
OPTIONS = {
    "node.max_old_space_size": "--max-old-space-size",
    "node.max_old_space_size_percentage": "--max-old-space-size-percentage",
    "node.max_semi_space_size": "--max-semi-space-size",
    "node.v8_pool_size": "--v8-pool-size",
}
OLD, SEMI = "node.max_old_space_size", "node.max_semi_space_size"
READS_AT_START = frozenset({"docker.memory", "docker.cpuset_cpus"})
MIB = 1024**2
_OPTION = re.compile(r"--([a-z0-9_-]+)(?:=(.*))?")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Nodejs(Variables):
    """`place`: optional `inspect`, an http:// address at which the program answers with v8.getHeapStatistics() as JSON.
    With it the old space in force is V8's own figure (heap_size_limit = old space + 3 semi spaces), else what the
    process' environment says."""

    def __init__(self, arm: Arm, space: SearchSpace) -> None:
        for parameter in space.parameters:
            if parameter.name not in {*VARIABLES, *OPTIONS}:
                raise Misconfigured(
                    f"{parameter.name} cannot be written: node refuses it in NODE_OPTIONS; change the command line "
                    "of the program by hand, and leave the parameter out"
                )
        super().__init__(space.parameters, VARIABLES)
        self._options = {each.name: each for each in space.parameters if each.name in OPTIONS}
        self.names |= {"NODE_OPTIONS"} if self._options else frozenset()
        self._inspect = arm.place.get("inspect", "")
        if self._inspect and not self._inspect.startswith("http://"):
            raise Misconfigured(f"arm {arm.label}: inspect is {self._inspect!r}; write an http:// address")
        options.not_on_command_line(arm.restart.argv if arm.restart else (), self._mine, "NODE_OPTIONS")

    def stored(self, variables: Mapping[str, str]) -> dict[str, Value]:
        return {**super().stored(variables), **self._in_options(variables)}

    def variables(self, settings: Settings, present: Mapping[str, str]) -> dict[str, str | None]:
        found = super().variables(settings, present)
        if self._options:
            ours = [
                f"{OPTIONS[name]}={plain(settings[name])}"
                for name, parameter in self._options.items()
                if name in settings and not unset(parameter, settings[name])
            ]
            owners = options.split(present.get("NODE_OPTIONS", ""), "NODE_OPTIONS")
            found["NODE_OPTIONS"] = " ".join(options.merged(owners, ours, self._mine)) or None
        return found

    def effective(self, running: Mapping[str, str], written: Mapping[str, str]) -> dict[str, Value]:
        found = self.stored(running)
        if self._inspect and OLD in self._options and SEMI in found:
            semi = found[SEMI]
            if isinstance(semi, int):
                found[OLD] = round(self._heap_limit() / MIB) - 3 * semi
        return found

    def _in_options(self, variables: Mapping[str, str]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for option in options.split(variables.get("NODE_OPTIONS", ""), "NODE_OPTIONS"):
            match = _OPTION.fullmatch(option)
            for name in self._options:
                if match is not None and f"--{match[1].replace('_', '-')}" == OPTIONS[name]:
                    if match[2] is None:
                        raise Misconfigured(f"NODE_OPTIONS: {option} has no value; write {option}=NUMBER")
                    found[name] = read(name, match[2], "NODE_OPTIONS")  # the last one wins, as in V8
        return found

    def _mine(self, option: str) -> bool:
        name = option.partition("=")[0].replace("_", "-")
        return name in [OPTIONS[each] for each in self._options]

    def _heap_limit(self) -> float:
        try:
            with _direct.open(self._inspect, timeout=2.0) as answer:
                return float(json.loads(answer.read(1_000_000))["heap_size_limit"])
        except (urllib.error.URLError, OSError) as error:
            raise Transient(f"{self._inspect} does not answer: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise Misconfigured(f"{self._inspect} does not answer with v8.getHeapStatistics() as JSON") from error
