"""The last word: original against kept settings, measured after the run has closed, by other code than the run's.

Windows are swapped between the arms; latencies are the generator's raw ones, by intended send time. The program does
not grade itself with the numbers that it optimised.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from console.demo.stage import Stage, p95
from domain.ports import Actuator, Stamp
from domain.space import Settings

WINDOWS = 6
LATE = 0.5
RUN = "demo-final"
PATIENCE = 90.0


@dataclass(frozen=True)
class FinalWindow:
    """One window on one arm; times in Unix seconds, p95 in seconds."""

    arm: str
    settings: str
    start: float
    end: float
    requests: int
    p95: float


@dataclass(frozen=True)
class Final:
    control_p95: float
    kept_p95: float
    windows: tuple[FinalWindow, ...]

    def listed(self) -> list[Mapping[str, object]]:
        return [asdict(window) for window in self.windows]


def measure(
    stage: Stage,
    arms: Mapping[str, Actuator],
    original: Settings,
    kept: Settings,
    say: Callable[[str], None],
) -> Final:
    """At the end every arm carries `kept` again, whatever happened in between."""
    labels = list(arms)
    windows: list[FinalWindow] = []
    raw: dict[str, list[float]] = {"original": [], "kept": []}
    for arm in arms.values():
        arm.protect(RUN, time.time() + PATIENCE)
    try:
        for number in range(WINDOWS):
            roles = {label: "original" if (i + number) % 2 == 0 else "kept" for i, label in enumerate(labels)}
            for label, role in roles.items():
                _write(arms[label], original if role == "original" else kept)
            start, length = time.time() + stage.scenario.settle, stage.scenario.window
            time.sleep(stage.scenario.settle + length + LATE)
            for label, role in roles.items():
                seen = stage.latencies(label, start, start + length)
                raw[role] += seen
                windows.append(FinalWindow(label, role, start, start + length, len(seen), p95(seen)))
            say(f"window {number + 1} of {WINDOWS}: original {_ms(windows, 'original')}, kept {_ms(windows, 'kept')}")
            for arm in arms.values():
                arm.protect(RUN, time.time() + PATIENCE)
    finally:
        for arm in arms.values():
            _write(arm, kept)
            arm.release(RUN)
    if any(math.isnan(window.p95) for window in windows):
        raise RuntimeError("a window of the last measurement saw no request")
    return Final(p95(raw["original"]), p95(raw["kept"]), tuple(windows))


def _write(arm: Actuator, settings: Settings) -> None:
    image = arm.read()
    arm.write(settings, Stamp(RUN, image.generation + 1), image.version)


def _ms(windows: list[FinalWindow], settings: str) -> str:
    latest = next(window for window in reversed(windows) if window.settings == settings)
    return f"{1000 * latest.p95:.1f} ms"
