"""One arm over two stores: the control group around a program, and the program's own configuration.

Each store keeps its own stamp, before-image and version; nothing is written in both at once. A worker that dies between
the two writes leaves one new and one old. Both are ours or untouched then, so the next step writes both again, or the
way back restores both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from domain.errors import Conflict, Misconfigured, Rejected, Stale
from domain.ports import Actuator, Image, Stamp
from domain.space import SearchSpace, Settings

STEPS = 4  # generations of a store to one of the joint: 4n a write, 4n + 2 taken back, one more by the watchdog
_LIMITS = ("docker.memory",)  # what kills if it is smaller than what the program inside still needs


class Part(Actuator, Protocol):
    """A store that the watchdog can restore."""

    def reap(self, now: float) -> str | None: ...


class JointArm:
    """See `domain.ports.Actuator`. `around` writes the parameters of `limits`, `inside` those of `space`."""

    def __init__(self, around: Part, limits: SearchSpace, inside: Part, space: SearchSpace) -> None:
        self._parts = (around, inside)
        self._names = [[each.name for each in part.parameters] for part in (limits, space)]

    def read(self) -> Image:
        return _joined([part.read() for part in self._parts])

    def protect(self, run: str, deadline: float, expected: str | None = None) -> None:
        versions = _versions(expected)
        for part, version in zip(self._parts, versions, strict=True):
            part.protect(run, deadline, version)

    def write(self, settings: Settings, stamp: Stamp, expected: str) -> Image:
        images = self._expect(expected)
        if stamp.generation <= _joined(images).generation:
            raise Stale(f"generation {stamp.generation} is not above {_joined(images).generation}")
        wanted = [{name: settings[name] for name in names} for names in self._names]
        order = (0, 1) if _grows(images[0].settings, wanted[0]) else (1, 0)
        first, second = order
        inner = Stamp(stamp.run, STEPS * stamp.generation)
        written = self._parts[first].write(wanted[first], inner, images[first].version)
        try:
            self._parts[second].write(wanted[second], inner, images[second].version)
        except (Rejected, Misconfigured):
            back = Stamp(stamp.run, STEPS * stamp.generation + 2)
            self._parts[first].write(images[first].settings, back, written.version)
            raise
        return self.read()

    def effective(self) -> Settings:
        return {name: value for part in self._parts for name, value in part.effective().items()}

    def renew(self, since: float) -> None:
        """What is inside is started anew; a control group has no placements."""
        self._parts[1].renew(since)

    def disturbed(self, start: float, end: float) -> str:
        """What disturbed either of them."""
        return "; ".join(text for part in self._parts if (text := part.disturbed(start, end)))

    def restore(self, stamp: Stamp, expected: str | None) -> Image:
        versions: list[str | None] = [None, None]
        if expected is not None:
            versions = [image.version for image in self._expect(expected)]
        inner = Stamp(stamp.run, STEPS * stamp.generation)
        self._both(lambda place: self._parts[place].restore(inner, versions[place]))
        return self.read()

    def release(self, run: str, *, keep: bool = False) -> None:
        for part in self._parts:
            part.release(run, keep=keep)

    def reap(self, now: float) -> str | None:
        """See `OwnedFile.reap`."""
        told: list[str | None] = []
        self._both(lambda place: told.append(self._parts[place].reap(now)))
        return "; ".join(text for text in told if text) or None

    def _both(self, act: Callable[[int], object]) -> None:
        """The limits first; if they are refused because the program inside is still too large, that goes first."""
        try:
            act(0)
        except Rejected:
            act(1)
            act(0)
        else:
            act(1)

    def _expect(self, expected: str) -> list[Image]:
        """Both images, if neither moved on. Raises Stale or Conflict, as its part would."""
        images = [part.read() for part in self._parts]
        for image, version in zip(images, _versions(expected), strict=True):
            if image.version != version:
                if image.stamp is not None:
                    raise Stale(f"version is {image.version}, not {version}: another writer of ours was faster")
                raise Conflict(f"version is {image.version}, not {version}, and the content is not ours")
        return images


def _joined(images: list[Image]) -> Image:
    around, inside = images
    generations = [image.generation // STEPS + image.generation % 2 for image in images]
    stamps = [
        Stamp(image.stamp.run, generation)
        for image, generation in zip(images, generations, strict=True)
        if image.stamp is not None
    ]
    edited = any(image.stamp is None and image.generation > 0 for image in images)
    return Image(
        version=f"{around.version}|{inside.version}",
        stamp=None if edited or not stamps else max(stamps, key=lambda stamp: stamp.generation),
        settings={**around.settings, **inside.settings},
        generation=max(generations),
        protected=around.protected or inside.protected,
        reaped=around.reaped and inside.reaped,
    )


def _versions(expected: str | None) -> tuple[str | None, str | None]:
    if expected is None:
        return None, None
    around, _, inside = expected.partition("|")
    return around, inside


def _grows(present: Settings, wanted: Settings) -> bool:
    """Whether the limits leave the program inside at least what it has: then they go first, else last."""

    def size(settings: Settings, name: str) -> float:
        value = settings.get(name, 0)
        return float("inf") if isinstance(value, str) else float(value)

    return all(size(wanted, name) >= size(present, name) for name in _LIMITS)
