"""What starts a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SignalKind = Literal["alert", "regression", "person", "schedule"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One reason to look at a target. `id` is stable over repeats (alert: fingerprint and start time), so that a signal
    that arrives twice means the same. Times are Unix seconds. `labels` of an alert decide which target it means;
    a person or the watcher names the `target` directly."""

    id: str
    kind: SignalKind
    status: Literal["firing", "resolved"]
    at: float
    summary: str
    target: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
