"""The way back, beside the configuration: what the file held before the run, until when the run may be silent, and the
hash of everything that we wrote. The watchdog needs nothing else."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from domain.codec import from_json, to_json
from domain.errors import Conflict, Misconfigured, Transient


@dataclass(frozen=True, slots=True)
class BeforeImage:
    """`body` is the original text below any first line of ours; `ours` are SHA-256 sums of bodies that we wrote;
    `reaped` says that the watchdog restores it, `back` that it is done."""

    run: str
    deadline: float
    body: str
    ours: tuple[str, ...] = ()
    reaped: bool = False
    back: bool = False


def sidecar(config: Path) -> Path:
    return config.with_name(config.name + ".trimtab.json")


def load(config: Path) -> BeforeImage | None:
    """The before-image beside `config`. Raises Misconfigured if it cannot be read as one."""
    try:
        return from_json(BeforeImage, json.loads(sidecar(config).read_text()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{sidecar(config)} is no before-image: {error}; move it away by hand") from error


def save(config: Path, image: BeforeImage) -> None:
    replace_text(sidecar(config), json.dumps(to_json(image)), mode=0o600)


def protect(config: Path, body: str, run: str, deadline: float) -> None:
    """Keep `body` as the before-image of `run`, or move the deadline of the one that is there."""
    image = load(config)
    if image is None:
        image = BeforeImage(run, deadline, body)
    elif image.run != run:
        raise Conflict(f"{sidecar(config)} is the before-image of run {image.run}; `trimtab restore` it first")
    save(config, replace(image, deadline=deadline))


def note_ours(config: Path, digest: str) -> None:
    """Remember a body's hash before it is written, so that the watchdog knows it as ours whatever happens next."""
    image = load(config)
    if image is not None and digest not in image.ours:
        save(config, replace(image, ours=(*image.ours, digest)))


def note_back(config: Path) -> None:
    """The watchdog's work is done."""
    image = load(config)
    if image is not None:
        save(config, replace(image, back=True))


def release(config: Path, run: str, *, keep: bool) -> None:
    image = load(config)
    if image is None or image.run != run:
        return
    if keep:
        os.replace(sidecar(config), config.with_name(f"{config.name}.trimtab.{run}.kept.json"))
    else:
        sidecar(config).unlink(missing_ok=True)
    sync_directory(config.parent)


def replace_text(path: Path, text: str, mode: int | None = None) -> None:
    """Atomic and durable: a reader sees the old content or the new, also after a power cut. Without `mode`, a file that
    is there keeps its own, and its owner."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    there = path.stat() if mode is None and path.exists() else None
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600 if there else mode or 0o644)
    try:
        if there is not None:
            os.fchmod(descriptor, stat.S_IMODE(there.st_mode))
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, there.st_uid, there.st_gid)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(config: Path) -> Iterator[None]:
    """One writer at a time, on this machine. Raises Transient if there is another."""
    descriptor = os.open(config.with_name(f".{config.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with flocked(descriptor, str(config)):
        yield


@contextlib.contextmanager
def flocked(descriptor: int, what: str) -> Iterator[None]:
    """The kernel's lock on an open file or directory, which is closed at the end: it dies with its holder. Raises
    Transient if another process has it."""
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Transient(f"another process is writing {what}") from error
        yield
    finally:
        os.close(descriptor)
