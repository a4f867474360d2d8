"""The watchdog: restores local targets whose run was silent past its deadline. Needs neither Redis nor Celery.

    python -m adapters.actuators.reap --policy trimtab.yaml [--once] [--interval 2]

One watches per policy file: a second one waits for the first to end and takes over.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from adapters.actuators.registry import reap
from adapters.policy import load_policy
from domain.target import Target


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m adapters.actuators.reap", description=__doc__)
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--once", action="store_true", help="look once and end")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between looks")
    options = parser.parse_args(arguments)
    targets = load_policy(options.policy).targets
    if options.once:
        look(targets)
        return 0
    lock = options.policy.with_name(f".{options.policy.name}.watchdog")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    while True:
        look(targets)
        time.sleep(options.interval)


def look(targets: Sequence[Target]) -> None:
    for target in targets:
        for message in reap(target, time.time()):
            print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
