"""The Go runtime: three variables that it reads when it starts, and its own metrics where the program shows them."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Mapping

from adapters.actuators.layers.variables import Variables
from domain.errors import Misconfigured, Transient
from domain.space import SearchSpace, Settings, Value
from domain.target import Arm

VARIABLES = {"go.GOGC": "GOGC", "go.GOMEMLIMIT": "GOMEMLIMIT", "go.GOMAXPROCS": "GOMAXPROCS"}
DEBUG = {"go.GODEBUG_madvdontneed": "madvdontneed"}
UNLIMITED = 2**63 - 1  # bytes; math.MaxInt64, what the runtime shows for no memory limit
# Names of client_golang's collector with the runtime's settings, and those that it gives them since 1.20.
METRICS = {
    "go.GOGC": "go_gc_gogc_percent",
    "go.GOMEMLIMIT": "go_gc_gomemlimit_bytes",
    "go.GOMAXPROCS": "go_sched_gomaxprocs_threads",
}
READS_AT_START = frozenset({"docker.cpuset_cpus"})
_SIZE = re.compile(r"([0-9]+)(B|KiB|MiB|GiB|TiB)?")
_FACTORS = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Golang(Variables):
    """`place`: optional `metrics`, the http:// address of the program's metrics in Prometheus' text format. With them
    the effective values are the runtime's own (a program may call debug.SetGCPercent); without, those of its
    environment."""

    def __init__(self, arm: Arm, space: SearchSpace) -> None:
        super().__init__(space.parameters, VARIABLES, {"go.GOMEMLIMIT": UNLIMITED})
        self._debug = {each.name: DEBUG[each.name] for each in space.parameters if each.name in DEBUG}
        self.names |= {"GODEBUG"} if self._debug else frozenset()
        self._metrics = arm.place.get("metrics", "")
        if self._metrics and not self._metrics.startswith("http://"):
            raise Misconfigured(f"arm {arm.label}: metrics is {self._metrics!r}; write an http:// address")

    def stored(self, variables: Mapping[str, str]) -> dict[str, Value]:
        options = _options(variables)
        found: dict[str, Value] = {
            name: int(options[key]) for name, key in self._debug.items() if options.get(key) in ("0", "1")
        }
        return {**super().stored(variables), **found}

    def variables(self, settings: Settings, present: Mapping[str, str]) -> dict[str, str | None]:
        found = super().variables(settings, present)
        if self._debug:
            options = {
                **_options(present),
                **{key: str(settings[name]) for name, key in self._debug.items() if name in settings},
            }
            found["GODEBUG"] = ",".join(f"{key}={value}" for key, value in options.items())
        return found

    def effective(self, running: Mapping[str, str], written: Mapping[str, str]) -> dict[str, Value]:
        found = self.stored(running)
        if self._metrics:
            found |= self._shown()
        return found

    def value(self, name: str, text: str) -> Value:
        if name == "go.GOMEMLIMIT":
            size = _SIZE.fullmatch(text)
            if text == "off":
                return UNLIMITED
            if size is None:
                raise Misconfigured(f"GOMEMLIMIT is {text!r}; write bytes, or a number with KiB, MiB or GiB")
            return int(size[1]) * _FACTORS[size[2] or ""]
        if name == "go.GOGC" and text == "off":
            return "off"
        return super().value(name, text)

    def _shown(self) -> dict[str, Value]:
        try:
            with _direct.open(self._metrics, timeout=2.0) as answer:
                text = answer.read(2_000_000).decode(errors="replace")
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise Transient(f"{self._metrics} does not answer: {error}") from error
        found: dict[str, Value] = {}
        for name in self.parameters:
            match = re.search(rf"^{METRICS[name]} (\S+)$", text, re.MULTILINE)
            if match is None:
                raise Misconfigured(f"{self._metrics} has no {METRICS[name]}; export it, or leave `metrics` out")
            number = float(match[1])
            found[name] = self._as_value(name, number)
        return found

    def _as_value(self, name: str, number: float) -> Value:
        if (name == "go.GOGC" and number < 0) or number >= UNLIMITED:
            return "off" if name == "go.GOGC" else UNLIMITED
        return round(number)


def _options(variables: Mapping[str, str]) -> dict[str, str]:
    """GODEBUG's `key=value` pairs, in their order."""
    pairs = (each.partition("=") for each in variables.get("GODEBUG", "").split(",") if each)
    return {key: value for key, _, value in pairs}
