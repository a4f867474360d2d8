"""Can this target be measured and written at all? Named checks, run before anything is tuned, each with what to do."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from adapters.promql_window import coverage, duration, escaped, render
from domain.allowance import Allowance
from domain.errors import TrimtabError
from domain.evidence import Missing, Reading, Seen
from domain.ports import Actuator
from domain.target import Target, Workload

MOST_GROWTH = 1.15  # of neighbouring bucket bounds: coarser ones cannot show a 3 % change of an interpolated quantile
LEAST_SCRAPES = 4  # in a window
P95_REQUESTS = 2000  # in a window
LEAST_SHARE = 0.5  # of the requests that an arm should get
LEAST_EXPECTED = 20.0  # requests, below which half as many may be chance (one time in 100)
POD = "(?:[a-z0-9]{1,10}-[a-z0-9]{5}|[0-9]+|trimtab-[ab])"  # how names of a workload's pods end
_QUANTILE = re.compile(r"histogram_quantile\s*\(\s*(0?\.[0-9]+)")
_BUCKETS = re.compile(r"""([A-Za-z_:][\w:]*)_bucket\s*(\{(?:[^{}"]|"(?:\\.|[^"\\])*")*\})?\s*\[\$window\]""")
_COUNTED = re.compile(_BUCKETS.pattern.replace("_bucket", "_(?:bucket|count)"))


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `warning` does not forbid tuning, `fail` does. `do` says what to do about it."""

    level: Literal["ok", "warning", "fail"]
    what: str
    seen: str
    do: str = ""


class Prometheus(Protocol):
    """What the checks ask of Prometheus, beyond the telemetry port."""

    def now(self) -> float | None: ...
    def instant(self, query: str, at: float) -> Seen: ...
    def label_values(self, query: str, label: str, at: float) -> tuple[str, ...]: ...


def check_target(
    target: Target,
    prometheus: Prometheus,
    arms: Mapping[str, Actuator],
    now: float,
    reverted: Sequence[str] = (),
    allowance: Allowance | None = None,
) -> Iterator[Check]:
    """All checks of one target, in the order in which one would look. `now` is this machine's clock (Unix seconds);
    `reverted` are kept values that somebody took back, in words; `allowance` is what the place of a workload allows."""
    serving = yield from _arms(arms)
    if allowance is not None:
        yield from _allowed(allowance)
    for words in reverted:
        yield Check("warning", "kept values", words, "talk to them, or change it there; the next run starts from it")
    theirs = prometheus.now()
    if theirs is None:
        yield Check("fail", "Prometheus", "does not answer", "check prometheus.url of the policy")
        return
    yield _clock(target, theirs - now)
    end = theirs - 2 * target.profile.scrape
    if target.workload is not None and not serving:
        do = "the first run looks at it, and closes as refused where the query gives no number"
        yield Check("warning", "objective", "its arms serve during a run only, so nothing can be read now", do)
        return
    for arm in target.arms:
        yield from _scrapes(target, prometheus, arm.label, end)
        yield from _values(target, prometheus, arm.label, end)
    yield from _buckets(target, prometheus, end)
    if target.workload is not None:
        yield from _shares(target, target.workload, prometheus, end)


def _allowed(allowance: Allowance) -> Iterator[Check]:
    if allowance.refusal:
        yield Check("fail", "cluster", allowance.refusal, "a run would be refused; change that first")
        return
    for name, bound in allowance.bounds.items():
        yield Check("ok", f"bounds of {name}", f"{bound.low:g} to {bound.high:g}: {bound.reason}")
    for name, why in allowance.frozen.items():
        yield Check("warning", f"bounds of {name}", why, "it will not be searched")
    for name, why in allowance.advised.items():
        yield Check("warning", f"owner of {name}", why, "it will be proposed, not applied")
    for note in allowance.notes:
        yield Check("ok", "cluster", note)


def _arms(arms: Mapping[str, Actuator]) -> Generator[Check, None, bool]:
    """Whether a run has these arms now is returned."""
    settings, runs = {}, set()
    for label, arm in arms.items():
        try:
            image = arm.read()
            settings[label] = dict(image.settings)
            runs |= {image.protected} - {""}
            yield Check("ok", f"arm {label}", f"{len(image.settings)} settings read")
        except TrimtabError as error:
            yield Check("fail", f"arm {label}", str(error), "make the arm readable, then check again")
    if runs:
        yield Check("ok", "arms alike", f"not compared: run {sorted(runs)[0]} is open")
    elif len(settings) > 1 and len({repr(sorted(each.items())) for each in settings.values()}) > 1:
        yield Check("fail", "arms alike", "the arms carry different settings", "make them equal before a run")
    return bool(runs)


def _clock(target: Target, difference: float) -> Check:
    seen, limit = f"{difference:+.2f} s against Prometheus", target.profile.window / 10
    if abs(difference) > limit:
        return Check("fail", "clock", seen, f"bring the clocks within {limit:.1f} s (a tenth of the window)")
    return Check("ok", "clock", seen)


def _scrapes(target: Target, prometheus: Prometheus, arm: str, end: float) -> Iterator[Check]:
    window = target.profile.window
    counts = [prometheus.instant(render(each, arm, window), end) for each in coverage(target.objective.query)]
    best = max((each.value for each in counts if isinstance(each, Reading)), default=0.0)
    promised = window / target.profile.scrape
    seen = f"{best:.0f} samples in {duration(window)}"
    if best < LEAST_SCRAPES:
        yield Check("fail", f"scrapes of arm {arm}", seen, "scrape more often, or take a profile with longer windows")
    elif best < 0.8 * promised:
        every = f"a scrape every {target.profile.scrape:g} s"
        do = f"profile {target.profile.name} expects {every}; windows would be Missing"
        yield Check("fail", f"scrapes of arm {arm}", seen, do)
    else:
        yield Check("ok", f"scrapes of arm {arm}", seen)


def _values(target: Target, prometheus: Prometheus, arm: str, end: float) -> Iterator[Check]:
    seen = prometheus.instant(render(target.objective.query, arm, target.profile.window), end)
    yield _value(f"objective of arm {arm}", seen, "fail", "the query must give one number for each arm under load")
    for guardrail in target.guardrails:
        seen = prometheus.instant(render(guardrail.query, arm, target.profile.window), end)
        level: Literal["warning", "fail"] = "fail" if guardrail.relative else "warning"
        do = "its limit is a multiple of this value" if guardrail.relative else "without a value it can never trip"
        yield _value(f"guardrail {guardrail.name} of arm {arm}", seen, level, do)


def _value(what: str, seen: Seen, level: Literal["warning", "fail"], do: str) -> Check:
    if isinstance(seen, Missing):
        return Check(level, what, seen.reason, do)
    return Check("ok", what, f"{seen.value:.6g}")


def _buckets(target: Target, prometheus: Prometheus, end: float) -> Iterator[Check]:
    """Whether the histogram behind a quantile is fine enough around it, and fed by enough requests."""
    quantile, selector = _QUANTILE.search(target.objective.query), _BUCKETS.search(target.objective.query)
    if quantile is None or selector is None:
        return
    name, labels = selector[1], selector[2] or ""
    arm, window = target.arms[0].label, target.profile.window
    buckets = render(f"{name}_bucket{labels}", arm, window)
    bounds = sorted(
        float(le) for le in prometheus.label_values(f"count by (le) ({buckets})", "le", end) if le != "+Inf"
    )
    value = prometheus.instant(render(target.objective.query, arm, window), end)
    mean = f"sum(rate({name}_sum{labels}[$window])) / sum(rate({name}_count{labels}[$window]))"
    if len(bounds) >= 2 and isinstance(value, Reading):
        growth, place = _growth(bounds, value.value)
        if growth > MOST_GROWTH:
            seen = f"bounds grow by {100 * (growth - 1):.0f} % around {value.value:.4g} ({place})"
            do = f"a quantile interpolated there cannot show 3 %; use finer buckets, or minimise the mean: {mean}"
            yield Check("warning", "buckets", seen, do)
        else:
            yield Check("ok", "buckets", f"bounds grow by {100 * (growth - 1):.0f} % around {value.value:.4g}")
    rate = prometheus.instant(render(f"sum(rate({name}_count{labels}[$window]))", arm, window), end)
    if isinstance(rate, Reading):
        requests = rate.value * window
        seen = f"about {requests:.0f} in a window on arm {arm}"
        if requests < P95_REQUESTS:
            do = f"a p95 is steadier with {P95_REQUESTS}; take longer windows, or minimise the mean: {mean}"
            yield Check("warning", "requests", seen, do)
        else:
            yield Check("ok", "requests", seen)


def _shares(target: Target, workload: Workload, prometheus: Prometheus, end: float) -> Iterator[Check]:
    """Whether the arms get their share of the requests, by the counter behind the objective's histogram."""
    selector = _COUNTED.search(target.objective.query)
    if selector is None:
        yield Check("warning", "shares", "no histogram in the objective", "compare the requests of the arms by hand")
        return
    name, labels, window = selector[1], selector[2] or "", target.profile.window
    count = f"sum(increase({name}_count{labels}[$window]))"
    found = {arm.label: prometheus.instant(render(count, arm.label, window), end) for arm in target.arms}
    if all(isinstance(seen, Missing) for seen in found.values()):
        do = "arms of a workload serve during a run only: check again then; if one is open, no request reaches them"
        yield Check("warning", "shares", "no requests on the arms", do)
        return
    counts = {label: seen.value if isinstance(seen, Reading) else 0.0 for label, seen in found.items()}
    yield share_check(counts, _mean_of_pods(f"{name}_count", labels, workload, prometheus, window, end))


def _mean_of_pods(
    name: str, labels: str, workload: Workload, prometheus: Prometheus, window: float, end: float
) -> float | None:
    """Requests of each pod of the workload, arms and others, on average; None where the query cannot be asked so: it
    can if a matcher holds the arm's whole pod name, as in `pod="shop-trimtab-$arm"`."""
    matcher = re.search(rf"""([A-Za-z_]\w*)\s*=~?\s*"{re.escape(workload.name)}-trimtab-\$arm\"""", labels)
    if matcher is None:
        return None
    label, pods = matcher[1], escaped(f"{re.escape(workload.name)}-{POD}")
    selector = f'{name}{labels[: matcher.start()]}{label}=~"{pods}"{labels[matcher.end() :]}'
    each = f"sum by ({label}) (increase({selector}[$window]))"
    mean = prometheus.instant(render(f"avg({each} > 0)", "", window), end)
    return mean.value if isinstance(mean, Reading) else None


def share_check(counts: Mapping[str, float], mean: float | None = None) -> Check:
    """Whether each arm gets its share. `counts` are requests by arm; `mean` is what a pod gets on average, where it is
    known; otherwise the arms are compared with each other."""
    expected = max(sum(counts.values()) / len(counts), mean or 0.0)
    seen = f"{', '.join(f'{label} {count:.0f}' for label, count in counts.items())}; expected {expected:.0f} each"
    if expected < LEAST_EXPECTED:
        do = f"below {LEAST_EXPECTED:.0f} requests in a window it cannot be told; send more, or take longer windows"
        return Check("warning", "shares", seen, do)
    starved = [label for label, count in counts.items() if count < LEAST_SHARE * expected]
    if starved:
        do = (
            "clients keep their connections to older pods; let them open new ones (nginx: keepalive_requests and"
            " keepalive_time; clients: a largest age of connections), or balance each request (a proxy, a mesh)"
        )
        return Check("fail", "shares", f"arm {' and '.join(starved)} below half of its share: {seen}", do)
    return Check("ok", "shares", seen)


def _growth(bounds: list[float], value: float) -> tuple[float, str]:
    """Ratio of the bounds of the bucket that holds `value`, and the bucket in words."""
    upper = next((i for i, bound in enumerate(bounds) if bound >= value), len(bounds) - 1)
    upper = max(1, upper)
    low, high = bounds[upper - 1], bounds[upper]
    return (high / low if low > 0 else float("inf")), f"{low:g} to {high:g}"
