"""Quantities as the API server writes them down: the canonical form of `k8s.io/apimachinery/pkg/api/resource`."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

_PARTS = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$")
_BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}


def parsed(text: object) -> tuple[Decimal, str]:
    """The number, and how it is written: "binary", "decimal" or "exponent". Raises ValueError."""
    found = _PARTS.match(str(text))
    if found is None:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in _BINARY[1:]:
        return number * 1024 ** _BINARY.index(suffix), "binary"
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return number.scaleb(int(suffix[1:])), "exponent"
    power = next(power for power, name in _DECIMAL.items() if name == suffix)
    return number.scaleb(power), "decimal"


def number(text: object) -> Decimal:
    """The value of a quantity. Raises ValueError."""
    return parsed(text)[0]


def canonical(text: object) -> str:
    """The same quantity as the server stores it: "0.5" is "500m", "1.5Gi" is "1536Mi". Raises ValueError."""
    return written(*parsed(text))


def written(value: Decimal, way: str = "decimal") -> str:
    """The largest suffix without a fraction."""
    if way == "binary" and abs(value) >= 1024:
        whole, step = int(value.to_integral_value(ROUND_CEILING)), 0
        while whole % 1024 == 0 and step < 6 and whole:
            whole, step = whole // 1024, step + 1
        return f"{whole}{_BINARY[step]}"
    nanos, power = int(value.scaleb(9).to_integral_value(ROUND_CEILING)), -9
    while nanos and nanos % 1000 == 0 and power < 18:
        nanos, power = nanos // 1000, power + 3
    if not nanos:
        return "0"
    if way == "exponent":
        return f"{nanos}e{power}" if power else str(nanos)
    return f"{nanos}{_DECIMAL[power]}"
