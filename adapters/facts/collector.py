"""What every collector is: one that samples raw numbers, and a pure function that makes facts of two samples.

Nobody waits between two samples: the first one can be written down, and the second taken later by another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from adapters.facts.docker_process import PREFIX, pid_of_container
from domain.errors import Misconfigured, Transient
from domain.evidence import Missing, Reading, Seen

Raw = Mapping[str, float]


class Collector(Protocol):
    """Reads one source of one arm. Changes nothing there."""

    @property
    def name(self) -> str:
        """Unique among the collectors of a target, such as `a/cgroup`."""

    def sample(self) -> Raw:
        """Counters and gauges as they are now, by names of the collector's own. Takes at most a few seconds. Raises
        Transient if the source cannot be read now, Misconfigured if it never can."""

    def facts(self, first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        """Facts of the vocabulary (`diagnosis/facts.py`) from two samples taken `seconds` apart; uses nothing else."""

    def blind(self) -> tuple[str, ...]:
        """Names of the facts that are Missing when the source cannot be read."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one collector read at `at` (Unix seconds). `missing` is why it read nothing (empty: it did read)."""

    at: float
    values: Raw = field(default_factory=dict)
    missing: str = ""


def delta(first: Raw, second: Raw, name: str) -> float | None:
    """Growth of a counter; None if it is not in both samples, or was set back in between."""
    if name not in first or name not in second:
        return None
    grown = second[name] - first[name]
    return grown if grown >= 0 else None


def ratio(part: float | None, whole: float | None) -> float | None:
    """None where either is unknown or the whole is nothing."""
    return None if part is None or whole is None or whole <= 0 else part / whole


def rate(first: Raw, second: Raw, name: str, seconds: float) -> float | None:
    """A counter's growth per second."""
    return ratio(delta(first, second, name), seconds)


def readings(values: Mapping[str, float | None]) -> dict[str, Seen]:
    """The numbers that are known, as readings; what does not apply is left out."""
    return {name: Reading(float(number)) for name, number in values.items() if number is not None}


def missing(names: tuple[str, ...], reason: str) -> dict[str, Seen]:
    return {name: Missing(reason) for name in names}


def share(number: float | None) -> float | None:
    """A share that two clocks may have made a little larger than 1."""
    return None if number is None else min(1.0, max(0.0, number))


def pid_of(text: str) -> int:
    """A process id, given as a number, as the path of a file that holds one, or as a container of Docker. Raises
    Transient while there is none, Misconfigured for anything else."""
    if text.isdigit():
        return int(text)
    if text.startswith(PREFIX):
        return pid_of_container(text)
    try:
        return int(Path(text).read_text().split()[0])
    except FileNotFoundError as error:
        raise Transient(f"pid: {text} does not exist; is the program running?") from error
    except (OSError, ValueError, IndexError) as error:
        raise Misconfigured(f"pid: {text!r} is neither a process id nor a file that holds one: {error}") from error


def read_text(path: Path) -> str | None:
    """A small file of /proc or of a cgroup; None where it is not there or not readable: kernels differ."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def fields(text: str | None) -> dict[str, float]:
    """Lines of `name number`."""
    found: dict[str, float] = {}
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) == 2:
            number = number_of(words[1])
            if number is not None:
                found[words[0]] = number
    return found


def number_of(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def pressure(text: str | None) -> dict[str, float]:
    """Microseconds of `some` and `full` of one pressure file."""
    found: dict[str, float] = {}
    for line in (text or "").splitlines():
        kind, *pairs = line.split()
        total = next((pair.removeprefix("total=") for pair in pairs if pair.startswith("total=")), None)
        number = number_of(total)
        if number is not None:
            found[kind] = number
    return found
