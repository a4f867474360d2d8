"""What came of each request, by pod, configuration and code, as histograms for Prometheus."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.load.endpoints import Identity
from adapters.load.histogram import Histogram

NAME = "trimtab_load_request_seconds"
CODES = ("200", "error", "timeout")
MOST_IDENTITIES = 40  # that are told: every one costs hundreds of lines in each scrape


@dataclass(frozen=True, slots=True)
class Row:
    """Requests of one pod under one configuration with one code."""

    pod: str
    configuration: str
    code: str
    requests: int

    @property
    def good(self) -> bool:
        return self.code[0] in "23"


class Book:
    """Histograms by identity and code. When there are more than `MOST_IDENTITIES`, the one that was met longest ago is
    forgotten."""

    def __init__(self) -> None:
        self._seen: dict[Identity, dict[str, Histogram]] = {}

    def meet(self, identity: Identity) -> None:
        """Its series exist from now on: `rate()` never sees the first sample of a series, and would miss a burst of
        timeouts that is over by the second one."""
        codes = self._seen.pop(identity, {})
        self._seen[identity] = codes or {code: Histogram() for code in CODES}
        if len(self._seen) > MOST_IDENTITIES:
            del self._seen[next(iter(self._seen))]

    def observe(self, identity: Identity, code: str, seconds: float) -> None:
        self.meet(identity)
        self._seen[identity].setdefault(code, Histogram()).observe(seconds)

    def rows(self) -> tuple[Row, ...]:
        """Counts above 0, by pod, configuration and code."""
        return tuple(
            Row(identity.pod, identity.configuration, code, histogram.count)
            for identity, code, histogram in self._sorted()
            if histogram.count
        )

    def lines(self) -> list[str]:
        """Text of the exposition format."""
        lines = [f"# HELP {NAME} Time from when a request was due until its answer", f"# TYPE {NAME} histogram"]
        for identity, code, histogram in self._sorted():
            labels = f'pod="{identity.pod}",configuration="{identity.configuration}",code="{code}"'
            lines += histogram.lines(NAME, labels)
        return lines

    def _sorted(self) -> list[tuple[Identity, str, Histogram]]:
        found = [(identity, code, each) for identity, codes in self._seen.items() for code, each in codes.items()]
        return sorted(found, key=lambda row: (row[0].pod, row[0].configuration, row[1]))
