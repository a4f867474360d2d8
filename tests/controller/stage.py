"""What tests of the controller share: a ledger in memory, one target, an HTTP client."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from starlette.testclient import TestClient

from adapters.memory_ledger import MemoryLedger
from controller.api import make_app
from controller.intake import Intake
from controller.metrics import Metrics
from domain.signal import Signal
from domain.target import Limits, Target
from tests.journeys.world import SimClock, make_target

TOKEN = "0123456789abcdef0123"
GOLDEN = Path(__file__).parents[1] / "golden" / "alertmanager"


def shop() -> Target:
    when = {"alertname": "HighLatency", "service": "shop-front"}
    return replace(make_target(), name="shop-front", when=when, limits=Limits(cooldown=600.0))


@dataclass
class Door:
    """The controller without its threads."""

    targets: dict[str, Target] = field(default_factory=lambda: {"shop-front": shop()})
    clock: SimClock = field(default_factory=SimClock)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(self.clock)
        self.app = make_app(self.ledger, self.targets, [TOKEN], self.metrics, now=self.clock.now)
        self.client = TestClient(self.app)
        self.intake = Intake(self.ledger, self.targets, self.clock, self.metrics)

    def post(self, content: bytes | str, token: str = TOKEN, path: str = "/api/v1/alerts"):
        return self.client.post(
            path, content=content, headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        )

    def golden(self, name: str):
        return self.post((GOLDEN / f"{name}.json").read_bytes())

    def drain(self) -> None:
        while self.intake.one():
            pass


def signal(**changes: object) -> Signal:
    plain = Signal("f/1/1", "alert", "firing", 1_000_000.0, "slow", labels=dict(shop().when))
    return replace(plain, **changes)  # type: ignore[arg-type]
