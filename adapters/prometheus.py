"""Telemetry on Prometheus, through prometheus-api-client.

The library drops warnings and result types, has no timeout of its own, retries behind our back and rounds times; so it
gets a session of ours that keeps each raw answer, a deadline on every call, no retries, and explicit times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util import Retry

from adapters.promql_window import coverage, duration, render
from domain.evidence import Missing, Reading, Seen

LEAST_COVERAGE = 0.8  # of the samples that the scrape interval promises
MOST_POINTS = 10_000  # of a range; Prometheus refuses above 11,000


class PrometheusTelemetry:
    """See `domain.ports.Telemetry`. `deadline` in seconds bounds each call; `headers` go with each (tenants)."""

    def __init__(self, url: str, deadline: float = 5.0, headers: Mapping[str, str] | None = None) -> None:
        self._deadline = deadline
        self._answer: dict[str, Any] = {}
        session = requests.Session()
        session.hooks["response"].append(self._keep)
        self._client = PrometheusConnect(
            url=url.rstrip("/"),
            headers=dict(headers or {}),
            retry=Retry(0, raise_on_status=False),
            session=session,
            timeout=deadline,
        )

    # --- the port ----------------------------------------------------------------------------------------------------

    def read(self, query: str, *, arm: str, start: float, end: float, scrape: float) -> Seen:
        length = end - start
        short = self._uncovered(query, arm, length, end, length / scrape)
        if short is not None:
            return short
        return self._instant(render(query, arm, length), end)

    def series(self, query: str, *, start: float, end: float, step: float) -> tuple[tuple[float, Seen], ...]:
        times = [start + i * step for i in range(min(MOST_POINTS, int((end - start) / step) + 1))]
        if not times:
            return ()
        result = self._ask(
            lambda: self._client.custom_query_range(
                query,
                datetime.fromtimestamp(start, UTC),
                datetime.fromtimestamp(times[-1], UTC),
                duration(step),
                params={"start": f"{start:.3f}", "end": f"{times[-1]:.3f}"},
            )
        )
        if isinstance(result, Missing):
            return tuple((time, result) for time in times)
        if len(result) != 1:
            nothing = Missing(f"{len(result)} series instead of one")
            return tuple((time, nothing) for time in times)
        found = {round(float(at), 3): _number(value) for at, value in result[0]["values"]}
        return tuple((time, found.get(round(time, 3), Missing("no value at this time"))) for time in times)

    def now(self) -> float | None:
        seen = self._instant("time()", None)
        return seen.value if isinstance(seen, Reading) else None

    def _uncovered(self, query: str, arm: str, length: float, end: float, promised: float) -> Missing | None:
        """Why the window is not covered by samples; None if one of the query's selectors is. One is enough: others may
        rightly have no series (errors that never happened)."""
        short: Missing | None = None
        for count in coverage(query):
            samples = self._instant(render(count, arm, length), end)
            if isinstance(samples, Reading) and samples.value >= LEAST_COVERAGE * promised:
                return None
            if isinstance(samples, Reading):
                short = Missing(f"only {samples.value:.0f} of {promised:.0f} samples in the window")
            else:
                short = short or Missing(f"no samples: {samples.reason}")
        return short

    # --- for checks --------------------------------------------------------------------------------------------------

    def instant(self, query: str, at: float) -> Seen:
        """The value of plain PromQL at a time, without asking for samples behind it."""
        return self._instant(query, at)

    def label_values(self, query: str, label: str, at: float) -> tuple[str, ...]:
        """The values of a label over the series that a query gives; empty if it gives none."""
        result = self._ask(lambda: self._client.custom_query(query, params={"time": f"{at:.3f}"}))
        if isinstance(result, Missing):
            return ()
        return tuple(str(each["metric"][label]) for each in result if label in each.get("metric", {}))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _instant(self, query: str, at: float | None) -> Seen:
        params = {"timeout": duration(self._deadline)} | ({} if at is None else {"time": f"{at:.3f}"})
        result = self._ask(lambda: self._client.custom_query(query, params=params))
        if isinstance(result, Missing):
            return result
        kind = self._answer.get("data", {}).get("resultType")
        if kind == "scalar":
            return _number(result[1])
        if kind != "vector":
            return Missing(f"the query gives a {kind}, not a number")
        if len(result) != 1:
            return Missing("empty result" if not result else f"{len(result)} series instead of one")
        return _number(result[0]["value"][1])

    def _ask(self, call: Any) -> Any:
        """The result of one call, or Missing: whatever a server answers, nothing is raised for it."""
        self._answer = {}
        try:
            result = call()
        except requests.Timeout:
            return Missing(f"no answer within {self._deadline:g} s")
        except requests.ConnectionError:
            return Missing("Prometheus cannot be reached")
        except PrometheusApiClientException:
            return Missing(f"Prometheus refuses the query: {self._error()}")
        except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError):
            return Missing("the answer is not Prometheus' JSON")
        if self._answer.get("status") != "success":
            return Missing(f"Prometheus reports {self._error()}")
        warnings = self._answer.get("warnings")
        if warnings:
            return Missing(f"answered with a warning: {str(warnings[0])[:200]}")
        if not isinstance(result, list):
            return Missing("the answer is not Prometheus' JSON")
        return result

    def _keep(self, response: requests.Response, *args: object, **kwargs: object) -> None:
        try:
            answer = response.json()
        except ValueError:
            answer = {}
        self._answer = answer if isinstance(answer, dict) else {}

    def _error(self) -> str:
        return str(self._answer.get("error", "no reason"))[:256]


def _number(text: object) -> Seen:
    try:
        value = float(str(text))
    except ValueError:
        return Missing(f"{str(text)[:40]!r} is no number")
    return Reading(value) if math.isfinite(value) else Missing(f"the value is {text}")
