"""Constants of the controller's process, each with its reason, and what the environment may say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds."""

    sweep: float = 0.1
    """Between two looks at the due index. Windows are seconds long, so a tenth of one is soon enough."""
    intake: float = 0.2
    """Between two looks for signals. An alert took many seconds to fire."""
    stop: float = 5.0
    """Time that open requests get at SIGTERM."""
    seed: int | None = None
    """Seed of every run, for demonstrations and tests; None derives it from the run's name. TRIMTAB_SEED."""


def settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings with what the environment says. Raises Misconfigured naming the variable."""
    text = environ.get("TRIMTAB_SEED", "")
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Misconfigured(f"TRIMTAB_SEED is {text[:40]!r}; it must be a whole number of at most 18 digits")
    return Settings(seed=int(text) if text else None)


def address(bind: str) -> tuple[str, int]:
    """Host and port of `host:port`, `[::1]:port` or `:port` (loopback). Raises Misconfigured."""
    host, _, port = bind.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise Misconfigured(f"server.bind is {bind!r}; it must be host:port with a port from 0 to 65535")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)
