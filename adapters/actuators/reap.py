"""The watchdog: restores local targets whose run was silent past its deadline. Needs neither Redis nor Celery.

    python -m adapters.actuators.reap --policy trimtab.yaml [--once] [--interval 2]

One watches per policy file: a second one says so and ends. A changed policy file is read again; while the new one
cannot be read, the last good one stays in force.
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
from domain.errors import TrimtabError
from domain.target import Target


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m adapters.actuators.reap", description=__doc__)
    parser.add_argument("--policy", type=Path, required=True)
    parser.add_argument("--once", action="store_true", help="look once and end")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between looks")
    options = parser.parse_args(arguments)
    if options.once:
        look(load_policy(options.policy).targets)
        return 0
    lock = options.policy.with_name(f".{options.policy.name}.watchdog")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        tell(f"another watchdog looks after {options.policy} already")
        return 0
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    watched = Watched(options.policy)
    while True:
        look(watched.targets())
        time.sleep(options.interval)


class Watched:
    """The targets of a policy file, read again when the file changes."""

    def __init__(self, policy: Path) -> None:
        self._policy, self._seen = policy, 0
        self._targets: tuple[Target, ...] = load_policy(policy).targets

    def targets(self) -> tuple[Target, ...]:
        try:
            changed = self._policy.stat().st_mtime_ns
            if changed != self._seen:
                self._seen = changed
                self._targets = load_policy(self._policy).targets
        except (OSError, TrimtabError) as error:
            tell(f"the policy cannot be read, the last good one stays in force: {error}")
        return self._targets


def look(targets: Sequence[Target]) -> None:
    """One look at every target. Whatever one of them raises, the others get theirs."""
    for target in targets:
        try:
            for message in reap(target, time.time()):
                tell(message)
        except Exception as error:  # the last line of defence must not end because of one broken target
            tell(f"{target.name}: {type(error).__name__}: {error}")


def tell(text: str) -> None:
    print(f"watchdog: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
