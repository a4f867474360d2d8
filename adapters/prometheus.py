"""Telemetry on Prometheus, through prometheus-api-client.

The library drops warnings and result types, has no timeout of its own, retries behind our back and rounds times; so it
gets a session of ours that keeps each raw answer, a deadline on every call, no retries, and explicit times.

A timeout of a socket counts from byte to byte and name resolution has none, so each call runs in a thread that is left
behind at the deadline, together with its session.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util import Retry

from adapters.promql_window import coverage, duration, render
from domain.evidence import Missing, Reading, Seen

LEAST_COVERAGE = 0.8  # of the samples that the scrape interval promises
MOST_POINTS = 10_000  # of a range; Prometheus refuses above 11,000


class _Api:
    """The library on a session of ours; `answer` is the whole JSON of its last response, {} if that was none."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.answer: dict[str, Any] = {}
        self.session = requests.Session()
        self.session.hooks["response"].append(self._keep)
        self.client = PrometheusConnect(
            url=url, headers=dict(headers), retry=Retry(0, raise_on_status=False), session=self.session
        )

    def _keep(self, response: requests.Response, *args: object, **kwargs: object) -> None:
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            answer = {}
        self.answer = answer if isinstance(answer, dict) else {}


class PrometheusTelemetry:
    """See `domain.ports.Telemetry`. `deadline` in seconds bounds each call, all its requests together; `headers` go
    with each request (tenants). For one thread at a time."""

    def __init__(self, url: str, deadline: float = 5.0, headers: Mapping[str, str] | None = None) -> None:
        self._url, self._deadline, self._headers = url.rstrip("/"), deadline, dict(headers or {})
        self._api = _Api(self._url, self._headers)

    def close(self) -> None:
        """Give the connections back; a later call opens new ones."""
        self._api.session.close()

    # --- the port ----------------------------------------------------------------------------------------------------

    def read(self, query: str, *, arm: str, start: float, end: float, scrape: float) -> Seen:
        length, until = end - start, self._until()
        short = self._uncovered(query, arm, length, end, length / scrape, until)
        if short is not None:
            return short
        return self._instant(render(query, arm, length), end, until)

    def series(self, query: str, *, start: float, end: float, step: float) -> tuple[tuple[float, Seen], ...]:
        step, until = round(step, 3), self._until()  # Prometheus counts in milliseconds
        times = [start + i * step for i in range(math.floor((end - start) / step + 1e-6) + 1)]
        seen: list[Seen] = []
        for first in range(0, len(times), MOST_POINTS):
            seen += self._range(query, times[first : first + MOST_POINTS], step, until)
        return tuple(zip(times, seen, strict=True))

    def now(self) -> float | None:
        seen = self._instant("time()", None, self._until())
        return seen.value if isinstance(seen, Reading) else None

    def _uncovered(
        self, query: str, arm: str, length: float, end: float, promised: float, until: float
    ) -> Missing | None:
        """Why the window is not covered by samples; None if one of the query's selectors is. One is enough: others may
        rightly have no series (errors that never happened)."""
        counts = coverage(query)
        if not counts and "$window" in query:
            return Missing("the samples behind the query cannot be counted; write its selectors as name{...}[$window]")
        short: Missing | None = None
        for count in counts:
            samples = self._instant(render(count, arm, length), end, until)
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
        return self._instant(query, at, self._until())

    def label_values(self, query: str, label: str, at: float) -> tuple[str, ...]:
        """The values of a label over the series that a query gives; empty if it gives none."""
        result = self._ask("vector", self._until(), query, {"time": f"{at:.3f}"})
        if isinstance(result, Missing):
            return ()
        return tuple(str(labels[label]) for labels in result if label in labels)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _until(self) -> float:
        return time.monotonic() + self._deadline

    def _instant(self, query: str, at: float | None, until: float) -> Seen:
        result = self._ask("number", until, query, {} if at is None else {"time": f"{at:.3f}"})
        return result if isinstance(result, Missing) else _number(result)

    def _range(self, query: str, times: list[float], step: float, until: float) -> list[Seen]:
        span = {"start": f"{times[0]:.3f}", "end": f"{times[-1]:.3f}", "step": duration(step)}
        result = self._ask("matrix", until, query, span)
        if isinstance(result, Missing):
            return [result] * len(times)
        found = {round(at, 3): _number(value) for at, value in result}
        return [found.get(round(at, 3), Missing("no value at this time")) for at in times]

    def _ask(self, kind: str, until: float, query: str, params: Mapping[str, str]) -> Any:
        """What one request gives, or Missing: whatever a server answers, nothing is raised for it. `kind` is what the
        caller can use: "number" (its text), "matrix" (the points of its only series) or "vector" (all labels)."""
        left = until - time.monotonic()
        if left < 0.001:
            return self._too_late()
        api = self._api
        try:
            _within(left, lambda: _request(api, kind, query, {**params, "timeout": duration(left)}, left))
            return _result(api.answer, kind)
        except TimeoutError:
            self._api = _Api(self._url, self._headers)  # the other one may be at it for long
            api.session.close()
            return self._too_late()
        except requests.Timeout:
            return self._too_late()
        except requests.ConnectionError:  # which a stalled body is, too
            return self._too_late() if time.monotonic() >= until else Missing("Prometheus cannot be reached")
        except PrometheusApiClientException as error:
            if "error" in api.answer:
                return Missing(f"Prometheus refuses the query: {str(api.answer['error'])[:256]}")
            return Missing(f"Prometheus does not answer the query: {str(error).partition(' (')[0]}")
        except (requests.RequestException, LookupError, ValueError, TypeError, AttributeError, RecursionError):
            return Missing("the answer is not Prometheus' JSON")

    def _too_late(self) -> Missing:
        return Missing(f"no answer within {self._deadline:g} s")


