"""Who owns which field: the rules of server-side apply, after sigs.k8s.io/structured-merge-diff v6 (`merge/update.go`).

A path is a tuple of path elements as managedFields write them (`f:spec`, `k:{"name":"web"}`); a set of fields is a set
of paths. Every type is one of `schema.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.kubernetes_api.schema import Type, children, shape, shown
from tests.kubernetes_api.values import copied

Json = dict[str, Any]
Path = tuple[str, ...]
Fields = frozenset[Path]
ABSENT: Any = object()
NOBODYS = {  # never owned by anybody (`managedfields/internal/stripmeta.go`)
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{name}")
        for name in ("name", "namespace", "creationTimestamp", "uid", "generation", "managedFields", "resourceVersion")
    ),
}


class Manager(NamedTuple):
    """Who owns fields, and by which door it wrote them."""

    name: str
    operation: str  # "Apply" or "Update"
    subresource: str = ""


Owners = dict[Manager, Fields]


class Refused(Exception):
    """An apply that would change fields of others."""

    def __init__(self, conflicts: list[tuple[Manager, Path]], version: str) -> None:
        self.causes = [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {_named(manager, version)}",
                "field": shown(path),
            }
            for manager, path in conflicts
        ]
        super().__init__(_told(conflicts, version))


@dataclass
class Difference:
    """Between two values: paths that came, that have another value now, and that are gone."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)


def field_set(kind: Type, value: Any, at: Path = ()) -> Fields:
    """The fields that a configuration sets."""
    form = shape(kind, value)
    if form.kind == "leaf":
        return frozenset({at})
    found: set[Path] = set()
    for element, (type_, item) in children(form, value).items():
        path = (*at, element)
        found |= field_set(type_, item, path)
        if form.kind == "list" or item is None or item == {} or element[2:] not in form.fields:
            found.add(path)
    return frozenset(found)


def difference(kind: Type, old: Any, new: Any) -> Difference:
    """What became of `old`."""
    found = Difference()
    _compare(kind, old, new, (), found)
    return found


def _compare(kind: Type, old: Any, new: Any, at: Path, found: Difference) -> None:
    form = shape(kind, old if new is ABSENT else new)
    if form.kind == "leaf" or (old in (ABSENT, {}, []) and new in (ABSENT, {}, [])):
        if old is ABSENT:
            found.added.add(at)
        elif new is ABSENT:
            found.removed.add(at)
        elif old != new:
            found.modified.add(at)
        return
    before = children(form, {} if old is ABSENT else old)
    after = children(form, {} if new is ABSENT else new)
    for element, (type_, _) in {**before, **after}.items():
        sides = before.get(element, (None, ABSENT))[1], after.get(element, (None, ABSENT))[1]
        _compare(type_, *sides, (*at, element), found)
    if at and old is ABSENT:
        found.added.add(at)
    elif at and new is ABSENT:
        found.removed.add(at)


def merged(kind: Type, live: Any, wanted: Any) -> Any:
    """`wanted` laid over `live`."""
    if wanted is ABSENT or live is ABSENT:
        return copied(live if wanted is ABSENT else wanted)
    form = shape(kind, wanted)
    if form.kind == "leaf" or not isinstance(live, type(wanted)):
        return copied(wanted)
    below, above = children(form, live), children(form, wanted)
    found = {
        element: merged(type_, below.get(element, (None, ABSENT))[1], above.get(element, (None, ABSENT))[1])
        for element, (type_, _) in {**below, **above}.items()
    }
    return list(found.values()) if form.kind == "list" else {element[2:]: item for element, item in found.items()}


def without(kind: Type, value: Any, gone: Iterable[Path]) -> Any:
    """`value` less these fields; None if nothing is left."""
    here = {path for path in gone if path}
    form = shape(kind, value)
    if form.kind == "leaf" or not here:
        return value
    kept = {}
    for element, (type_, item) in children(form, value).items():
        if (element,) in here:
            continue
        left = without(type_, item, [path[1:] for path in here if path[0] == element])
        if left is not None:
            kept[element] = left
    if not kept:
        return None
    return list(kept.values()) if form.kind == "list" else {element[2:]: item for element, item in kept.items()}


