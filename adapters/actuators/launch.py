"""Starts a program that outlives whoever asked for it: in a session of its own, nobody's child.

    python -m adapters.actuators.launch [--log FILE] [--pid-file FILE] [--cgroup DIR]... -- ARGV... < ENVIRONMENT

ENVIRONMENT is the whole environment of the program, `NAME=value` ended by NUL each; it never stands on a command line,
which everybody can read. Ends once the program was handed over: its exit code says whether that worked, and its output
is the pid. The pid file is written before the program begins, so that there is no moment in which it runs and nobody
knows it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m adapters.actuators.launch", description=__doc__)
    parser.add_argument("--log", default=os.devnull, help="what the program prints is appended here")
    parser.add_argument("--pid-file", type=Path, help="gets the program's pid")
    parser.add_argument("--cgroup", type=Path, action="append", default=[], help="control groups that it begins in")
    parser.add_argument("argv", nargs="+")
    options = parser.parse_args(arguments)
    pairs = (pair.partition("=") for pair in sys.stdin.read().split("\0") if pair)
    environment = {name: value for name, _, value in pairs}
    told, tell = os.pipe()  # the pid, and behind it what kept exec from succeeding; closed by exec
    if os.fork() == 0:
        os.close(told)
        if os.fork() == 0:
            os.setsid()
            _become(options, environment, tell)
        os._exit(0)
    os.close(tell)
    with os.fdopen(told) as answer:
        pid, _, failure = answer.read().partition(" ")
    print(pid)
    if failure:
        print(failure, file=sys.stderr)
    return 1 if failure else 0


def _become(options: argparse.Namespace, environment: Mapping[str, str], tell: int) -> None:
    """Turn this process into the program. Never returns."""
    os.write(tell, f"{os.getpid()} ".encode())
    step = ""
    try:
        for cgroup in options.cgroup:
            step = f"control group {cgroup}"
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))
        step = f"log {options.log}"
        output = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, standard in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source, standard)
        if options.pid_file is not None:
            step = f"pid file {options.pid_file}"
            temporary = options.pid_file.with_name(f".{options.pid_file.name}.{os.getpid()}")
            temporary.write_text(f"{os.getpid()}\n")
            os.replace(temporary, options.pid_file)
        step = repr(options.argv[0])
        _default_signals()
        os.execvpe(options.argv[0], options.argv, environment)
    except (OSError, ValueError) as error:
        os.write(tell, f"{step}: the program cannot be started: {error}".encode())
    os._exit(1)


def _default_signals() -> None:
    """What is ignored or blocked would be inherited: Python ignores SIGPIPE, a pool's worker SIGTERM and SIGINT, and a
    JVM that began with SIGTERM ignored does not end by it."""
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


if __name__ == "__main__":
    sys.exit(main())
