"""Who owns a field of a workload, whether they will assert it again, and who took a kept value back.

Sources: `metadata.managedFields` (Kubernetes API reference, server-side apply, FieldsV1); the labels and annotations by
which Helm, Argo CD and Flux mark what they own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from adapters.actuators.kubernetes.api import MANAGER, Json
from adapters.actuators.kubernetes.demand import mappings, name_of, part
from adapters.actuators.kubernetes.quantity import same

Path = tuple[str, ...]  # steps of FieldsV1: ("f:spec", "f:replicas")

REPLICAS: Path = ("f:spec", "f:replicas")
_POD: Path = ("f:spec", "f:template", "f:spec")

# Controllers write again what they own whenever it differs. The kube-controller-manager owns replicas for an HPA.
_ASSERTING = re.compile(
    r"argocd|flux|helm|kapp|fleet|crossplane|pulumi|terraform|rancher|configsync|config-sync|"
    r"(?:^|[-_./])(?:operator|controller|manager|reconciler)(?:$|[-_./])",
    re.IGNORECASE,
)
_MARKS = (
    ("labels", "app.kubernetes.io/managed-by", "Helm"),
    ("labels", "kustomize.toolkit.fluxcd.io/name", ""),
    ("labels", "helm.toolkit.fluxcd.io/name", ""),
    ("annotations", "argocd.argoproj.io/tracking-id", ""),
    ("annotations", "meta.helm.sh/release-name", ""),
)


@dataclass(frozen=True, slots=True)
class Owner:
    """A field manager of an object. `operation` is Apply or Update, `time` as the API server writes it."""

    manager: str
    operation: str
    subresource: str = ""
    time: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a field may be written. `reason` says why not (empty: it may); `force` that a server-side apply needs
    force, because somebody who acts once owns it and the target says that we may take it over."""

    field: str
    kind: Literal["free", "one-off", "asserting"]
    owners: tuple[Owner, ...] = ()
    reason: str = ""
    force: bool = False


# --- paths ------------------------------------------------------------------------------------------------------------


def container_path(container: str) -> Path:
    return (*_POD, "f:containers", _key(container))


def resource_path(container: str, which: str, resource: str) -> Path:
    """`which` is requests or limits, `resource` cpu or memory."""
    return (*container_path(container), "f:resources", f"f:{which}", f"f:{resource}")


def env_path(container: str, variable: str) -> Path:
    """A variable of the environment, whatever it is made of."""
    return (*container_path(container), "f:env", _key(variable))


def env_from_path(container: str) -> Path:
    """The list of whole ConfigMaps that become variables; it has one owner."""
    return (*container_path(container), "f:envFrom")


def volume_path(volume: str) -> Path:
    """The name of the ConfigMap that a volume shows."""
    return (*_POD, "f:volumes", _key(volume), "f:configMap", "f:name")


def projected_path(volume: str) -> Path:
    """The sources of a projected volume; the list has one owner."""
    return (*_POD, "f:volumes", _key(volume), "f:projected", "f:sources")


def words(path: Path) -> str:
    """A path as the API server's messages have it: `spec.template.spec.containers[name="web"].resources`."""
    found = ""
    for step in path:
        if step.startswith("k:"):
            keys = _keys(step)
            found += f"[{','.join(f'{name}={json.dumps(value)}' for name, value in keys.items())}]" if keys else step
        else:
            found += f".{step.removeprefix('f:')}"
    return found.removeprefix(".")


def _key(name: str) -> str:
    return "k:" + json.dumps({"name": name}, separators=(",", ":"))