def with_parents(kind: Type, paths: Iterable[Path]) -> Fields:
    """These fields, and every named field of a struct on the way to them ("EnsureNamedFieldsAreMembers")."""
    found = set(paths)
    for path in paths:
        type_ = kind
        for depth, element in enumerate(path[:-1]):
            form = shape(type_, {})
            if element[2:] in form.fields:
                found.add(path[: depth + 1])
            type_ = form.fields.get(element[2:], form.element or "*")
    return frozenset(found)


def apply(
    kind: Type, version: str, live: Json, wanted: Json, owners: Mapping[Manager, Fields], who: Manager, force: bool
) -> tuple[Json, Owners]:
    """Server-side apply of `wanted` by `who`: the new object and its owners. Raises Refused."""
    last = owners.get(who, frozenset())
    mine = field_set(kind, wanted) - NOBODYS
    now: Owners = {**owners, who: frozenset(path for path in mine if path[0] != "f:status")}
    new = merged(kind, live, wanted)
    if last:
        new = _pruned(kind, new, now, last)
    changes = difference(kind, live, new)
    changed = changes.modified | changes.added
    conflicts = [(other, path) for other in now if other != who for path in sorted(now[other] & changed)]
    if conflicts and not force:
        raise Refused(conflicts, version)
    return new, _less(now, changed, changes.removed, who)


def update(kind: Type, old: Json, new: Json, owners: Mapping[Manager, Fields], who: Manager) -> Owners:
    """The owners after `who` replaced `old` by `new`: what it changed is its own now."""
    changes = difference(kind, old, new)
    changed = changes.modified | changes.added
    now = _less(dict(owners), changed, changes.removed, None)
    mine = now.get(who, frozenset()) | (frozenset(changed) - NOBODYS)
    return {**now, who: mine} if mine else now


def _less(owners: Owners, changed: set[Path], removed: set[Path], spared: Manager | None) -> Owners:
    left = {
        other: fields if other == spared else fields - (frozenset(changed) | frozenset(removed))
        for other, fields in owners.items()
    }
    return {other: fields for other, fields in left.items() if fields}


def _pruned(kind: Type, new: Json, owners: Owners, last: Fields) -> Json:
    """`new` less what `last` set and nobody sets now."""

    def members(paths: Fields) -> Fields:
        return with_parents(kind, paths)

    everything = members(field_set(kind, new))
    bare = without(kind, new, members(last)) or {}
    owned = frozenset(path for fields in owners.values() for path in fields)
    kept = members(field_set(kind, bare)) | members(owned)
    bare = without(kind, new, everything - kept) or {}
    gone = (everything - members(field_set(kind, bare))) & members(last)
    return without(kind, new, gone) or {}


@functools.cache
def written(fields: Fields) -> Json:
    """The fields as `fieldsV1`. It is shared by all who ask, and nobody may change it."""
    out: Json = {}
    for path in sorted(fields):
        place = out
        for element in path:
            place = place.setdefault(element, {})
        place["."] = {}

    def bare(node: Json) -> Json:
        return {} if set(node) == {"."} else {name: bare(item) if item else {} for name, item in sorted(node.items())}

    return bare(out)


def _named(manager: Manager, version: str) -> str:
    name = f'"{manager.name}"' + (f' with subresource "{manager.subresource}"' if manager.subresource else "")
    return name if manager.operation == "Apply" else f"{name} using {version}"


def _told(conflicts: list[tuple[Manager, Path]], version: str) -> str:
    if len(conflicts) == 1:
        manager, path = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {_named(manager, version)}: {shown(path)}"
    by: dict[str, list[str]] = {}
    for manager, path in conflicts:
        by.setdefault(_named(manager, version), []).append(f"- {shown(path)}")
    told = "\n".join("\n".join([f"conflicts with {name}:", *by[name]]) for name in sorted(by))
    return f"Apply failed with {len(conflicts)} conflicts: {told}"
