"""Facts about an nginx: its status page, its logs, and the sockets of its workers.

The access log tells upstream times if its format writes `$request_time` and `$upstream_response_time` behind one of the
usual names: `rt=`, `request_time=`, `"request_time":` and `urt=`, `upstream_response_time=`,
`"upstream_response_time":`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from adapters.facts.collector import Raw, delta, number_of, pid_of, rate, ratio, read_text, readings
from adapters.facts.metrics_text import fetch
from adapters.facts.process import tree
from domain.errors import Misconfigured, Transient
from domain.evidence import Seen

TAIL = 2_000_000  # bytes of a log that are looked at
LAST_REQUESTS = 300
DEFAULT_CONNECTIONS = 512.0
BLIND = ("nginx.dropped_per_s", "nginx.worker_connections_errors_per_s", "nginx.too_many_open_files_per_s")
PROC = Path("/proc")
_STATUS = re.compile(r"Active connections:\s*(\d+)\s*server accepts handled requests\s*(\d+)\s+(\d+)\s+(\d+)")
_TOLD = {
    "errors.connections": re.compile("worker_connections are not enough"),
    "errors.files": re.compile("Too many open files"),
    "errors.upstream": re.compile("upstream timed out|no live upstreams|(?:connecting to|header from) upstream"),
}
_NUMBER = r"[\"']?\s*[=:]\s*[\"']?"
_TOOK = re.compile(rf"(?<![\w_])(?:rt|request_time){_NUMBER}(\d+(?:\.\d+)?)")
_UPSTREAM = re.compile(rf"(?<![\w_])(?:urt|upstream_response_time){_NUMBER}([\d., :-]+)")
_LIMIT = re.compile(r"^[^#\n]*\bworker_connections\s+(\d+)\s*;", re.MULTILINE)


class NginxCollector:
    """See `Collector`. `place`: any of `pid` (the master's pid file), `stub_status`, `error_log`, `access_log`; `main`
    is the configuration where worker_connections stands (without it the master's command line tells)."""

    def __init__(self, place: Mapping[str, str], arm: str = "", proc: Path = PROC) -> None:
        self.name = f"{arm}/nginx"
        self._place, self._proc = place, proc

    def sample(self) -> Raw:
        raw: dict[str, float] = {}
        if self._place.get("stub_status"):
            raw |= self._status(self._place["stub_status"])
        if self._place.get("error_log"):
            raw |= count_errors(*_tail(Path(self._place["error_log"]), "error_log"))
        if self._place.get("access_log"):
            size, text = _tail(Path(self._place["access_log"]), "access_log")
            raw |= {"access.size": size, **recent_times(text.splitlines()[-LAST_REQUESTS:])}
        if self._place.get("pid"):
            raw["connections.of_limit"] = self._fullest(pid_of(self._place["pid"]))
        return raw

    @staticmethod
    def _status(url: str) -> dict[str, float]:
        """An nginx out of connections turns its own status page away, too: that must not hide what its logs tell."""
        try:
            text = fetch(url, "stub_status")
        except Transient:
            return {"status.failed": 1.0}
        return {"status.failed": 0.0, **parse_status(text)}

    def _fullest(self, master: int) -> float:
        """Sockets of the fullest worker, of worker_connections: a proxied request holds two of them."""
        limit = worker_connections(read_text(self._main(master)) or "")
        workers = [pid for pid in tree(master, self._proc) if pid != master]
        return max((_sockets(self._proc / str(pid) / "fd") / limit for pid in workers), default=0.0)

    def _main(self, master: int) -> Path:
        if self._place.get("main"):
            return Path(self._place["main"])
        words = (read_text(self._proc / str(master) / "cmdline") or "").replace("\0", " ").split()
        named = words[words.index("-c") + 1] if "-c" in words[:-1] else ""
        return Path(named or "/etc/nginx/nginx.conf")

    @staticmethod
    def facts(first: Raw, second: Raw, seconds: float) -> Mapping[str, Seen]:
        return facts(first, second, seconds)

    @staticmethod
    def blind() -> tuple[str, ...]:
        return BLIND


def facts(first: Raw, second: Raw, seconds: float) -> dict[str, Seen]:
    """Facts of one nginx from two samples. Times of the access log are those of the last requests before the second
    sample, and no fact if none came since the first."""
    accepted, handled = delta(first, second, "accepts"), delta(first, second, "handled")
    dropped = None if accepted is None or handled is None else max(0.0, accepted - handled)
    failed = second.get("status.failed") if "status.failed" in first else None
    fresh = bool(delta(first, second, "access.size"))
    took, upstream = second.get("access.request_s"), second.get("access.upstream_s")
    return readings(
        {
            "nginx.status_failed_share": (first["status.failed"] + failed) / 2 if failed is not None else None,
            "nginx.dropped_per_s": ratio(dropped, seconds),
            "nginx.connections_of_limit": second.get("connections.of_limit"),
            "nginx.worker_connections_errors_per_s": _errors(first, second, "errors.connections", seconds),
            "nginx.too_many_open_files_per_s": _errors(first, second, "errors.files", seconds),
            "nginx.upstream_errors_per_s": _errors(first, second, "errors.upstream", seconds),
            "nginx.upstream_ms": 1000 * upstream if fresh and upstream is not None else None,
            "nginx.upstream_time_share": ratio(upstream, took) if fresh else None,
            "nginx.requests_per_s": rate(first, second, "requests", seconds),
        }
    )


def _errors(first: Raw, second: Raw, name: str, seconds: float) -> float | None:
    """Lines a second. A log that was rotated in between counts from its beginning; of one that grew by more than the
    tail, the tail counts."""
    if name not in second or "errors.size" not in first:
        return None
    grown = second["errors.size"] - first["errors.size"]
    whole = grown < 0 or grown > TAIL
    return max(0.0, second[name] - (0.0 if whole else first.get(name, 0.0))) / seconds


def parse_status(text: str) -> dict[str, float]:
    """The numbers of stub_status. Raises Misconfigured for another page."""
    match = _STATUS.search(text)
    if match is None:
        raise Misconfigured(f"stub_status: the page is not that of nginx' stub_status: {text[:60]!r}")
    return dict(zip(("active", "accepts", "handled", "requests"), map(float, match.groups()), strict=True))


def count_errors(size: float, text: str) -> dict[str, float]:
    """Lines of an error log by what they tell."""
    lines = text.splitlines()
    counts = {name: float(sum(bool(words.search(line)) for line in lines)) for name, words in _TOLD.items()}
    return {"errors.size": size, **counts}


def recent_times(lines: Iterable[str]) -> dict[str, float]:
    """Mean request and upstream times (seconds) of the lines that tell both; a request that went to several upstreams
    one after the other spent the sum of their times there."""
    pairs = []
    for line in lines:
        took, upstream = _TOOK.search(line), _UPSTREAM.search(line)
        if took and upstream:
            spent = [number_of(part.strip()) for part in re.split(r"[,:]", upstream[1])]
            pairs.append((float(took[1]), sum(each for each in spent if each is not None)))
    if not pairs:
        return {}
    return {
        "access.request_s": sum(took for took, _ in pairs) / len(pairs),
        "access.upstream_s": sum(spent for _, spent in pairs) / len(pairs),
    }


def worker_connections(text: str) -> float:
    """The limit of a configuration; nginx' own default where it names none."""
    match = _LIMIT.search(text)
    return float(match[1]) if match else DEFAULT_CONNECTIONS


def _sockets(folder: Path) -> int:
    count = 0
    try:
        for name in os.listdir(folder):
            try:
                count += os.readlink(folder / name).startswith("socket:")
            except OSError:
                continue
    except OSError:
        return 0
    return count


def _tail(path: Path, key: str) -> tuple[float, str]:
    """Size of a log and its last whole lines. Raises Misconfigured if it is not there."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            text = file.read(TAIL).decode("utf-8", "replace")
    except OSError as error:
        raise Misconfigured(f"{key}: {path} cannot be read: {error.strerror}") from error
    return float(size), text.partition("\n")[2] if size > TAIL else text
