"""The controller's own numbers."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """One registry a process; names begin with `trimtab_`. No run or trial ever becomes a label."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.refused = Counter(
            "trimtab_webhook_refused_total",
            "Requests that were refused: token, size, json, version, fields, ...",
            ["reason"],
            registry=self.registry,
        )
        self.received = Counter(
            "trimtab_signals_received_total",
            "Signals taken into the ledger; repeat yes: known already",
            ["kind", "repeat"],
            registry=self.registry,
        )
        self.truncated = Counter(
            "trimtab_alerts_truncated_total",
            "Alerts that Alertmanager left out of its messages (max_alerts)",
            registry=self.registry,
        )
        self.admitted = Counter(
            "trimtab_signals_total", "Signals by what they led to", ["kind", "outcome"], registry=self.registry
        )
        self.sent = Counter("trimtab_steps_sent_total", "Names of runs sent to the queue", registry=self.registry)
        self.lag = Gauge(
            "trimtab_sweep_lag_seconds", "Time since the last complete sweep of the due index", registry=self.registry
        )
        self.open_runs = Gauge(
            "trimtab_runs_open", "Open runs; NaN while the ledger cannot be reached", ["target"], registry=self.registry
        )
        self.troubles = Counter(
            "trimtab_troubles_total", "Times that a loop could not do its work", ["loop"], registry=self.registry
        )
        self.watched = Gauge(
            "trimtab_watched_state",
            "Watched objectives: 1 for the state that each is in",
            ["target", "state"],
            registry=self.registry,
        )

        self.leads = Gauge(
            "trimtab_watcher_leads", "1: this controller watches; 0: another one does", registry=self.registry
        )

    def state(self, target: str, state: str, states: Iterable[str]) -> None:
        """`target` is in `state`, and in none of the other `states`."""
        for each in states:
            self.watched.labels(target, each).set(1.0 if each == state else 0.0)
