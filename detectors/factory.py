"""Detectors by name."""

from __future__ import annotations

from collections.abc import Callable

from detectors.threshold import Threshold, ThresholdSettings
from domain.errors import Misconfigured
from domain.ports import Detector

_DETECTORS: dict[str, Callable[[ThresholdSettings], Detector]] = {"threshold": Threshold}
DETECTORS = tuple(sorted(_DETECTORS))


def detector(name: str, settings: ThresholdSettings | None = None) -> Detector:
    """A fresh detector of this name. Raises Misconfigured naming the known ones."""
    if name not in _DETECTORS:
        raise Misconfigured(f"detector {name!r} is unknown; known: {', '.join(DETECTORS)}")
    return _DETECTORS[name](settings or ThresholdSettings())
