"""What a scenario of the demo has to say: which service plays, how it is started, loaded and tuned."""

from __future__ import annotations

import json
import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from domain.codec import to_json
from domain.errors import Misconfigured
from domain.target import Restart

if TYPE_CHECKING:
    from console.demo.stage import Stage

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
ARMS = ("a", "b")


class Scenario(ABC):
    """One service on two arms. The policy is `examples/<example>/trimtab.yaml` with its braces filled in."""

    name = ""  # of --scenario
    example = ""
    service = ""  # label of its metrics, and name of the target
    players = ""  # what is started, in words
    histogram = "http_request_duration_seconds"
    finds = True  # a better setting is in reach; False: none of those that may be searched can help
    moderate = 60.0  # requests a second and arm at which the cost of a request is measured
    most_rate = 1500.0
    slow = 0.5  # seconds: a p95 above this is no load to tune under
    settle = 2.0  # seconds from a change to the first window of the last measurement
    window = 4.0

    def __init__(self, *, allow_restart: bool = False) -> None:
        self.allow_restart = allow_restart

    # --- before anything runs ---

    def ports(self) -> tuple[str, ...]:
        """Names of the loopback ports that it wants."""
        return ARMS

    @abstractmethod
    def write(self, stage: Stage) -> None:
        """Its files below `stage.directory`, the load's requests (`requests.txt`) among them."""

    def policy(self, stage: Stage) -> dict[str, object]:
        """What fills the braces of the example's policy, beyond ports, root, strategy and watch."""
        return {}

    # --- running ---

    @abstractmethod
    def start(self, stage: Stage) -> None:
        """Both arms, ready to be asked."""

    def stop(self, stage: Stage) -> None:  # noqa: B027  (most have nothing to end)
        """End what does not end with the stage's processes."""

    def address(self, stage: Stage, arm: str) -> str:
        """Where the load goes."""
        return f"http://127.0.0.1:{stage.ports[arm]}"

    @abstractmethod
    def pids(self, stage: Stage, arm: str) -> list[int]:
        """The processes whose CPU serves this arm."""

    def most_share(self, stage: Stage) -> float:
        """Cores that one arm can use at most."""
        return 1.0


def program(name: str, scenario: str, package: str = "") -> str:
    """The path of a program. Raises Misconfigured saying how to get it."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Misconfigured(
            f"{name} is not installed; run `make demo SCENARIO={scenario}`, or: apt-get install {package or name}"
        )
    return found


def restart_text(how: Restart) -> str:
    """An arm's `restart` on one line of a policy."""
    return json.dumps({**to_json(how), "seconds": f"{how.seconds:g}s"})


def fill(source: Path, target: Path, values: dict[str, object]) -> None:
    """Copy a template with its braces filled in."""
    target.write_text(source.read_text().format(**values))
