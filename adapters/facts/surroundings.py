"""Facts about what the target depends on, how it answers itself, and when it was last deployed."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from adapters.facts.collector import Raw, number_of, ratio, readings
from domain.errors import Misconfigured, Transient
from domain.evidence import Seen

PROBES = 5
PROBE_SECONDS = 1.0
Probe = Callable[[str], float]


class DependencyCollector:
    """See `Collector`. `place`: `dependency` (http:// address, or host:port), which is probed a few times in a row;
    optional `probe` (an http:// address of the target itself), and the usual response times of both,
    `dependency_usual_ms` and `probe_usual_ms`."""

    def __init__(self, place: Mapping[str, str], arm: str = "", probe: Probe | None = None) -> None:
        self.name = f"{arm}/dependency"
        self._place, self._probe = place, probe or response_seconds

    def sample(self) -> Raw:
        raw: dict[str, float] = {}
        for key in ("dependency", "probe"):
            if self._place.get(key):
                raw |= {f"{key}.{name}": number for name, number in self._probed(self._place[key]).items()}
            usual = self._place.get(f"{key}_usual_ms")
            if usual:
                number = number_of(usual)
                if number is None or number <= 0:
                    raise Misconfigured(f"{key}_usual_ms: {usual!r} is no number of milliseconds above 0")
                raw[f"{key}.usual_s"] = number / 1000
        return raw

    def _probed(self, address: str) -> dict[str, float]:
        times, failed = [], 0
        for _ in range(PROBES):
            try:
                times.append(self._probe(address))
            except Transient:
                failed += 1
        found = {"tries": float(PROBES), "failed": float(failed)}
        return {**found, "median_s": median(times)} if times else found

    @staticmethod
    def facts(first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        return facts(first, second, seconds)

    @staticmethod
    def blind() -> tuple[str, ...]:
        return ("dependency.response_ms", "dependency.failed_share")


def facts(first: Raw, second: Raw, seconds: float) -> dict[str, Seen]:
    """Facts from the probes of both samples; a time is the better of the two medians, as a hiccup is no new speed."""

    def median_of(key: str) -> float | None:
        times = [raw[f"{key}.median_s"] for raw in (first, second) if f"{key}.median_s" in raw]
        return min(times) if times else None

    took, own = median_of("dependency"), median_of("probe")
    tries = sum(raw.get("dependency.tries", 0.0) for raw in (first, second))
    failed = sum(raw.get("dependency.failed", 0.0) for raw in (first, second))
    return readings(
        {
            "dependency.response_ms": None if took is None else 1000 * took,
            "dependency.failed_share": ratio(failed, tries),
            "dependency.slower_than_usual": ratio(took, second.get("dependency.usual_s")),
            "dependency.time_share": ratio(took, own),
            "target.response_ms": None if own is None else 1000 * own,
            "target.slower_than_usual": ratio(own, second.get("probe.usual_s")),
        }
    )


def response_seconds(address: str) -> float:
    """Seconds to connect and, of an http:// address, to get the whole answer. Raises Transient if that fails, takes
    longer than PROBE_SECONDS or is a server's error (5xx), Misconfigured for an address of another kind."""
    began = time.perf_counter()
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("http", "tcp") or not parts.hostname or (parts.scheme == "tcp" and not port):
        raise Misconfigured(f"{address!r} is neither an http:// address nor host:port")
    try:
        if parts.scheme == "tcp":
            socket.create_connection((parts.hostname, port or 0), PROBE_SECONDS).close()
        else:
            _get(parts.hostname, port or 80, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}")
    except (OSError, http.client.HTTPException) as error:
        raise Transient(f"{address} does not answer: {error}") from error
    return time.perf_counter() - began


def _get(host: str, port: int, path: str) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path, headers={"User-Agent": "trimtab", "Connection": "close"})
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 500:
            raise http.client.HTTPException(f"status {answer.status}")
    finally:
        connection.close()


class DeployCollector:
    """See `Collector`. `place`: `deployed`, a file that the last deploy wrote."""

    def __init__(self, place: Mapping[str, str], arm: str = "", now: Callable[[], float] = time.time) -> None:
        self.name = f"{arm}/deploy"
        self._path, self._now = Path(place["deployed"]), now

    def sample(self) -> Raw:
        try:
            return {"age_s": max(0.0, self._now() - self._path.stat().st_mtime)}
        except OSError as error:
            raise Transient(f"deployed: {self._path} cannot be looked at: {error.strerror}") from error

    @staticmethod
    def facts(first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        age = second.get("age_s")
        return readings({"deploy.minutes_ago": None if age is None else age / 60})

    @staticmethod
    def blind() -> tuple[str, ...]:
        return ("deploy.minutes_ago",)
