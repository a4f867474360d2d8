"""HTTP in front of the store: paths, queries, watches, failures on command, and a record of every call."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.kubernetes_api.answers import Answer, What, bad, forbidden
from tests.kubernetes_api.controllers import Controllers
from tests.kubernetes_api.kubelet import Kubelet
from tests.kubernetes_api.ownership import Manager
from tests.kubernetes_api.store import Place, State, Store
from tests.kubernetes_api.subresources import rescale, resize, scale
from tests.kubernetes_api.values import copied

Json = dict[str, Any]
Failure = Literal["drop", "lost"] | int
TOKEN = "a-token-for-tests"
USER = "system:serviceaccount:default:trimtab"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
STRATEGIC, PLAIN = "application/strategic-merge-patch+json", "application/json"


@dataclass(frozen=True)
class Call:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    kind: str = ""  # Content-Type

    @property
    def writes(self) -> bool:
        """It may change something."""
        return self.method != "GET" and self.query.get("dryRun") != "All"


@dataclass
class Plan:
    """Calls that fail: the next `times` of those that match, after `skip` of them."""

    how: Failure
    times: int
    skip: int
    when: Callable[[Call], bool]


class ApiServer:
    """The fake. `automatic` makes the controllers work before each request; else `tick` and `settle` do."""

    def __init__(self) -> None:
        self.store = Store()
        self.kubelet = Kubelet(self.store)
        self.controllers = Controllers(self.store, self.kubelet)
        self.automatic = False
        self.calls: list[Call] = []
        self.absent: set[str] = set()  # plurals of kinds that are not installed
        self.denied: Callable[[Call], bool] = lambda call: False  # no right to it: 403 as by RBAC
        self.address = ""
        self.changed = threading.Condition(threading.RLock())
        self._plans: list[Plan] = []
        self._rested = -1  # the version at which the automatic controllers had nothing left to do

    def fail(
        self, how: Failure, times: int = 1, *, skip: int = 0, when: Callable[[Call], bool] = lambda call: True
    ) -> None:
        """Let calls end with an HTTP status, dropped before ("drop") or after ("lost") the change was made."""
        self._plans.append(Plan(how, times, skip, when))

    def refuse(self, rule: Callable[[str, str, Json], str | None], status: int = 403) -> None:
        """Admission: `rule(operation, kind, object)` gives the message of a refusal, or None."""
        self.store.refusals.append((rule, status))

    def break_pods(self, broken: Callable[[Json], bool]) -> None:
        """Pods of which this holds never get Ready."""
        self.kubelet.broken, self._rested = broken, -1

    def script_resize(
        self, pod: str, outcome: str, message: str = "", only: Callable[[Json], bool] = lambda spec: True
    ) -> None:
        """What becomes of a pod's resizes: Infeasible, Deferred, Error or Stuck (see Kubelet); "" does them. They
        are carried out, too, where the spec that is asked for is not one of `only`."""
        self.kubelet.resizes.pop(pod, None)
        if outcome:
            self.kubelet.resizes[pod] = (outcome, message, only)  # type: ignore[assignment]

    def tick(self, times: int = 1) -> bool:
        """Let controllers and kubelet work; True if anything changed."""
        with self.changed:
            moved = [self.controllers.tick() for _ in range(times)]
            self.changed.notify_all()
        return any(moved)

    def settle(self) -> None:
        """Tick until nothing moves. Raises AssertionError if that does not happen."""
        assert any(not self.tick() for _ in range(100)), "the controllers do not come to rest"

    def add(self, *bodies: Json, manager: str = "kubectl-client-side-apply") -> None:
        """Put objects there, as `kubectl create` would."""
        for body in bodies:
            kind, version = body["kind"], body["apiVersion"]
            base = f"/api/{version}" if "/" not in version else f"/apis/{version}"
            space = "" if kind in ("Node", "Namespace") else body["metadata"].get("namespace", "default")
            with self.changed:
                place = Place(base, f"{kind.lower()}s", space)
                status = body.get("status")
                made = self.store.create(place, copied(body), Manager(manager, "Update"))
                if status is not None and kind != "Node":
                    self.store.replace(
                        place._replace(name=made["metadata"]["name"]),
                        {**made, "status": copied(status)},
                        Manager("kubelet", "Update", "status"),
                    )

    def get(self, path: str) -> Json:
        """An object, past HTTP and not recorded. Raises KeyError."""
        with self.changed:
            place, _ = placed(path)
            return self.store.shown(place, self.store.state.records[place])

    def has(self, path: str) -> bool:
        """Whether an object is there, past HTTP and not recorded."""
        with self.changed:
            return placed(path)[0] in self.store.state.records

    def snapshot(self) -> State:
        """Everything as it is now."""
        with self.changed:
            return self.store.state.copy()

    def restore(self, state: State) -> None:
        """Everything as it was."""
        with self.changed:
            self.store.state = state.copy()
            self._rested = -1
            self.calls.clear()
            self._plans.clear()

    def compact(self) -> None:
        """Forget the history: a watch from an older version is told 410."""
        with self.changed:
            self.store.state.history.clear()
            self.store.state.oldest = self.store.state.version

    def failure(self, call: Call) -> Failure | None:
        """What this call is to end with."""
        for plan in self._plans:
            if plan.when(call):
                if plan.skip:
                    plan.skip -= 1
                elif plan.times:
                    plan.times -= 1
                    return plan.how
        return None

    def answer(self, call: Call) -> tuple[int, Json]:
        """Status and body. Raises Answer."""
        self.kubelet.always()
        moved = self.store.state.version != self._rested or self.store.clock() >= self.controllers.due
        if self.automatic and moved and not self.controllers.tick():
            self._rested = self.store.state.version
        place, door = placed(call.path)
        if place.plural in self.absent:
            raise NotThere
        if self.denied(call):
            raise forbidden(place.what, _denial(call, place, door))
        dry, strict = call.query.get("dryRun") == "All", call.query.get("fieldValidation") == "Strict"
        if call.method == "GET":
            return 200, self._read(call, place, door)
        if call.method == "POST":
            who = Manager(call.query.get("fieldManager", "unknown"), "Update")
            return 201, self.store.create(place, call.body, who, dry, strict)
        if call.method == "DELETE":
            return 200, self.store.delete(place, call.body, dry)
        there = place in self.store.state.records
        return 200 if there else 201, self._patch(call, place, door, dry, strict)

    def _read(self, call: Call, place: Place, door: str) -> Json:
        if place.name:
            return scale(self.store, place) if door == "scale" else self.store.shown(place, self.store.find(place))
        items = [self.store.shown(name, record) for name, record in self.store.each(place.plural, place.namespace)]
        found = [item for item in items if selected(item, call.query)]
        kind = place.kind or (found[0]["kind"] if found else "")
        metadata = {"resourceVersion": str(self.store.state.version)}
        for item in found:
            item.pop("kind"), item.pop("apiVersion")  # as the server: the items of a list do not say them
        return {"kind": f"{kind}List", "apiVersion": place.version, "metadata": metadata, "items": found}

    def _patch(self, call: Call, place: Place, door: str, dry: bool, strict: bool) -> Json:
        manager, body = call.query.get("fieldManager", "unknown"), call.body
        if door == "resize" and place.plural == "pods":
            return resize(self.store, place, body, manager, dry)
        if door == "scale":
            return rescale(self.store, place, body, manager, dry)
        if door not in ("", "status"):
            raise NotThere
        if call.kind == APPLY and not door:
            return self.store.apply(place, body, manager, call.query.get("force") == "true", dry)
        if call.kind != MERGE:
            text = "the body of the request was in an unknown format - accepted media types include: "
            raise Answer(415, "UnsupportedMediaType", text + ", ".join((MERGE, APPLY)))
        return self.store.merge(place, body, Manager(manager, "Update", door), dry, strict)


class NotThere(Exception):
    """A path that nobody serves."""


def placed(path: str) -> tuple[Place, str]:
    """A path's place, and the subresource. Raises NotThere."""
    parts = path.strip("/").split("/")
    size = {"api": 2, "apis": 3}.get(parts[0], 0)
    base, rest = "/" + "/".join(parts[:size]), parts[size:]
    if not size or not rest:
        raise NotThere
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    name, door = (rest[1] if len(rest) > 1 else ""), "/".join(rest[2:])
    return Place(base, rest[0], namespace, name), door