def _keys(step: str) -> Json:
    try:
        found = json.loads(step.removeprefix("k:"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# --- owners -----------------------------------------------------------------------------------------------------------


def owners(manifest: Json, path: Path) -> tuple[Owner, ...]:
    """Who owns the field, or something in it, newest first; nobody where there are no managed fields."""
    found = [owner for owner, fields in _entries(part(manifest, "metadata").get("managedFields")) if _has(fields, path)]
    return tuple(sorted(found, key=lambda each: each.time, reverse=True))


def ours(owner: Owner) -> bool:
    """Whether it is one of our own field managers."""
    return owner.manager == MANAGER or owner.manager.startswith(f"{MANAGER}-")


def asserting(owner: Owner) -> bool:
    """Whether it will write the field again when somebody changed it: whoever applies declares what should be, and
    controllers compare. Everybody else acted once."""
    return not ours(owner) and (owner.operation == "Apply" or _ASSERTING.search(owner.manager) is not None)


def governed(manifest: Json) -> str:
    """Who re-asserts this object as a whole, in words: an operator by its ownerReference, Helm, Argo CD and Flux by
    their marks. Empty if nobody."""
    metadata = part(manifest, "metadata")
    for each in mappings(metadata.get("ownerReferences")):
        if each.get("controller") is True:
            return f"{each.get('kind', 'an operator')} {each.get('name', '')} controls {name_of(manifest)}".replace(
                "  ", " "
            )
    for where, mark, value in _MARKS:
        seen = part(metadata, where).get(mark)
        if seen is not None and value in ("", seen):
            return f"{name_of(manifest)} carries {mark}: {seen}"
    return ""


def verdict(manifest: Json, path: Path, take_over: Iterable[str] = ()) -> Verdict:
    """Whether we may write a field of an object. `take_over` names managers that lose their fields to us; one that
    asserts would take it back, so naming it there changes nothing."""
    field, found = words(path), tuple(each for each in owners(manifest, path) if not ours(each))
    whole = governed(manifest)
    if whole:
        return Verdict(field, "asserting", found, f"{field}: {whole}, which would write it again; change it there")
    for owner in found:
        if asserting(owner):
            how = "applies" if owner.operation == "Apply" else "re-asserts"
            reason = f"{field}: {owner.manager} {how} it and would write it again; change it there"
            return Verdict(field, "asserting", found, reason)
    if not found:
        return Verdict(field, "free")
    allowed = frozenset(take_over)
    missing = [each.manager for each in found if each.manager not in allowed]
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        return Verdict(
            field, "one-off", found, f"{field} belongs to {names}; add take_over: [{names}] to overrule that"
        )
    return Verdict(field, "one-off", found, force=True)


def reverted(
    now: Mapping[Path, str | None], kept: Mapping[Path, str | None], managed: Sequence[Json]
) -> list[tuple[str, str]]:
    """Kept values that are no longer there: the field in words, and who changed it as far as the managed fields tell.
    A value of None is absent. Nobody owns what was removed: then it is whoever changed the object last."""
    entries = [(owner, fields) for owner, fields in _entries(managed) if not ours(owner)]
    entries.sort(key=lambda each: each[0].time, reverse=True)
    last = next((owner.manager for owner, fields in entries if _has(fields, ("f:spec",))), "somebody unknown")
    found = []
    for path, value in kept.items():
        seen = now.get(path)
        if seen == value or (seen is not None and value is not None and same(seen, value)):
            continue
        name = next((owner.manager for owner, fields in entries if seen is not None and _has(fields, path)), last)
        found.append((words(path), name))
    return found


def _entries(managed: object) -> list[tuple[Owner, Json]]:
    found = []
    for each in mappings(managed):
        if each.get("subresource") == "status":
            continue
        texts = (str(each.get(key) or "") for key in ("manager", "operation", "subresource", "time"))
        found.append((Owner(*texts), part(each, "fieldsV1")))
    return found


def _has(fields: Json, path: Path) -> bool:
    """Whether a tree of FieldsV1 holds this path. Keys of lists are compared by what they say, not by their spacing."""
    for step in path:
        below = fields.get(step)
        if below is None and step.startswith("k:"):
            wanted = _keys(step)
            below = next((each for key, each in fields.items() if key.startswith("k:") and _keys(key) == wanted), None)
        if not isinstance(below, dict):
            return False
        fields = below
    return True
