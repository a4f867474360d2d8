"""CPython and its servers: variables of the interpreter, gunicorn's arguments, the number of workers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from adapters.actuators.layers import options
from adapters.actuators.layers.variables import Variables, read, unset
from domain.errors import Misconfigured
from domain.space import SearchSpace, Settings, Value
from domain.target import Arm

GUNICORN, WORKERS = "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY"
VARIABLES = {
    "py.uvicorn_workers": WORKERS,
    "py.PYTHONMALLOC": "PYTHONMALLOC",
    "py.OMP_NUM_THREADS": "OMP_NUM_THREADS",
    "py.PYTHON_CPU_COUNT": "PYTHON_CPU_COUNT",
    "py.PYTHON_JIT": "PYTHON_JIT",
}
OPTIONS = {
    "py.gunicorn_workers": ("--workers", "-w"),
    "py.gunicorn_threads": ("--threads", ""),
    "py.gunicorn_max_requests": ("--max-requests", ""),
}
READS_AT_START = frozenset({"docker.cpuset_cpus"})


class Python(Variables):
    """`place`: optional `channel`, how gunicorn is told its number of workers: WEB_CONCURRENCY (default; uvicorn and
    others read it too) or GUNICORN_CMD_ARGS. Threads and requests a worker go into GUNICORN_CMD_ARGS."""

    def __init__(self, arm: Arm, space: SearchSpace) -> None:
        channel = arm.place.get("channel", WORKERS)
        if channel not in (WORKERS, GUNICORN):
            raise Misconfigured(f"arm {arm.label}: channel is {channel!r}; allowed: {WORKERS}, {GUNICORN}")
        named = dict(VARIABLES) | ({"py.gunicorn_workers": WORKERS} if channel == WORKERS else {})
        for parameter in space.parameters:
            if parameter.name not in {*named, *OPTIONS}:
                raise Misconfigured(
                    f"{parameter.name} cannot be written from outside: it is set in the program's code; see "
                    f"`trimtab catalogue show {parameter.name}` and leave the parameter out"
                )
        super().__init__(space.parameters, named)
        if len(self.names) < len(self.parameters):
            raise Misconfigured(f"two parameters would both be written to {WORKERS}; leave one of them out")
        self._options = {each.name: each for each in space.parameters if each.name not in named}
        self._owns_workers = WORKERS in self.names
        self.names |= {GUNICORN} if self._options else frozenset()
        argv = arm.restart.argv if arm.restart else ()
        options.not_on_command_line(argv, self._mine, GUNICORN)
        if self._owns_workers:
            options.not_on_command_line(argv, _workers, WORKERS)

    def stored(self, variables: Mapping[str, str]) -> dict[str, Value]:
        words = options.split(variables.get(GUNICORN, ""), GUNICORN)
        if self._owns_workers and any(_workers(word) for word in words):
            raise Misconfigured(
                f"{GUNICORN} has the number of workers and wins over {WORKERS}; use channel: {GUNICORN}"
            )
        found = super().stored(variables)
        for name in self._options:
            for place, word in enumerate(words):
                flag, equals, text = word.partition("=")
                if flag in OPTIONS[name]:
                    found[name] = read(name, text if equals else (words[place + 1 : place + 2] or [""])[0], GUNICORN)
        return found

    def variables(self, settings: Settings, present: Mapping[str, str]) -> dict[str, str | None]:
        found = super().variables(settings, present)
        if self._options:
            ours = [
                f"{OPTIONS[name][0]}={settings[name]}"
                for name, parameter in self._options.items()
                if name in settings and not unset(parameter, settings[name])
            ]
            words = options.split(present.get(GUNICORN, ""), GUNICORN)
            owners = [
                word
                for place, word in enumerate(words)
                if not (place and self._mine(words[place - 1]) and "=" not in words[place - 1])
            ]
            found[GUNICORN] = " ".join(options.merged(owners, ours, self._mine)) or None
        return found

    def _mine(self, option: str) -> bool:
        return any(option.partition("=")[0] in filter(None, OPTIONS[name]) for name in self._options)


def _workers(option: str) -> bool:
    return re.fullmatch(r"(--workers|-w)(=.*)?", option) is not None
