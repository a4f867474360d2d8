"""Errors, named by what must happen next.

    TrimtabError
    ├── Transient        the same step again later, within the run's deadline
    │   └── Stale        somebody of ours was faster: drop this step and replay the journal
    ├── Rejected         the target refuses this candidate: note it, restore, never propose it again
    ├── Conflict         somebody else changed the target: stop, restore nothing, tell a human
    ├── Misconfigured    refuse to start, or close the run untouched
    └── Corrupt          a journal does not carry its own hashes: name the run and the record, touch nothing

Adapters re-type foreign exceptions into these at the border; nothing else leaves an adapter.
"""

from __future__ import annotations


class TrimtabError(Exception):
    """Base of every error that Trimtab raises on purpose. The message says what was seen and what to do next."""


class Transient(TrimtabError):
    """It may work later: repeat the same step, within the run's deadline."""


class Stale(Transient):
    """The journal or the target moved on since it was read: drop this step, replay, decide again."""


class Rejected(TrimtabError):
    """The target refuses these settings for good."""


class Conflict(TrimtabError):
    """The target carries content that is neither the before-image nor ours."""


class Misconfigured(TrimtabError):
    """What a person wrote cannot be right; the message names the field, the value seen and what is allowed."""


class Corrupt(TrimtabError):
    """A stored journal breaks its hash chain. `run` and `seq` name the place."""

    def __init__(self, run: str, seq: int, reason: str) -> None:
        super().__init__(f"journal of run {run} is broken at record {seq}: {reason}")
        self.run = run
        self.seq = seq
        self.reason = reason
