"""The program's configuration file in ConfigMaps: the owner's, the arms' own, and those that are kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator

from adapters.actuators.kubernetes.api import Api, Json, path
from adapters.actuators.kubernetes.manifest import (
    DOMAIN,
    KEPT_SLOTS,
    arm_name,
    before_name,
    kept_name,
    owner_reference,
    showing,
    template,
)
from adapters.actuators.kubernetes.workload import NOT_THERE
from domain.errors import Misconfigured
from domain.target import Workload

KEPT_AT = f"{DOMAIN}/kept-at"


class Config:
    """Where the settings of a program are a file in a ConfigMap. Without one, everything is empty here."""

    def __init__(self, api: Api, workload: Workload) -> None:
        self._api, self._workload = api, workload

    def __bool__(self) -> bool:
        return bool(self._workload.config_map)

    def names(self) -> Iterator[str]:
        """Every ConfigMap that the template may name: the owner's, and those that were kept."""
        yield self._workload.config_map
        yield from (kept_name(self._workload, slot) for slot in range(KEPT_SLOTS))

    def named(self, owner: Json) -> str:
        """The one that the template names now. Raises Misconfigured if none is."""
        if not self:
            return ""
        spec = template(owner)["spec"]
        for name in self.names():
            if showing(spec, name):
                return name
        raise Misconfigured(
            f"workload.config_map: {self._workload.config_map} is no volume of {self._workload.kind} "
            f"{self._workload.name}; mount it, or name the one that is"
        )

    def arm_body(self, label: str) -> str | None:
        """The text that an arm was given; None while it has none."""
        found = self._api.get(self._path(arm_name(self._workload, label))) if self else None
        return None if found is None else str((found.get("data") or {}).get(self._workload.key, ""))

    def body(self, name: str) -> str:
        """The text under the key, or what a run kept of it if it was deleted. Raises Misconfigured if it is nowhere."""
        if not self:
            return ""
        found = self._api.get(self._path(name)) or self._api.get(self._path(before_name(self._workload)))
        data = (found or {}).get("data") or {}
        if self._workload.key not in data:
            where = f"key {self._workload.key}" if found is not None else "that ConfigMap"
            raise Misconfigured(f"workload.key: there is no {where} ({name}); keys are {', '.join(sorted(data))}")
        return str(data[self._workload.key])

    def put_arm(self, owner: Json, label: str, source: str, body: str, may: Callable[[], object]) -> None:
        """The arm's own ConfigMap: like `source`, with another body. `may` raises where somebody of ours went on
        meanwhile; it is asked after what is there was read, so that whoever freezes in between writes nothing. Raises
        Stale."""
        name = arm_name(self._workload, label)
        found = self._api.get(self._path(name))
        may()
        self._put(owner, name, source, body, found)

    def put_kept(self, owner: Json, source: str, body: str) -> str:
        """An immutable ConfigMap with this body, and its name: one that holds it already, else the one of fixed name
        that was kept longest ago and is not in the template. Ten names, so that rights can be given by name and a
        rollback finds what it had."""
        free: list[tuple[float, str, Json | None]] = []
        for slot in range(KEPT_SLOTS):
            name = kept_name(self._workload, slot)
            found = self._api.get(self._path(name))
            if found is not None and (found.get("data") or {}).get(self._workload.key) == body:
                return name
            if name != source:
                stamp = ((found or {}).get("metadata", {}).get("annotations") or {}).get(KEPT_AT, "0")
                free.append((float(stamp), name, found))
        _, name, found = min(free, key=lambda each: each[:2])
        self._delete(name, found)
        self._put(owner, name, source, body, immutable=True)
        return name

    def put_before(self, owner: Json, name: str) -> None:
        """Keep the text of `name`, immutable, for the time of a run: somebody may delete it in the middle of one, and
        what it held is needed to make an arm anew, and to tell what a person has to put back."""
        if not self:
            return
        kept, body = before_name(self._workload), self.body(name)
        found = self._api.get(self._path(kept))
        if found is not None and (found.get("data") or {}).get(self._workload.key) == body:
            return
        self._delete(kept, found)
        self._put(owner, kept, name, body, immutable=True)

    def remove_before(self) -> None:
        name = before_name(self._workload)
        self._delete(name, self._api.get(self._path(name)) if self else None)

    def remove_arm(self, label: str) -> bool:
        """Whether there was one."""
        name = arm_name(self._workload, label)
        found = self._api.get(self._path(name)) if self else None
        self._delete(name, found)
        return found is not None

    def _delete(self, name: str, found: Json | None) -> None:
        """Delete the very one that was found: another one of that name may be in use by now."""
        if found is not None:
            self._api.delete(self._path(name), uid=found["metadata"]["uid"])

    def _put(
        self, owner: Json, name: str, source: str, body: str, found: Json | None = None, *, immutable: bool = False
    ) -> None:
        """Write it where it is as it was `found`: that very one, or none."""
        seen = {key: found["metadata"][key] for key in ("uid", "resourceVersion")} if found is not None else None
        data = dict((self._api.get(self._path(source)) or {}).get("data") or {})
        data[self._workload.key] = body
        manifest: Json = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": self._workload.namespace,
                "ownerReferences": [owner_reference(owner, self._workload)],
                **(seen or {"resourceVersion": NOT_THERE}),
            },
            "data": data,
        }
        if immutable:
            manifest["immutable"] = True
            manifest["metadata"]["annotations"] = {KEPT_AT: f"{time.time():.0f}"}
        self._api.apply(self._path(name), manifest)

    def _path(self, name: str) -> str:
        return path("ConfigMap", self._workload.namespace, name)


def digest_of(body: str) -> str:
    """SHA-256 of a file's text."""
    return hashlib.sha256(body.encode()).hexdigest()
