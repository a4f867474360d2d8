"""Kinds of actuators by name: the one place that a new one is entered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from adapters.actuators.nginx import NginxArm
from domain.errors import Misconfigured, TrimtabError
from domain.ports import Actuator
from domain.space import SearchSpace
from domain.target import Arm, Target


class LocalArm(Actuator, Protocol):
    """An actuator on this machine, which the watchdog can restore."""

    def reap(self, now: float) -> str | None: ...


_KINDS: dict[str, Callable[[Arm, SearchSpace], LocalArm]] = {"nginx": NginxArm}
KINDS = tuple(sorted(_KINDS))


def actuators_for(target: Target) -> dict[str, Actuator]:
    """An actuator per arm, by label. Raises Misconfigured naming the known kinds."""
    return dict(_arms(target))


def reap(target: Target, now: float) -> list[str]:
    """One look of the watchdog at every arm of a target: what it did or could not do, in words."""
    told = []
    for label, arm in _arms(target).items():
        try:
            message = arm.reap(now)
        except TrimtabError as error:
            message = f"arm {label} could not be looked at: {error}"
        if message is not None:
            told.append(f"{target.name}: {message}")
    return told


def _arms(target: Target) -> dict[str, LocalArm]:
    kind = _KINDS.get(target.actuator)
    if kind is None:
        raise Misconfigured(f"target {target.name}: actuator {target.actuator!r} is unknown; known: {', '.join(KINDS)}")
    return {arm.label: kind(arm, target.space) for arm in target.arms}
