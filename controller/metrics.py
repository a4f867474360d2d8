"""The controller's own numbers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Metrics:
    """One registry a process; names begin with `trimtab_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.refused = Counter(
            "trimtab_webhook_refused_total", "Requests that were refused", ["reason"], registry=self.registry
        )
        self.received = Counter(
            "trimtab_signals_received_total",
            "Signals taken into the ledger",
            ["kind", "repeat"],
            registry=self.registry,
        )
        self.admitted = Counter(
            "trimtab_signals_admitted_total", "Signals by what they led to", ["outcome"], registry=self.registry
        )
        self.sent = Counter("trimtab_steps_sent_total", "Names of runs sent to the queue", registry=self.registry)
        self.troubles = Counter(
            "trimtab_troubles_total", "Times that a loop could not do its work", ["loop"], registry=self.registry
        )
        self.series = Gauge(
            "trimtab_watched_state",
            "Watched objectives: 1 for the state that each is in",
            ["target", "state"],
            registry=self.registry,
        )
