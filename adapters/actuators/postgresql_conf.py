"""What stands in `postgresql.auto.conf`: the lines of the parameters, and two of ours beside them.

    trimtab.generation   who wrote the lines; while they are being written also what stood there and what will
    trimtab.before       the before-image: the lines as they were before the run, and until when the run may be silent

Both are placeholder settings, which the server keeps and ignores; their values are JSON. Why the first has two states,
and in which order the lines are written: docs/decisions/postgresql-generation.md. Pure text; no server, no files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.codec import from_json, to_json
from domain.errors import Misconfigured
from domain.ports import Stamp

GENERATION, BEFORE, KEPT = "trimtab.generation", "trimtab.before", "trimtab.kept"
Lines = Mapping[str, str | None]  # parameter of the server → its text in the file, None where it has no line

_LINE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_$.]*)\s*(?:=\s*|\s+)('(?:[^'\\\n]|\\.|'')*'|[^\s'#]+)\s*(?:#.*)?")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Mark:
    """The value of `trimtab.generation`. Settled: `sha256` over the lines of `names`. Being written: every line of
    `was` and `will` is one of the two, and `sha256` is empty."""

    run: str
    generation: int
    sha256: str = ""
    names: tuple[str, ...] = ()
    was: Lines = field(default_factory=dict)
    will: Lines = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        return bool(self.sha256)

    @property
    def text(self) -> str:
        return _dump(self)


@dataclass(frozen=True, slots=True)
class Before:
    """The value of `trimtab.before`. `deadline` in Unix seconds; `reaped` says that the watchdog restored it."""

    run: str
    deadline: float
    lines: Lines
    reaped: bool = False

    @property
    def text(self) -> str:
        return _dump(self)


@dataclass(frozen=True, slots=True)
class Content:
    """The stored configuration, read. `auto` are the lines of postgresql.auto.conf, `below` those of the files that are
    read before it; the last line of a name counts. `names` are the parameters of the target."""

    auto: Mapping[str, str]
    below: Mapping[str, str]
    names: tuple[str, ...]

    @property
    def mark(self) -> Mark | None:
        """Ours, whether or not it fits the lines; None if there is none, or somebody spoiled it."""
        try:
            return from_json(Mark, json.loads(self.auto.get(GENERATION, "null")))
        except (ValueError, AttributeError):
            return None

    @property
    def stamp(self) -> Stamp | None:
        """Who wrote the lines, also if only some of them are written yet; None if anybody else touched one since."""
        mark = self.mark
        if mark is None:
            return None
        intact = digest(self.lines(mark.names)) == mark.sha256 if mark.settled else self._between(mark.was, mark.will)
        return Stamp(mark.run, mark.generation) if intact else None

    @property
    def generation(self) -> int:
        """Never lower than what was written here, also under an edit by hand."""
        return self.mark.generation if self.mark is not None else 0

    @property
    def version(self) -> str:
        """Changes with every write to the parameters of this target, by whomever; not with the before-image."""
        stored = {name: self.auto.get(name, self.below.get(name)) for name in self.names}
        whole = json.dumps([self.auto.get(GENERATION), self.lines(self.names), stored], sort_keys=True)
        return f"{self.generation}:{hashlib.sha256(whole.encode()).hexdigest()[:16]}"

    @property
    def before(self) -> Before | None:
        """Raises Misconfigured if what stands there cannot be read as a before-image."""
        text = self.auto.get(BEFORE)
        if text is None:
            return None
        try:
            return from_json(Before, json.loads(text))
        except (ValueError, AttributeError) as error:
            raise Misconfigured(
                f"{BEFORE} is no before-image: {error}; docs/postgresql.md says how to undo by hand"
            ) from error

    @property
    def halfway(self) -> bool:
        """Whether a write was begun and not settled."""
        return self.mark is not None and not self.mark.settled

    def due(self, now: float) -> bool:
        """Whether the watchdog has something to do: past the deadline, or its own restore did not end."""
        before = self.before
        if before is None:
            return False
        return self.halfway if before.reaped else now > before.deadline

    def due_offline(self, now: float) -> bool:
        """The same on a server that is down. In the middle of a write that waits for no deadline: if the lock is free,
        its writer has died."""
        return self.before is not None and (self.halfway or self.due(now))

    def lines(self, names: tuple[str, ...] | Lines) -> dict[str, str | None]:
        return {name: self.auto.get(name) for name in names}

    def stored(self, name: str) -> str | None:
        """The text that counts among all files; None where none of them names the parameter."""
        return self.auto.get(name, self.below.get(name))

    def _between(self, was: Lines, will: Lines) -> bool:
        return all(self.auto.get(name) in (was.get(name), will[name]) for name in will)


def settled(stamp: Stamp, lines: Lines) -> Mark:
    return Mark(stamp.run, stamp.generation, digest(lines), tuple(lines))


def writing(stamp: Stamp, was: Lines, will: Lines) -> Mark:
    return Mark(stamp.run, stamp.generation, was=was, will=will)


def digest(lines: Lines) -> str:
    return hashlib.sha256(json.dumps(dict(lines), sort_keys=True).encode()).hexdigest()


# --- the file itself, while the server is down -----------------------------------------------------------------------


def parse(text: str) -> dict[str, str]:
    """The lines of a configuration file. Raises Misconfigured naming the first that cannot be read."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise Misconfigured(f"line {number} of postgresql.auto.conf is {line.strip()[:80]!r}; write name = 'value'")
        found[match[1].lower()] = _unquoted(match[2])
    return found


def edited(text: str, changes: Lines) -> str:
    """The file with the lines of `changes` put in or, for None, taken out; every other line stays as it is. What ALTER
    SYSTEM would write."""
    kept = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match[1].lower() not in changes:
            kept.append(line)
    kept += [f"{name} = {_quoted(value)}" for name, value in changes.items() if value is not None]
    return "\n".join(kept) + "\n"


def _quoted(value: str) -> str:
    if "\n" in value or "\r" in value:
        raise Misconfigured(f"{value[:80]!r} has a line break, which no line of a configuration file can hold")
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _unquoted(raw: str) -> str:
    if not raw.startswith("'"):
        return raw

    def plain(match: re.Match[str]) -> str:
        found = match[0]
        if found == "''":
            return "'"
        if found[1] in "01234567":
            return chr(int(found[1:], 8) & 0xFF)
        return _ESCAPES.get(found[1], found[1])

    return re.sub(r"''|\\(?:[0-7]{1,3}|.)", plain, raw[1:-1])


def _dump(value: Mark | Before) -> str:
    """Compact, and without what is empty, because people read it in the file."""
    whole = {key: each for key, each in to_json(value).items() if each not in ("", [], {})}
    return json.dumps(whole, separators=(", ", ": "))
