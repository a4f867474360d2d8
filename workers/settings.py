"""How the worker runs under Celery, with the reason of every value.

Start it as `REMAP_SIGTERM=SIGQUIT celery -A workers.app worker`. Without that variable Celery answers SIGTERM with a
shutdown that waits for the running step without a limit of its own; it is read before this module is, so it must come
from outside. Give the process at least `SOFT_SHUTDOWN_SECONDS` + 15 s to stop before it is killed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from adapters.celery_queue import broker_settings
from domain.errors import Misconfigured

# A step takes seconds. One that hangs is first told (it then gives its lease back), then killed; the lease of 75 s
# and the visibility timeout of 120 s are longer, so that no second worker steps in while the first may still write.
SOFT_LIMIT_SECONDS = 50
LIMIT_SECONDS = 60
# Most steps end within this time; one that does not goes back to the queue, as after any other death.
SOFT_SHUTDOWN_SECONDS = 15.0
# One step at a time and process. Steps are short and mostly wait for the network, runs are few (limits.open_runs is 1
# by default), and each process that has asked the strategy holds 130 MB of mathematics.
DEFAULT_CONCURRENCY = 1


def worker_settings(url: str, prefix: str = "trimtab:", environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Celery's settings for a worker on the broker at `url`. TRIMTAB_CONCURRENCY is the number of steps at once.

    Raises Misconfigured."""
    return {
        **broker_settings(url, prefix),
        # A message is acknowledged after its step, and comes back if the process that had it dies.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        # A message waits in Redis, where another worker can take it, and not in a busy process.
        "worker_prefetch_multiplier": 1,
        "task_soft_time_limit": SOFT_LIMIT_SECONDS,
        "task_time_limit": LIMIT_SECONDS,
        # Only processes can be stopped by a time limit; threads cannot.
        "worker_pool": "prefork",
        "worker_concurrency": concurrency(environ),
        "worker_proc_alive_timeout": 30.0,  # starting a process on a loaded machine may take more than Celery's 4 s
        "worker_soft_shutdown_timeout": SOFT_SHUTDOWN_SECONDS,
        # Redis may be down at the start or go away: wait for it, say so, for ever.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # The step goes on and sees for itself whether the ledger answers; a cancelled one would only have to be redone.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Nobody steers a worker over the broker, so nobody can misuse that either.
        "worker_enable_remote_control": False,
        # Our own log lines, not Celery's.
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }


def concurrency(environ: Mapping[str, str]) -> int:
    """TRIMTAB_CONCURRENCY, at least 1. Raises Misconfigured."""
    text = environ.get("TRIMTAB_CONCURRENCY", "") or str(DEFAULT_CONCURRENCY)
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise Misconfigured(f"TRIMTAB_CONCURRENCY is {text!r}; it must be a whole number from 1 to 64")
    return int(text)
