"""Events on the workload: `kubectl describe` tells what happened to it and why."""

from __future__ import annotations

import contextlib
import datetime
import uuid
from typing import Literal

from adapters.actuators.kubernetes.api import Api, Json, path
from domain.errors import TrimtabError
from domain.space import Settings
from domain.target import Workload

Reason = Literal[
    "TuningStarted",
    "Waiting",
    "CandidateApplied",
    "Kept",
    "Proposed",
    "RolledBack",
    "ArmsRetired",
    "Scaled",
    "Conflict",
    "Reverted",
]
MOST = 1000  # characters; the API server refuses longer notes


def words_of(settings: Settings) -> str:
    """Settings in one line."""
    return ", ".join(f"{name}={value}" for name, value in settings.items())


class Story:
    """Tells; what cannot be told is no reason to stop."""

    def __init__(self, api: Api, workload: Workload) -> None:
        self._api, self._workload = api, workload
        self._waited = ""

    def tell_waiting(self, owner: Json, why: str, run: str) -> None:
        """A step that waits is taken again and again; people are told when the reason is a new one."""
        if why != self._waited:
            self._waited = why
            self.tell(owner, "Waiting", why, run)

    def tell(self, owner: Json, reason: Reason, words: str, run: str) -> None:
        """One event about the workload."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event: Json = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{self._workload.name}.trimtab.{uuid.uuid4().hex[:12]}",
                "namespace": self._workload.namespace,
            },
            "involvedObject": {
                "apiVersion": "apps/v1",
                "kind": self._workload.kind,
                "name": self._workload.name,
                "namespace": self._workload.namespace,
                "uid": owner["metadata"]["uid"],
            },
            "reason": reason,
            "message": f"{words} (run {run})"[:MOST],
            "type": "Warning" if reason in ("Conflict", "Reverted") else "Normal",
            "source": {"component": "trimtab"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        with contextlib.suppress(TrimtabError):
            self._api.create(path("Event", self._workload.namespace), event)
