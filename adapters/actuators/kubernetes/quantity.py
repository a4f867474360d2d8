"""Quantities of the Kubernetes API: cores and bytes, and the texts that we write for them.

Grammar and rounding: k8s.io/apimachinery, pkg/api/resource/quantity.go. `linting/quantity.py` reads the same texts
where people wrote them; here they come from the API server and decide what is written back, so they are exact, know
every suffix (usage comes in `n`), and a text that is none is an error.
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Literal

from domain.errors import Misconfigured

Resource = Literal["cpu", "memory"]

MOST = 2**63 - 1  # whole units and thousandths of a quantity are int64 in the API server
_NUMBER = r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})"
_QUANTITY = re.compile(rf"({_NUMBER})(?:[eE]([+-]?[0-9]{{1,3}})|([numkMGTPE]|[KMGTPE]i)?)")
_POWERS = {suffix: Decimal(1000) ** power for power, suffix in enumerate("num", -3)}
_POWERS |= {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)}
_POWERS |= {f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)}
_BINARY = tuple((f"{suffix}i", 1024**power) for power, suffix in reversed(tuple(enumerate("KMGTPE", 1))))
_EXACT = Context(prec=2500)  # no number of the grammar above has more digits


def exact(text: object) -> Decimal:
    """The number that a quantity stands for, in cores or bytes; never below 0, and at most `MOST`, which is where the
    API server caps what is larger. Raises Misconfigured."""
    words = str(text).strip() if isinstance(text, (str, int, float)) and not isinstance(text, bool) else ""
    match = _QUANTITY.fullmatch(words)
    if match is None:
        raise Misconfigured(f"{_shown(text)} is no quantity; one is written as 500m, 2 or 512Mi")
    number, exponent, suffix = match.groups()
    scale = Decimal(10) ** int(exponent) if exponent else _POWERS.get(suffix or "", Decimal(1))
    value = _EXACT.multiply(Decimal(number), scale)
    if value < 0:
        raise Misconfigured(f"{_shown(text)} is no amount of a resource; none is below 0")
    return min(value, Decimal(MOST))


def cores(text: object) -> float:
    """Cores of a quantity: `500m` is 0.5. Raises Misconfigured."""
    return float(exact(text))


def bytes_of(text: object) -> int:
    """Bytes of a quantity; a fraction counts as a whole one, as for the API server. Raises Misconfigured."""
    return int(exact(text).to_integral_value(ROUND_CEILING, _EXACT))


def units(resource: Resource, text: object, *, down: bool = False) -> int:
    """A quantity in what it is counted in: millicores or bytes, rounded up, or `down`. Raises Misconfigured."""
    value = _EXACT.multiply(exact(text), Decimal(1000 if resource == "cpu" else 1))
    return min(MOST, int(value.to_integral_value(ROUND_FLOOR if down else ROUND_CEILING, _EXACT)))


def value_of(resource: Resource, counted: int) -> float:
    """What `units` counted, in cores or bytes."""
    return counted / 1000 if resource == "cpu" else counted


def cpu_text(value: float) -> str:
    """Cores as the API server writes them back: `2`, `1500m`. Rounded to millicores and at least one, as nothing finer
    is allowed and 0 would mean that nothing was asked for. Raises Misconfigured for what is no amount."""
    counted = max(1, round(_amount("cpu", value, MOST // 1000) * 1000))
    return f"{counted // 1000}" if counted % 1000 == 0 else f"{counted}m"


def memory_text(value: float) -> str:
    """Bytes in the largest binary unit that holds them exactly (`512Mi`, `2Gi`), plain where none does; at least one
    byte. The API server writes plain ones its own way (`1500k`): compare by `bytes_of`. Raises Misconfigured for what
    is no amount."""
    counted = max(1, round(_amount("memory", value, MOST)))
    for suffix, size in _BINARY:
        if counted % size == 0:
            return f"{counted // size}{suffix}"
    return str(counted)


def text_of(resource: Resource, value: float) -> str:
    """`cpu_text` or `memory_text`. Raises Misconfigured."""
    return cpu_text(value) if resource == "cpu" else memory_text(value)


def same(one: object, other: object) -> bool:
    """Whether two texts are the same amount (`1000m` and `1`); what is no quantity is compared as text."""
    try:
        return exact(one) == exact(other)
    except Misconfigured:
        return one == other


def _amount(resource: Resource, value: float, most: int) -> float:
    if isinstance(value, bool) or not math.isfinite(value) or not 0 <= value <= most:
        raise Misconfigured(f"{resource} {value!r} is no amount of a resource; 0 to {most} is")
    return value


def _shown(text: object) -> str:
    words = repr(text)
    return words if len(words) <= 60 else words[:60] + "..."