def _request(api: _Api, kind: str, query: str, params: dict[str, str], left: float) -> None:
    """Fill `api.answer`. The times in `params` stand: those that the library makes are rounded."""
    api.answer = {}
    if kind == "matrix":
        unused = datetime.fromtimestamp(0, UTC)
        api.client.custom_query_range(query, unused, unused, params["step"], params=params, timeout=left)
    else:
        api.client.custom_query(query, params=params, timeout=left)


def _within(seconds: float, call: Callable[[], None]) -> None:
    """Raises what `call` raises, and TimeoutError if it is not back in time."""
    outcome: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            call()
        except BaseException as error:
            outcome.put(error)
        else:
            outcome.put(None)

    threading.Thread(target=run, name="prometheus", daemon=True).start()
    try:
        error = outcome.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error


def _result(answer: Mapping[str, Any], kind: str) -> Any:
    """What `_ask` gives, from the whole JSON. LookupError, TypeError or ValueError if that is not Prometheus'."""
    if answer["status"] != "success":
        return Missing(f"Prometheus reports {str(answer['error'])[:256]}")
    if answer.get("warnings"):
        return Missing(f"answered with a warning: {str(answer['warnings'])[:200]}")
    given, result = answer["data"]["resultType"], answer["data"]["result"]
    if not isinstance(result, list):
        raise TypeError("a result is a list")
    if kind == "number" and given == "scalar":
        return result[1]
    if given != ("matrix" if kind == "matrix" else "vector"):
        return Missing(f"the query gives a {given}, not a number")
    if kind == "vector":
        return [dict(each["metric"]) for each in result]
    if len(result) != 1:
        return Missing("empty result" if not result else f"{len(result)} series instead of one")
    return result[0]["value"][1] if kind == "number" else [(float(at), value) for at, value in result[0]["values"]]


def _number(text: object) -> Seen:
    try:
        value = float(str(text))
    except ValueError:
        return Missing(f"{str(text)[:40]!r} is no number")
    return Reading(value) if math.isfinite(value) else Missing(f"the value is {text}")
