"""What comes in: the numbers of one window, from Prometheus, and the messages of the inbox."""

from __future__ import annotations

from domain.events import Heard
from domain.evidence import Missing, Reading, Seen, Window
from domain.ports import Json, Telemetry
from domain.state import Run
from domain.steps import Span


def window(telemetry: Telemetry, run: Run, span: Span) -> Window:
    """Every number of this window that could be read; the others are Missing, with the reason."""

    def seen(query: str) -> Seen:
        return telemetry.read(query, arm=span.arm, start=span.start, end=span.end, scrape=run.profile.scrape)

    objective = _positive(seen(run.target.objective.query), run.target.objective.minimise)
    guards = {guardrail.name: seen(guardrail.query) for guardrail in run.target.guardrails}
    return Window(span.arm, span.role, span.start, span.end, objective, guards)


def _positive(seen: Seen, minimise: bool) -> Seen:
    """Logs need a value above 0; what is to be maximised enters as its inverse, so that lower is always better."""
    if isinstance(seen, Missing):
        return seen
    if seen.value <= 0:
        return Missing(f"the objective is {seen.value:g}; it must be above 0")
    return seen if minimise else Reading(1 / seen.value)


def heard_of(message: Json) -> Heard:
    """The event of an inbox message; an unknown kind changes nothing."""
    kind = message.get("kind")
    if kind not in ("signal", "resolved", "stop", "approve"):
        return Heard("signal", f"a message of unknown kind was ignored: {str(message)[:200]}")
    return Heard(kind, str(message.get("text", ""))[:500])
