"""Bounds from what admission lets through."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.actuators.kubernetes.admission import narrowed
from domain.allowance import Bound
from domain.errors import Rejected
from domain.space import Parameter, Settings
from tests.pods import CPU_LIMIT, shop

Json = dict[str, Any]
CPU = Parameter(CPU_LIMIT, "real", "unset", low=0.1, high=2.0, log=True, unit="cores")


def most(limit: float) -> Any:
    """Admission that refuses a CPU limit above this."""

    def ask(settings: Settings) -> None:
        if float(settings[CPU_LIMIT]) > limit:
            raise Rejected(f"policy: limits.cpu must not be above {limit}")

    return ask


@pytest.mark.parametrize("limit", [0.16, 0.3, 1.0, 1.99])
def test_a_bound_is_pulled_in_to_what_is_let_through(limit: float) -> None:
    """Never above the limit, and not far below it; the reason is admission's own sentence."""
    (bound,) = narrowed(most(limit), {CPU_LIMIT: 0.15}, [CPU], {}).values()
    assert bound.low == 0.1
    assert limit / 1.1 < bound.high <= limit
    assert bound.reason == f"admission: policy: limits.cpu must not be above {limit}"


def test_what_is_let_through_keeps_its_bounds_and_reasons() -> None:
    """A bound that another rule gave stays, with its reason; one without a reason is not invented."""
    known = {CPU_LIMIT: Bound(0.2, 1.0, "quota")}
    assert narrowed(most(5.0), {CPU_LIMIT: 0.5}, [CPU], known) == known
    assert narrowed(most(5.0), {CPU_LIMIT: 0.5}, [CPU], {}) == {}


def test_what_serves_now_must_be_let_through() -> None:
    """A pod like those that serve is refused: nothing can be tuned."""
    with pytest.raises(Rejected):
        narrowed(most(0.1), {CPU_LIMIT: 0.5}, [CPU], {})


def _above(cores: float) -> Any:
    def rule(operation: str, kind: str, body: Json) -> str | None:
        if kind != "Pod":
            return None
        text = body["spec"]["containers"][0]["resources"]["limits"]["cpu"]
        value = float(text[:-1]) / 1000 if text.endswith("m") else float(text)
        return f"admission webhook denied: {value:g} cores are more than {cores:g}" if value > cores else None

    return rule


def test_the_survey_asks_with_dry_runs_and_changes_nothing() -> None:
    """A webhook's limit becomes a bound with its reason, before anything is touched."""
    with shop() as cluster:
        cluster.server.refuse(_above(0.6))
        before = cluster.server.snapshot().records
        allowance = cluster.stage().survey()
        bound = allowance.bounds[CPU_LIMIT]
        assert 0.5 < bound.high <= 0.6
        assert "admission webhook denied" in bound.reason
        assert not allowance.refusal
        assert cluster.server.snapshot().records == before


def test_a_refusal_of_everything_refuses_the_run() -> None:
    """Told, and nothing was touched."""
    with shop() as cluster:
        cluster.server.refuse(_above(0.05))
        assert "admission refuses a pod like those that serve" in cluster.stage().survey().refusal
        assert cluster.pod("a") is None


def test_a_request_takes_its_limit_along() -> None:
    """Where both are searched, a request may rise above the limit that is in force now: the limit rises with it."""
    request = Parameter("k8s.cpu_request", "real", 0.05, low=0.05, high=1.0, unit="cores")

    def ask(settings: Settings) -> None:
        if float(settings["k8s.cpu_request"]) > float(settings[CPU_LIMIT]):
            raise Rejected("must be less than or equal to cpu limit")

    assert narrowed(ask, {"k8s.cpu_request": 0.05, CPU_LIMIT: 0.15}, [request, CPU], {}) == {}
