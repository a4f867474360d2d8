"""The nginx actuator: one include file that Trimtab owns, `nginx -t`, reload, and proof from the running workers."""

from __future__ import annotations

import json
from pathlib import Path

from adapters.actuators import nginx_include
from adapters.actuators.before_image import replace_text
from adapters.actuators.nginx_process import Nginx
from adapters.actuators.owned_file import OwnedFile
from adapters.actuators.processes import unix_time
from adapters.actuators.stamped import Content, parse
from domain.errors import Misconfigured, Transient
from domain.space import SearchSpace, Settings, Value
from domain.target import Arm

CLOCK_SLACK = 0.02  # seconds: a process' birth is known to a tick
MOST_DRAINING = 2  # generations of older workers that may still drain when the next reload comes


class NginxArm(OwnedFile):
    """See `domain.ports.Actuator`. `place`: `config` (the include that Trimtab owns) and `pid` (the master's pid file);
    optional `main` (configuration for `nginx -t`), `prefix`, `binary`."""

    def __init__(self, arm: Arm, space: SearchSpace) -> None:
        nginx = Nginx(arm.place)
        config = Path(arm.place["config"])
        example = "create it with the present settings and include it in the http block"
        super().__init__(config, _Included(nginx, config, space), example)


class _Included:
    """nginx under an include file."""

    def __init__(self, nginx: Nginx, config: Path, space: SearchSpace) -> None:
        self._nginx, self._config, self._space = nginx, config, space

    def settings_of(self, body: str) -> dict[str, Value]:
        return nginx_include.settings_of(body, self._space)

    def body_for(self, settings: Settings, owners: str, present: str) -> str:
        return nginx_include.body_for(settings, self._space, owners)

    def free(self) -> None:
        if self._nginx.draining() >= MOST_DRAINING:
            raise Transient("workers of two older generations still drain; no reload on top of them")

    def activate(self, content: Content) -> None:
        self._nginx.test()
        self._nginx.reload()
        serving = {"digest": content.digest, "workers": self._serving()}
        replace_text(self._mark_file(), json.dumps(serving))

    def carries(self, content: Content) -> bool:
        """The workers that serve are those of our last reload with this content, or all of them were born after the
        file was last written."""
        serving = self._serving()
        try:
            mark = json.loads(self._mark_file().read_text())
        except (OSError, ValueError):
            mark = {}
        if serving and mark.get("workers") == serving:
            return bool(mark["digest"] == content.digest)
        if not serving or parse(self._config.read_text()).digest != content.digest:
            return False
        return unix_time(serving[0][1]) > self._config.stat().st_mtime + CLOCK_SLACK

    def effective(self, content: Content) -> dict[str, Value]:
        return self.settings_of(content.body)

    def renew(self, content: Content, since: float) -> None:
        """nginx activates everything by a reload, so no candidate ever needs a new placement."""
        raise Misconfigured(f"{self._config}: an nginx arm has no placements; its settings need a reload only")

    def _mark_file(self) -> Path:
        return self._config.with_name(f".{self._config.name}.carried")

    def _serving(self) -> list[list[int]]:
        """Pid and birth of each worker that serves, oldest first."""
        return [[worker.pid, worker.born] for worker in self._nginx.workers() if not worker.leaving]
