"""`python -m controller --policy trimtab.yaml`: the controller's process."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

import structlog
import uvicorn

from adapters import logs
from adapters.policy import load_policy
from controller.settings import address, settings
from controller.wiring import build
from domain.errors import TrimtabError

log = structlog.get_logger("controller")
MISCONFIGURED = 4  # exit code; docs/console.md lists them all


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. 0 after either, 1 if the address is taken, 4 for a policy that cannot be right."""
    parser = argparse.ArgumentParser(prog="python -m controller", description="Hears the world and opens runs.")
    parser.add_argument("--policy", type=Path, default=os.environ.get("TRIMTAB_POLICY"), help="path of trimtab.yaml")
    options = parser.parse_args(arguments)
    if options.policy is None:
        parser.error("give the policy file with --policy or TRIMTAB_POLICY")
    logs.configure()
    signal.signal(signal.SIGTERM, _leave)  # before uvicorn takes over, and again after it: it raises its signal anew
    try:
        policy, constants = load_policy(Path(options.policy)), settings()
        host, port = address(policy.server.bind)
        controller = build(policy, constants)
    except TrimtabError as error:
        print(f"controller: {error}", file=sys.stderr)
        return MISCONFIGURED
    except KeyboardInterrupt:
        return 0
    controller.start()
    log.info("controller started", bind=policy.server.bind, targets=sorted(target.name for target in policy.targets))
    try:
        uvicorn.run(
            controller.app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=int(constants.stop),
        )
    except KeyboardInterrupt:
        return 0
    finally:
        controller.stop()
        log.info("controller stopped")
    return 0


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
