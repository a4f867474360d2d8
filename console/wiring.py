"""What a command works with, opened when it is first needed: start-up must not pay for what a command never touches.

This is the only place of the console that knows concrete classes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.clock import SystemClock
from domain.errors import Misconfigured, TrimtabError
from domain.ports import Actuator, Clock, Ledger, Stage
from domain.target import Target

if TYPE_CHECKING:
    from adapters.policy import Policy
    from adapters.prometheus import PrometheusTelemetry

DEFAULT_POLICY = Path("trimtab.yaml")
REPORTS = Path("reports")


class Session:
    """The parts that one command uses. Raises Misconfigured and Transient of the parts themselves."""

    def __init__(
        self, policy: Path | None = None, *, clock: Clock | None = None, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.path = policy
        self.clock: Clock = clock or SystemClock()
        self.pause = pause

    @cached_property
    def policy(self) -> Policy:
        path = self._policy_path()
        from adapters.policy import load_policy

        return load_policy(path)

    @cached_property
    def ledger(self) -> Ledger:
        from adapters.redis_ledger import RedisLedger

        return RedisLedger(self.policy.redis_url, self.policy.redis_prefix)

    @cached_property
    def prometheus(self) -> PrometheusTelemetry:
        from adapters.prometheus import PrometheusTelemetry

        return PrometheusTelemetry(self.policy.prometheus_url, headers=self.policy.prometheus_headers)

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.policy.targets

    @property
    def reports(self) -> Path:
        return self.policy.reports or REPORTS

    def target(self, name: str) -> Target:
        """A target of the policy by name."""
        found = next((target for target in self.targets if target.name == name), None)
        if found is None:
            known = ", ".join(sorted(target.name for target in self.targets)) or "none"
            raise Misconfigured(f"target {name!r} is not in the policy; known targets: {known}")
        return found

    def actuators(self, target: Target) -> Mapping[str, Actuator]:
        from adapters.actuators.registry import actuators_for

        return actuators_for(target)

    def stage(self, target: Target) -> Stage | None:
        from adapters.actuators.registry import stage

        return stage(target)

    def reap(self, target: Target, *, force: bool = False) -> list[str]:
        """The watchdog's one pass over one target."""
        from adapters.actuators.registry import reap

        return list(reap(target, self.clock.now(), force=force))

    def reverted(self, target: Target) -> Sequence[str]:
        """Kept values that somebody took back, in words; none where the workload cannot be read: its arms tell that."""
        from adapters.actuators.registry import reverted

        try:
            return reverted(target)
        except TrimtabError:
            return ()

    def _policy_path(self) -> Path:
        path = self.path or Path(os.environ.get("TRIMTAB_POLICY", "") or DEFAULT_POLICY)
        if not path.is_file():
            raise Misconfigured(f"no policy file at {path}; name one with --policy FILE or TRIMTAB_POLICY")
        return path
