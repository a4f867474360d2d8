"""What the foreign HTTP tools are asked for, and what their drivers share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.load.program import Ended
from adapters.load.quantiles import Percentile, name, needed
from domain.errors import Misconfigured

MOST_SECONDS = 3600.0
MOST_CONNECTIONS = 10_000
SPARE_SECONDS = 10.0  # that a tool may take on top of its own time: connecting, its last answers, its report


@dataclass(frozen=True, slots=True)
class Job:
    """Load on `url` for `seconds` over `connections`; `rate` requests a second in total where the tool can (None: as
    fast as answers come). `timeout` in seconds. Raises Misconfigured for numbers that make no sense."""

    url: str
    seconds: float = 10.0
    connections: int = 10
    threads: int = 1
    rate: float | None = None
    timeout: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= MOST_SECONDS:
            raise Misconfigured(f"seconds {self.seconds:g} is not from 1 to {MOST_SECONDS:g}")
        if not 1 <= self.connections <= MOST_CONNECTIONS:
            raise Misconfigured(f"connections {self.connections} is not from 1 to {MOST_CONNECTIONS}")
        if not 1 <= self.threads <= self.connections:
            raise Misconfigured(f"threads {self.threads} is not from 1 to the connections ({self.connections})")
        if self.rate is not None and not 0 < self.rate <= 1e6:
            raise Misconfigured(f"rate {self.rate:g} is not above 0 and at most 1000000")
        if not 0 < self.timeout <= 600:
            raise Misconfigured(f"timeout {self.timeout:g} is not above 0 and at most 600 s")

    @property
    def whole_seconds(self) -> int:
        return math.ceil(self.seconds)

    @property
    def whole_timeout(self) -> int:
        return math.ceil(self.timeout)

    @property
    def limit(self) -> float:
        """Seconds after which a tool that still runs is stopped."""
        return self.whole_seconds + self.whole_timeout + SPARE_SECONDS

    def no_rate(self, tool: str) -> None:
        """Raises Misconfigured if a rate was asked of a tool that has none."""
        if self.rate is not None:
            raise Misconfigured(
                f"{tool} cannot hold a rate (rate {self.rate:g} was asked); leave it out, or use `trimtab load run`"
            )


def unreadable(ended: Ended, missing: str) -> Misconfigured:
    """The error for output that is not what this tool's driver knows."""
    return Misconfigured(
        f"the output of {ended.program} has no {missing}; its last words: {ended.trouble()}; is it another version of"
        " the program, or did something else end it?"
    )


def told(found: Sequence[tuple[float, float]], n: int) -> tuple[Percentile, ...]:
    """Percentiles that a tool tells itself, (level, seconds) of `n` answers; refused where too few answers carry
    them. Without single latencies there is no interval."""
    return tuple(
        Percentile(level, seconds)
        if n >= needed(level)
        else Percentile(level, None, why=f"{name(level)} needs {needed(level)} answers, these are {n}")
        for level, seconds in found
    )