def selected(item: Json, query: dict[str, str]) -> bool:
    """Whether an object is what labelSelector and fieldSelector (equality) ask for."""
    labels = item["metadata"].get("labels", {})
    wanted = [part.replace("==", "=").split("=", 1) for part in query.get("labelSelector", "").split(",") if part]
    if any(labels.get(pair[0]) != pair[-1] if len(pair) == 2 else pair[0] not in labels for pair in wanted):
        return False
    for part in [part for part in query.get("fieldSelector", "").split(",") if part]:
        name, _, value = part.partition("=")
        found: Any = item
        for step in name.split("."):
            found = found.get(step, "") if isinstance(found, dict) else ""
        if found != value.lstrip("="):
            return False
    return True


def _denial(call: Call, place: Place, door: str) -> str:
    verb = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(call.method, "get" if place.name else "list")
    resource = f"{place.plural}/{door}" if door else place.plural
    group = place.version.rpartition("/")[0]
    space = f' in the namespace "{place.namespace}"' if place.namespace else " at the cluster scope"
    return f'User "{USER}" cannot {verb} resource "{resource}" in API group "{group}"{space}'


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: without it each answer waits 40 ms for an ACK
    server: _Server

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _serve(self) -> None:
        api = self.server.api
        split = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(split.query))
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if query.get("watch") in ("true", "1"):
            return watch(self, api, split.path, query)
        with api.changed:
            try:
                call = Call(
                    self.command, split.path, query, json.loads(raw or b"null"), self.headers["Content-Type"] or ""
                )
            except ValueError as error:
                return self._send(400, bad(f"error decoding patch: {error}").body)
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                return self._send(401, Answer(401, "Unauthorized", "Unauthorized").body)
            told = answered(api, call)
            api.changed.notify_all()
        if told is None:
            return self._hang_up()
        self._send(*told)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve

    def _send(self, status: int, body: Json | str) -> None:
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(text)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(text)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def answered(api: ApiServer, call: Call) -> tuple[int, Json | str] | None:
    """What a call ends with, failures on command included; None where the connection is closed without an answer."""
    with api.changed:
        api.calls.append(call)
        how = api.failure(call)
        if how == "drop":
            return None
        if how not in (None, "lost"):
            return _failed(int(how))
        told: tuple[int, Json | str]
        try:
            told = api.answer(call)
        except NotThere:
            told = 404, "404 page not found\n"
        except Answer as answer:
            told = answer.code, answer.body
        return None if how == "lost" else told


