"""Refusals worded as the API server words them (`k8s.io/apimachinery/pkg/api/errors`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]
STALE = "the object has been modified; please apply your changes to the latest version and try again"


class Answer(Exception):
    """A request ends here, with a Status object."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.body: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        self.body |= {"message": message, "reason": reason, "code": code}
        if details:
            self.body["details"] = details


class What:
    """What an object is called in messages: `deployments.apps "web"`, `Deployment.apps "web"`."""

    def __init__(self, kind: str, plural: str, group: str, name: str) -> None:
        dot = f".{group}" if group else ""
        self.resource, self.kind, self.name = f"{plural}{dot}", f"{kind}{dot}", name
        self.details: Json = {"name": name, **({"group": group} if group else {}), "kind": plural}


def missing(what: What) -> Answer:
    """404."""
    return Answer(404, "NotFound", f'{what.resource} "{what.name}" not found', what.details)


def exists(what: What) -> Answer:
    """409 to a create."""
    return Answer(409, "AlreadyExists", f'{what.resource} "{what.name}" already exists', what.details)


def stale(what: What, why: str = STALE) -> Answer:
    """409: a precondition does not hold."""
    text = f'Operation cannot be fulfilled on {what.resource} "{what.name}": {why}'
    return Answer(409, "Conflict", text, what.details)


def forbidden(what: What, why: Sequence[str] | str) -> Answer:
    """403 by admission."""
    words = why if isinstance(why, str) else why[0] if len(why) == 1 else f"[{', '.join(why)}]"
    return Answer(403, "Forbidden", f'{what.resource} "{what.name}" is forbidden: {words}', what.details)


def invalid(what: What, faults: Sequence[tuple[str, str]]) -> Answer:
    """422; each fault is a field and what is wrong with it."""
    words = [f"{field}: {fault}" for field, fault in faults]
    causes = [{"reason": _reason(fault), "message": fault, "field": field} for field, fault in faults]
    told = words[0] if len(words) == 1 else f"[{', '.join(words)}]"
    details = {**what.details, "kind": what.kind.split(".")[0], "causes": causes}
    return Answer(422, "Invalid", f'{what.kind} "{what.name}" is invalid: {told}', details)


def bad(message: str) -> Answer:
    """400."""
    return Answer(400, "BadRequest", message)


def _reason(fault: str) -> str:
    names = {"Invalid value": "FieldValueInvalid", "Forbidden": "FieldValueForbidden"}
    names |= {
        "Required value": "FieldValueRequired",
        "Not found": "FieldValueNotFound",
        "Too long": "FieldValueTooLong",
    }
    return names.get(fault.split(":")[0], "FieldValueInvalid")
