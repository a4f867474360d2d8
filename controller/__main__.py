"""`python -m controller --policy trimtab.yaml`: the controller's process."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import uvicorn

from adapters import logs
from adapters.policy import load_policy
from controller.wiring import build
from domain.errors import TrimtabError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m controller", description="Hears the world and opens runs.")
    parser.add_argument("--policy", type=Path, default=os.environ.get("TRIMTAB_POLICY"), help="path of trimtab.yaml")
    options = parser.parse_args(arguments)
    if options.policy is None:
        parser.error("give the policy file with --policy or TRIMTAB_POLICY")
    logs.configure()
    try:
        policy = load_policy(Path(options.policy))
        controller = build(policy)
    except TrimtabError as error:
        print(f"controller: {error}", file=sys.stderr)
        return 4
    host, _, port = policy.server.bind.rpartition(":")
    for loop in controller.loops:
        loop.start()
    try:
        uvicorn.run(
            controller.app, host=host or "127.0.0.1", port=int(port), log_config=None, access_log=False, lifespan="off"
        )
    finally:
        for loop in controller.loops:
            loop.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
