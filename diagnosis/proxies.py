"""Rules about nginx and what stands behind it."""

from __future__ import annotations

from diagnosis.facts import Facts
from diagnosis.symptom import Symptom, beyond, evidence, excess, value

ERRORS = 0.1
NEARLY = 0.9
BUSY_WORKER = 0.60
UPSTREAM_MS = 50.0
UPSTREAM_SHARE = 0.8

WORKER_PARAMETERS = (
    "nginx.worker_connections",
    "nginx.worker_processes",
    "nginx.worker_rlimit_nofile",
    "nginx.keepalive_timeout",
    "nginx.multi_accept",
    "nginx.upstream_keepalive",
    "nginx.listen",
)
CPU_PARAMETERS = (
    "nginx.gzip",
    "nginx.gzip_comp_level",
    "nginx.gzip_min_length",
    "nginx.worker_processes",
    "nginx.sendfile",
    "nginx.tcp_nopush",
    "nginx.open_file_cache",
    "nginx.keepalive_requests",
    "nginx.keepalive_timeout",
    "nginx.access_log",
    "nginx.proxy_buffers",
    "nginx.proxy_buffer_size",
    "nginx.proxy_http_version",
    "nginx.ssl_session_cache",
)


def nginx_workers(facts: Facts) -> Symptom | None:
    """nginx turns connections away: it says so in its error log, `accepts` runs ahead of `handled` (documentation of
    stub_status: the same unless a limit was reached), or a worker has nine tenths of worker_connections open."""
    limits: dict[str, float | None] = {
        "nginx.worker_connections_errors_per_s": ERRORS,
        "nginx.too_many_open_files_per_s": ERRORS,
        "nginx.dropped_per_s": ERRORS,
        "nginx.connections_of_limit": NEARLY,
    }
    found = evidence(facts, limits)
    if not found:
        return None
    refused = any(each.fact != "nginx.connections_of_limit" for each in found)
    files = beyond(facts, "nginx.too_many_open_files_per_s", ERRORS)
    headline = "nginx runs out of file descriptors" if files else "nginx runs out of connections per worker"
    limits |= {"nginx.connections_of_limit": None, "nginx.status_failed_share": None, "nginx.requests_per_s": None}
    score = 1.0 if refused else value(facts, "nginx.connections_of_limit") or 0.0
    return Symptom("nginx_workers", min(1.0, score), headline, evidence(facts, limits), WORKER_PARAMETERS)


def nginx_cpu(facts: Facts) -> Symptom | None:
    """A worker is busy for 60 % of the time: it is one thread, and behind a single server at that load a request takes
    1 / (1 - 0.6) = 2.5 times as long as without a queue (M/M/1)."""
    if not any(name.startswith("nginx.") for name in facts):
        return None
    if not beyond(facts, "process.busiest_thread", BUSY_WORKER):
        return None
    busy = value(facts, "process.busiest_thread") or 0.0
    return Symptom(
        "nginx_cpu",
        0.8 * min(1.0, busy),
        f"an nginx worker computes for {100 * busy:.0f} % of the time",
        evidence(facts, {"process.busiest_thread": BUSY_WORKER, "nginx.requests_per_s": None}),
        CPU_PARAMETERS,
    )


def upstream(facts: Facts) -> Symptom | None:
    """Requests take at least 50 ms in the upstream and spend 80 % of their time there: at most a fifth of the latency
    is nginx's own, so no setting of nginx can take off more."""
    slow = beyond(facts, "nginx.upstream_ms", UPSTREAM_MS)
    if not (slow and beyond(facts, "nginx.upstream_time_share", UPSTREAM_SHARE)):
        return None
    share, took = value(facts, "nginx.upstream_time_share") or 0.0, value(facts, "nginx.upstream_ms") or 0.0
    return Symptom(
        "upstream",
        share * (0.5 + 0.5 * excess(took, UPSTREAM_MS)),
        f"requests spend {100 * share:.0f} % of their time in the upstream",
        evidence(
            facts,
            {
                "nginx.upstream_time_share": UPSTREAM_SHARE,
                "nginx.upstream_ms": UPSTREAM_MS,
                "nginx.upstream_errors_per_s": None,
                "process.busiest_thread": None,
            },
        ),
        refusal=f"a dependency got slower: the upstream takes {took:.0f} ms of a request, nginx next to nothing",
    )
