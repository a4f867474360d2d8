"""Breaking the demo on purpose: SIGKILL, once, in the middle of a trial."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from console.demo.stage import Stage
from domain.ports import Actuator, Record

VICTIMS = ("worker", "controller", "redis", "redis-gone", "prometheus")
DOWN_SECONDS = 2.0


class Chaos:
    """`look` is called with the journal as it grows; it strikes once."""

    def __init__(self, victim: str, stage: Stage, arms: Mapping[str, Actuator], say: Callable[[str], None]) -> None:
        self._victim, self._stage, self._arms, self._say = victim, stage, arms, say
        self.struck = not victim

    def look(self, records: Sequence[Record]) -> None:
        kinds = [record.kind for record in records]
        if self.struck or "Proposed" not in kinds or "Measured" not in kinds[kinds.index("Proposed") :]:
            return
        self.struck = True
        name = "redis" if self._victim == "redis-gone" else self._victim
        self._stage.processes.kill(name)
        self._say(f"chaos: {name} was killed (SIGKILL) in the middle of a trial")
        if self._victim == "redis-gone":
            self._wait_for_the_watchdog()
        else:
            time.sleep(DOWN_SECONDS)
        self._stage.processes.again(name)
        self._say(f"chaos: {name} is back")

    def _wait_for_the_watchdog(self) -> None:
        self._say("chaos: nobody can step without Redis; waiting for the watchdog to pass its deadline")
        began = told = time.monotonic()
        while not all(arm.read().reaped for arm in self._arms.values()):
            if time.monotonic() - told > 10:
                told = time.monotonic()
                self._say(f"chaos: Redis is gone for {told - began:.0f} s; the arms still carry the trial")
            if time.monotonic() - began > 300:
                raise RuntimeError("the watchdog did not restore the arms within 300 s")
            time.sleep(0.5)
        self._say(f"chaos: the watchdog restored both arms after {time.monotonic() - began:.0f} s, without Redis")
