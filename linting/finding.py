"""What a rule is, and what it says about one line of one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]

ERROR: Severity = "error"  # it does not start, does not run, or is killed
WARNING: Severity = "warning"  # it runs, and does harm or something other than it seems to
NOTE: Severity = "note"  # it changes nothing, or misleads a reader
SEVERITIES: tuple[Severity, ...] = (NOTE, WARNING, ERROR)  # in rising order


@dataclass(frozen=True, slots=True)
class Place:
    """A line (from 1) of a file, as the file was named by whoever asked."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where, what was seen, why that matters, what to write instead, who says so, and the rows
    of the guide that it touches."""

    rule: str
    severity: Severity
    place: Place
    seen: str
    why: str
    better: str
    source: str
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong. `guide` are the rows of the tuning guide that every finding of it touches; a rule
    over many parameters says them for each name in `guide_by_name`."""

    id: str
    severity: Severity
    title: str
    why: str
    better: str
    source: str
    guide: tuple[str, ...] = ()
    guide_by_name: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[str, ...]:
        """All rows of the guide that the rule can see, in order, each once."""
        named = [row for rows in self.guide_by_name.values() for row in rows]
        return tuple(dict.fromkeys([*self.guide, *named]))

    def at(
        self,
        place: Place,
        seen: str,
        *,
        name: str = "",
        why: str = "",
        better: str = "",
        severity: Severity | None = None,
    ) -> Finding:
        """The finding at a place. `name` picks the rows of that parameter, `why` is added to the rule's own reason,
        `better` and `severity` stand in place of the rule's own."""
        rows = (*self.guide, *self.guide_by_name.get(name, ()))
        reason = f"{self.why} {why}" if why else self.why
        return Finding(
            self.id, severity or self.severity, place, seen, reason, better or self.better, self.source, rows
        )


def at_least(severity: Severity, limit: Severity) -> bool:
    """Whether a severity reaches a limit."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(limit)
