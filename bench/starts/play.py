"""One candidate: started in its group, looked at, loaded if it is one of those, and what came of it."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from bench.starts.draw import Candidate, catalogues
from bench.starts.group import Group, Refused
from domain.errors import TrimtabError

SECONDS = 5.0  # of load
ENDINGS = ("served", "refused", "oom", "wrong", "error")
_EVERY = 0.05  # seconds between two looks at what the group holds


class Player(Protocol):
    """One kind of server. `stop` is not part of it: the group is killed."""

    def start(self) -> None:
        """Start the candidate and see that it serves. Raises Refused."""

    def problems(self) -> list[str]:
        """Every value that was written and is not in force."""

    def load(self, seconds: float) -> list[str]:
        """Its worst load with `active` clients for so long; the errors that came of it."""


class Maker(Protocol):
    """Makes the player of a candidate. `props` is a folder with what is made once (see `props.py`)."""

    def __call__(self, candidate: Candidate, group: Group, props: Path) -> Player: ...


@dataclass
class Watched:
    """What a group holds at most while this context lasts; bytes."""

    group: Group
    most: int = 0

    def __enter__(self) -> Watched:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.most = max(self.most, self.group.held())
            if self._done.wait(_EVERY):
                return


def played(candidate: Candidate, maker: Maker, props: Path, group: Group) -> dict[str, Any]:
    """The line that is kept of a candidate: how it ended and why, seconds, and the most bytes that its group held.
    Never raises for a candidate that fails."""
    began = time.monotonic()
    ending, why, held, killed = "served", "", 0, 0
    try:
        with group, Watched(group) as watched:
            try:
                ending, why = _ended(candidate, maker(candidate, group, props), group)
            except (OSError, http.client.HTTPException) as error:  # it went away while it was looked at
                ending, why = "error", f"{type(error).__name__}: {error}; {group.last_words()}"
            finally:
                killed = group.killed()
                held = max(watched.most, group.held())
    except Refused as error:
        ending, why = "refused", str(error)
    except TrimtabError as error:
        ending, why = "error", str(error)
    if killed:
        ending, why = "oom", f"the kernel killed {killed}; {why}".rstrip("; ")
    return {
        **line_of(candidate),
        "ending": ending,
        "why": why,
        "seconds": round(time.monotonic() - began, 2),
        "held": held,
        "limit": candidate.memory,
    }


def _ended(candidate: Candidate, player: Player, group: Group) -> tuple[str, str]:
    player.start()
    wrong = [*group.problems(), *player.problems()]
    if wrong:
        return "wrong", "; ".join(wrong)
    errors = player.load(SECONDS) if candidate.loaded else []
    if candidate.loaded and not group.runs():
        errors.append(f"ended under load: {group.last_words()}")
    return ("error", "; ".join(errors)[:1000]) if errors else ("served", "")


def line_of(candidate: Candidate) -> dict[str, Any]:
    """Who it was."""
    return {
        "preset": candidate.preset,
        "catalogue": catalogues()[candidate.preset],
        "number": candidate.number,
        "loaded": candidate.loaded,
        "free": candidate.free,
        "mem": candidate.environment["mem"],
        "cpu": candidate.environment["cpu"],
        "present": dict(candidate.present),
        "settings": dict(candidate.settings),
    }
