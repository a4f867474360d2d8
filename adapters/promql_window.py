"""PromQL templates with `$arm` and `$window`, made into queries: escaped, and with the query that counts samples."""

from __future__ import annotations

import re

_SELECTOR = re.compile(r"""([A-Za-z_:][\w:]*)?\s*(\{(?:[^{}"]|"(?:\\.|[^"\\])*")*\})?\s*\[\$window\]""")


def escaped(value: str) -> str:
    """A label value as it stands between double quotes in PromQL: labels come from alerts, so nothing may end the
    string."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def duration(seconds: float) -> str:
    """`4s`, `3500ms`: Prometheus knows no fractions."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def render(template: str, arm: str, seconds: float) -> str:
    """The query for one arm and a window of `seconds`."""
    return template.replace("$arm", escaped(arm)).replace("$window", duration(seconds))


def coverage(template: str) -> tuple[str, ...]:
    """Templates that count the samples behind each range selector of `template`: its best covered series."""
    selectors = [f"{match[1] or ''}{match[2] or ''}" for match in _SELECTOR.finditer(template)]
    return tuple(f"max(count_over_time({selector}[$window]))" for selector in dict.fromkeys(selectors) if selector)
