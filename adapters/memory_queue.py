"""A queue that only remembers what was sent, and fails when told to: for tests and simulated journeys."""

from __future__ import annotations

from domain.errors import Transient


class MemoryQueue:
    """See `domain.ports.Queue`. `sent` holds the names in order; while `broken` is true every send is Transient."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.broken = False

    def send(self, run: str) -> None:
        if self.broken:
            raise Transient("the queue takes no message; it is sent again")
        self.sent.append(run)

    def take(self) -> tuple[str, ...]:
        """What was sent since the last call, oldest first."""
        taken, self.sent = tuple(self.sent), []
        return taken
