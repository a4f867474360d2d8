"""ConfigMaps of candidates that stand in a template: a run tries many, and the names are few."""

from __future__ import annotations

from collections.abc import Collection

from adapters.actuators.kubernetes.api import Json
from adapters.actuators.kubernetes.config import KEPT_AT, Config
from adapters.actuators.kubernetes.manifest import KEPT_SLOTS, RUN, kept_name


class Candidates(Config):
    """A `Config` that keeps what a run tries apart from what earlier runs kept."""

    def put_candidate(self, owner: Json, source: str, body: str, run: str, spared: Collection[str]) -> str:
        """An immutable ConfigMap like `source` with this body, and its name: one that holds it already, else one of an
        earlier candidate of this run, else the one that was kept longest ago. Those in `spared` are never replaced: the
        template or the before-image names them. Raises Stale if another of ours was faster."""
        free: list[tuple[bool, float, str, Json | None]] = []
        for slot in range(KEPT_SLOTS):
            name = kept_name(self._workload, slot)
            found = self._api.get(self._path(name))
            if found is not None and (found.get("data") or {}).get(self._workload.key) == body:
                return name
            notes = (found or {}).get("metadata", {}).get("annotations") or {}
            if name not in spared:
                free.append((notes.get(RUN) != run, float(notes.get(KEPT_AT, "0")), name, found))
        _, _, name, found = min(free, key=lambda each: each[:3])
        self._delete(name, found)
        self._put(owner, name, source, body, immutable=True)
        self._api.merge(self._path(name), {"metadata": {"annotations": {RUN: run}}})
        return name
