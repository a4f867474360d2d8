"""The objects, their versions and owners, and what a create, an apply, a patch and a delete do to them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tests.kubernetes_api import ownership, rules
from tests.kubernetes_api.answers import Answer, What, bad, exists, forbidden, invalid, missing, stale
from tests.kubernetes_api.defaults import admit_pod, decoded, fill, known, qos, skeleton
from tests.kubernetes_api.ownership import Manager, Owners
from tests.kubernetes_api.schema import KINDS, errors, root
from tests.kubernetes_api.values import copied

Json = dict[str, Any]
COUNTED = {"Deployment", "StatefulSet", "ReplicaSet", "Pod", "PodDisruptionBudget"}  # kinds with a generation
PLURALS = {f"{kind.lower()}s": kind for kind in KINDS} | {"verticalpodautoscalers": "VerticalPodAutoscaler"}
FIXED = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
HISTORY = 5000  # changes that a watch can go back


class Place(NamedTuple):
    """Where an object lives."""

    base: str  # "/api/v1", "/apis/apps/v1"
    plural: str
    namespace: str
    name: str = ""

    @property
    def version(self) -> str:
        """As in `apiVersion`."""
        return self.base.split("/", 2)[2]

    @property
    def kind(self) -> str:
        """Empty for a kind that only its objects know."""
        return PLURALS.get(self.plural, "")

    @property
    def what(self) -> What:
        """Its names in messages."""
        group = self.version.rpartition("/")[0]
        return What(self.kind or self.plural, self.plural, group, self.name)


@dataclass
class Record:
    """One stored object, without managedFields, and who owns what of it since when."""

    body: Json
    owners: Owners
    times: dict[Manager, str] = field(default_factory=dict)


class Event(NamedTuple):
    """One change, for watches."""

    version: int
    sort: str  # ADDED, MODIFIED or DELETED
    place: Place
    body: Json


@dataclass
class State:
    """Everything that a snapshot keeps."""

    records: dict[Place, Record] = field(default_factory=dict)
    history: list[Event] = field(default_factory=list)
    version: int = 100
    oldest: int = 100  # watches from before are told 410
    dying: dict[str, float] = field(default_factory=dict)  # uid of a pod: when it vanishes
    resized: dict[str, float] = field(default_factory=dict)  # uid of a pod: when it was asked for
    progressed: dict[str, tuple[str, float]] = field(default_factory=dict)  # uid of a Deployment: what came, and when
    serial: int = 0

    def copy(self) -> State:
        """Everything once more. What history holds is never changed."""
        records = {
            place: Record(copied(each.body), dict(each.owners), dict(each.times))
            for place, each in self.records.items()
        }
        made = replace(self, records=records, history=list(self.history))
        made.dying, made.resized, made.progressed = dict(self.dying), dict(self.resized), dict(self.progressed)
        return made


class Store:
    """`refusals` are admission rules of the test: each takes (operation, kind, object) and gives a message, or None."""

    def __init__(self) -> None:
        self.state = State()
        self.clock: Callable[[], float] = time.monotonic
        self.wall: Callable[[], float] = time.time
        self.grace = 0.0  # seconds until a deleted pod is gone
        self.refusals: list[tuple[Callable[[str, str, Json], str | None], int]] = []

    def find(self, place: Place) -> Record:
        """Raises the 404."""
        record = self.state.records.get(place)
        if record is None:
            raise missing(place.what)
        return record

    def each(self, plural: str, namespace: str = "") -> Iterator[tuple[Place, Record]]:
        """The objects of a kind, by name."""
        for place in sorted(self.state.records):
            if place.plural == plural and namespace in ("", place.namespace):
                yield place, self.state.records[place]

    def shown(self, place: Place, record: Record) -> Json:
        """The object as it is sent."""
        body = copied(record.body)
        entries = [
            {
                "manager": who.name,
                "operation": who.operation,
                "apiVersion": place.version,
                "time": record.times.get(who, ""),
                "fieldsType": "FieldsV1",
                "fieldsV1": ownership.written(fields),
                **({"subresource": who.subresource} if who.subresource else {}),
            }
            for who, fields in record.owners.items()
        ]
        if entries:
            body["metadata"]["managedFields"] = sorted(entries, key=lambda entry: (entry["operation"], entry["time"]))
        return body

    def create(self, place: Place, body: Json, who: Manager, dry: bool = False, strict: bool = True) -> Json:
        """POST. `place` has no name. Unless `strict`, unknown fields are dropped."""
        metadata = body.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + self.suffix()
        place = place._replace(name=metadata.get("name", ""))
        if place in self.state.records:
            raise exists(place.what)
        if metadata.get("resourceVersion"):
            raise Answer(500, "", "resourceVersion should not be set on objects to be created")
        kind = root(place.version, place.kind)
        body = body if strict else known(kind, body)
        fault = told(errors(kind, body))
        if fault:
            what = f'{place.kind} in version "{place.version.rpartition("/")[2]}" cannot be handled as a {place.kind}'
            raise bad(f"{what}: {fault}")
        return self._new(place, body, lambda new: ownership.update(kind, skeleton(place.kind), new, {}, who), who, dry)

    def apply(self, place: Place, body: Json, name: str, force: bool = False, dry: bool = False) -> Json:
        """Server-side apply. A resourceVersion does not keep an absent object from being made; a uid does."""
        if body.get("apiVersion") != place.version:
            raise bad(f"invalid object type: {body.get('apiVersion')}, Kind={body.get('kind')}")
        if body.get("metadata", {}).get("managedFields"):
            raise bad("metadata.managedFields must be nil")
        name_ = body.get("metadata", {}).get("name")
        if name_ != place.name:
            raise bad(f"the name of the object ({name_}) does not match the name on the URL ({place.name})")
        kind, who = root(place.version, place.kind), Manager(name, "Apply")
        faults = errors(kind, body)
        if faults:
            full = f"{body['metadata'].get('namespace', '')}/{place.name}; {place.version}, Kind={body.get('kind')}"
            words = faults[0] if len(faults) == 1 else "errors:\n" + "\n".join(f"  {fault}" for fault in faults)
            raise Answer(500, "", f"failed to create typed patch object ({full}): {words}")
        record = self.state.records.get(place)
        live = record.body if record else {**skeleton(place.kind), "apiVersion": place.version, "kind": body["kind"]}
        owners = record.owners if record else {}
        if record is not None and not owners:
            owners = ownership.update(kind, skeleton(place.kind), live, {}, Manager("before-first-apply", "Update"))
        try:
            new, owners = ownership.apply(kind, place.version, live, body, owners, who, force)
        except ownership.Refused as refused:
            raise Answer(409, "Conflict", str(refused), {"causes": refused.causes}) from refused
        wanted = body["metadata"].get("uid")
        if record is None:
            if wanted:
                why = f"uid mismatch: the provided object specified uid {wanted}, and no existing object was found"
                raise stale(place.what, why)
            return self._new(place, new, lambda _: owners, who, dry)
        return self._change(place, record, new, lambda _: owners, who, dry)

    def merge(self, place: Place, patch: Json, who: Manager, dry: bool = False, strict: bool = True) -> Json:
        """JSON merge patch (RFC 7386) of the object, or of its status. Unless `strict`, unknown fields are dropped."""
        record = self.find(place)
        new = merged(record.body, patch)
        return self.replace(place, new if strict else known(root(place.version, place.kind), new), who, dry)

    def replace(self, place: Place, new: Json, who: Manager, dry: bool = False) -> Json:
        """A whole new object by a merge, a PUT, or a controller."""
        record, kind = self.find(place), root(place.version, place.kind)
        fault = told(errors(kind, new))
        if fault:
            text = json.dumps(new, separators=(",", ":"))
            raise invalid(What("", "", "", ""), [("patch", f"Invalid value: {json.dumps(text)}: {fault}")])
        return self._change(
            place, record, new, lambda made: ownership.update(kind, record.body, made, record.owners, who), who, dry
        )

    def delete(self, place: Place, options: Json | None = None, dry: bool = False) -> Json:
        """Pods die after their grace period; the rest is gone at once."""
        record, options = self.find(place), options or {}
        metadata = record.body["metadata"]
        wanted = options.get("preconditions", {})
        for key, label, fate in (
            ("uid", "UID", "deleted and then recreated"),
            ("resourceVersion", "ResourceVersion", "modified"),
        ):
            if wanted.get(key) and wanted[key] != metadata[key]:
                why = f"the {label} in the precondition ({wanted[key]}) does not match the {label} in record "
                raise stale(place.what, f"{why}({metadata[key]}). The object might have been {fate}")
        seconds = options.get("gracePeriodSeconds")
        if place.kind == "Pod" and self.grace and seconds != 0 and not dry:
            if metadata["uid"] not in self.state.dying:
                self.state.dying[metadata["uid"]] = self.clock() + self.grace
                given = record.body["spec"].get("terminationGracePeriodSeconds", 30) if seconds is None else seconds
                metadata |= {"deletionTimestamp": self.stamp(), "deletionGracePeriodSeconds": given}
                self._note("MODIFIED", place, record)
            return self.shown(place, record)
        shown = self.shown(place, record)
        if not dry:
            del self.state.records[place]
            self._note("DELETED", place, record)
        if place.kind == "Pod":
            return shown
        details = {**place.what.details, "uid": metadata["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def suffix(self) -> str:
        """Five characters that were not given before."""
        self.state.serial += 1
        letters = "bcdfghjklmnpqrstvwxz2456789"
        out, rest = "", self.state.serial * 7919
        for _ in range(5):
            out, rest = out + letters[rest % len(letters)], rest // len(letters)
        return out

    def stamp(self) -> str:
        """Now, as objects carry it."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.wall()))

    def _new(self, place: Place, body: Json, owners: Callable[[Json], Owners], who: Manager, dry: bool) -> Json:
        new = self._prepared(place, body)
        metadata = new["metadata"]
        for name in ("managedFields", "resourceVersion", "generation", "uid"):
            metadata.pop(name, None)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": self.stamp()}
        if place.namespace:
            metadata["namespace"] = place.namespace
        if place.kind in COUNTED:
            metadata["generation"] = 1
        held = owners(new)  # before admission, as the server: what that adds is nobody's
        if place.kind not in ("", "ConfigMap", "Event", "Node", "Namespace", "LimitRange"):
            counts = {"StatefulSet": ("replicas", "availableReplicas"), "ReplicaSet": ("replicas",)}
            new["status"] = dict.fromkeys(counts.get(place.kind, ()), 0)
        if place.kind == "Pod":
            admit_pod(new, self.suffix())
            rules.fill_limits(self._of("limitranges", place), new["spec"])
            new["status"] = {"phase": "Pending", "qosClass": qos(new["spec"])}
        self._admit("CREATE", place, new, None, "")
        record = Record(new, {other: fields for other, fields in held.items() if fields})
        return self._commit(place, record, who, "ADDED", dry)

    def _change(
        self, place: Place, record: Record, new: Json, owners: Callable[[Json], Owners], who: Manager, dry: bool
    ) -> Json:
        old, door = record.body, who.subresource
        asked = new["metadata"].get("resourceVersion")
        if asked and asked != old["metadata"]["resourceVersion"]:
            raise stale(place.what)
        if new["metadata"].get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            wrong = new["metadata"]["uid"]
            raise invalid(place.what, [("metadata.uid", f'Invalid value: "{wrong}": field is immutable')])
        new = self._prepared(place, new)
        if door == "status":
            new = {**copied(old), "status": new.get("status", {}), "metadata": new["metadata"]}
        elif "status" in old:
            new["status"] = copied(old["status"])
        metadata = new["metadata"]
        metadata.pop("managedFields", None)
        metadata |= {name: old["metadata"][name] for name in (*FIXED, "generation") if name in old["metadata"]}
        metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
        self._admit("UPDATE", place, new, old, door)
        held = owners(new)
        if new == old and held == record.owners:
            return self.shown(place, record)
        noted = place.kind == "Deployment" and metadata.get("annotations") != old["metadata"].get("annotations")
        if place.kind in COUNTED and (new.get("spec") != old.get("spec") or (noted and door != "status")):
            metadata["generation"] += 1
        return self._commit(place, Record(new, held, dict(record.times)), who, "MODIFIED", dry)

    def _prepared(self, place: Place, body: Json) -> Json:
        try:
            new: Json = decoded(root(place.version, place.kind), copied(body))
        except ValueError as error:  # a quantity that is none
            named = f"{place.version}, Kind={place.kind}"
            text = f"failed to convert new object (/{place.name}; {named}) to proper version: "
            raise Answer(500, "", f"{text}unable to convert unstructured object to {named}: {error}") from None
        fill(place.kind, new)
        return new

    def _of(self, plural: str, place: Place) -> list[Json]:
        return [record.body for _, record in self.each(plural, place.namespace)] if place.namespace else []

    def _admit(self, operation: str, place: Place, new: Json, old: Json | None, door: str) -> None:
        for rule, code in [] if door == "status" else self.refusals:
            message = rule(operation, place.kind or new.get("kind", ""), copied(new))
            if message:
                refused = forbidden(place.what, message)
                refused.code = refused.body["code"] = code
                refused.body["reason"] = "Forbidden" if code == 403 else "Invalid"
                raise refused
        found = rules.faults(place.kind, new, old, door)
        if found:
            raise invalid(place.what, found)
        if place.kind != "Pod" or (old is not None and door != "resize"):
            return
        outside = rules.outside(self._of("limitranges", place), new["spec"])
        if outside:
            raise forbidden(place.what, outside)
        pods = [pod for pod in self._of("pods", place) if pod["status"].get("phase") not in ("Succeeded", "Failed")]
        for quota in self._of("resourcequotas", place):
            beyond = rules.beyond(quota, pods, new["spec"], old["spec"] if old else None)
            if beyond:
                raise forbidden(place.what, beyond)

    def _commit(self, place: Place, record: Record, who: Manager, sort: str, dry: bool) -> Json:
        if who in record.owners:
            record.times[who] = self.stamp()
        if dry:
            return self.shown(place, record)
        self.state.records[place] = record
        self._note(sort, place, record)
        return self.shown(place, record)

    def _note(self, sort: str, place: Place, record: Record) -> None:
        self.state.version += 1
        record.body["metadata"]["resourceVersion"] = str(self.state.version)
        self.state.history.append(Event(self.state.version, sort, place, self.shown(place, record)))
        if len(self.state.history) > HISTORY:
            self.state.oldest = self.state.history.pop(0).version


def told(faults: list[str]) -> str:
    """Errors of a body as a decoder words them."""
    unknown = [
        f'unknown field "{text.split(":")[0][1:]}"' for text in faults if text.endswith("not declared in schema")
    ]
    return f"strict decoding error: {', '.join(unknown)}" if unknown else "; ".join(faults)


def merged(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copied(patch)
    out = dict(live) if isinstance(live, dict) else {}
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = merged(out.get(name), value)
    return copied(out)
