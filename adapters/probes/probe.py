"""What a probe of the machine tells, and how much of an effect its noise leaves visible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from domain.screening import MEI_PER_SD

STEADY = 0.01  # spread of slices below which there is nothing to say


@dataclass(frozen=True, slots=True)
class Probe:
    """One measured property of this machine. `spread` is the standard deviation of the slices, as a share of their mean
    (None: one reading only). `value` is None where it could not be measured; `verdict` says why then, and otherwise
    what the figures mean for a measurement. `how` names the tool and what it did."""

    name: str
    value: float | None
    unit: str
    spread: float | None
    verdict: str
    how: str


def unmeasured(name: str, unit: str, why: str, how: str = "") -> Probe:
    return Probe(name, None, unit, None, f"not measured: {why}", how)


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation over mean; None for fewer than two values or a mean of 0."""
    if len(values) < 2 or fmean(values) <= 0:
        return None
    return stdev(values) / fmean(values)


def hidden(share: float) -> float:
    """The smallest effect that 40 pairs can be expected to show if each window varies by `share`: the difference of a
    pair varies by the square root of two times as much, and the rest is the rule of the A/A calibration."""
    return MEI_PER_SD * math.sqrt(2) * share


def noise_text(what: str, share: float | None) -> str:
    """`this machine's CPU speed varies by 12 %: effects below about 6 % will need many pairs`."""
    if share is None:
        return f"{what} was read too few times to say how much it varies"
    if share <= STEADY:
        return f"{what} is steady (varies by {100 * share:.1f} %)"
    return (
        f"{what} varies by {100 * share:.2g} %: effects below about {100 * hidden(share):.2g} % will need many pairs,"
        " unless longer windows average it out"
    )
