"""Scenarios of the demo by name: the one place that a new one is entered."""

from __future__ import annotations

from console.demo.scenarios.base import Scenario
from console.demo.scenarios.nginx import Nginx, Null
from console.demo.scenarios.postgresql import PostgreSQL
from console.demo.scenarios.started import Container, Go, Jvm, Nodejs

SCENARIOS: dict[str, type[Scenario]] = {
    each.name: each for each in (Nginx, Null, PostgreSQL, Jvm, Go, Nodejs, Container)
}
