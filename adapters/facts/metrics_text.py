"""Prometheus' text format, read from a target's own `/metrics`."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping

from adapters.facts.collector import number_of
from domain.errors import Misconfigured, Transient

SECONDS = 3.0
MOST_BYTES = 4_000_000
_LINE = re.compile(r"([A-Za-z_:][\w:]*)(\{[^\n]*\})?\s+(\S+)(?:\s+-?\d+)?\s*")
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows nothing of our own addresses
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def fetch(url: str, key: str) -> str:
    """The body of an address. Raises Misconfigured for what is no HTTP address, Transient if it does not answer."""
    if not url.startswith(("http://", "https://")):
        raise Misconfigured(f"{key}: {url!r} is no http:// address")
    try:
        with _direct.open(url, timeout=SECONDS) as answer:
            body: bytes = answer.read(MOST_BYTES)
    except (OSError, ValueError) as error:
        raise Transient(f"{key}: {url} does not answer: {error}") from error
    return body.decode("utf-8", "replace")


def parse(text: str) -> list[tuple[str, dict[str, str], float]]:
    """(name, labels, value) of each sample; comments and lines that are none are left out."""
    found = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        number = number_of(match[3]) if match else None
        if match and number is not None:
            found.append((match[1], dict(_LABEL.findall(match[2] or "")), number))
    return found


def total(samples: list[tuple[str, dict[str, str], float]], name: str, **labels: str) -> float | None:
    """Sum over the series of one name with these labels; None if there is none."""
    chosen = [
        number
        for each, given, number in samples
        if each == name and all(given.get(key) == wanted for key, wanted in labels.items())
    ]
    return sum(chosen) if chosen else None


def kept(samples: list[tuple[str, dict[str, str], float]], names: Mapping[str, str]) -> dict[str, float]:
    """Totals of the named metrics that are there, under names of the collector's own."""
    totals = {ours: total(samples, theirs) for ours, theirs in names.items()}
    return {name: number for name, number in totals.items() if number is not None}