def _failed(status: int) -> tuple[int, Json | str]:
    reasons = {500: "InternalError", 503: "ServiceUnavailable", 429: "TooManyRequests", 504: "Timeout"}
    words = {429: "too many requests, please try again later", 500: "Internal error occurred: etcdserver: timed out"}
    text = words.get(status, "the server is currently unable to handle the request")
    return status, Answer(status, reasons.get(status, ""), text, What("", "", "", "").details).body


def watch(handler: _Handler, api: ApiServer, path: str, query: dict[str, str]) -> None:
    """Events as lines of JSON, from `resourceVersion` on, until `timeoutSeconds` are over."""
    place, _ = placed(path)
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    end = time.monotonic() + float(query.get("timeoutSeconds", "5"))
    with api.changed, contextlib.suppress(OSError):
        state = api.store.state
        seen = int(query.get("resourceVersion") or state.version)
        if seen < state.oldest:
            text = f"too old resource version: {seen} ({state.oldest})"
            return _line(handler, "ERROR", Answer(410, "Expired", text).body)
        while True:
            for event in [event for event in api.store.state.history if event.version > seen]:
                seen = event.version
                inside = event.place.plural == place.plural and place.namespace in ("", event.place.namespace)
                if inside and selected(event.body, query):
                    _line(handler, event.sort, event.body)
            left = end - time.monotonic()
            if left <= 0:
                break
            api.changed.wait(min(left, 0.05))
        if query.get("allowWatchBookmarks") == "true":
            mark = {"kind": place.kind, "apiVersion": place.version, "metadata": {"resourceVersion": str(seen)}}
            _line(handler, "BOOKMARK", mark)


def _line(handler: _Handler, sort: str, body: Json) -> None:
    handler.wfile.write(json.dumps({"type": sort, "object": body}).encode() + b"\n")
    handler.wfile.flush()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    api: ApiServer


@contextlib.contextmanager
def serving() -> Iterator[ApiServer]:
    """A running fake at `address`."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        api = server.api = ApiServer()
        api.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join(5)
