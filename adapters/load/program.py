"""Running somebody else's program: no shell, a process group of its own, a hard time limit, output of bounded size."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from domain.errors import Misconfigured, Transient

MOST_OUTPUT = 1 << 24  # bytes that are read of each stream
TERM_SECONDS = 1.0  # between asking a group to end and killing it
INSTALL = {
    "wrk": "package wrk of Debian and Ubuntu, or Homebrew",
    "ab": "package apache2-utils of Debian and Ubuntu, httpd-tools of Fedora",
    "hey": "`go install github.com/rakyll/hey@latest`, or package hey of Homebrew",
    "pgbench": "package postgresql-contrib or postgresql of the distribution (pgbench comes with the server)",
    "stress-ng": "package stress-ng",
    "fio": "package fio",
    "iperf3": "package iperf3",
    "ping": "package iputils-ping of Debian and Ubuntu, iputils of Fedora",
}
_SYSTEM_PATHS = ":/usr/sbin:/usr/local/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that is over. `seconds` were measured, `code` is its exit code (negative: the signal that ended it)."""

    program: str
    code: int
    stdout: str
    stderr: str
    seconds: float

    def trouble(self) -> str:
        """The last words of a program that failed, on one line."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        return "; ".join((errors or lines)[-3:])[-300:] or "it said nothing"

    def checked(self, do: str) -> Ended:
        """Itself if the exit code is 0. Raises Transient with its last words and what to do next."""
        if self.code != 0:
            raise Transient(f"{self.program} ended with code {self.code}: {self.trouble()}; {do}")
        return self


def installed(program: str) -> str | None:
    """Path of a program, None if it is not installed."""
    return shutil.which(program, path=os.environ.get("PATH", os.defpath) + _SYSTEM_PATHS)


def need(program: str) -> str:
    """Path of a program. Raises Misconfigured with where to get it."""
    path = installed(program)
    if path is None:
        raise Misconfigured(f"{program} is not installed; get it with {INSTALL.get(program, 'the package manager')}")
    return path


def run(argv: Sequence[str], limit: float, cwd: Path | None = None) -> Ended:
    """Run `argv` for at most `limit` seconds, in the C locale. Raises Misconfigured if its program is missing or may
    not be run, Transient if it does not end in time (it and everything it started are killed then)."""
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        started(argv, out, err, cwd) as process,
    ):
        begun = time.monotonic()
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Transient(
                f"{argv[0]} did not end within {limit:.0f} s and was stopped; does what it measures still answer?"
            ) from None
        return Ended(argv[0], code, _text(out), _text(err), time.monotonic() - begun)


@contextlib.contextmanager
def started(
    argv: Sequence[str], out: IO[bytes] | None = None, err: IO[bytes] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the block does; its whole process group is ended when the block is left."""
    environment = {**os.environ, "LC_ALL": "C", "LANGUAGE": ""}
    path = need(argv[0])
    try:
        process = subprocess.Popen(
            [path, *argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if out is None else out,
            stderr=subprocess.DEVNULL if err is None else err,
            cwd=cwd,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise Misconfigured(f"{path} cannot be run: {error.strerror}; check its permissions") from error
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group: asked first, killed a second later. Nothing happens if it has ended."""
    if process.poll() is not None:
        return
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERM_SECONDS)
    _signal_group(process, signal.SIGKILL)  # also the members that ignored the request while their leader obeyed
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], wish: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, wish)


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read(MOST_OUTPUT).decode("utf-8", "replace")
