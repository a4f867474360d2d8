"""The API server through the official client: plain dicts in and out, one place where its errors become ours.

Typed models are not used: they drop fields that this client does not know yet, and a body that was read through them
and written back would erase those.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from domain.errors import Conflict, Misconfigured, Rejected, Stale, Transient

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

Json = dict[str, Any]
MANAGER = "trimtab"  # owner of our annotations and of everything that we create
CALL_SECONDS = 10.0
MOST_TEXT = 512  # characters of a foreign message that are passed on
_APPLY, _MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
_EXIT = 3  # channel of pods/exec
_STRATEGIC = "application/strategic-merge-patch+json"


class Absent(Conflict):
    """The object is not there (404)."""


class Outdated(Stale):
    """The object was changed since it was read, or exists already (409)."""


class Owned(Conflict):
    """Another field manager owns a field that was to be applied (409). `fields` are paths by manager."""

    def __init__(self, text: str, fields: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__(text)
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended in a pod. `out` holds its stdout, then its stderr."""

    code: int
    out: str


class Api:
    """See the API concepts of Kubernetes' reference. Every method raises Transient (unreachable, overloaded), Rejected
    (invalid, or refused by quota or admission), Misconfigured (no right to it), Absent and Outdated only."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def get(self, path: str) -> Json | None:
        """The object, or a list's object; None if it is not there."""
        try:
            return self._call("GET", path)
        except Absent:
            return None

    def items(self, path: str, **query: str) -> list[Json]:
        """The objects of a list, optionally by `labelSelector` or `fieldSelector`."""
        found: list[Json] = self._call("GET", path, query=query).get("items", [])
        return found

    def apply(self, path: str, body: Json, *, manager: str = MANAGER, force: bool = False, dry: bool = False) -> Json:
        """Server-side apply: creates the object, or sets the fields of `body` and removes those that `manager` applied
        before and leaves out now. With `metadata.resourceVersion` only that version is changed. Raises Owned where
        another manager owns a field, unless `force`."""
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": str(force).lower()}
        return self._call("PATCH", path, body, query=query, kind=_APPLY, dry=dry)

    def merge(self, path: str, body: Json, *, manager: str = MANAGER, dry: bool = False) -> Json:
        """JSON merge patch: None removes a field. With `metadata.resourceVersion` only that version is changed."""
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        return self._call("PATCH", path, body, query=query, kind=_MERGE, dry=dry)

    def resize(self, path: str, container: str, resources: Json, *, version: str = "", dry: bool = False) -> Json:
        """Change the resources of one container of a running pod, with `version` only if that is its resourceVersion
        still. `path` is the pod's."""
        body: Json = {"spec": {"containers": [{"name": container, "resources": resources}]}}
        if version:
            body["metadata"] = {"resourceVersion": version}
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        return self._call("PATCH", f"{path}/resize", body, query=query, kind=_STRATEGIC, dry=dry)

    def create(self, path: str, body: Json, *, dry: bool = False) -> Json:
        """POST to a collection."""
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        return self._call("POST", path, body, query=query, kind="application/json", dry=dry)

    def delete(self, path: str, *, uid: str = "", seconds: int | None = None) -> None:
        """Delete an object; with `uid` only that very one. `seconds` overrides a pod's grace period. One that is not
        there is fine."""
        options: Json = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if seconds is not None:
            options["gracePeriodSeconds"] = seconds
        with contextlib.suppress(Absent):
            self._call("DELETE", path, options, kind="application/json")

    def run(self, namespace: str, pod: str, container: str, command: list[str]) -> Ran:
        """Run a command in a container, without a shell, and wait for its end."""
        from kubernetes.client import ApiClient, CoreV1Api
        from kubernetes.stream import stream

        # A client of its own: while it connects, `stream` bends all calls of its client to a web socket.
        client = ApiClient(self._client.configuration)
        with _retyped(f"pods/exec of {pod}"):
            answer = stream(
                CoreV1Api(client).connect_get_namespaced_pod_exec,
                pod,
                namespace,
                container=container,
                command=command,
                stdout=True,
                stderr=True,
                _preload_content=False,
                _request_timeout=CALL_SECONDS,
            )
            try:
                answer.run_forever(timeout=CALL_SECONDS)
                if answer.is_open():
                    raise Transient(f"{command[0]} in pod {pod} did not end within {CALL_SECONDS:.0f} s")
                return _ran(answer.read_channel(_EXIT), answer.read_stdout() + answer.read_stderr())
            finally:
                answer.close()
                if answer.sock is not None:
                    answer.sock.shutdown()  # if the server closed first, `close` leaves the socket open

    def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: Mapping[str, str] | None = None,
        kind: str = "",
        dry: bool = False,
    ) -> Json:
        asked = [*(query or {}).items(), *([("dryRun", "All")] if dry else [])]
        headers = {"Accept": "application/json", **({"Content-Type": kind} if kind else {})}
        with _retyped(f"{method} {path}"):
            request = self._client.param_serialize(
                method, path, query_params=asked, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            answer = self._client.call_api(*request, _request_timeout=CALL_SECONDS)
            raw: bytes = answer.read()  # type: ignore[no-untyped-call]
            if not 200 <= answer.status <= 299:
                raise _error(method, path, answer.status, raw)
            read: Json = json.loads(raw)
            return read


@cache
def connect() -> Api:
    """The cluster around this pod, or the one of KUBECONFIG (its current context). Raises Misconfigured."""
    from kubernetes import client, config
    from kubernetes.config.config_exception import ConfigException

    settings = client.Configuration()
    try:
        if os.environ.get("KUBERNETES_SERVICE_HOST") and not os.environ.get("KUBECONFIG"):
            config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
        else:
            config.load_kube_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    except ConfigException as error:
        raise Misconfigured(f"no cluster is known here: {error}; set KUBECONFIG, or run in a pod") from error
    settings.retries = False
    return Api(client.ApiClient(settings))


def path(kind: str, namespace: str, name: str = "") -> str:
    """Where objects of a kind live. Raises Misconfigured for a kind that nothing here works with."""
    group = _GROUPS.get(kind)
    if group is None:
        raise Misconfigured(f"kind {kind!r} is unknown; known: {', '.join(sorted(_GROUPS))}")
    base, plural = group
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{base}{place}/{plural}" + (f"/{name}" if name else "")


_GROUPS = {
    "Deployment": ("/apis/apps/v1", "deployments"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "Pod": ("/api/v1", "pods"),
    "Service": ("/api/v1", "services"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Event": ("/api/v1", "events"),
    "Node": ("/api/v1", "nodes"),
    "ResourceQuota": ("/api/v1", "resourcequotas"),
    "LimitRange": ("/api/v1", "limitranges"),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    "VerticalPodAutoscaler": ("/apis/autoscaling.k8s.io/v1", "verticalpodautoscalers"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
}


def _ran(exit: str, out: str) -> Ran:
    """How a command ended, by the Status on the stream's last channel. One that is not there ends with 127, as in a
    shell. Raises Transient where the stream broke before, or the command could not be started."""
    status = _status(exit)
    if status.get("status") == "Success":
        return Ran(0, out)
    for cause in (status.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return Ran(int(cause["message"]), out)
    words = _short(status.get("message") or "the stream ended before its exit status came")
    if "executable file not found" in exit or "no such file or directory" in exit:
        return Ran(127, words)
    raise Transient(f"the command may not have run: {words}")


@contextlib.contextmanager
def _retyped(what: str) -> Iterator[None]:
    """Errors of the client and of the network as ours."""
    import urllib3.exceptions
    from kubernetes.client.exceptions import ApiException
    from websocket import WebSocketException

    try:
        yield
    except ApiException as error:
        refused = error.__context__  # of a web socket: the handshake's answer, which the client gives as text only
        status = int(error.status or getattr(refused, "status_code", 0) or 0)
        body = error.body or getattr(refused, "resp_body", None) or error.reason or ""
        raise _error("", what, status, body) from None
    except (urllib3.exceptions.HTTPError, WebSocketException, OSError, ValueError) as error:
        raise Transient(f"{what}: the API server does not answer ({_short(error)})") from error


_NO_RIGHT = re.compile(r'forbidden: User ".*" cannot ')
_WHOLE = re.compile(r'Invalid value: "\{.*\}": ', re.DOTALL)  # a whole object, told back with everything in it
_MALFORMED = ("failed to create typed patch object", "failed to convert new object")  # 500, yet it never gets better


def _error(method: str, place: str, status: int, raw: bytes | str) -> Exception:
    """What an answer of the API server means for the caller. Its text is cut short: it may hold anything."""
    body = _status(raw)
    told = _WHOLE.sub("", str(body.get("message") or body.get("reason") or f"HTTP {status}"))
    what = f"{method} {place}: {_short(told)}".strip()
    if status == 404:
        return Absent(what)
    if status == 409:
        owners = _owners(body)
        return Owned(what, owners) if owners else Outdated(what)
    if status == 401:
        return Misconfigured(f"{what}; the API server does not know our token")
    if status == 403 and _NO_RIGHT.search(told):
        return Misconfigured(f"{what}; the chart's Roles say what Trimtab needs")
    if status == 403 and "status unknown for quota" in told:
        return Transient(what)  # a quota that was made a moment ago
    if status in (405, 406, 415):
        return Misconfigured(f"{what}; Trimtab needs Kubernetes 1.33 or later")
    if status in (400, 403, 413, 422) or (status == 500 and told.startswith(_MALFORMED)):
        return Rejected(what)
    return Transient(what)


def _owners(body: Json) -> dict[str, tuple[str, ...]]:
    """Fields by the manager that owns them, of a refused server-side apply."""
    found: dict[str, tuple[str, ...]] = {}
    for cause in (body.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "FieldManagerConflict":
            manager = str(cause.get("message", "")).split('"')[1:2]
            name = manager[0] if manager else "unknown"
            found[name] = (*found.get(name, ()), str(cause.get("field", "")))
    return found


def _status(raw: bytes | str) -> Json:
    try:
        body = json.loads(raw)
    except ValueError:
        return {"message": raw.decode(errors="replace") if isinstance(raw, bytes) else raw}
    return body if isinstance(body, dict) else {}


def _short(text: object) -> str:
    words = " ".join(str(text).split())
    return words if len(words) <= MOST_TEXT else words[:MOST_TEXT] + "..."
