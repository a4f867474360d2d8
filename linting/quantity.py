"""Sizes, times and counts as each program writes them. None for a text that is none."""

from __future__ import annotations

import re

_BINARY = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_QUANTITY = re.compile(r"([0-9]{1,18}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([-+]?[0-9]{1,2}))?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_KUBERNETES = {"": 1.0, "m": 0.001} | {
    prefix + suffix: float(base**power)
    for power, prefix in enumerate("kMGTP", 1)
    for suffix, base in (("", 1000), ("i", 1024))
}
_KUBERNETES["Ki"] = 1024.0
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]+)?) ?([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_GO_SIZE = re.compile(r"([0-9]{1,19})(B|KiB|MiB|GiB|TiB)?")
_GO_UNITS = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_NGINX_TIME = re.compile(r"(?:[0-9]{1,12}(?:ms|[smhdwMy])? ?)+")
_NGINX_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NGINX_UNITS |= {"w": 604800.0, "M": 2592000.0, "y": 31536000.0}
_PG_VALUE = re.compile(r"([-+]?[0-9]{1,40}(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{1,2})?) *([A-Za-z]*)")
_PG_SIZES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_PG_TIMES = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def kubernetes(text: str) -> float | None:
    """A quantity of the Kubernetes API: `500m`, `2`, `512Mi`; in cores or bytes."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        return None
    return float(match[1]) * 10.0 ** int(match[2] or 0) * _KUBERNETES[match[3] or ""]


def size(text: str) -> int | None:
    """A size as Docker, the JVM and nginx write it: `512m`, `1gb`, `2k`; bytes without a unit."""
    match = _SIZE.fullmatch(text.strip())
    return None if match is None else round(float(match[1]) * _BINARY[match[2].lower()])


def go_size(text: str) -> int | None:
    """A value of GOMEMLIMIT: `512MiB`; None for what the Go runtime refuses (`512m`, `4GB`)."""
    match = _GO_SIZE.fullmatch(text)
    return None if match is None else int(match[1]) * _GO_UNITS[match[2] or ""]


def nginx_seconds(text: str) -> float | None:
    """A time of nginx: `65`, `500ms`, `1h 30m`; in seconds."""
    if not _NGINX_TIME.fullmatch(text):
        return None
    return sum(float(n) * _NGINX_UNITS[unit] for n, unit in re.findall(r"([0-9]+)(ms|[smhdwMy])?", text))


def postgresql_number(text: str) -> float | None:
    """A plain number of postgresql.conf, hexadecimal and octal ones too."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}", text):
        return float(int(text, 16))
    match = _PG_VALUE.fullmatch(text.strip())
    return float(match[1]) if match and not match[2] else None


def postgresql_size(text: str, native: str) -> float | None:
    """A size of postgresql.conf in bytes; a bare number counts in `native` (`8kB`, `kB`, `MB`), and -1 stays -1."""
    match = _PG_VALUE.fullmatch(text.strip())
    if match is None or (match[2] and match[2] not in _PG_SIZES):
        return None
    number = float(match[1])
    if number < 0:
        return number
    return number * (_PG_SIZES[match[2]] if match[2] else _native(native, _PG_SIZES))


def postgresql_time(text: str, native: str) -> float | None:
    """A time of postgresql.conf in `native` units (`ms`, `s`, `min`); -1 stays -1."""
    match = _PG_VALUE.fullmatch(text.strip())
    if match is None or (match[2] and match[2] not in _PG_TIMES):
        return None
    number = float(match[1])
    if not match[2] or number < 0:
        return number
    return number * _PG_TIMES[match[2]] / _native(native, _PG_TIMES)


def _native(unit: str, units: dict[str, int] | dict[str, float]) -> float:
    match = re.fullmatch(r"([0-9]*)([A-Za-z]+)", unit)
    return 1.0 if match is None else int(match[1] or 1) * units.get(match[2], 1)


def count(text: str) -> int | None:
    """A whole number of at most 15 digits."""
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def megabytes(size_: float) -> str:
    """Bytes for people: `371 MiB`."""
    return f"{size_ / 1024**2:.0f} MiB"
