"""An arm in memory: the actuator's contract without a server, for simulated journeys."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from domain.errors import Conflict, Rejected, Stale
from domain.ports import Image, Stamp
from domain.space import SearchSpace, Settings


@dataclass(frozen=True, slots=True)
class _Content:
    """What the arm's file would hold. `digest` is what the writer claimed; an edit by hand breaks it."""

    settings: Settings
    stamp: Stamp | None
    digest: str

    @property
    def intact(self) -> bool:
        return self.stamp is not None and self.digest == _digest(self.settings)


@dataclass(slots=True)
class _BeforeImage:
    run: str
    deadline: float
    settings: Settings
    ours: set[str] = field(default_factory=set)
    reaped: bool = False


class MemoryArm:
    """See `domain.ports.Actuator`. `edit` plays a foreign hand, `refuse` makes the target refuse settings, `reap` is
    the watchdog's look."""

    def __init__(self, space: SearchSpace, settings: Settings) -> None:
        self._names = [parameter.name for parameter in space.parameters]
        self._content = _Content(dict(settings), None, "")
        self._before: _BeforeImage | None = None
        self._refused: list[Settings] = []
        self.set_aside: list[str] = []
        self.calls: list[str] = []
        self.placements = 0  # how often the arm moved to a new one

    # --- the port ----------------------------------------------------------------------------------------------------

    def read(self) -> Image:
        self.calls.append("read")
        content, before = self._content, self._before
        return Image(
            version=self._version(),
            stamp=content.stamp if content.intact else None,
            settings={name: content.settings[name] for name in self._names},
            generation=self._generation(),
            protected=before.run if before else "",
            reaped=before.reaped if before else False,
        )

    def protect(self, run: str, deadline: float, expected: str | None = None) -> None:
        self.calls.append("protect")
        if expected is not None:
            self._expect(expected)
        if self._before is None:
            self._before = _BeforeImage(run, deadline, dict(self._content.settings))
        elif self._before.run != run:
            raise Conflict(f"the before-image of run {self._before.run} lies here; release it first")
        else:
            self._before.deadline = deadline

    def write(self, settings: Settings, stamp: Stamp, expected: str) -> Image:
        self.calls.append("write")
        self._check(expected, stamp)
        if any(dict(refused) == dict(settings) for refused in self._refused):
            raise Rejected(f"refused: {dict(settings)}")
        self._put(settings, stamp)
        return self.read()

    def renew(self, since: float) -> None:
        self.calls.append("renew")
        self.placements += 1

    def effective(self) -> Settings:
        self.calls.append("effective")
        return {name: self._content.settings[name] for name in self._names}

    def disturbed(self, start: float, end: float) -> str:
        return ""

    def restore(self, stamp: Stamp, expected: str | None) -> Image:
        self.calls.append("restore")
        if self._before is None:
            raise Conflict("there is no before-image to restore")
        if expected is not None:
            self._check(expected, stamp)
        self._put(self._before.settings, stamp)
        return self.read()

    def release(self, run: str, *, keep: bool = False) -> None:
        self.calls.append("release")
        if self._before is not None and self._before.run == run:
            if keep:
                self.set_aside.append(run)
            self._before = None

    # --- the world around it -----------------------------------------------------------------------------------------

    def edit(self, settings: Settings) -> None:
        """Somebody writes other settings under whatever first line was there."""
        merged = {**self._content.settings, **settings}
        self._content = _Content(merged, self._content.stamp, self._content.digest)

    def refuse(self, settings: Settings) -> None:
        self._refused.append(dict(settings))

    def reap(self, now: float) -> bool:
        """Restore if the before-image is past its deadline and the content is ours."""
        before = self._before
        if before is None or before.reaped or now <= before.deadline:
            return False
        if self._content.stamp is not None and self._content.digest not in before.ours | {_digest(before.settings)}:
            return False
        if self._content.stamp is not None and not self._content.intact:
            return False
        before.reaped = True
        self._put(before.settings, Stamp(before.run, self._generation() + 1))
        return True

    # --- inside ------------------------------------------------------------------------------------------------------

    def _expect(self, expected: str) -> None:
        if self._version() != expected:
            if self._content.intact:
                raise Stale(f"version is {self._version()}, not {expected}: another writer of ours was faster")
            raise Conflict(f"version is {self._version()}, not {expected}, and the content is not ours")

    def _check(self, expected: str, stamp: Stamp) -> None:
        self._expect(expected)
        if stamp.generation <= self._generation():
            raise Stale(f"generation {stamp.generation} is not above {self._generation()}")

    def _put(self, settings: Settings, stamp: Stamp) -> None:
        if self._before is not None:
            self._before.ours.add(_digest(settings))
        self._content = _Content(dict(settings), stamp, _digest(settings))

    def _generation(self) -> int:
        return self._content.stamp.generation if self._content.stamp else 0

    def _version(self) -> str:
        return f"{self._generation()}:{_digest(self._content.settings)[:16]}"


def _digest(settings: Settings) -> str:
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()
