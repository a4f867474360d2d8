"""How `trimtab load` speaks: results as rows, what their figures mean as talk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from console.output import Column, Finding, Format, listing, say
from domain.errors import Misconfigured
from domain.ports import Json

if TYPE_CHECKING:
    from adapters.load.ramp import Step
    from adapters.load.result import Result
    from adapters.load.slo import Slo
    from adapters.load.soak import Mark, Trend

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def _percentile_text(found: Mapping[str, Any]) -> str:
    if found["seconds"] is None:
        return "-"
    text = f"{1000 * found['seconds']:.3g}"
    if found["low"] is None and found["high"] is None:
        return text
    low, high = ("open" if end is None else f"{1000 * end:.3g}" for end in (found["low"], found["high"]))
    return f"{text} ({low} to {high})"


COLUMNS = (
    Column("run", "run", right=True),
    Column("tool", "tool"),
    Column("requests", "requests", right=True),
    Column("good", "good", right=True),
    Column("errors", "errors", lambda errors: ", ".join(f"{count} {kind}" for kind, count in errors.items()) or "none"),
    Column("timeouts", "timeouts", right=True),
    Column("failed_share", "failed", lambda share: f"{100 * share:.3g} %", right=True),
    Column("elapsed", "seconds", lambda value: f"{value:.2f}", right=True),
    Column("offered", "offered/s", lambda value: f"{value:.1f}", right=True),
    Column("throughput", "answers/s", lambda value: f"{value:.1f}", right=True),
    *(Column(key, f"{key} ms", _percentile_text, right=True) for key in ("p50", "p90", "p95", "p99", "p99.9")),
    Column("verdict", "SLO"),
    Column("nominal", "nominal", table=False),
    Column("lag", "lag", table=False),
    Column("closed_loop", "closed loop", table=False),
    Column("coordinated_omission", "coordinated omission", table=False),
    Column("slices", "slices", table=False),
    Column("notes", "notes", table=False),
)
STEP_COLUMNS = (
    Column("rate", "rate/s", lambda value: f"{value:.4g}", right=True),
    Column("offered", "offered/s", lambda value: f"{value:.1f}", right=True),
    Column("achieved", "achieved/s", lambda value: f"{value:.1f}", right=True),
    Column("p", "p95 ms", lambda value: f"{1000 * value:.3g}", right=True),
    Column("failed_share", "failed", lambda share: f"{100 * share:.3g} %", right=True),
    Column("ok", "holds", lambda ok: "yes" if ok else "no"),
    Column("clear", "clear", lambda ok: "yes" if ok else "no"),
    Column("lagged", "generator late", table=False),
    Column("why", "why"),
)
MARK_COLUMNS = (
    Column("number", "slice", right=True),
    Column("at", "at (Unix)", lambda value: f"{value:.0f}", right=True),
    Column("requests", "requests", right=True),
    Column("failed", "failed", right=True),
    Column("throughput", "answers/s", lambda value: f"{value:.1f}", right=True),
    Column("p50", "p50 ms", lambda value: f"{1000 * value:.3g}", right=True),
    Column("p95", "p95 ms", lambda value: f"{1000 * value:.3g}", right=True),
    Column("rss", "memory MiB", lambda value: f"{value / (1 << 20):.1f}", right=True),
    Column("born", "born", table=False),
)

SERVICE_COLUMNS = (
    Column("pod", "pod", lambda pod: pod or "(no pod was Ready)"),
    Column("configuration", "configuration"),
    Column("code", "code"),
    Column("requests", "requests", right=True),
)


def span(option: str, text: str) -> float:
    """Seconds of `200ms`, `10`, `10s`, `5m`, `2h`. Raises Misconfigured naming the option."""
    match = _SPAN.fullmatch(text.strip())
    if match is None or (float(match[1]) == 0 and option != "--warm-up"):
        raise Misconfigured(f"{option} {text!r} is no time above 0; write 200ms, 10s, 5m or 2h")
    return float(match[1]) * _SECONDS[match[2]]


def poisson(arrivals: str) -> bool:
    """Whether arrivals are at random. BadParameter for a word that is neither."""
    if arrivals not in ("poisson", "fixed"):
        raise typer.BadParameter(f"{arrivals!r} is unknown; known: poisson, fixed", param_hint="--arrivals")
    return arrivals == "poisson"


def objective(text: str, failures: float) -> Slo | None:
    from adapters.load.slo import Slo

    return Slo(span("--slo", text), failures=failures) if text else None


def tell_results(results: Sequence[Result], slo: Slo | None, form: Format) -> None:
    """The results as rows, what their figures mean as talk, and a Finding if the objective was not met."""
    from adapters.load.result import row
    from adapters.load.slo import judge

    judged = [None if slo is None else judge(result, slo) for result in results]
    rows: list[Json] = []
    for number, (result, judgement) in enumerate(zip(results, judged, strict=True), start=1):
        plain = row(result)
        verdict = None if judgement is None else judgement.verdict
        rows.append({**plain, **plain.pop("percentiles"), "run": number, "verdict": verdict})
    listing(rows, COLUMNS, form)
    say(f"latency: {results[0].coordinated_omission}")
    for result in results:
        for note in result.notes:
            say(f"note: {note}")
    missing = [each for result in results for each in result.percentiles if each.why and each.level <= 0.99]
    for why in dict.fromkeys(each.why for each in missing):
        say(f"no figure: {why}")
    if len(results) > 1:
        _tell_spread(results)
    if not any(result.good for result in results):
        raise Finding("no request got a good answer")
    missed = [judgement for judgement in judged if judgement is not None and judgement.verdict != "met"]
    if missed:
        raise Finding(f"the objective was {missed[0].verdict}: {missed[0].why}")


def _tell_spread(results: Sequence[Result]) -> None:
    found = [each for result in results if (each := result.percentile(0.95).seconds) is not None]
    if len(found) > 1:
        low, high = 1000 * min(found), 1000 * max(found)
        say(f"p95 of {len(found)} runs: {low:.3g} to {high:.3g} ms; a smaller difference than this proves nothing")


def tell_step(step: Step) -> None:
    say(f"{step.rate:.4g} requests/s: {'holds' if step.ok else 'breaks'}: {step.why}")


def tell_mark(mark: Mark) -> None:
    memory = "" if mark.rss is None else f", memory {mark.rss / (1 << 20):.1f} MiB"
    p95 = "" if mark.p95 is None else f", p95 {1000 * mark.p95:.1f} ms"
    say(f"slice {mark.number + 1}: {mark.requests} requests, {mark.failed} failed{p95}{memory}")


def words(trend: Trend) -> str:
    if trend.what == "memory":
        return {"grows": "leak", "steady": "no leak", "levels off": "no leak, it levels off"}.get(
            trend.verdict, trend.verdict
        )
    return {"grows": "gets slower"}.get(trend.verdict, trend.verdict)
