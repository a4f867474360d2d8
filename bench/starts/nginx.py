"""nginx in front of static files, or of a back end: does it serve, and does it bear `conns` connections?"""

from __future__ import annotations

import contextlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from adapters.actuators import nginx_include
from bench.starts.clients import Asked, answers, idle, load
from bench.starts.draw import Candidate
from bench.starts.group import Group, children
from bench.starts.ports import own_port
from bench.starts.spaces import differing, written
from domain.space import SearchSpace, Value

BODY = 1 << 20  # bytes of what is asked for at most
UPLOAD = 1 << 20  # bytes of what is sent
PROXIED = "nginx-proxy"
_OUTSIDE = {
    "nginx.worker_processes",
    "nginx.worker_connections",
    "nginx.worker_rlimit_nofile",
    "nginx.upstream_keepalive",
}
_MAIN = """user root;
daemon off;
{main}
pid {root}/nginx.pid;
error_log {root}/error.log warn;
events {{ {events} }}
http {{
    types {{ text/html html; application/json json; }}
    access_log off;
    client_max_body_size 16m;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
    gzip on;
    gzip_types application/json;
    include {root}/tuned.conf;
    upstream back {{ server 127.0.0.1:{back}; {upstream} }}
    server {{
        listen 127.0.0.1:{port} backlog=511;
        location / {{ {location} }}
    }}
}}
"""


class Nginx:
    """See `play.Player`."""

    def __init__(self, candidate: Candidate, group: Group, props: Path) -> None:
        self._candidate, self._group, self._root = candidate, group, group.folder
        self._port, self._back = own_port(), own_port()
        self._props = props
        self._values: dict[str, Value] = {**candidate.present, **candidate.settings}
        inside = [each for each in written(candidate, "nginx")[0].parameters if each.name not in _OUTSIDE]
        self._space = SearchSpace(tuple(inside))
        self._proxied = candidate.preset == PROXIED

    def start(self) -> None:
        (self._root / "tuned.conf").write_text(nginx_include.body_for(self._values, self._space, ""))
        main = [self._directive(name) for name in ("worker_processes", "worker_rlimit_nofile")]
        keep = self._values.get("nginx.upstream_keepalive", 0)
        proxy = 'proxy_pass http://back; proxy_set_header Connection "";'
        site = f"root {self._props / 'site'};"
        (self._root / "nginx.conf").write_text(
            _MAIN.format(
                root=self._root,
                port=self._port,
                back=self._back,
                main=" ".join(main),
                events=self._directive("worker_connections") or "worker_connections 1024;",
                upstream=f"keepalive {keep};" if keep else "",
                location=proxy if self._proxied else site,
            )
        )
        with self._backend():
            self._group.start(["nginx", "-c", str(self._root / "nginx.conf"), "-p", str(self._root)])
            self._group.until(answers(self._port, "/small.json"))

    def problems(self) -> list[str]:
        """What nginx warns of; the include as the actuator reads it; the number of workers that run."""
        seen = nginx_include.settings_of((self._root / "tuned.conf").read_text(), self._space)
        wrong = differing({each.name: self._values[each.name] for each in self._space.parameters}, seen)
        wrong += (self._root / "error.log").read_text().splitlines() + self._group.log.read_text().splitlines()
        workers = self._candidate.settings.get("nginx.worker_processes")
        if workers is not None:
            wanted = (os.cpu_count() or 1) if workers == "auto" else int(workers)
            running = children(int((self._root / "nginx.pid").read_text()), wanted)
            if running != wanted:
                wrong.append(f"nginx.worker_processes: {workers} was written, and {running} run")
        return wrong

    def load(self, seconds: float) -> list[str]:
        """`conns` connections that wait, and `active` clients; with a back end they also send large bodies, and read
        answers slowly, so that all of nginx's buffers fill."""
        active, conns = self._candidate.size("active"), self._candidate.size("conns")
        asked = [Asked("/large.json"), Asked("/small.json")]
        if self._proxied:
            asked = [Asked("/large.json", slow=0.02), Asked("/small.json", os.urandom(UPLOAD)), Asked("/large.json")]
        with self._backend(), idle(self._port, "/small.json", max(0, conns - active)):
            count, wrong = load(self._port, asked, active, seconds)
        errors = [line for line in (self._root / "error.log").read_text().splitlines() if "[warn]" not in line]
        return [*wrong, *errors[-5:], *([] if count else ["nothing was answered"])]

    def _directive(self, name: str) -> str:
        value = self._values.get(f"nginx.{name}")
        return "" if value is None else f"{name} {value};"

    @contextlib.contextmanager
    def _backend(self) -> Iterator[None]:
        """A back end outside of the group, where there is one."""
        if not self._proxied:
            yield
            return
        server = _Server(("127.0.0.1", self._back), _Answer)
        server.site = self._props / "site"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    site: Path


class _Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60.0
    server: _Server

    def do_GET(self) -> None:
        body = (self.server.site / self.path.lstrip("/")).read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what matters is what nginx says."""


def site(folder: Path) -> None:
    """What is served: something small, and something that no buffer holds."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "small.json").write_bytes(b'{"n": 1}')
    (folder / "large.json").write_bytes(os.urandom(BODY // 2).hex().encode())
