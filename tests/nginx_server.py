"""A real nginx of our own for tests: one master on a free loopback port, with an include that Trimtab may own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.real import need

_MAIN = """
{user}daemon off;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/error.log notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
    gzip on;
    include {root}/tuned.conf;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    root: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        return self.root / "tuned.conf"

    @property
    def place(self) -> dict[str, str]:
        return {
            "config": str(self.config),
            "pid": str(self.root / "nginx.pid"),
            "main": str(self.root / "nginx.conf"),
            "prefix": str(self.root),
            "binary": need("nginx"),
        }


@contextlib.contextmanager
def nginx(root: Path, tuned: str) -> Iterator[Server]:
    """A running nginx whose http block includes `tuned.conf` with the given text."""
    binary = need("nginx")
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    user = "user root;\n" if os.geteuid() == 0 else ""
    (root / "nginx.conf").write_text(_MAIN.format(user=user, root=root, port=port))
    (root / "tuned.conf").write_text(tuned)
    time.sleep(0.05)  # the workers must be visibly younger than the file
    process = subprocess.Popen([binary, "-c", str(root / "nginx.conf"), "-p", str(root)], stderr=subprocess.DEVNULL)
    try:
        patience = time.monotonic() + 10
        while not _serves(port) or not (root / "nginx.pid").exists():
            if time.monotonic() > patience or process.poll() is not None:
                raise RuntimeError(f"nginx did not start: {(root / 'error.log').read_text()[-500:]}")
            time.sleep(0.02)
        yield Server(root, port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _serves(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
